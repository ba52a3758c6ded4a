"""Try minigan on this machine's GPU: does it run, are the bits equal, how fast is it. About ten minutes.

    make gpu                    # on an NVIDIA GPU with CuPy; prints a page to paste into an issue
    make gpu ARGS=--double      # the same parts, small, on a stand-in for CuPy: without a GPU

A  versions, and a probe of compiler, cuBLAS and kernels     E  every kernel of a step: time, bytes, instructions
B  all tests marked gpu                                      F  memcheck and racecheck, where compute-sanitizer is
C  equal bits: eager, recorded, recorded and resumed         G  recorded, with hardly more memory than eager needs
D  seconds per step, in turn with PyTorch where it is

A failure in A, B or C ends it, because what comes after would mean nothing. PyTorch may be in another environment:
--torch-python OTHER/bin/python.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import records
from measured_programs import GPU_PEERS, HERE

from minigan.system.console import complain, one_line, say
from minigan.system.errors import UserError

ROOT = HERE.parent
DOUBLE = ROOT / "tests" / "support" / "installed_cupy"

TESTS = ("tests/fast", "tests/gan", "tests/nn", "tests/lessons/test_lesson_14.py")
SANITIZED = ("tests/fast/cuda/test_kernels.py",)

TRAIN = ("-m", "minigan.train")

RIVALS = [peer.name for peer in GPU_PEERS if not peer.options.get("compiled")]
"""Of part D; torch.compile alone would take minutes to compile."""

LIMIT_SHARE = 1.02
"""Part G's limit for CuPy's memory, as a multiple of what the eager run has taken."""

METRICS = ("gpu__time_duration.sum", "dram__bytes.sum", "smsp__inst_executed.sum")
"""What Nsight Compute is asked for: nanoseconds, bytes to and from the GPU's memory, instructions of warps."""


class Failure(Exception):  # noqa: N818 (a result)
    """A part has not come out as it should; the message is a line or more for the page."""


class NotDone(Exception):  # noqa: N818
    """A part could not be done here, and why."""


@dataclass
class Trial:
    """How much is tried, and in which environment.

    Attributes
    ----------
    double : bool
        On the stand-in for CuPy, with small sizes.
    torch_python : str
        An interpreter that may have PyTorch.
    folder : Path
        For runs and images; removed at the end.
    """

    double: bool
    torch_python: str
    folder: Path

    @property
    def steps(self) -> int:
        return 4 if self.double else 120

    @property
    def sizes(self) -> list[str]:
        small = ["--image-size", "32", "--width", "4", "--batch-size", "4"] if self.double else []
        return [*small, "--sample-every", "1000000", "--save-every", "1000000"]

    def run(self, *command: str, seconds: float, **more_environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this checkout. Failure if it takes too long."""
        paths = [str(DOUBLE)] if self.double else []
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, str(ROOT)]), **more_environment}
        try:
            return subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            told = [
                (text or b"") if isinstance(text, bytes | None) else text.encode()
                for text in (error.stdout, error.stderr)
            ]
            words = b"\n".join(told).decode(errors="replace")
            raise Failure(f"not finished after {seconds:.0f} seconds: {shlex.join(command)}\n{tail(words)}") from None

    def python(self, *arguments: str, seconds: float, **more_environment: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program. Failure, with its last lines, if it fails."""
        done = self.run(sys.executable, *arguments, seconds=seconds, **more_environment)
        if done.returncode:
            words = f"{shlex.join(('python', *arguments))} ended with status {done.returncode}"
            raise Failure(f"{words}\n{tail(done.stdout + done.stderr)}")
        return done

    def ask(self, what: str, *arguments: str, seconds: float, **more_environment: str) -> Any:
        """The answer of one of `ANSWERS`, given in a process of its own: an error of CUDA spoils the whole process."""
        program = str(HERE / "try_gpu.py")
        done = self.python(program, "--answer", what, *arguments, seconds=seconds, **more_environment)
        return json.loads(done.stdout.splitlines()[-1])


def tail(text: str, lines: int = 12) -> str:
    """The last lines, indented as code on the page."""
    return "\n".join(f"    {one_line(line)[:200]}" for line in text.splitlines()[-lines:])


# ---- A to G ----


def versions(trial: Trial) -> list[str]:
    """A: versions, and the probe that every command makes."""
    done = trial.run(sys.executable, str(HERE / "try_gpu.py"), "--answer", "versions", seconds=120)
    if done.returncode:
        raise Failure(
            f"{tail(done.stderr, 1)}\n"
            "In a checkout of minigan, CuPy and CUDA are installed by "
            '`.venv/bin/python -m pip install -e ".[cuda13]"`, or `".[cuda12]"`; docs/gpu.md says which.'
        )
    told = json.loads(done.stdout.splitlines()[-1])
    return [f"* {name}: {value}" for name, value in told.items()]


def marked_tests(trial: Trial) -> list[str]:
    """B: the tests marked gpu."""
    printed = trial.python("-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *TESTS, seconds=240).stdout
    last = printed.splitlines()[-1].strip("= ")
    if not re.search(r"\d+ passed", last) or "skipped" in last:
        raise Failure(f"not all were run: {last}\n{tail(printed)}")
    return [last]


def equal_bits(trial: Trial) -> list[str]:
    """C: an eager run, a recorded run, and a recorded run that is stopped and resumed end with the same checkpoint."""
    _draw_images(trial)
    half, steps = trial.steps // 2, trial.steps
    _train(trial, "eager", steps)
    refusals = [_train(trial, "recorded", steps, "--cuda-graph"), _train(trial, "resumed", half, "--cuda-graph")]
    refusals.append(
        _refusal(trial.python(*TRAIN, "--resume", _run(trial, "resumed"), "--steps", str(steps), seconds=240))
    )
    for refusal in filter(None, refusals):
        raise Failure(f"the step was not recorded:\n{tail(refusal)}")
    for name in ("recorded", "resumed"):
        _expect_equal(trial, "eager", name, steps)
    return [f"The checkpoints of step {steps} are equal bit for bit: eager, recorded, recorded and resumed at {half}."]


def in_turn_with_torch(trial: Trial) -> list[str]:
    """D: seconds per step."""
    quick = ["--quick", "--peers", "minigan-graph"] if trial.double else ["--pairs", "6", "--peers", *RIVALS]
    results = trial.folder / "results"
    done = trial.python(
        str(HERE / "train_step.py"),
        *("--backend", "cupy", "--results", str(results), "--torch-python", trial.torch_python),
        *quick,
        seconds=240,
    )
    lines = [line for line in done.stdout.splitlines() if not line.startswith("  raw numbers")]
    return ["```", *lines, "```", *(["(On the stand-in these numbers mean nothing.)"] if trial.double else [])]


def every_kernel(trial: Trial) -> list[str]:
    """E: where the time of an eager step goes."""
    size = [*trial.sizes[:6], "--delay", "8"] if trial.double else []
    rows = trial.ask("kernels", *size, seconds=120)
    counted, why_not = {}, "Nsight Compute (ncu) is not installed: no instructions counted."
    if not trial.double and (ncu := shutil.which("ncu")):
        try:
            counted, why_not = _counted_by_ncu(trial, ncu), ""
        except (Failure, KeyError, ValueError) as error:
            why_not = f"Nsight Compute (ncu) has not counted instructions: {one_line(error)[:300]}"
    table = ["| kernel | launches | ms | MB of its arrays | GB/s | warp instructions |", "|---|---|---|---|---|---|"]
    for name, launches, ms, size_mb in rows:
        speed = f"{size_mb / ms:.0f}" if ms and size_mb else ""
        table.append(f"| {name} | {launches} | {ms:.3f} | {size_mb:.1f} | {speed} | {counted.get(name, '')} |")
    total = sum(ms for _, _, ms, _ in rows)
    launches = sum(launches for _, launches, _, _ in rows)
    return [
        *table,
        f"{launches} launches, {total:.2f} ms, by CUDA's events around each launch.",
        *filter(None, [why_not]),
    ]


def sanitized(trial: Trial) -> list[str]:
    """F: kernels that read or write where they must not, and threads that race."""
    program = shutil.which("compute-sanitizer")
    if program is None or trial.double:
        raise NotDone("compute-sanitizer is not installed; it comes with the CUDA Toolkit")
    lines = []
    for tool in ("memcheck", "racecheck"):
        try:
            done = trial.run(
                *(program, "--tool", tool, "--error-exitcode", "99", "--target-processes", "all", sys.executable),
                *("-m", "pytest", "-q", "-x", "-m", "gpu", "-p", "no:cacheprovider", *SANITIZED),
                seconds=90,
            )
        except Failure as error:
            if "========= ERROR SUMMARY" in str(error) or "========= Invalid" in str(error):
                raise
            lines.append(f"{tool}: no error in the 90 seconds that it has had; not finished")
            continue
        if done.returncode:
            raise Failure(f"{tool} ended with status {done.returncode}\n{tail(done.stdout + done.stderr, 30)}")
        lines.append(f"{tool}: no error")
    return lines


def little_memory(trial: Trial) -> list[str]:
    """G: recorded, with hardly more memory than eager needs: equal bits, or one line that it was not recorded."""
    _draw_images(trial)
    taken = trial.ask("memory", *_arguments(trial, "measured", trial.steps), seconds=240)
    limit = int(taken * LIMIT_SHARE)
    refusal = _train(trial, "limited", trial.steps, "--cuda-graph", CUPY_GPU_MEMORY_LIMIT=str(limit))
    _expect_equal(trial, "measured", "limited", trial.steps)
    how = f"not recorded, and said so: {one_line(refusal)}" if refusal else "recorded"
    return [f"Eager takes {taken / 1e6:.0f} MB. With a limit of {limit / 1e6:.0f} MB: equal bit for bit; {how}."]


PARTS: dict[str, tuple[str, Callable[[Trial], list[str]], bool]] = {
    "A": ("Versions and probe", versions, True),
    "B": ("Tests marked gpu", marked_tests, True),
    "C": ("Equal bits", equal_bits, True),
    "D": ("Seconds per step", in_turn_with_torch, False),
    "E": ("Kernels of a step", every_kernel, False),
    "F": ("Memory errors and races", sanitized, False),
    "G": ("Recorded with little memory", little_memory, False),
}
"""Title, function, and whether its failure ends the trial."""


def _draw_images(trial: Trial) -> None:
    from PIL import Image

    folder = trial.folder / "images"
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for k in range(8 if trial.double else 128):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / f"{k}.png")


def _run(trial: Trial, name: str) -> str:
    return str(trial.folder / name)


def _arguments(trial: Trial, name: str, steps: int, *options: str) -> list[str]:
    """Of `minigan.train`."""
    images = str(trial.folder / "images")
    where = ["--backend", "cupy", "--data", images, "--out", _run(trial, name)]
    return [*where, *trial.sizes, "--steps", str(steps), *options]


def _train(trial: Trial, name: str, steps: int, *options: str, **more_environment: str) -> str | None:
    """Train; the line that says that the step was not recorded, if there is one."""
    return _refusal(trial.python(*TRAIN, *_arguments(trial, name, steps, *options), seconds=240, **more_environment))


def _refusal(done: subprocess.CompletedProcess[str]) -> str | None:
    return next((line for line in done.stderr.splitlines() if "cannot be recorded" in line), None)


def _expect_equal(trial: Trial, one: str, other: str, step: int) -> None:
    from minigan.runs.checkpoint import checkpoint_path, load_tensors

    here, there = (
        load_tensors(checkpoint_path(Path(_run(trial, name)) / "checkpoints", step))[0] for name in (one, other)
    )
    different = [name for name in here if here[name].tobytes() != there[name].tobytes()]
    if here.keys() != there.keys() or different:
        most = max((float(np.abs(here[n] - there[n]).max()) for n in different), default=float("nan"))
        raise Failure(
            f"{one} and {other} differ after {step} steps: in {len(different)} of {len(here)} arrays, "
            f"by up to {most:g}, first in {different[:3]}"
        )


def _counted_by_ncu(trial: Trial, ncu: str) -> dict[str, str]:
    """Instructions of each kernel in one step, by Nsight Compute."""
    done = trial.run(
        *(ncu, "--csv", "--print-units", "base", "--profile-from-start", "off", "--metrics", ",".join(METRICS)),
        *(sys.executable, str(HERE / "try_gpu.py"), "--answer", "profiled"),
        seconds=120,
    )
    if done.returncode:
        raise Failure(tail(done.stdout + done.stderr, 3).strip())
    return instructions_in(done.stdout)


def instructions_in(printed: str) -> dict[str, str]:
    """Warp instructions by kernel, summed over its launches, from what ``ncu --csv`` prints."""
    lines = printed.splitlines()
    begin = next(k for k, line in enumerate(lines) if line.startswith('"ID"'))
    counts: dict[str, int] = {}
    for row in csv.DictReader(io.StringIO("\n".join(lines[begin:]))):
        if row["Metric Name"] == METRICS[2]:
            name = row["Kernel Name"].split("(")[0]
            counts[name] = counts.get(name, 0) + int(float(row["Metric Value"].replace(",", "")))
    return {name: f"{count:,}" for name, count in counts.items()}


# ---- What is asked of a process of its own ----


def answer_versions(arguments: Sequence[str]) -> dict[str, str]:
    """The card and all that computes. Raises UserError where something is missing."""
    from minigan.nn.backend import get_backend

    made = get_backend("cupy")
    free, total = made.xp.cuda.runtime.memGetInfo()
    about = records.machine()
    return {
        "GPU": made.device_name,
        "memory": f"{total / 1e9:.1f} GB, {free / 1e9:.1f} GB of it free",
        **made.versions,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": about["system"],
        "processor": about["cpu"],
        "minigan": f"{records.minigan.__version__}, commit {records.commit()}",
    }


def answer_memory(arguments: Sequence[str]) -> int:
    """Train, and say how much memory CuPy's pool has taken."""
    from minigan import train
    from minigan.nn.backend import get_backend

    with contextlib.redirect_stdout(sys.stderr):
        train.main(list(arguments))
    return int(get_backend("cupy").xp.get_default_memory_pool().total_bytes())


def answer_kernels(arguments: Sequence[str]) -> list[tuple[str, int, float, float]]:
    """Launches, milliseconds and megabytes of each kernel in one eager step, the longest first."""
    watch = Watch()
    size = _sizes(arguments)
    step, xp = _step_ready(size, watch)
    _delay(xp, size.delay)
    watch.on = True
    step()
    xp.cuda.get_current_stream().synchronize()
    return watch.table()


def answer_profiled(arguments: Sequence[str]) -> int:
    """One eager step between the marks that tell a profiler when to begin and to end."""
    step, xp = _step_ready(_sizes(arguments))
    xp.cuda.runtime.profilerStart()
    step()
    xp.cuda.get_current_stream().synchronize()
    xp.cuda.runtime.profilerStop()
    return 0


ANSWERS: dict[str, Callable[[Sequence[str]], Any]] = {
    "versions": answer_versions,
    "memory": answer_memory,
    "kernels": answer_kernels,
    "profiled": answer_profiled,
}


class Watch:
    """CUDA's events around each launch of a kernel of ours and each product of cuBLAS."""

    def __init__(self) -> None:
        self.on = False
        self._launches: list[tuple[str, Any, Any, int]] = []

    def around(self, xp: Any, name: str, arrays: Sequence[Any], launch: Callable[[], Any]) -> Any:
        """Launch, watched if the watch is on; launches that compile are not worth watching."""
        if not self.on:
            return launch()
        begin, end = xp.cuda.Event(), xp.cuda.Event()
        begin.record()
        result = launch()
        end.record()
        sizes = {
            a.data.ptr: a.nbytes
            for a in arrays
            if hasattr(a, "nbytes") and hasattr(a, "data") and hasattr(a.data, "ptr")
        }
        self._launches.append((name, begin, end, sum(sizes.values())))
        self._elapsed = xp.cuda.get_elapsed_time
        return result

    def table(self) -> list[tuple[str, int, float, float]]:
        """Name, launches, milliseconds and megabytes, the longest first."""
        sums: dict[str, list[float]] = {}
        for name, begin, end, size in self._launches:
            row = sums.setdefault(name, [0, 0.0, 0.0])
            row[0] += 1
            row[1] += self._elapsed(begin, end)
            row[2] += size / 1e6
        rows = [(name, int(n), ms, megabytes) for name, (n, ms, megabytes) in sums.items()]
        return sorted(rows, key=lambda row: -row[2])


def _sizes(arguments: Sequence[str]) -> argparse.Namespace:
    """Of the step; and --delay, how large the products of `_delay` are."""
    sizes = argparse.ArgumentParser()
    for option, value in {"--image-size": 64, "--width": 64, "--batch-size": 64, "--delay": 4096}.items():
        sizes.add_argument(option, type=int, default=value)
    return sizes.parse_args(list(arguments))


def _step_ready(size: argparse.Namespace, watch: Watch | None = None) -> tuple[Callable[[], Any], Any]:
    """A training step whose kernels are compiled, and CuPy."""
    from functools import partial

    from minigan.fast.cuda import cublas
    from minigan.gan.step import build_gan, draw_inputs, train_step
    from minigan.nn.backend import get_backend

    if watch is not None:
        _watch_kernels(watch)
    backend = get_backend("cupy")
    if watch is not None:
        multiply = cublas._Cublas.multiply

        def watched(self: Any, a: Any, b: Any, out: Any, *more: Any, **options: Any) -> None:
            launch = partial(multiply, self, a, b, out, *more, **options)
            watch.around(backend.xp, "cuBLAS", (a, b, out), launch)

        cublas._Cublas.multiply = watched  # type: ignore[method-assign]
    gan = build_gan(image_size=size.image_size, width=size.width, backend=backend)
    shape = (size.batch_size, size.image_size, size.image_size, 3)
    real = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    step = partial(train_step, gan, draw_inputs(real, 0, 0, backend))
    for _ in range(2):
        step()
    return step, backend.xp


def _watch_kernels(watch: Watch) -> None:
    """From now on, kernels that are compiled are watched."""
    import cupy

    raw_module = cupy.RawModule

    class Watched:
        def __init__(self, **options: Any) -> None:
            self._module = raw_module(**options)

        def get_function(self, name: str) -> Callable[..., Any]:
            kernel = self._module.get_function(name)
            return lambda grid, block, args: watch.around(cupy, name, args, lambda: kernel(grid, block, args))

    cupy.RawModule = Watched


def _delay(xp: Any, n: int) -> None:
    """Give the GPU work for some time, so that the launches after it wait in its queue, and not for Python."""
    a = xp.ones((n, n), np.float32)
    for _ in range(20):
        xp.matmul(a, a)


# ---- The page ----


def main(argv: Sequence[str] | None = None) -> int:
    arguments, rest = _parser().parse_known_args(argv)
    if arguments.answer:
        say(json.dumps(ANSWERS[arguments.answer](rest)))
        return 0
    if rest:
        raise UserError(f"{rest[0]}: there is no such option (see make gpu ARGS=--help)")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="minigan-gpu-") as folder:
        trial = Trial(arguments.double, arguments.torch_python, Path(folder))
        lines, failed = page(trial, arguments.parts)
    say(f"\n# minigan on a GPU{', on the stand-in' if arguments.double else ''}\n")
    for line in lines:
        say(line)
    minutes = (time.monotonic() - began) / 60
    say(f"\n{'FAILED: ' + ', '.join(failed) if failed else 'All as it should be'}, in {minutes:.1f} minutes.")
    return 1 if failed else 0


def page(trial: Trial, parts: str) -> tuple[list[str], list[str]]:
    """Do the parts.

    Parameters
    ----------
    trial : Trial
    parts : str
        Their letters.

    Returns
    -------
    lines : list of str
        The page, in Markdown.
    failed : list of str
        Letters of the parts that failed.
    """
    lines, failed = [], []
    for letter, (title, part, ends) in PARTS.items():
        if letter not in parts:
            continue
        began = time.monotonic()
        complain(f"{letter}: {title} ...")
        try:
            told, verdict = part(trial), "ok"
        except NotDone as error:
            told, verdict = [str(error)], "not done"
        except Failure as error:
            told, verdict = str(error).splitlines(), "FAILED"
            failed.append(letter)
        lines += [f"## {letter}. {title}: {verdict} ({time.monotonic() - began:.0f} s)", "", *told, ""]
        if verdict == "FAILED" and ends:
            lines.append("What follows was not tried.")
            break
    return lines, failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make gpu",
        description=__doc__.split("\n\n", 1)[0],
        epilog=__doc__.split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--double", action="store_true", help="on a stand-in for CuPy, small: needs no GPU, but g++")
    parser.add_argument(
        "--parts", default="".join(PARTS), help=f"letters of the parts to do (default {''.join(PARTS)})"
    )
    parser.add_argument("--torch-python", default=sys.executable, metavar="PYTHON", help="one that has PyTorch")
    parser.add_argument("--answer", choices=ANSWERS, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(records.run(main))
