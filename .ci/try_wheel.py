"""Try the wheel in ``dist/`` as somebody would who has nothing but it: ``make dist`` builds it and then runs this.

In an environment of its own and an empty folder, away from the checkout: install the wheel with what it asks for, train
20 steps, draw with the result and with the generator that comes along, write a file of exercises, and check it.

    python .ci/try_wheel.py [--tag v0.1.0]

A tag, if one is given, has to be the wheel's version.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

DIST = Path(__file__).resolve().parents[1] / "dist"
COMMANDS = (
    ["--version"],
    ["train", "--preset", "quick", "--steps", "20", "--out", "run"],
    ["sample", "run", "--n", "4", "--out", "of-the-run.png"],
    ["check", "--template", "my_layers.py"],
    ["check", "my_layers.py"],
    ["sample", "--n", "64", "--out", "faces.png"],  # by the generator that comes with the wheel
)


def main(arguments: list[str]) -> int:
    """Install and try; returns the exit status of the first command that fails, or 0."""
    wheels = sorted(DIST.glob("minigan-*.whl"))
    if len(wheels) != 1:
        print(f"{DIST}: must hold one wheel of minigan, holds {len(wheels)}", file=sys.stderr)
        return 2
    tag = f"v{wheels[0].name.split('-')[1]}"
    if arguments not in ([], ["--tag", tag]):
        print(f"--tag: must be {tag}, the version of the wheel, got {' '.join(arguments)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        venv.create(environment, with_pip=True, symlinks=os.name != "nt")
        programs = environment / ("Scripts" if os.name == "nt" else "bin")
        work = Path(folder) / "work"
        work.mkdir()
        settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        settings["MINIGAN_CACHE"] = str(Path(folder) / "cache")
        commands = [[programs / "python", "-m", "pip", "install", "--quiet", wheels[0]]]
        commands += [[programs / "minigan", *words] for words in COMMANDS]
        for command in commands:
            print("+", *[Path(word).name if isinstance(word, Path) else word for word in command], flush=True)
            status = subprocess.run(command, cwd=work, env=settings, check=False).returncode
            if status:
                print(f"failed with exit status {status}", file=sys.stderr)
                return status
    print(f"{wheels[0].name} trains, draws and checks in an environment of its own")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
