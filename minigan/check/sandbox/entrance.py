"""The script that a student's process starts with: it sets the search path, and hands over to `student_process`.

It imports nothing of minigan before the search path is the supervisor's. What goes wrong until then is the checker's
own fault, and is said on the channel.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import NoReturn


def main() -> NoReturn:
    """Read the job from standard input, and become the process that answers requests about a student's file."""
    job = json.loads(sys.stdin.buffer.readline())
    asker, answers = _take_over_streams()
    try:
        sys.path[:] = job["sys_path"]
        from minigan.check.sandbox.student_process import prepared

        server = prepared(job, asker, answers)
    except BaseException:
        said = ["text", traceback.format_exc()[-1500:]]
        line = json.dumps({"kind": "broken", "number": 0, "value": said, "bytes": 0})
        os.write(answers, f"\n{job['token']}{line}\n".encode("ascii"))
        os._exit(1)
    server.serve()


def _take_over_streams() -> tuple[int, int]:
    """The descriptors of the former standard input and output; the student has only the error stream."""
    asker, channel, nothing = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (empty: input() raises EOFError)
    return asker, channel


if __name__ == "__main__":
    main()
