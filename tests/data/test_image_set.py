"""Batches, reading ahead, and the drawn faces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import hear_ctrl_c
from PIL import Image

from minigan.data import cache
from minigan.data.drawn import face_set, faces
from minigan.data.drawn.face_set import open_drawn_faces
from minigan.data.image_set import ImageSet, Prefetcher, in_order
from minigan.data.open import open_images
from minigan.nn.rng import stream
from minigan.system.errors import UserError
from minigan.system.worker_pool import NoWorkers, WorkerDied


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def images() -> ImageSet:
    # Eleven different images, in which every value occurs.
    pixels = (np.arange(11 * 5 * 5 * 3) % 256).astype(np.uint8).reshape(11, 5, 5, 3)
    return ImageSet(pixels, "example", cache.fingerprint(pixels))


# ---- Batches ----


@pytest.mark.parametrize(("seed", "step", "size"), [(0, 0, 64), (7, 300, 1), (2**32 - 1, 2**40, 33)])
def test_batch_is_the_formula_exactly(images: ImageSet, seed: int, step: int, size: int) -> None:
    batch = images.batch(seed, step, size)
    chosen = images.images[stream(seed, "data", step).integers(0, 11, size)]
    expected = chosen.astype(np.float32) / np.float32(127.5) - np.float32(1)
    assert batch.dtype == expected.dtype == np.float32
    assert type(batch) is np.ndarray
    assert batch.shape == (size, 5, 5, 3)
    np.testing.assert_array_equal(batch, expected)


def test_batch_covers_the_range(images: ImageSet) -> None:
    batch = images.batch(0, 0, 200)
    assert batch.min() == -1
    assert batch.max() == 1
    assert len(np.unique(batch)) == 256


def test_batch_depends_on_seed_and_step_only(images: ImageSet) -> None:
    first = images.batch(1, 5, 8)
    for step in (9, 2, 0):
        images.batch(1, step, 3)
    np.testing.assert_array_equal(images.batch(1, 5, 8), first)
    assert not np.array_equal(images.batch(1, 6, 8), first)
    assert not np.array_equal(images.batch(2, 5, 8), first)


def test_batch_is_the_callers_own(images: ImageSet) -> None:
    images.batch(0, 0, 4)[...] = 5
    assert images.batch(0, 0, 4).max() <= 1


def test_batch_draws_with_replacement(images: ImageSet) -> None:
    assert len(images) == 11
    assert len(images.batch(0, 0, 1000)) == 1000


@pytest.mark.parametrize(("seed", "step", "size"), [(0, 0, 0), (0, 0, -1), (-1, 0, 4), (0, -1, 4)])
def test_batch_out_of_range(images: ImageSet, seed: int, step: int, size: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        images.batch(seed, step, size)


def test_batch_of_a_memory_map(tmp_path: Path, images: ImageSet) -> None:
    np.save(tmp_path / "x.npy", images.images)
    mapped = ImageSet(np.load(tmp_path / "x.npy", mmap_mode="r"), "file", "00")
    batch = mapped.batch(3, 4, 16)
    assert type(batch) is np.ndarray
    np.testing.assert_array_equal(batch, images.batch(3, 4, 16))


# ---- Reading ahead ----


def prefetch_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("minigan-prefetch")]


def test_prefetcher_gives_the_same_batches(images: ImageSet) -> None:
    with Prefetcher(images, seed=3, batch_size=8) as prefetcher:
        for step in [0, 1, 2, 3, 3, 2, 50, 51, 0, 2**63 - 1]:
            np.testing.assert_array_equal(prefetcher.batch(step), images.batch(3, step, 8))


class Watched(ImageSet):
    """Notes which thread makes which batch, and fails at step 3."""

    calls: list[tuple[int, str]]

    def batch(self, seed: int, step: int, batch_size: int, *, flip: bool = False) -> Any:
        self.calls.append((step, threading.current_thread().name))
        if step == 3:
            raise OSError("the disk is gone")
        return super().batch(seed, step, batch_size, flip=flip)


@pytest.fixture
def watched(images: ImageSet) -> Watched:
    watched = Watched(images.images, "example", "00")
    watched.calls = []
    return watched


def test_prefetcher_works_ahead_in_one_thread(watched: Watched) -> None:
    with Prefetcher(watched, seed=0, batch_size=2) as prefetcher:
        prefetcher.batch(10)
        prefetcher.batch(11)
        prefetcher.batch(12)
    steps = [step for step, _ in watched.calls]
    assert steps[:3] == [10, 11, 12]
    assert len({name for step, name in watched.calls if step > 10}) == 1
    assert all(name.startswith("minigan-prefetch") for step, name in watched.calls if step > 10)


def test_prefetcher_passes_errors_on(watched: Watched) -> None:
    with Prefetcher(watched, seed=0, batch_size=2) as prefetcher:
        prefetcher.batch(1)
        assert prefetcher.batch(2).shape == (2, 5, 5, 3)
        with pytest.raises(OSError, match="the disk is gone"):
            prefetcher.batch(3)
        assert ("minigan" in watched.calls[-1][1], watched.calls[-1][0]) == (True, 3)
        prefetcher.batch(4)


def test_an_error_nobody_asked_for_stays_silent(watched: Watched) -> None:
    with Prefetcher(watched, seed=0, batch_size=2) as prefetcher:
        prefetcher.batch(2)
    assert watched.calls[-1][0] == 3


def test_prefetcher_closes(images: ImageSet) -> None:
    with Prefetcher(images, seed=0, batch_size=2) as prefetcher:
        prefetcher.batch(0)
        assert prefetch_threads()
    assert not prefetch_threads()
    with pytest.raises(RuntimeError, match="with statement"):
        prefetcher.batch(1)


def test_prefetcher_closes_after_an_error(images: ImageSet) -> None:
    def failing() -> None:
        with Prefetcher(images, seed=0, batch_size=2) as prefetcher:
            prefetcher.batch(0)
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert not prefetch_threads()


def test_where_no_thread_is_allowed_batches_are_made_when_they_are_asked_for(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with Prefetcher(images, seed=4, batch_size=6) as prefetcher:
        for step in (0, 1, 2):
            np.testing.assert_array_equal(prefetcher.batch(step), images.batch(4, step, 6))


def test_in_order_keeps_the_order_and_the_bound() -> None:
    waiting: list[Future[int]] = []
    most = 0

    def submit(item: int) -> Future[int]:
        future: Future[int] = Future()
        future.set_result(item * item)
        waiting.append(future)
        return future

    results = []
    for result in in_order(submit, range(20), ahead=4):
        results.append(result)
        most = max(most, len(waiting) - len(results) + 1)
    assert results == [n * n for n in range(20)]
    assert most == 4


# ---- Opening ----


def test_open_images_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_set, "DEFAULT_COUNT", 3)
    assert open_images(None, image_size=16, progress=False).images.shape == (3, 16, 16, 3)
    assert len(open_images(None, image_size=16, count=2, progress=False)) == 2
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "x.png")
    folder = open_images(str(tmp_path), image_size=4, progress=False)
    assert folder.images.tolist() == [[[[1, 2, 3]] * 4] * 4]


@pytest.mark.parametrize(
    ("data", "arguments"),
    [
        (None, {"image_size": 0}),
        (None, {"image_size": 1025}),
        (None, {"image_size": 16, "count": 0}),
        (None, {"image_size": 15}),
        (None, {"image_size": 16, "count": -1}),
        (".", {"image_size": 8, "count": 5}),
    ],
)
def test_open_images_refuses(data: str | None, arguments: dict[str, int], cache_folder: Path) -> None:
    with pytest.raises(UserError, match=r"got -?\d+"):
        open_images(data, progress=False, **arguments)
    assert not cache_folder.exists()


def test_importing_minigan_brings_no_pillow() -> None:
    code = "import sys, minigan, minigan.data.image_set; assert not {'PIL', 'tqdm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- Drawn faces ----


def plain_face(index: int, *, seed: int = 0, size: int = 64) -> tuple[Any, None]:
    """In place of a face: quick to make, and its pixels tell its number."""
    face = np.full((size, size, 3), index % 256, np.uint8)
    face[..., 1], face[..., 2] = index // 256, seed
    return face, None


@pytest.fixture
def plain_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "draw_face", plain_face)
    monkeypatch.setattr(faces, "MIN_SIZE", 1)
    monkeypatch.setattr(face_set, "worker_count", lambda: 1)


def drawn_set(count: int, seed: int = 0, size: int = 4) -> ImageSet:
    return open_drawn_faces(count, size, seed=seed, progress=False)


def expected_faces(count: int, seed: int = 0, size: int = 4) -> Any:
    return np.stack([plain_face(k, seed=seed, size=size)[0] for k in range(count)])


def no_drawing(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("drawn")


@pytest.mark.usefixtures("plain_faces")
def test_drawn_faces_in_order() -> None:
    images = drawn_set(350, seed=5)
    np.testing.assert_array_equal(images.images, expected_faces(350, seed=5))
    assert images.source == "drawn faces (seed 5)"
    assert images.skipped == []


def make_old(folder: Path) -> None:
    """Pretend that no other process has just written what is in the cache."""
    old = time.time() - 2 * cache.BEING_WRITTEN_SECONDS
    for path in folder.iterdir():
        os.utime(path, (old, old))


@pytest.mark.usefixtures("plain_faces")
def test_fewer_faces_are_the_beginning_of_more(monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> None:
    few = drawn_set(130)
    fingerprint, pixels = few.fingerprint, np.array(few.images)
    del few
    make_old(cache_folder)
    more = drawn_set(300)
    np.testing.assert_array_equal(more.images[:130], pixels)
    assert more.fingerprint != fingerprint
    assert len(list(cache_folder.iterdir())) == 2  # the smaller cache has been removed
    monkeypatch.setattr(faces, "draw_face", no_drawing)
    again = drawn_set(130)
    np.testing.assert_array_equal(again.images, pixels)
    assert again.fingerprint == fingerprint
    assert drawn_set(300).fingerprint == more.fingerprint


@pytest.mark.usefixtures("plain_faces")
def test_seeds_sizes_and_versions_are_kept_apart(monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> None:
    drawn_set(5, seed=1)
    drawn_set(5, seed=11)
    drawn_set(5, seed=1, size=8)
    assert len(list(cache_folder.iterdir())) == 6
    np.testing.assert_array_equal(drawn_set(5, seed=11).images, expected_faces(5, seed=11))
    make_old(cache_folder)
    monkeypatch.setattr(faces, "FACES_VERSION", faces.FACES_VERSION + 1)
    monkeypatch.setattr(faces, "draw_face", lambda index, *, seed, size: plain_face(index + 1, seed=seed, size=size))
    newer = drawn_set(5, seed=1)
    assert newer.images[0, 0, 0, 0] == 1
    assert len(list(cache_folder.iterdir())) == 6  # the older version's cache is gone


@pytest.mark.usefixtures("plain_faces")
def test_a_damaged_cache_is_drawn_again(cache_folder: Path) -> None:
    drawn_set(20)
    (npy,) = cache_folder.glob("*.npy")
    raw = bytearray(npy.read_bytes())
    raw[-1] ^= 255
    npy.write_bytes(raw)
    np.testing.assert_array_equal(drawn_set(10).images, expected_faces(10))
    np.testing.assert_array_equal(drawn_set(20).images, expected_faces(20))


@pytest.mark.usefixtures("plain_faces")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a mistake in the painter")])
def test_an_error_while_drawing_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, cache_folder: Path, error: BaseException
) -> None:
    def failing(index: int, **kwargs: Any) -> Any:
        if index == 110:
            raise error
        return plain_face(index, **kwargs)

    monkeypatch.setattr(faces, "draw_face", failing)
    with pytest.raises(type(error)):
        drawn_set(150)
    assert list(cache_folder.iterdir()) == []


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (-3, 0), (5, -1), (5, 2**32)])
def test_drawn_faces_out_of_range(count: int, seed: int, cache_folder: Path) -> None:
    with pytest.raises(UserError, match=r"got -?\d+"):
        open_drawn_faces(count, 16, seed=seed, progress=False)
    assert not cache_folder.exists()


@pytest.mark.usefixtures("plain_faces")
def test_drawing_shows_progress(capsys: pytest.CaptureFixture[str]) -> None:
    open_drawn_faces(5, 4, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Drawing faces 100%" in err


def test_workers_draw_the_same_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_set, "_SPAN", 8)
    monkeypatch.setattr(face_set, "FEW", 10)
    monkeypatch.setattr(face_set, "worker_count", lambda: 2)
    expected = [faces.draw_face(k, seed=3, size=16)[0] for k in (0, 7, 8, 49)]
    monkeypatch.setattr(faces, "draw_face", no_drawing)  # in this process, not in the workers
    images = drawn_set(50, seed=3, size=16)
    np.testing.assert_array_equal(images.images[[0, 7, 8, 49]], expected)


class DyingWorkers:
    """Workers, one of which is killed after the first two spans."""

    def __init__(self, count: int, prepare: Any, arguments: tuple[Any, ...]) -> None:
        self.work = prepare(*arguments)

    def __enter__(self) -> DyingWorkers:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def in_order(self, spans: list[range]) -> Any:
        yield self.work(spans[0])
        yield self.work(spans[1])
        raise WorkerDied(spans[2])


class NoneStarts(DyingWorkers):
    """Not one worker can be started."""

    def __enter__(self) -> DyingWorkers:
        raise NoWorkers


@pytest.mark.usefixtures("plain_faces")
@pytest.mark.parametrize("workers", [DyingWorkers, NoneStarts])
def test_without_workers_faces_are_drawn_here(monkeypatch: pytest.MonkeyPatch, workers: type) -> None:
    monkeypatch.setattr(face_set, "worker_count", lambda: 2)
    monkeypatch.setattr(face_set, "Workers", workers)
    np.testing.assert_array_equal(drawn_set(550).images, expected_faces(550))


@pytest.mark.usefixtures("plain_faces")
def test_one_core_draws_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(face_set, "Workers")
    np.testing.assert_array_equal(drawn_set(550).images, expected_faces(550))


SCRIPT = """
print("started", flush=True)
from minigan.data.drawn import face_set
face_set.FEW = 0
face_set.worker_count = lambda: 2
images = face_set.open_drawn_faces({count}, 16, progress=False)
print(len(images))
"""


def test_a_script_without_guard_is_not_run_again(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.format(count=150), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["started", "150"]
    assert done.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="a console's Ctrl-C cannot be sent to one process group there")
def test_ctrl_c_stops_workers_without_a_storm(tmp_path: Path, cache_folder: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.format(count=100_000), encoding="utf-8")
    run = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        half = next(cache_folder.glob("*.tmp"), None)
        if half is not None and half.stat().st_size > 1000:
            break
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=10)
    assert err.count("Traceback") == 1
    assert err.strip().endswith("KeyboardInterrupt")
    assert list(cache_folder.iterdir()) == []
