"""Lesson 14: its exercises take the right answer and name the wrong ones; its pictures can be drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import device_double
import numpy as np
import pytest

from lessons.exercises import lesson14
from lessons.figures import speed
from lessons.judging import judge
from minigan.nn import backend
from minigan.nn.conv import conv_forward, conv_input_grad

EXERCISES = {exercise.name: exercise for exercise in lesson14.EXERCISES}
ANSWERS: dict[str, tuple[Any, ...]] = {
    "winograd_1d": (lesson14.winograd_1d,),
    "winograd_2d": (lesson14.winograd_2d,),
    "lost_digits": ((1, 1e8, 1), (1, 1e-9)),
    "slow_and_wrong": ({"A": 2, "B": 3, "C": 4, "D": 7, "E": 5},),
    "gpu_lines": ({"A": "fine", "B": "fails", "C": "fine", "D": "waits", "E": "crawls", "F": "waits"},),
}


def check(name: str, *given: Any) -> Any:
    return judge(EXERCISES[name], given)


@pytest.mark.parametrize("name", EXERCISES)
def test_right_answer_passes_and_hints_are_there(name: str) -> None:
    exercise = EXERCISES[name]
    assert check(name, *ANSWERS.get(name, (exercise.reference,))).passed
    assert len(set(exercise.hints)) == 3
    assert all(exercise.hints)


@pytest.mark.parametrize(
    ("name", "position"),
    [(name, k) for name, exercise in EXERCISES.items() for k in range(len(exercise.mistakes))],
)
def test_known_mistakes_are_named(name: str, position: int) -> None:
    mistake = EXERCISES[name].mistakes[position]
    verdict = check(name, lambda *arguments: mistake.function(*arguments))
    assert verdict.finding is not None
    assert verdict.finding.cause == mistake.why


def unwritten(*arguments: Any) -> Any:
    raise NotImplementedError


@pytest.mark.parametrize("name", EXERCISES)
def test_what_is_not_written_is_not_wrong(name: str) -> None:
    empty: tuple[Any, ...] = (unwritten,)
    if name in ("slow_and_wrong", "gpu_lines"):
        empty = (dict.fromkeys(ANSWERS[name][0]),)
    elif name == "lost_digits":
        empty = (None, None)
    verdict = check(name, *empty)
    assert not verdict.passed
    assert verdict.finding is None


# -------------------------------------------------------------------------------------------------------- the functions
@pytest.mark.parametrize("shape", [(1, 2, 2, 3, 2), (2, 4, 6, 3, 5), (3, 6, 2, 1, 4)])
def test_every_road_leads_to_the_transposed_convolution(shape: tuple[int, ...]) -> None:
    N, H, W, C, O = shape
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((N, H, W, C)), rng.standard_normal((4, 4, O, C))
    right = conv_input_grad(x, w, stride=2, pad=1, size=(2 * H, 2 * W), kernel="loops")
    kernels = lesson14.phase_kernels(w)
    np.testing.assert_allclose(lesson14.transposed_loops(x, w), right, atol=1e-12)
    np.testing.assert_allclose(lesson14.upsample(x, kernels), right, atol=1e-12)
    k = lesson14.phase_kernels(w)
    tiles = np.stack([[lesson14.kernel_tiles(k[a, b]) for b in range(2)] for a in range(2)])
    np.testing.assert_allclose(lesson14.upsample(x, tiles, lesson14.winograd), right, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 4, 8, 3, 2), (2, 8, 4, 1, 5), (3, 12, 4, 2, 4)])
def test_a_convolution_of_stride_2_is_one_of_blocks(shape: tuple[int, ...]) -> None:
    N, H, W, C, O = shape
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((N, H, W, C)), rng.standard_normal((4, 4, C, O))
    right = conv_forward(x, w, stride=2, pad=1, kernel="loops")
    blocks, kernel = lesson14.to_blocks(x), lesson14.block_kernel(w)
    np.testing.assert_allclose(lesson14.conv2x2(blocks, kernel), right, atol=1e-12)
    np.testing.assert_allclose(lesson14.winograd(blocks, lesson14.kernel_tiles(kernel)), right, atol=1e-12)


def test_winograd_is_a_convolution_of_2x2() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 5, 7, 3)), rng.standard_normal((2, 2, 3, 4))
    right = conv_forward(x, w, kernel="loops")
    np.testing.assert_allclose(lesson14.conv2x2(x, w), right, atol=1e-12)
    np.testing.assert_allclose(lesson14.winograd(x, lesson14.kernel_tiles(w)), right, atol=1e-12)


def test_reference_runs_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    double = device_double.make_backend()
    monkeypatch.setitem(backend._known, double.name, double)
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((2, 4, 4, 3)), rng.standard_normal((4, 4, 3, 2))
    right = conv_forward(x, w, stride=2, pad=1)
    blocks, kernel = lesson14.to_blocks(double.asarray(x)), lesson14.block_kernel(double.asarray(w))
    for y in (lesson14.winograd(blocks, lesson14.kernel_tiles(kernel)), lesson14.conv2x2(blocks, kernel)):
        np.testing.assert_allclose(double.to_host(y), right, atol=1e-12)


# ------------------------------------------------------------------------------------------------------------- counting
def with_four(d: Any, g: Any) -> Any:
    return np.stack([d[0] * g[0] + d[1] * g[1], d[1] * g[0] + d[2] * g[1]])


def with_the_wrong_sign(d: Any, g: Any) -> Any:
    m0, m1, m2 = (d[0] - d[1]) * g[0], d[1] * (g[0] + g[1]), (d[2] - d[1]) * g[1]
    return np.stack([m0 + m1, m1 - m2])


def with_the_taps_exchanged(d: Any, g: Any) -> Any:
    return lesson14.winograd_1d(d, g[::-1])


def without_the_middle(d: Any, g: Any) -> Any:
    return np.stack([(d[0] - d[1]) * g[0] + d[1] * (g[0] + g[1]), (d[2] - d[1]) * g[1]])


def as_plain_numbers(d: Any, g: Any) -> Any:
    return lesson14.winograd_1d([float(one) for one in d], [float(one) for one in g])


def as_matrices(d: Any, g: Any) -> Any:
    before, taps = np.array([[1, -1, 0], [0, 1, 0], [0, -1, 1]]), np.array([[1, 0], [1, 1], [0, 1]])
    return np.array([[1, 1, 0], [0, 1, 1]]) @ ((taps @ g) * (before @ d))


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (with_four, "with four"),
        (with_the_wrong_sign, "sign of m2"),
        (with_the_taps_exchanged, "taps are exchanged"),
        (without_the_middle, "m1 belongs into both"),
        (as_plain_numbers, "plain numbers"),
    ],
)
def test_wrong_ways_in_one_dimension_are_named(function: Callable[..., Any], told: str) -> None:
    verdict = check("winograd_1d", function)
    assert verdict.finding is not None
    assert told in verdict.finding.cause


def test_matrices_of_ones_are_as_good() -> None:
    assert check("winograd_1d", as_matrices).passed


def test_a_tuple_is_as_good_as_an_array_and_a_number_is_not() -> None:
    assert check("winograd_1d", lambda d, g: tuple(lesson14.winograd_1d(d, g))).passed
    finding = check("winograd_1d", lambda d, g: "twelve").finding
    assert finding is not None
    assert "must be an array of shape (2,)" in finding.title


def test_two_dimensions_are_counted() -> None:
    def by_definition(d: Any, g: Any) -> Any:
        rows = [with_four(d[i], g[0]) + with_four(d[i + 1], g[1]) for i in range(2)]
        return np.stack(rows)

    def only_rows(d: Any, g: Any) -> Any:
        rows = [lesson14.winograd_1d(d[i], g[0]) + lesson14.winograd_1d(d[i + 1], g[1]) for i in range(2)]
        return np.stack(rows)

    for function, count in ((by_definition, 16), (only_rows, 12)):
        verdict = check("winograd_2d", function)
        assert verdict.finding is not None
        assert f"with {count} multiplications; 9 are enough" in verdict.finding.title
    turned = check("winograd_2d", lambda d, g: lesson14.winograd_2d(d, g).T)
    assert turned.finding is not None
    assert "exchanged" in turned.finding.cause


# -------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize(
    ("d", "g", "told"),
    [
        ((1, 2, 4), (3, 5), "more than 0.1"),
        ((1e8, 1e8, -1), (1, -1.0000001), "definition"),
        ((1, 1, 1), (1, -1), "output of 0"),
        ((1, np.inf, 1), (1, 1), "finite"),
        ((1, 2), (1, 1), "three numbers"),
    ],
)
def test_numbers_that_lose_nothing_are_told(d: Any, g: Any, told: str) -> None:
    finding = check("lost_digits", d, g).finding
    assert finding is not None
    assert told in finding.title


@pytest.mark.parametrize("name", ["slow_and_wrong", "gpu_lines"])
def test_answers_are_counted_and_the_first_wrong_one_is_looked_at(name: str) -> None:
    right = ANSWERS[name][0]
    wrong = right | {"B": right["A"], "E": right["A"]}
    finding = check(name, wrong).finding
    assert finding is not None
    assert finding.title == f"{len(right) - 2} of {len(right)} right"
    assert "Look again at B" in finding.evidence[0]
    half = check(name, right | {"C": None}).finding
    assert half is not None
    assert "none wrong" in half.title
    strange = check(name, right | {"C": "perhaps"}).finding
    assert strange is not None
    assert "none of the answers" in strange.title
    assert check(name, 3).finding is not None


def test_two_causes_that_no_call_tells_apart_are_both_right() -> None:
    """Pixels in the order of columns and taps in that of rows, or the reverse: the products are the same."""
    assert check("slow_and_wrong", ANSWERS["slow_and_wrong"][0] | {"E": 1}).passed
    assert not check("slow_and_wrong", ANSWERS["slow_and_wrong"][0] | {"E": 2}).passed
    assert check("slow_and_wrong", ANSWERS["slow_and_wrong"][0] | {"E": [1]}).finding is not None


def test_suspects_are_as_guilty_as_the_answers_say() -> None:
    x, w = (a.astype(float) for a in lesson14.hunted())
    right = conv_forward(x, w, stride=2, pad=1)
    wrong = {name: np.abs(suspect(x, w) - right).max(axis=(0, 3)) > 1e-9 for name, suspect in lesson14.SUSPECTS.items()}
    assert wrong["A"].all()
    assert not wrong["B"][1:-1, 1:-1].any()
    assert wrong["B"][0].all()
    assert not wrong["C"][0::2, 0::2].any()
    assert wrong["C"][1::2].all()
    assert not wrong["D"].any()
    assert wrong["E"].all()


# ------------------------------------------------------------------------------------------------------------- pictures
def figures() -> dict[str, Any]:
    y = np.arange(36.0).reshape(6, 6)
    return {
        "roofline": speed.roofline(1e11, 1e10, {"one": (0.125, np.nan), "two": (100, 5e10)}),
        "chunks": speed.chunks([1, 2, 4], {"a": [3e-3, 2e-3, 4e-3], "b": [1e-3] * 3}, {"a": 1e6, "b": 2e6}),
        "errors": speed.errors({"a": 1e-7, "b": 1e-6}, 1.2e-7),
        "bars": speed.bars({"a": 2e-3, "b": 1e-3}, {"a": 1e6}, 1e8, 1e11),
        "suspects": speed.suspects({"A": y, "B": y + 1}, y),
        "one_axis": speed.one_axis(),
        "four_phases": speed.four_phases(),
        "phases_of": speed.phases_of(y, y),
        "products_1d": speed.products_1d(),
        "nine_products": speed.nine_products(lesson14.input_tiles, lesson14.kernel_tiles),
    }


def test_pictures_can_be_drawn_and_say_what_they_show() -> None:
    drawn = figures()
    for name, figure in drawn.items():
        figure.draw_without_rendering()
        assert any(axes.get_title() for axes in figure.axes) or figure.get_suptitle(), name
    for name in ("roofline", "chunks", "errors", "bars", "suspects"):
        assert all(axes.get_xlabel() for axes in drawn[name].axes), name
    assert drawn["roofline"].axes[0].get_ylabel()
    texts = [text.get_text() for text in drawn["bars"].axes[1].texts]
    assert "not counted" in texts


def test_products_are_drawn_as_the_transforms_are() -> None:
    figure = speed.nine_products(lesson14.input_tiles, lesson14.kernel_tiles)
    corner, middle = figure.axes[0].images[0].get_array(), figure.axes[2 * 4].images[0].get_array()
    np.testing.assert_array_equal(corner, [[1, -1, 0], [-1, 1, 0], [0, 0, 0]])
    assert middle[1, 1] == 1
    assert np.abs(middle).sum() == 1
