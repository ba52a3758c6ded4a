"""Train the DCGAN: ``python -m minigan.train``.

Without arguments this is the article's run, 10,000 steps of 64 images, on drawn faces. This file reads the command
line, opens the images and the run folder, builds the networks, and calls `minigan.training.trainer`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from minigan.check.sandbox.own_functions import check_functions, in_a_line, load_functions, read_file
from minigan.data.image_set import ImageSet
from minigan.data.images.image_folder import check_folder, describe_skipped
from minigan.gan.models import discriminator, generator
from minigan.gan.step import GAN, build_gan
from minigan.nn.backend import NUMPY, Backend, get_backend
from minigan.nn.ops import LIBRARY
from minigan.ranks.interface import Ranks
from minigan.runs.config import PRESETS, RunConfig, resumed_config
from minigan.runs.run_folder import Run, check_new_folder, fresh_folders, lock_run
from minigan.runs.run_records import expect_checkpoint, finished_steps, newest_step, open_config
from minigan.runs.setting_declaration import add_options
from minigan.runs.starting_point import size_of_networks, start_from
from minigan.runs.training_images import counts_if_changed, image_facts, open_training_images
from minigan.system.cli import Parser, path_name, run_command, whole
from minigan.system.command_lines import command
from minigan.system.console import complain, one_line, say
from minigan.system.errors import UserError
from minigan.training.ranks import follow_rank_0, mpi_program, rank_count, training_on
from minigan.training.trainer import Trainer, resume_line

Asked: TypeAlias = tuple[str, int] | None
"""The option that asks for a number of ranks, --ranks or --threads, and the number."""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, call, print.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments, by default the process's own.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    UserError, RunError
        See `minigan.system.cli.run_command`.
    """
    with mpi_program() as ranks:
        if ranks.rank > 0:
            return follow_rank_0(ranks)
        return _command(_parser().parse_args(argv), ranks)


def _command(arguments: argparse.Namespace, ranks: Ranks) -> int:
    given = {
        name: value
        for name, value in vars(arguments).items()
        if value is not None and name not in ("out", "resume", "start_from", "dry_run", "threads", "layers")
    }
    asked = None if arguments.ranks is None else ("--ranks", arguments.ranks)
    if arguments.threads is not None:
        if asked:
            raise UserError(f"--threads: is the former name of --ranks, and both are given, got {arguments.threads}")
        asked = "--threads", arguments.threads
    given.pop("ranks", None)
    if "data" in given:
        given["data"] = _absolute(given["data"])
    layers = None if arguments.layers is None else Path(arguments.layers)
    if arguments.resume is not None:
        if arguments.out is not None:
            raise UserError(f"--out: a resumed run stays in its folder, {arguments.resume}, got {arguments.out}")
        if arguments.start_from is not None:
            raise UserError(f"--start-from: a resumed run has its networks, got {arguments.start_from}")
        return _resume(Path(arguments.resume), given, asked, layers, arguments.dry_run, ranks)
    start = Path(arguments.start_from) if arguments.start_from else None
    return _begin(given, asked, layers, start, arguments.out, arguments.dry_run, ranks)


def _absolute(path: str, option: str = "--data") -> str:
    try:
        return str(Path(path).resolve())
    except (OSError, RuntimeError) as error:  # links that form a circle; a current folder that is gone
        raise UserError(f"{option}: {path} cannot be opened ({error})") from None


def _begin(
    given: dict[str, Any],
    asked: Asked,
    layers: Path | None,
    start: Path | None,
    out: str | None,
    dry_run: bool,
    launched: Ranks,
) -> int:
    preset = given.get("preset", "article")
    if start is not None:
        given = {**size_of_networks(start, given), **given}
    config = replace(PRESETS[preset], **given)
    if layers is not None:
        config = replace(config, layers_sha256=read_file(layers)[1])
    config = _with_ranks(config.check(), asked)
    names = fresh_folders(preset, datetime.now())
    path = next(names) if out is None else Path(out)
    check_new_folder(path)
    backend = get_backend(config.backend, tf32=config.tf32)
    _say_new_name(asked)
    if layers is not None:
        config = _with_checked_layers(config, layers)
    if dry_run:
        return _describe(config, path, 0)
    images = _open_images(config)
    gan = _build(config, backend, layers, init=config.init)
    about: dict[str, Any] = {"images": image_facts(images)}
    if start is not None:
        start_from(gan, start)
        about["started_from"] = _absolute(str(start), "--start-from")
    with training_on(config, gan, images, 0, launched, _warn) as ranks:
        run = Run.create(path, replace(config, ranks=ranks.size), gan, about, backend, otherwise=None if out else names)
        say(f"Run folder: {one_line(run.path)}")
        _say_device(config, backend)
        return _train(Trainer(run, gan, images, backend, ranks=ranks, layers=layers))


def _resume(
    path: Path, given: dict[str, Any], asked: Asked, layers: Path | None, dry_run: bool, launched: Ranks
) -> int:
    config, _ = _resumed_settings(path, given)
    _insist_on_same_layers(config, path, layers)
    wanted = _with_ranks(config, asked)
    backend = get_backend(config.backend, tf32=config.tf32)
    _say_new_name(asked)
    if dry_run:
        return _describe(wanted, path, newest_step(path))
    done = finished_steps(path, config)
    if done is not None and done >= config.steps:
        say(f"{one_line(path)} is finished: all {done} steps are done; --steps N goes further")
        return 0
    with lock_run(path) as lock:
        # Again, because only now that the folder is locked no other process can change them.
        config, about = _resumed_settings(path, given)
        _insist_on_same_layers(config, path, layers)
        expect_checkpoint(path, config)
        images = _open_images(config)
        _warn_if_changed(images, about)
        about.setdefault("images", image_facts(images))  # a run of imported networks had none until now
        gan = _build(config, backend, layers)
        run, step, warnings = Run.resume(path, config, gan, about, backend, lock)
        for warning in warnings:
            _warn(warning)
        say(f"Run folder: {one_line(path)}, going on after {step} of {config.steps} steps")
        _say_device(config, backend)
        with training_on(_with_ranks(config, asked), gan, images, step, launched, _warn) as ranks:
            if ranks.size != config.ranks:
                before = f"the {config.ranks} of before" if config.ranks else "the threads that it began with"
                say(f"Ranks: {ranks.size} instead of {before}; the last digits of what follows will differ")
                run.change_settings(replace(config, ranks=ranks.size))
            return _train(Trainer(run, gan, images, backend, step=step, ranks=ranks, layers=layers))


def _build(config: RunConfig, backend: Backend, layers: Path | None, init: str = "glorot") -> GAN:
    """Both networks and their optimizers, with the functions of the user's own that the run is trained with."""
    own = None
    if layers is not None:
        own = load_functions(layers, str(config.layers_sha256), config.layers_used.split(", "), guarded=True)
    gan = build_gan(
        image_size=config.image_size,
        width=config.width,
        seed=config.seed,
        init=init,
        ema=config.ema,
        g_learning_rate=config.g_learning_rate,
        ops=LIBRARY if own is None else own.ops,
        plain=config.plain,
        backend=backend,
    )
    return gan if own is None else own.taught(gan)


def _with_checked_layers(config: RunConfig, layers: Path) -> RunConfig:
    """Check a file of the user's own functions, say which of them will be used, and write that into the settings."""
    say(f"Checking the functions of {one_line(layers)} ...")
    checked = check_functions(layers)
    missing = [name for name, outcome in checked.not_used.items() if outcome.finding is None]
    reasons = {name: in_a_line(outcome) for name, outcome in checked.not_used.items() if name not in missing}
    used = [name for name in checked.used if not (name == "generator_step" and config.translate)]
    if len(used) < len(checked.used):
        reasons["generator_step"] = "it cannot move the images, which --translate asks for"
    if used:
        say(f"  yours: {', '.join(used)} (on one rank)")
    for name, reason in reasons.items():
        say(one_line(f"  not used: {name}: {reason}"))
    if missing:
        say(f"  not written: {', '.join(missing)}")
    if not used:
        raise UserError(f"--layers: at least one exercise must pass its check, got none in {layers}")
    return replace(config, layers_sha256=checked.sha256, layers_used=", ".join(used))


def _insist_on_same_layers(config: RunConfig, run: Path, layers: Path | None) -> None:
    """Raise UserError unless a run goes on with the functions that it began with."""
    sha256 = config.layers_sha256
    if layers is None and sha256 is None:
        return
    if sha256 is None:
        raise UserError(f"--layers: {run} was begun with minigan's own functions and goes on with them, got {layers}")
    if layers is None:
        raise UserError(
            f"--layers: must name the file of your own functions that {run} was begun with "
            f"(SHA-256 {sha256[:12]}...), got none"
        )
    found = read_file(layers)[1]
    if found != sha256:
        raise UserError(
            f"--layers: must be the file that {run} was begun with, with the SHA-256 {sha256[:12]}..., "
            f"got {layers} with {found[:12]}...; start a new run for another file"
        )


def _say_device(config: RunConfig, backend: Backend) -> None:
    """Say which GPU it is, and how it can be used better."""
    if backend is NUMPY:
        return
    say(f"GPU: {one_line(backend.device_name)}")
    if not config.cuda_graph:
        say("  --cuda-graph starts each step with one launch instead of hundreds: the same numbers, and less waiting")


def _say_new_name(asked: Asked) -> None:
    if asked and asked[0] == "--threads":
        _warn("--threads: has become --ranks, which means the same here")


def _with_ranks(config: RunConfig, asked: Asked) -> RunConfig:
    return replace(config, ranks=rank_count(config, asked))


def _resumed_settings(path: Path, given: dict[str, Any]) -> tuple[RunConfig, dict[str, Any]]:
    saved, about = open_config(path)
    config = resumed_config(saved, given)
    newest = newest_step(path)
    if "steps" in given and config.steps < newest:
        raise UserError(f"--steps: must be at least the {newest} that the run has behind it, got {config.steps}")
    return config, about


def _train(trainer: Trainer) -> int:
    status = trainer.train()
    path = trainer.run.path
    if status:
        say(f"Stopped after {trainer.step} of {trainer.run.config.steps} steps; all is saved. To go on:")
        say(f"  {resume_line(path, trainer.layers)}")
    else:
        say(f"Done: {trainer.step} steps. Open {one_line(path / 'report.html')} in a browser, or see faces.png")
        say(f"More faces: {command('minigan.sample', path)}")
    return status


def _open_images(config: RunConfig) -> ImageSet:
    images = open_training_images(config)
    if images.skipped:
        _warn(describe_skipped(images.skipped, len(images)))
    if config.metrics_every:
        from minigan.evaluation.metrics import check_count  # late: it brings Pillow and the painter of drawn faces

        check_count(images)
    if len(images) < config.batch_size:
        _warn(
            f"{images.source} holds {len(images)} images, fewer than one batch of {config.batch_size}: "
            "every batch repeats some"
        )
    return images


def _warn_if_changed(images: ImageSet, about: dict[str, Any]) -> None:
    if counts := counts_if_changed(images, about):
        _warn(f"the images have changed since the run began ({counts}): the run goes on, but not as it would have")


def _describe(config: RunConfig, path: Path, done: int) -> int:
    """Print what would be done; write nothing."""
    if config.data is not None:
        check_folder(config.data)
    for build in (discriminator, generator):
        say(build(image_size=config.image_size, width=config.width).summary() + "\n")
    source = config.data or f"{config.faces:,} drawn faces"
    left = f" ({done:,} of them are done)" if done else ""
    say(one_line(f"Would train {config.steps:,} steps{left} of {config.batch_size} images ({source}) in {path}"))
    for name, value in vars(config).items():
        if name not in ("data", "faces") and value not in (None, ""):
            say(f"  {name:<16}{value}")
    say("Nothing was written (--dry-run).")
    return 0


def _warn(message: str) -> None:
    complain(f"minigan: warning: {one_line(message)}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "minigan.train",
        "Train the DCGAN. Without arguments: the article's run (10,000 steps of 64 images) on drawn faces.",
        "exit status: 0 done, 1 stopped by the system (disk full, out of memory, a GPU that fails),\n"
        "2 a mistake in the call, 3 a loss is no longer finite, 130 stopped by Ctrl-C, 143 asked to terminate,\n"
        "129 its terminal was closed (these three after saving everything; the last line printed goes on with the run)",
    )
    add_options(parser, RunConfig, PRESETS)
    parser.add_argument("--threads", type=whole, metavar="N", help="the former name of --ranks")
    add = parser.add_argument
    add("--out", type=path_name, metavar="RUN", help="new folder for the run (default: a fresh one under runs/)")
    add(
        "--resume",
        type=path_name,
        metavar="RUN",
        help="go on with a run; --steps, --data, --metrics-every may change, and how it is computed (--backend ...)",
    )
    add(
        "--start-from",
        type=path_name,
        metavar="RUN",
        help="begin the new run with the newest networks of another one; both optimizers begin afresh",
    )
    add(
        "--layers",
        type=path_name,
        metavar="FILE",
        help="train with the functions of this Python file that pass their check",
    )
    add("--dry-run", action="store_true", help="say what would be done; write nothing")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
