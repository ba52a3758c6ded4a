"""The training loop: the article's schedule around `minigan.gan.step.train_step`.

At every `sample_every`-th step two images show the networks before the step's updates: 16 of the fakes that the
discriminator is given, and 16 faces from noise that never changes. At the end of every `save_every`-th step the
averages of the last 250 losses are printed, the faces from the fixed noise are drawn again, and both networks and a
checkpoint are saved. Everything else here keeps work from being lost: a checkpoint at least every five minutes, an
orderly stop on Ctrl-C, and a clear message when the disk is full, a GPU fails or a loss is NaN.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np

from minigan.data.image_set import ImageSet, Prefetcher
from minigan.evaluation import run_report
from minigan.evaluation.diagnosis import diagnose_numbers, one_liner
from minigan.gan.models import NOISE_SIZE
from minigan.gan.step import GAN, METRICS, StepResult, recorded_step, train_step
from minigan.nn.backend import Array, Backend
from minigan.nn.rng import stream
from minigan.ranks.interface import ALONE, GO, SAVE, STOP, RankError, Ranks
from minigan.runs import health
from minigan.runs.checkpoint import NotFiniteError
from minigan.runs.layout import FACES_PER_IMAGE, METRICS_NAME, REPORT_NAME, VITALS_NAME
from minigan.runs.run_folder import Run
from minigan.runs.run_records import read_measurements, read_rows
from minigan.system.cli import SAME_REQUEST_SECONDS
from minigan.system.command_lines import command
from minigan.system.console import exclaim, one_line, say, warn
from minigan.system.errors import OwnFunctionError, RunError, is_of_disk, words_for
from minigan.system.progress import ProgressBar
from minigan.system.wording import see
from minigan.training.ranks import are_fakes_wanted, complete_moments, inputs_of, part_of, whole_fakes
from minigan.training.run_images import RunImages

if TYPE_CHECKING:
    from minigan.evaluation.metrics import Yardstick

CHECKPOINT_SECONDS = 300.0
"""Longest time between two checkpoints, and so the most work that a crash can cost."""

METRICS_SAMPLES = 1000
"""How many faces `--metrics-every` measures: enough to see a run get better, few enough to take only seconds."""

SUMMARY_FACES = 64
_REQUESTS = {
    getattr(signal, name): words
    for name, words in (
        ("SIGINT", "Stopped by Ctrl-C"),
        ("SIGTERM", "Stopped by the system, or by a person, with a request to end (SIGTERM)"),
        ("SIGHUP", "Stopped because its terminal was closed (SIGHUP)"),
    )
    if hasattr(signal, name)
}
AVERAGED = 250


class MetricRing:
    """Metrics of the latest steps, kept on the device until they are read together.

    Reading a number from a GPU waits for all work that was started before it, so a loop that reads every loss runs at
    half speed.

    Parameters
    ----------
    backend : Backend
        Its `read_every` is the number of steps that fit.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._rows = backend.xp.empty((backend.read_every, len(METRICS)), np.float32)
        self._steps: list[int] = []

    def append(self, step: int, metrics: Array) -> bool:
        """Keep the metrics of a step. Return True if the ring is full and must be read."""
        self._rows[len(self._steps)] = metrics
        self._steps.append(step)
        return len(self._steps) == len(self._rows)

    def read(self) -> list[tuple[int, list[float]]]:
        """Return every (step, metrics) since the last call, and empty the ring."""
        if not self._steps:
            return []
        rows = self._backend.to_host(self._rows[: len(self._steps)]).tolist()
        steps, self._steps = self._steps, []
        return list(zip(steps, rows, strict=True))


class Trainer:
    """A run in progress.

    Parameters
    ----------
    run : Run
    gan : GAN
    images : ImageSet
    backend : Backend
    step : int
        Finished steps.
    progress : bool
        Whether to show a progress bar on stderr.
    ranks : Ranks
        This process is number 0 of them, and the GAN is divided among them.
    layers : Path, optional
        The file with functions of the user's own that the run trains with, as the command line named it.
    """

    def __init__(
        self,
        run: Run,
        gan: GAN,
        images: ImageSet,
        backend: Backend,
        *,
        step: int = 0,
        progress: bool = True,
        ranks: Ranks = ALONE,
        layers: Path | None = None,
    ) -> None:
        self.layers = layers
        self.run, self.gan, self.images, self.backend, self.step = run, gan, images, backend, step
        self._progress, self._ranks = progress, ranks
        self._ring = MetricRing(backend)
        self._saved_at = time.monotonic()
        self._began_at = step
        self._timed = step, self._saved_at
        self._report, self._report_failed = run_report.Report(run.path), False
        self._pictures = RunImages(run)
        config = run.config
        self._train_step: Callable[..., StepResult] = partial(train_step, gan)
        if config.cuda_graph:
            self._train_step = recorded_step(gan, warn)
        noise = stream(config.seed, "pictures").standard_normal((SUMMARY_FACES, 1, 1, NOISE_SIZE), np.float32)
        self._fixed_noise = backend.asarray(noise)
        self._yardstick: Yardstick | None = None

    def train(self) -> int:
        """Run to the last step, or to a request to stop.

        Returns
        -------
        int
            0 when all steps are done; 130 after Ctrl-C, 143 after SIGTERM and 129 after the terminal has been closed
            (SIGHUP), when everything is saved.

        Raises
        ------
        RunError
            If the disk is full, memory is used up or a GPU fails (status 1), or if a loss is no longer finite (status
            3). The last checkpoint is kept.
        """
        config = self.run.config
        bar = ProgressBar(config.steps, "Training", "steps", initial=self.step, shown=self._progress)
        end, words = run_report.STOPPED, ""
        try:
            with (
                np.errstate(all="ignore"),  # NaN is found in the losses, and reported there
                bar,
                Prefetcher(self.images, config.seed, config.batch_size, flip=config.flip) as batches,
                _stop_requests() as requests,
            ):
                if config.metrics_every:
                    self._prepare_yardstick()  # if that is not possible, it is better known now than hours later
                self._timed = self.step, time.monotonic()
                self._write_report(run_report.RUNNING)
                while self.step < config.steps and not requests:
                    self._ranks.word(GO)
                    self._one_step(batches, bar)
                    bar.update()
                self._read_metrics(bar)
                self._save_checkpoint()
                self._summarise()
                if self.step % config.save_every:
                    self._say_diagnosis()
                self._ranks.word(STOP)
                if self.step == config.steps:
                    end = run_report.FINISHED
                    return 0
                words = f"{_REQUESTS[requests[0]]}; all is saved, and the run can go on."
                return 128 + requests[0]
        except OSError as error:
            is_there = self.run.path.is_dir()
            end, words = run_report.FAILED, (f"{self._where(error)}; " if is_there else "") + self._what_is_kept()
            raise RunError(words) from None
        except NotFiniteError as error:
            told = f"after step {self.step - 1} {error}"
            end, words = run_report.FAILED, f"{told}{see('not-finite')}; {self._what_is_kept()}"
            self._note_not_finite(self.step - 1, told)
            raise RunError(words, exit_status=3) from None
        except RankError as error:
            end, words = run_report.FAILED, f"{error}{see('ranks')}; {self._what_is_kept()}"
            raise RunError(words) from None
        except RunError as error:
            end, words = run_report.FAILED, str(error)
            raise
        except OwnFunctionError as error:
            end, words = run_report.FAILED, f"{error}; {self._what_is_kept()}"
            raise RunError(words) from None
        except Exception as error:
            failure = words_for(error)
            if failure is None and self.layers is not None and isinstance(error, ValueError | TypeError):
                # What a student's function returns fits small arrays, which were checked, and not these.
                failure = f"{type(error).__name__} with functions of {self.layers.name}: {one_line(error)}"
            if failure is None:
                end, words = run_report.FAILED, one_line(error) or type(error).__name__
                raise
            end, words = run_report.FAILED, f"{failure}; {self._what_is_kept()}"
            raise RunError(words) from None
        finally:
            self._write_report(end, words)
            self.run.close()

    def _one_step(self, batches: Prefetcher, bar: ProgressBar) -> None:
        config, step = self.run.config, self.step
        is_sample, is_save = step % config.sample_every == 0, (step + 1) % config.save_every == 0
        if is_sample:
            self._save_fixed_faces(step)
        inputs, moves = inputs_of(config, batches.batch(step), step, self.backend)
        before = health.weights_of(self.gan) if health.is_due(step) else None
        result = self._train_step(*part_of(self.gan, inputs, moves))
        if are_fakes_wanted(config, step):
            fakes = whole_fakes(self.gan, result.fakes)
            if before is not None:
                self.run.append(VITALS_NAME, step, health.measure(inputs.real, fakes, before, self.gan))
            if is_sample:
                faces = self.backend.to_host(fakes[:FACES_PER_IMAGE])
                self._pictures.save_faces(step, faces, fixed=False)
        self.step += 1
        # Also after the first step: if something that a plot needs is missing, that is found now and not hours later.
        is_plot = is_save or step == self._began_at
        if self._ring.append(step, result.metrics) or is_plot:
            self._read_metrics(bar)
        if config.metrics_every and self.step % config.metrics_every == 0:
            self._measure_faces()
        if is_save:
            self.run.save_networks(self.gan, step)
            self._save_fixed_faces(step)
        if is_save or time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self._read_metrics(bar)
            self._save_checkpoint()
        if is_plot:
            self._pictures.save_losses()
        if is_save:
            self._print_averages()
            self._say_diagnosis()
        if self.step - self._timed[0] >= config.sample_every:
            self._log_speed()
        if (is_sample or is_save) and self._report.is_due:
            self._write_report(run_report.RUNNING)

    def _read_metrics(self, bar: ProgressBar) -> None:
        """Bring the metrics to the host, log them, and raise RunError if one of them is not finite."""
        values = None
        for step, values in self._ring.read():
            if not np.isfinite(values).all():
                told = ", ".join(f"{name} {value:g}" for name, value in zip(METRICS[:3], values[:3], strict=True))
                words = f"the losses of step {step} are no longer finite ({told})"
                self._note_not_finite(step, words)
                raise RunError(f"{words}{see('not-finite')}; {self._what_is_kept()}", exit_status=3)
            self.run.log(step, values)
        if values is not None:
            d_real, d_fake, g, d_x, d_g_z, _ = values
            bar.note(f"D {d_real:.3f} real {d_fake:.3f} fake, G {g:.3f}, D(x) {d_x:.2f}, D(G(z)) {d_g_z:.2f}")

    def _print_averages(self) -> None:
        d_real, d_fake, g = self.run.averages(AVERAGED)[:3]
        count = min(AVERAGED, self.step)
        say(
            f"Step {self.step - 1}: averages of the last {count} steps: D fake {d_fake:f}, D real {d_real:f}, GAN {g:f}"
        )

    def _say_diagnosis(self) -> None:
        """Print one line if the run does not look normal. A file that cannot be read must not end the run."""
        with contextlib.suppress(OSError):
            path = self.run.path
            rows = read_rows(path, VITALS_NAME), read_measurements(path)
            line = one_liner(diagnose_numbers(self.run.config, *self.run.history(), *rows), path)
            if line is not None:
                say(line)

    def _note_not_finite(self, step: int, words: str) -> None:
        """Write it to vitals.jsonl for the diagnosis, because log.csv has only finite numbers."""
        with contextlib.suppress(OSError):
            self.run.append(VITALS_NAME, step, {"not_finite": words})

    def _prepare_yardstick(self) -> Yardstick:
        from minigan.evaluation.metrics import Yardstick

        config = self.run.config
        if self._yardstick is None:
            drawn = config.data is None
            self._yardstick = Yardstick(self.images, samples=METRICS_SAMPLES, seed=config.seed, drawn=drawn)
        return self._yardstick

    def _measure_faces(self) -> None:
        """Append a row to metrics.jsonl, unless the faces are NaN: the check of the losses reports that."""
        from minigan.evaluation import metrics  # late: it brings Pillow and the painter of drawn faces

        yardstick = self._prepare_yardstick()
        count = yardstick.samples
        faces = metrics.draw_samples(self.gan.painter(), count, self.run.config.seed, self.backend)
        if faces is None:
            return
        measures, _ = yardstick.measure(faces)
        row = {"samples": count, "measures": {name: m.to_dict() for name, m in measures.items()}}
        self.run.append(METRICS_NAME, self.step - 1, row)
        say(f"Step {self.step - 1}: {metrics.in_short(measures)}")

    def _faces(self, count: int) -> Array:
        """Faces from the fixed noise, on the host."""
        return self.backend.to_host(self.gan.painter().predict(self._fixed_noise[:count]))

    def _save_fixed_faces(self, step: int) -> None:
        self._pictures.save_faces(step, self._faces(FACES_PER_IMAGE), fixed=True)

    def _log_speed(self) -> None:
        """Append to speed.csv how long the steps since its last line took."""
        now, (step, then) = time.monotonic(), self._timed
        if self.step > step:
            self.run.log_speed(step, self.step, now - then)
            self._timed = self.step, now

    def _write_report(self, state: str, words: str = "") -> None:
        """Write report.html. If that fails, whatever the reason, the run goes on after one warning."""
        try:
            self._report.write(state, words, self.run.history())
        except Exception as error:
            if not self._report_failed and self.run.path.is_dir():
                warn(f"{REPORT_NAME} could not be written: {error}")
            self._report_failed = True

    def _save_checkpoint(self) -> None:
        self._log_speed()
        if self.run.saved != self.step:
            self._ranks.word(SAVE)
            complete_moments(self.gan)
            self.run.save_checkpoint(self.gan, self.step)
        self._saved_at = time.monotonic()

    def _summarise(self) -> None:
        self._pictures.save_summary(self._faces(SUMMARY_FACES))

    def _what_is_kept(self) -> str:
        if not self.run.path.is_dir():
            options = "--resume" if self.layers is None else "--resume, with --layers,"
            return (
                f"the run folder {self.run.path} is no longer there; if it has been moved, python -m minigan.train "
                f"{options} goes on with it at its new place, from its checkpoint of step {self.run.saved}"
            )
        return f"the checkpoint of step {self.run.saved} is kept: {resume_line(self.run.path, self.layers)}"

    @staticmethod
    def _where(error: OSError) -> str:
        name = Path(error.filename).name if isinstance(error.filename, str) else "a file"
        return f"cannot write {name}: {error.strerror or error}{see('disk') if is_of_disk(error) else ''}"


def resume_line(path: Path, layers: Path | None = None) -> str:
    """The command that goes on with a run; `layers` as in `Trainer`."""
    return command("minigan.train", "--resume", path, *(() if layers is None else ("--layers", layers)))


@contextlib.contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collect requests to stop (Ctrl-C, SIGTERM, SIGHUP) in a list, instead of ending the process.

    A second Ctrl-C, or a second SIGTERM, does end it. A signal to all processes of a terminal may arrive together with
    another one, so a request counts only if it comes some time after the one before.
    """
    requests: list[int] = []
    latest = 0.0

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal latest
        before, latest = latest, time.monotonic()
        if requests:
            if number != signal_of_hanging_up and latest - before > SAME_REQUEST_SECONDS:
                raise KeyboardInterrupt
            return
        requests.append(number)
        exclaim("\nStopping after this step (once more: stop at once) ...\n")

    signal_of_hanging_up = getattr(signal, "SIGHUP", None)
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal_of_hanging_up is not None and signal.getsignal(signal_of_hanging_up) is not signal.SIG_IGN:  # nohup
        numbers.append(signal_of_hanging_up)
    try:
        before = {number: signal.signal(number, ask) for number in numbers}
    except ValueError:  # not in the main thread, as in a test or in a notebook
        yield requests
        return
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
