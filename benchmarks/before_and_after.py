"""Seconds of this checkout beside another one, in turn: what a change of the code costs or gains.

The other checkout is an older state of the project with an environment of its own (git worktree, make). Each is
measured by its own ``measured_minigan.py`` (called ``worker_minigan.py`` before), with as many cores as it uses by
itself: the training step, one image, and a thousand.

    python benchmarks/before_and_after.py --before ../before
    python benchmarks/before_and_after.py --before ../before --batch-size 16 --pairs 20
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import records
from measured_programs import HERE, MINIGAN, Peer, Worker, in_turn
from records import ratios, spread
from train_step import add_size

from minigan.system.console import say
from minigan.system.errors import UserError

SCRIPTS = ("measured_minigan.py", "worker_minigan.py")
IMAGES = {"one image": 1, "1,000 images": 1000}
TURN = 0.25
"""Shortest turn in seconds."""


@dataclass(frozen=True)
class Checkout(Peer):
    """minigan in some checkout.

    Attributes
    ----------
    script : Path
        What measures it there.
    """

    script: Path = HERE / SCRIPTS[0]

    def command(self, python: str) -> list[str]:
        """How it is started."""
        return [python, str(self.script)]


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.batch_size, arguments.width, arguments.image_size, arguments.pairs = 4, 4, 32, 2
    size = {"batch_size": arguments.batch_size, "width": arguments.width, "image_size": arguments.image_size}
    now = Checkout(**vars(replace(MINIGAN, name="after")), script=HERE / SCRIPTS[0])
    before = Checkout(**vars(replace(MINIGAN, name="before")), script=script_of(arguments.before))
    seconds: dict[str, dict[str, list[float]]] = {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        pythons = {"before": python_of(arguments.before), "after": sys.executable}
        programs = [Worker(peer, pythons[peer.name]) for peer in (before, now)]
        for program in programs:
            stack.callback(program.close)
            program.ask("build", folder=folder, **size)
        seconds["step"] = turns(programs, "step", arguments.pairs)
        for program in programs:  # as for one image: on one rank, which leaves the cores to predict
            program.ask("build", folder=folder, **{**size, "batch_size": 1})
        for name, count in IMAGES.items():
            for program in programs:
                program.ask("first_images", folder=folder, images=count)
            seconds[name] = turns(programs, "predict", arguments.pairs, batch_size=64)
    for name, both in seconds.items():
        found = spread(ratios(both["after"], both["before"]))
        say(
            f"{name}: {1e3 * spread(both['before']).median:.1f} ms before, {1e3 * spread(both['after']).median:.1f} ms "
            f"after; ratio {found.median:.3f} (quartiles {found.low:.3f} to {found.high:.3f})"
        )
    records.keep("before_and_after", arguments, settings={**size, "pairs": arguments.pairs}, seconds=seconds)
    return 0


def turns(programs: Sequence[Worker], what: str, pairs: int, **options: Any) -> dict[str, list[float]]:
    """Seconds of one piece of work in every turn of every program."""
    longest = max(program.ask(what, count=1, **options)["seconds"] for program in programs)
    count = max(1, round(TURN / longest))

    def turn(program: Worker) -> float:
        return float(program.ask(what, count=count, **options)["seconds"])

    return in_turn({program.name: partial(turn, program) for program in programs}, pairs)


def script_of(checkout: Path) -> Path:
    """What measures minigan in a checkout."""
    for name in SCRIPTS:
        if (checkout / "benchmarks" / name).is_file():
            return checkout / "benchmarks" / name
    raise UserError(f"{checkout}: must be a checkout of minigan with benchmarks/{' or '.join(SCRIPTS)}")


def python_of(checkout: Path) -> str:
    """The Python of a checkout's own environment, without which it would import this one's minigan."""
    for name in (".venv/bin/python", ".venv/Scripts/python.exe"):
        if (checkout / name).exists():
            return str(checkout.absolute() / name)
    raise UserError(f"{checkout}: has no environment of its own; run make there once (or: python -m venv .venv ...)")


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("--before", type=Path, required=True, metavar="CHECKOUT", help="folder of the other checkout")
    parser.add_argument("--pairs", type=records.at_least(1), default=12, help="turns of each (default 12)")
    add_size(parser)
    return parser


if __name__ == "__main__":
    sys.exit(records.run(main))
