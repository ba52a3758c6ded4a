"""Train in processes that are killed, or whose file operations fail, at a chosen moment; then resume.

This is a program (`python tests/support/interrupted_runs.py JOBS.json`) because it forks: modules are imported once,
and every start or resume of a job is a process of its own that a SIGKILL really ends. In such a process every operation
on files below a watched folder has a number. At the chosen number the process dies after writing half of the data; or
the operation fails, and so does every later operation that a full, read-only or broken disk would refuse.

Input: a list of jobs {"start": arguments of minigan.train, "out": run folder, "watch": folder, "faults": a list of null
or [what, point], one for each session}. A session resumes the run if it exists, and starts it otherwise. Output: for
each job, for each session, {"status" (negative: the signal), "error" (its stderr), "points" (names, if it lived)}.
"""

import builtins
import errno
import io
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

FAULTS = ("kill", "ENOSPC", "EROFS", "EIO")
_NEED_NO_SPACE = ("unlink", "rename", "chmod")


class Injector:
    """Counts the file operations below a folder, and lets one of them go wrong."""

    def __init__(self, watch, fault):
        self.watch = str(watch)
        self.what, self.at = fault or (None, -1)
        self.points = []

    def point(self, operation, path, half=None):
        """Return, kill this process, or raise OSError; `half` writes half of the data."""
        if isinstance(path, int) or not os.fspath(path).startswith(self.watch):
            return
        self.points.append(f"{operation} {os.path.relpath(path, self.watch)}")
        number = len(self.points) - 1
        if number == self.at:
            if half is not None:
                half()
            if self.what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        if self.what in ("kill", None) or number < self.at:
            return
        if self.what == "ENOSPC" and operation in _NEED_NO_SPACE:
            return
        code = getattr(errno, self.what)
        raise OSError(code, os.strerror(code), str(path))

    def install(self):
        plain_open, plain_os_open, plain_fsync = builtins.open, os.open, os.fsync

        def wrapped_open(file, mode="r", *args, **kwargs):
            if not set(mode) & set("wax+") or isinstance(file, int):
                return plain_open(file, mode, *args, **kwargs)
            self.point("open", file)
            return WatchedFile(plain_open(file, mode, *args, **kwargs), file, self)

        def os_open(path, flags, *args, **kwargs):
            if flags & (os.O_WRONLY | os.O_RDWR) and kwargs.get("dir_fd") is None:
                self.point("open", path)
            return plain_os_open(path, flags, *args, **kwargs)

        def fsync(handle):
            self.point("fsync", _path_of(handle))
            plain_fsync(handle)

        builtins.open = io.open = wrapped_open
        os.open, os.fsync = os_open, fsync
        for name, operation in (
            ("replace", "rename"),
            ("rename", "rename"),
            ("unlink", "unlink"),
            ("mkdir", "mkdir"),
            ("chmod", "chmod"),
        ):
            self._wrap(name, operation)

    def _wrap(self, name, operation):
        plain = getattr(os, name)

        def wrapped(path, *args, **kwargs):
            if kwargs.get("dir_fd") is None:
                self.point(operation, path)
            return plain(path, *args, **kwargs)

        setattr(os, name, wrapped)


def _path_of(handle):
    if sys.platform == "darwin":
        import fcntl

        return fcntl.fcntl(handle, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0").decode()
    return str(Path(f"/proc/self/fd/{handle}").readlink())


class WatchedFile:
    """A file each of whose writes is a numbered operation."""

    def __init__(self, file, path, injector):
        self.__dict__.update(file=file, path=path, injector=injector)

    def write(self, data):
        def half():
            self.file.write(data[: len(data) // 2])
            self.file.flush()

        self.injector.point("write", self.path, half)
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.file.close()

    def __iter__(self):
        return iter(self.file)


def session(job, fault):
    """Run `minigan.train` in one process; returns exit status, stderr, and the names of the file operations."""
    argv = ["--resume", job["out"]] if Path(job["out"]).exists() else [*job["start"], "--out", job["out"]]
    with tempfile.TemporaryFile() as error, tempfile.TemporaryFile() as names:
        child = os.fork()
        if child == 0:
            status = 99
            try:
                os.dup2(error.fileno(), 2)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                injector = Injector(job["watch"], fault)
                injector.install()
                status = run_command(train.main, argv)
                names.write("\n".join(injector.points).encode())
                names.flush()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        error.seek(0)
        names.seek(0)
        return {
            "status": os.waitstatus_to_exitcode(status),
            "error": error.read().decode(),
            "points": names.read().decode().splitlines(),
        }


class QuickYardstick:
    """In place of `minigan.evaluation.metrics.Yardstick`: numbers that depend on the faces and cost nothing."""

    samples = 8

    def __init__(self, images, **_):
        pass

    def measure(self, faces):
        mean = metrics.Measurement(float(faces.mean()), 1.0, 0.0)
        return {"swd": mean, "distance": mean}, None


def make_quick_and_repeatable():
    """Replace plots and measurements, which take longest here, and reports, which are written by the clock."""

    def plot(path, steps, history):
        atomic_files.write_bytes(
            path, repr((steps.tolist(), {name: curve.tolist() for name, curve in history.items()})).encode()
        )

    plots.save_loss_plot = plot
    metrics.Yardstick = QuickYardstick
    run_report.COST = 1e9


if __name__ == "__main__":
    from minigan import train
    from minigan.evaluation import metrics, run_report
    from minigan.pages import plots
    from minigan.system import atomic_files
    from minigan.system.cli import run_command

    make_quick_and_repeatable()
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps([[session(job, fault) for fault in job["faults"]] for job in jobs]))
