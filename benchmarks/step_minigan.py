"""Worker of train_step.py: minigan's training step, one for every line on stdin."""

import json
import sys
import time
from pathlib import Path

import numpy as np

from minigan.gan import build_gan, draw_inputs, train_step


def main() -> None:
    folder, batch_size, width = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    gan = build_gan(width=width)
    real = np.random.default_rng(0).uniform(-1, 1, (batch_size, 64, 64, 3)).astype(np.float32)
    np.savez(
        folder / "start.npz",
        **{f"D.{path}": p for path, p in gan.discriminator.params().items()},
        **{f"G.{path}": p for path, p in gan.generator.params().items()},
        **draw_inputs(real, 1, 0)._asdict(),
    )
    say({"numpy": np.__version__})
    inputs = draw_inputs(real, 1, 0)
    for _ in sys.stdin:
        begin = time.perf_counter()
        metrics = train_step(gan, inputs).metrics
        seconds = time.perf_counter() - begin
        say({"seconds": seconds, **{k: float(m) for k, m in zip(("d_real", "d_fake", "g"), metrics, strict=False)}})


def say(message: dict) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
