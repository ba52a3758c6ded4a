"""Lesson 7's own exercises and pictures."""

import io

import numpy as np
import pytest
from lesson_verdicts import assert_readable, judged, of_source, quoted, said, words
from PIL import Image

from lessons import figures
from lessons.exercises import lesson07
from minigan.nn import ops
from minigan.nn.conv import conv_forward

X = np.array([[1.0, 0, 2, 1], [0, 3, 1, 0], [2, 1, 0, 1], [1, 0, 1, 2]])
W = np.array([[1.0, 2], [0, -1]])


def padded(x, pad, **how):
    return np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), **how)


def test_the_worked_example():
    """The numbers of the text, and its first rows of the patch matrix."""
    y = figures.convolution.outputs(X, W)
    assert (y[0, 0], y[0, 1], y[1, 0]) == (-2, 3, 5)
    rows = lesson07.im2col(X[None, :, :, None], 2)
    np.testing.assert_array_equal(rows[:3], [[1, 0, 0, 3], [0, 2, 3, 1], [2, 1, 1, 0]])
    np.testing.assert_array_equal(rows @ W.ravel(), y.ravel())


def test_the_references_agree_with_minigans_layer():
    rng = np.random.default_rng(0)
    for N, H, Width, C, O, K, S, P in lesson07.SIZES:
        x, w, b = rng.standard_normal((N, H, Width, C)), rng.standard_normal((K, K, C, O)), rng.standard_normal(O)
        right = ops.conv2d_forward(x, w, b, S, P)[0]
        np.testing.assert_allclose(lesson07.conv_loops(x, w, b, S, P), right, atol=1e-10)
        y = lesson07.im2col(x, K, S, P) @ w.reshape(-1, O) + b
        np.testing.assert_allclose(y.reshape(right.shape), right, atol=1e-10)
        np.testing.assert_allclose(lesson07.SUSPECTS["C"](x, w, b, S, P), right, atol=1e-10)
        assert right.shape[1] == lesson07.output_size(H, K, S, P)


# ------------------------------------------------------------------------------------------------------------ exercises
@pytest.mark.parametrize(
    ("formula", "word"),
    [
        (lambda H, K, stride, pad: (H + 2 * pad - K) // stride, "Add 1"),
        (lambda H, K, stride, pad: (H + pad - K) // stride + 1, "one side only"),
        (lambda H, K, stride, pad: -(-(H + 2 * pad - K) // stride) + 1, "round down"),
        (lambda H, K, stride, pad: (H + 2 * pad) // stride, "own size is missing"),
        (lambda H, K, stride, pad: (H + 2 * pad - K + 1) // stride, "inside the division"),
        (lambda H, K, stride, pad: (H + 2 * pad - K) / stride + 1, "// divides and rounds down"),
        (lambda H, K, stride, pad: H, "yours"),
    ],
)
def test_wrong_sizes(formula, word):
    assert word in words(lesson07, "output_size", formula)


def loops(*, flip=False, start=None, step=True, mode=None, every=False, bias=True):
    """A convolution by loops, as a student would write it, with one thing wrong."""

    def conv_loops(x, w, b, stride=1, pad=0):
        K = w.shape[0]
        Ho, Wo = (lesson07.output_size(size, K, stride, pad) for size in x.shape[1:3])
        big = padded(x, pad, mode=mode or "constant")
        y = np.zeros((len(x), Ho, Wo, w.shape[3]), x.dtype)
        for i in range(Ho):
            for j in range(Wo):
                for p in range(K):
                    for q in range(K):
                        r, s = (stride * i + p, stride * j + q) if step else (i + p, j + q)
                        tap = w[K - 1 - p, K - 1 - q] if flip else w[q, p] if start == "column" else w[p, q]
                        y[:, i, j] += big[:, r, s] @ tap + (b if every else 0)
        return y + b if bias and not every else y

    return conv_loops


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"flip": True}, "upside down"),
        ({"start": "column"}, "exchanged"),
        ({"step": False}, "whatever the stride"),
        ({"mode": "edge"}, "should be zeros"),
        ({"every": True}, "once for every tap"),
        ({"bias": False}, "bias is missing"),
        ({"mode": "reflect"}, "wrong"),
    ],
)
def test_wrong_loops(how, word):
    assert word in words(lesson07, "conv_loops", loops(**how))


def test_right_loops():
    assert judged(lesson07, "conv_loops", loops()).passed


def windows(x, K, stride=1, pad=0, order=(0, 1, 2, 4, 5, 3), enlarge=padded):
    views = np.lib.stride_tricks.sliding_window_view(enlarge(x, pad), (K, K), axis=(1, 2))
    return views[:, ::stride, ::stride].transpose(order).reshape(-1, K * K * x.shape[3])


@pytest.mark.parametrize(
    ("order", "word"),
    [
        ((0, 1, 2, 3, 4, 5), "channels first"),
        ((0, 1, 2, 5, 4, 3), "column by column"),
        ((1, 2, 0, 4, 5, 3), "images last"),
        ((0, 2, 1, 4, 5, 3), "columns of places"),
    ],
)
def test_wrong_orders(order, word):
    assert word in words(lesson07, "im2col", lambda x, K, stride, pad: windows(x, K, stride, pad, order))


def test_other_wrong_patches():
    assert judged(lesson07, "im2col", windows).passed
    assert "whatever the stride" in words(lesson07, "im2col", lesson07._no_stride)
    assert "each side" in words(lesson07, "im2col", lesson07._one_sided_patches)
    assert "shape" in words(lesson07, "im2col", lambda x, K, stride, pad: windows(x, K, stride, 0))
    assert "shape" in words(lesson07, "im2col", lambda x, K, stride, pad: windows(x, K, stride, pad, enlarge=np.pad))


def test_the_broken_im2col_of_the_hunt_passed_its_only_test():
    x = np.random.default_rng(0).standard_normal((1, 5, 5, 1))
    views = np.lib.stride_tricks.sliding_window_view(np.pad(x, 0), (3, 3), axis=(1, 2)).reshape(-1, 9)
    np.testing.assert_array_equal(views, lesson07.im2col(x, 3))


def test_the_text_shows_what_the_checker_says():
    (broken,) = of_source("07_convolution_is_a_matrix_product", "broken_im2col")

    def half_mended(x, K, stride=1, pad=0):
        return broken(padded(x, pad), K, stride, 0)

    messages = [said("im2col", broken), said("im2col", half_mended)]
    assert quoted("07_convolution_is_a_matrix_product") == messages


def test_edge_kernels():
    right = lesson07.edge_kernels()
    assert judged(lesson07, "edge_kernels", right).passed
    assert judged(lesson07, "edge_kernels", right * [1, 3]).passed
    simple = np.zeros((3, 3, 3, 2))
    simple[1, 2, :, 0], simple[1, 1, :, 0], simple[2, 1, :, 1], simple[1, 1, :, 1] = 1, -1, 1, -1
    assert judged(lesson07, "edge_kernels", simple.tolist()).passed
    assert judged(lesson07, "edge_kernels", None).status == "not implemented"
    red = right.copy()
    red[:, :, 1:] = 0
    skew = right.copy()
    skew[..., 0] += right[..., 1]
    colours = right * np.array([1, 10, 0.01])[:, None]
    reddish = right.copy()
    reddish[..., 0, 0] += 1  # answers to flat red and, the other way, to flat green: together to no grey
    reddish[..., 1, 0] -= 1
    sharp = right.copy()  # blind to ramps of the other kind, and not to its sharp edges
    sharp[..., 0] += np.array([[1, 1, 1], [-2, -2, -2], [1, 1, 1]])[..., None] / 24
    columns = right.copy()
    columns[..., 1] += np.array([[1, -2, 1]] * 3)[..., None] / 24
    for wrong, word in (
        (right[..., ::-1], "exchanged"),
        (-right, "sign"),
        (right + 0.1, "without any edge"),
        (right[..., 0], "shape"),
        (red, "every colour"),
        (skew, "other kind"),
        (colours, "all colours alike"),
        (reddish, "all colours alike"),
        (sharp, "the sums of its rows"),
        (columns, "the sums of its columns"),
        (0 * right, "every colour"),
    ):
        assert word in words(lesson07, "edge_kernels", wrong)


def test_the_hunt():
    guilt = lesson07._GUILT
    assert judged(lesson07, "conv_hunt", guilt).passed
    assert "5 of 6" in words(lesson07, "conv_hunt", guilt | {"D": "exchanged"})
    assert "not one of the words" in words(lesson07, "conv_hunt", guilt | {"D": "upside down"})
    assert "dict" in words(lesson07, "conv_hunt", {"A": "fine"})
    assert "dict" in words(lesson07, "conv_hunt", "flipped")


def test_every_suspect_but_one_is_wrong_and_no_two_are_alike():
    rng = np.random.default_rng(0)
    given = (rng.standard_normal((2, 6, 7, 2)), rng.standard_normal((3, 3, 2, 3)), rng.standard_normal(3), 2, 1)
    results = {letter: suspect(*given) for letter, suspect in lesson07.SUSPECTS.items()}
    right = conv_forward(*given[:3], stride=2, pad=1, kernel="loops")
    assert [letter for letter, y in results.items() if np.allclose(y, right)] == ["C"]
    for a in results:
        assert not any(np.allclose(results[a], results[b]) for b in results if b != a)
    assert set(lesson07._GUILT.values()) <= set(lesson07.CAUSES)


def test_each_suspect_has_the_fault_it_is_charged_with():
    rng = np.random.default_rng(1)
    x, w, b, S, P, K = (
        rng.standard_normal((2, 6, 7, 2)),
        rng.standard_normal((3, 3, 2, 3)),
        rng.standard_normal(3),
        2,
        1,
        3,
    )
    shifted = np.pad(x, ((0, 0), (0, 2 * P), (0, 2 * P), (0, 0)))
    every_column = loops()(x, w, b, 1, P)[:, ::S]
    turned = w.reshape(2, K, K, 3).transpose(1, 2, 0, 3)
    expected = {
        "fine": loops()(x, w, b, S, P),
        "flipped": loops(flip=True)(x, w, b, S, P),
        "exchanged": loops(start="column")(x, w, b, S, P),
        "one-sided": loops()(shifted, w, b, S, 0),
        "rows-only": every_column[:, :, :4],
        "channels-first": loops()(x, turned, b, S, P),
    }
    for letter, cause in lesson07._GUILT.items():
        np.testing.assert_allclose(
            lesson07.SUSPECTS[letter](x, w, b, S, P), expected[cause], atol=1e-10, err_msg=letter
        )


# ------------------------------------------------------------------------------------------------------------- pictures
def test_pictures():
    topic = figures.convolution
    assert_readable(topic.by_hand(X, W, (1, 2)))
    assert_readable(topic.filmstrip(X, W, steps=(0, 8)))
    assert_readable(topic.places(((6, 3, 2, 0), (8, 4, 2, 1))))
    assert_readable(topic.product_shapes(N=64, H=32, W=32, C=64, O=128, K=4, stride=2, pad=1))
    assert_readable(topic.speed({"slow": 100.0, "fast": 2.0}))
    topic.patch_row(np.arange(8).reshape(2, 2, 2)).savefig(io.BytesIO(), format="png", dpi=20)
    assert_readable(topic.edges(np.zeros((8, 8, 3)), np.random.default_rng(0).standard_normal((8, 8, 2))))


def test_a_patch_row_is_the_row_that_im2col_makes():
    patch = np.arange(10.0, 18).reshape(2, 2, 2)
    numbers = [t.get_text() for t in figures.convolution.patch_row(patch).axes[0].texts if t.get_text().isdigit()]
    assert numbers[8:16] == [f"{value:g}" for value in lesson07.im2col(patch[None], 2, 1, 0)[0]]
    assert sorted(numbers[16:]) == sorted(numbers[8:16])
    assert numbers[16:] != numbers[8:16]


def test_places_tells_what_is_left_over():
    titles = [ax.get_title() for ax in figures.convolution.places(((6, 3, 2, 0), (8, 4, 2, 1))).axes]
    assert "2 places, 1 pixel left over" in titles[0]
    assert titles[1].endswith("4 places")


def test_the_film_moves_and_is_small():
    data = figures.convolution.film(X, W)
    with Image.open(io.BytesIO(data)) as film:
        assert film.n_frames == 9
        first = np.asarray(film.convert("RGB"))
        film.seek(8)
        last = np.asarray(film.convert("RGB"))
    assert (first != last).any()
    assert len(data) < 300_000


def in_float64(function):
    """As if every array that is made were made without a dtype."""
    return lambda *given: function(*(a.astype(float) if isinstance(a, np.ndarray) else a for a in given))


@pytest.mark.parametrize("name", ["conv_loops", "im2col"])
def test_the_dtype_that_the_text_asks_for_is_asked_for(name):
    right = getattr(lesson07, name)
    assert judged(lesson07, name, right).passed
    assert "float64, asked for is float32" in words(lesson07, name, in_float64(right))
