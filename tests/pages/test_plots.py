"""Images and plots: rounding, grids, films, and what fits into a format."""

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minigan.gan import METRICS
from minigan.pages import plots


@given(st.integers(0, 255))
def test_pixels_survive_the_round_trip(p):
    """uint8 to [-1, 1] and back, in float32: rounding, where truncating would lose one in places."""
    x = np.array([p], np.uint8).astype(np.float32) / np.float32(127.5) - np.float32(1)
    assert plots.to_uint8(x)[0] == p


def test_beyond_the_range_is_clipped():
    assert plots.to_uint8(np.array([-1.5, 1.5])).tolist() == [0, 255]


@pytest.mark.parametrize("suffix", plots.FILM_FORMATS)
def test_a_film_shows_every_face_for_the_same_time(tmp_path, suffix):
    faces = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), np.uint8)
    plots.save_animation(tmp_path / f"film{suffix}", faces)
    with Image.open(tmp_path / f"film{suffix}") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (5, (256, 256), 0)
        for k, face in enumerate(faces):
            film.seek(k)
            film.load()
            assert film.info["duration"] == plots.FRAME_PAUSE
            difference = np.abs(np.asarray(film.convert("RGB"))[4::8, 4::8].astype(int) - face)
            assert difference.max() <= (0 if suffix != ".gif" else 60)  # a GIF has 256 colours


def test_faces_in_files_of_their_own(tmp_path):
    faces = np.random.default_rng(0).integers(0, 255, (12, 32, 32, 3), np.uint8)
    plots.save_separate(tmp_path / "new", faces)
    files = sorted((tmp_path / "new").iterdir())
    assert [file.name for file in files[::11]] == ["face-0001.png", "face-0012.png"]
    for file, face in zip(files, faces, strict=True):
        with Image.open(file) as image:
            np.testing.assert_array_equal(np.asarray(image), face)


def test_a_folder_of_faces_that_fails_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def fails_the_third_time(image, *args, **options):
        calls.append(args)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fails_the_third_time)
    with pytest.raises(OSError, match="No space"):
        plots.save_separate(tmp_path / "new", np.zeros((5, 8, 8, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".gif"])
def test_what_fits_can_be_written(tmp_path, suffix):
    """The longest strip that is said to fit a format does, and one face more does not."""
    path = tmp_path / f"strip{suffix}"
    count = next(n for n in range(20_000, 0, -1) if plots.fits(path, n, 1, columns=n))
    plots.save_grid(path, np.zeros((count, 1, 1, 3), np.uint8), columns=count)
    with Image.open(path) as image:
        assert image.width == 2 * (3 * count + 2)
    with pytest.raises(Exception, match=r"."):  # Pillow says it in many ways
        plots.save_grid(path, np.zeros((count + 1, 1, 1, 3), np.uint8), columns=count + 1)
    assert plots.fits(tmp_path / "strip.png", 20_000, 1, columns=20_000)


def test_grid_places_faces_row_by_row():
    faces = np.linspace(-1, 0.9, 5).reshape(5, 1, 1, 1) * np.ones((5, 4, 4, 3))
    sheet = plots.grid(faces, columns=3)
    assert sheet.shape == (2 * 6 + 2, 3 * 6 + 2, 3)
    for k in range(5):
        top, left = 2 + k // 3 * 6, 2 + k % 3 * 6
        np.testing.assert_array_equal(sheet[top : top + 4, left : left + 4], plots.to_uint8(faces[k]))
    assert (sheet[8:12, 14:18] == 255).all()  # the sixth place is empty


def test_grid_is_square_by_default():
    assert plots.grid(np.zeros((10, 4, 4, 3))).shape == (3 * 6 + 2, 4 * 6 + 2, 3)


def make_images(folder, count):
    paths = []
    for k in range(count):
        path = folder / f"{k}.png"
        Image.new("RGB", (20, 10), (k * 2 % 256, 255 - k * 2 % 256, 40)).save(path)
        paths.append(path)
    return paths


def test_film(tmp_path):
    plots.save_film(tmp_path / "f.gif", make_images(tmp_path, 5))
    with Image.open(tmp_path / "f.gif") as film:
        assert film.n_frames == 5
        assert film.info["loop"] == 0
        film.seek(4)
        assert film.info["duration"] > 2000
        assert np.abs(np.asarray(film.convert("RGB"))[0, 0].astype(int) - [8, 247, 40]).max() < 3


def test_long_film_is_thinned_but_keeps_its_ends(tmp_path):
    plots.save_film(tmp_path / "f.gif", make_images(tmp_path, 100))
    with Image.open(tmp_path / "f.gif") as film:
        assert film.n_frames == plots.MAX_FRAMES
        assert abs(int(np.asarray(film.convert("RGB"))[0, 0, 0]) - 0) < 3
        film.seek(film.n_frames - 1)
        assert abs(int(np.asarray(film.convert("RGB"))[0, 0, 0]) - 198) < 3


@pytest.mark.parametrize("T", [1, 2, 30, 700])
def test_loss_plot(tmp_path, T):
    history = dict(zip(METRICS, np.random.default_rng(0).uniform(0, 3, (6, T)), strict=True))
    plots.save_loss_plot(tmp_path / "l.png", np.arange(T), history)
    with Image.open(tmp_path / "l.png") as image:
        assert image.size == (1080, 780)


def test_loss_plot_draws_what_its_labels_say(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn = {}
    original = Axes.plot

    def plot(self, x, y, *arguments, label=None, **options):
        if label:
            drawn[label] = y
        return original(self, x, y, *arguments, label=label, **options)

    monkeypatch.setattr(Axes, "plot", plot)
    history = {name: np.full(5, k / 10) for k, name in enumerate(METRICS, 1)}  # every metric is one constant
    plots.save_loss_plot(tmp_path / "l.png", np.arange(5), history)
    means = {label: float(np.mean(y)) for label, y in drawn.items()}
    assert means == pytest.approx(
        {
            "discriminator, real": 0.1,
            "discriminator, fake": 0.2,
            "generator": 0.3,
            "D(x): reals": 0.4,
            "D(G(z)): fakes": 0.5,
        }
    )


def test_running_median_ignores_an_outlier():
    values = np.ones(50)
    values[20] = 1000
    np.testing.assert_array_equal(plots.running_median(values, 5), np.ones(50))


def test_a_running_median_in_parts_is_the_same(monkeypatch):
    values = np.random.default_rng(0).standard_normal(100)
    whole = plots.running_median(values, 7)
    monkeypatch.setattr(plots, "AT_A_TIME", 13)
    np.testing.assert_array_equal(plots.running_median(values, 7), whole)


# -------------------------------------------------------------------------- settings that are meant for another program
PLOT = """
import logging, sys
import numpy as np
from pathlib import Path
from minigan.pages import plots
names = ("d_real", "d_fake", "g", "d_x", "d_g_z")
plots.save_loss_plot(Path(sys.argv[1]), np.arange(9), {name: np.linspace(0, 1, 9) for name in names})
"""
SETTINGS = {
    "a backend of a notebook": {"MPLBACKEND": "module://no_such_package.backend_inline"},
    "a backend that is none": {"MPLBACKEND": "nonsense"},
    "a backend with a window": {"MPLBACKEND": "tkagg", "DISPLAY": ":99"},
    "LaTeX, which is not there": {"MATPLOTLIBRC": "text.usetex: True\nfont.size: 30"},
    "wrong settings": {"MATPLOTLIBRC": "figure.dpi: many\nnonsense"},
    "no text": {"MATPLOTLIBRC": b"\xff\xfe\x00"},
    "no place for its cache": {"MPLCONFIGDIR": "/proc/none"},
}


@pytest.fixture(scope="module")
def plain_plot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    return drawn(folder, {})


def drawn(folder, settings):
    """The bytes of a plot that another process draws with these variables, and what it prints."""
    file = settings.get("MATPLOTLIBRC")
    if file is not None:
        (folder / "matplotlibrc").write_bytes(file if isinstance(file, bytes) else file.encode())
        settings = {"MATPLOTLIBRC": str(folder / "matplotlibrc")}
    done = subprocess.run(
        [sys.executable, "-c", PLOT, folder / "l.png"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "l.png").read_bytes(), done.stderr


@pytest.mark.parametrize("what", SETTINGS)
def test_a_plot_depends_on_nobodys_settings(tmp_path, plain_plot, what):
    """It is the same, byte for byte; and nothing is said about settings that play no part."""
    assert drawn(tmp_path, SETTINGS[what]) == (plain_plot[0], "")


def test_a_notebook_that_draws_a_plot_first_keeps_its_backend(tmp_path):
    script = PLOT + "import matplotlib; assert matplotlib.rcParams['backend'] == 'svg'"
    environment = {**os.environ, "MPLBACKEND": "svg"}
    subprocess.run([sys.executable, "-c", script, tmp_path / "l.png"], env=environment, check=True)


def test_settings_of_a_notebook_are_left_alone():
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 31}):
        level = logging.getLogger("matplotlib").level
        with plots.plain_matplotlib():
            assert mpl.rcParams["font.size"] == mpl.rcParamsDefault["font.size"]
        assert mpl.rcParams["font.size"] == 31
        assert logging.getLogger("matplotlib").level == level
