"""Compare two run folders file by file and byte by byte, except for files that depend on the clock."""

import json

TIMED = {".lock", "speed.csv", "report.html"}


def files_of(run, checkpoints_of=None):
    """Relative path -> bytes of every file that does not depend on the clock.

    If `checkpoints_of` is given, only checkpoints whose name contains it are included.
    """
    found = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if not path.is_file() or path.name in TIMED or path.suffix == ".damaged":
            continue
        if name.startswith("checkpoints/") and checkpoints_of is not None and checkpoints_of not in name:
            continue
        found[name] = path.read_bytes()
    config = json.loads(found["config.json"])
    del config["sessions"]  # when and where
    found["config.json"] = json.dumps(config).encode()
    return found


def assert_equal_runs(a, b, *, checkpoints_of=None, without=()):
    """Assert that two run folders have the same settings, weights, moments, logs, metrics and images.

    An interrupted run has a checkpoint that another run does not have: `checkpoints_of` names the step whose checkpoint
    is compared. Files in `without` are not.
    """
    files_a, files_b = files_of(a, checkpoints_of), files_of(b, checkpoints_of)
    different = [
        name
        for name in sorted((files_a.keys() | files_b.keys()) - set(without))
        if files_a.get(name) != files_b.get(name)
    ]
    assert different == [], different
