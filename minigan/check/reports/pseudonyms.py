"""Pseudonyms for students that stay the same from one check to the next, and reports that hold nothing else.

The key, a table of students and pseudonyms, is a file that the teacher keeps. Students who are not in it yet are added.
"""

from __future__ import annotations

import csv
import io
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from minigan.check.outcomes import FileReport, Finding
from minigan.check.reports.gradebook import is_formula
from minigan.system.errors import UserError

HEAD = ["student", "pseudonym"]
LARGEST_FILE = 10_000_000


def read_key(path: Path) -> dict[str, str]:
    """The pseudonyms of a key.

    Parameters
    ----------
    path : Path
        May be missing: then there are none.

    Returns
    -------
    dict of str to str

    Raises
    ------
    UserError
        If it is no key.
    """
    if not path.exists():
        return {}
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST_FILE else b"\0"
        head, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline=""))
        key = {student.removeprefix("'"): pseudonym for student, pseudonym in filter(None, rows)}
        if head != HEAD or len(set(key.values())) < len(key) or not all(key.values()):
            raise ValueError
    except OSError as error:
        raise UserError(f"--anonymous: cannot read {path}: {error.strerror or error}") from None
    except (ValueError, csv.Error):
        raise UserError(f"--anonymous: {path} is no table of {' and '.join(HEAD)}s, each once") from None
    return key


def extended(key: Mapping[str, str], students: Sequence[str]) -> dict[str, str]:
    """The key, with a new pseudonym for everyone who has none. It tells nothing about the name or the order."""
    new = dict(key)
    taken = set(new.values())
    for student in sorted(set(students) - set(new)):
        pseudonym = next(p for p in iter(_drawn, "") if p not in taken)
        new[student] = pseudonym
        taken.add(pseudonym)
    return new


def _drawn() -> str:
    """Six letters and digits that cannot be mistaken for others."""
    return "S-" + "".join(secrets.choice("ABCDEFGHJKLMNPRSTUVWXYZ23456789") for _ in range(6))


def render_key(key: Mapping[str, str]) -> bytes:
    """The key's file, in UTF-8. A name that a spreadsheet would take for a formula begins with an apostrophe.

    Names of folders may be bytes that are no text; they come back as they are.
    """
    rows = ((f"'{name}" if is_formula(name) or name.startswith("'") else name, key[name]) for name in sorted(key))
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([HEAD, *rows])
    return ("\ufeff" + out.getvalue()).encode("utf-8", "surrogateescape")


def anonymous(report: FileReport, key: Mapping[str, str]) -> FileReport:
    """A report in which the student and the file go by the pseudonym.

    Parameters
    ----------
    report : FileReport
    key : mapping of str to str

    Returns
    -------
    FileReport
        The same outcomes. Where a finding quotes the file's path or the student's name, the pseudonym stands instead. A
        name that the student has written into the code is not found.
    """
    pseudonym = key[report.student]
    path = PurePath(report.path)
    names = sorted({report.path, report.student, path.name, path.stem, str(Path(report.path).resolve())}, key=len)
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in reversed(names) if len(name) > 2))

    def hidden(finding: Finding | None) -> Finding | None:
        if finding is None:
            return None
        told: dict[str, Any] = {f: pattern.sub(pseudonym, getattr(finding, f)) for f in ("title", "cause", "where")}
        for name in ("evidence", "hints"):
            told[name] = tuple(pattern.sub(pseudonym, text) for text in getattr(finding, name))
        return replace(finding, **told)

    outcomes = [replace(outcome, finding=hidden(outcome.finding)) for outcome in report.outcomes]
    end = path.suffix if path.suffix in (".py", ".json") else ""
    return replace(report, path=pseudonym + end, student=pseudonym, outcomes=outcomes, problem=hidden(report.problem))
