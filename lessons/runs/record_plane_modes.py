"""Make plane_modes.json, lesson 6's recorded numbers: how many modes G covers with 1, 2, 5 and 10 steps in a round.

Each run is `lessons.plane_gan.play` with minigan's own steps: 600 rounds, three seeds. Every 20th round it is counted
at how many of the eight modes at least 2 % of the fakes are (within three sigma).

    python lessons/runs/record_plane_modes.py        # a minute or two on one core
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # so that `lessons` is found from every working directory

from lessons import plane_gan  # noqa: E402
from lessons.exercises.lesson06 import count_modes, gan_round  # noqa: E402
from minigan.system.atomic_files import write_text  # noqa: E402

G_STEPS = (1, 2, 5, 10)
SEEDS = (1, 2, 3)
ROUNDS, EVERY = 600, 20


def modes(g_steps: int, seed: int, rounds: int = ROUNDS) -> list[int]:
    """Modes covered every 20th round, from the first to the last."""
    run = plane_gan.play(gan_round, rounds=rounds, seed=seed, g_steps=g_steps, frames=range(0, rounds + 1, EVERY))
    centres = plane_gan.ring_centres()
    return [count_modes(frame.fakes, centres, 3 * plane_gan.SIGMA, 0.02) for frame in run.frames]


def main() -> None:
    """Train twelve small GANs and write what they covered."""
    recorded = {}
    for g_steps in G_STEPS:
        recorded[str(g_steps)] = [modes(g_steps, seed) for seed in SEEDS]
        print(f"{g_steps} steps of G: at the end {[one[-1] for one in recorded[str(g_steps)]]}", flush=True)
    write_text(HERE / "plane_modes.json", json.dumps(recorded) + "\n")


if __name__ == "__main__":
    main()
