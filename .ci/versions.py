"""Run the tests with other versions: of Python, and the lowest ones of the libraries (``make test-versions``).

    python .ci/versions.py [VERSION ...] [-- ARGUMENT ...]

A version is ``3.13``, ``3.14t`` (the build without the lock) or ``lowest`` (Python 3.11 with the lowest version of each
library that pyproject.toml allows). Each gets an environment of its own in ``.versions/``, and ``make test`` in it, one
after the other, with what follows ``--`` as its ARGS. Pythons are looked for on the path, among pyenv's, and with uv,
which fetches them where it may. Without arguments, the versions of `USUAL` are tried, and those that cannot be had are
said to be missing; a version that is asked for must be there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
USUAL = ("lowest", "3.11", "3.13", "3.14", "3.14t")
LOWEST = "lowest"
LOWEST_PYTHON = "3.11"
WHO = """
import sys, sysconfig
print("%d.%d%s" % (*sys.version_info[:2], "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""))
"""


def main(arguments: list[str]) -> int:
    """Run the tests of all versions; exit status 1 if any fail, 2 if a version that was asked for is missing."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    asked, passed_on = arguments[:split], arguments[split + 1 :]
    for version in asked:
        if version != LOWEST and not re.fullmatch(r"3\.\d+t?", version):
            print(f"a version is {LOWEST}, or like 3.13 or 3.14t, got {version}", file=sys.stderr)
            return 2
    results = {}
    for version in asked or USUAL:
        python = find_python(LOWEST_PYTHON if version == LOWEST else version)
        if python is None:
            results[version] = "not to be had here"
        else:
            results[version] = "passed" if test(version, python, passed_on) == 0 else "FAILED"
    for version, result in results.items():
        print(f"{version:<8}{result}")
    missing = bool(asked) and "not to be had here" in results.values()
    return 1 if "FAILED" in results.values() else 2 if missing else 0


def find_python(version: str) -> str | None:
    """The path of a Python of this version, or None."""
    return next((python for python in candidates(version) if who(python) == version), None)


def candidates(version: str) -> Iterator[str]:
    """Commands that may be a Python of this version; not all of them exist."""
    yield from (sys.executable, f"python{version}", "python3", "python")
    number = version.rstrip("t")
    for folder in sorted((Path.home() / ".pyenv" / "versions").glob(f"{number}*"), reverse=True):
        yield str(folder / "bin" / "python")
    if os.name == "nt":  # the launcher of python.org's installer
        yield from lines("py", f"-{version}", "-c", "import sys; print(sys.executable)")
    if shutil.which("uv"):
        yield from lines("uv", "python", "find", version)
        lines("uv", "python", "install", version)
        yield from lines("uv", "python", "find", version)


def who(python: str) -> str | None:
    """The version that a Python says it is; None if it does not run."""
    return next(iter(lines(python, "-c", WHO)), None)


def lines(*command: str) -> list[str]:
    """What a command prints; nothing if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return done.stdout.splitlines()


def test(version: str, python: str, passed_on: list[str]) -> int:
    """Call ``make test`` in the environment of a version; its exit status."""
    folder = ROOT / ".versions"
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PIP_PREFER_BINARY": "1"}
    command = [
        "make",
        "test",
        f"PYTHON={Path(python).as_posix()}",
        f"VENV=.versions/{version}",
        f"ARGS={' '.join(passed_on)}",
    ]
    if version == LOWEST:
        (folder / "lowest.txt").write_text("".join(f"{line}\n" for line in lowest()), encoding="utf-8")
        environment["PIP_CONSTRAINT"] = ".versions/lowest.txt"  # relative: pip takes a space for the end of a name
    elif version.endswith("t"):
        environment["PYTHON_GIL"] = "0"  # the lock stays away, even if a library asks for it
        command.append("EXTRA=test")  # there is no OpenCV for these builds
    print(f"\n{version}: {python}\n{' '.join(command)}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def lowest() -> list[str]:
    """The lowest version of each library that pyproject.toml allows, for pip.

    Raises
    ------
    ValueError
        If a requirement does not name its lowest version.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        project["dependencies"],
        *(extras[name] for name in ("exchange", "prepare", "lessons", "mpi", "test", "dev")),
    ]
    found = []
    for requirement in chain.from_iterable(wanted):
        if requirement.startswith(f"{project['name']}["):
            continue
        match = re.fullmatch(r"([\w-]+)>=([\w.]+)(,[<\w.]+)?(;.*)?", requirement)
        if match is None:
            raise ValueError(f"pyproject.toml: a requirement must name its lowest version, got {requirement}")
        found.append(f"{match[1]}=={match[2]}{match[4] or ''}")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
