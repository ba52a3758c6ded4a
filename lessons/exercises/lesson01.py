"""Lesson 1's puzzles: six about arrays, and two things to break."""

from __future__ import annotations

import dis
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import CodeType, ModuleType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from lessons.judging import Exercise, Mistake, Verdict, as_array, blame, explanation, numbers
from lessons.judging import judge as judge_on_cases
from minigan.nn.backend import NUMPY, Array, register, xp_of

# ------------------------------------------------------------------------------------------------------------- no loops
_LOOPING = {"vectorize", "apply_along_axis", "apply_over_axes", "fromiter", "frompyfunc", "map", "nditer", "ndindex"}


def has_loop(function: Callable[..., Any]) -> bool:
    """Whether a function goes through its numbers one by one: `for`, `while`, a comprehension, or `np.vectorize`."""
    code = getattr(function, "__code__", None)
    return code is not None and any(map(_loops, _all_code(code)))


def _all_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_code(constant)


def _loops(code: CodeType) -> bool:
    if not _LOOPING.isdisjoint(code.co_names):
        return True
    return any(
        instruction.opname == "FOR_ITER"
        or (isinstance(instruction.argval, int) and "JUMP_BACKWARD" in instruction.opname)
        for instruction in dis.get_instructions(code)
    )


def without_loops(exercise: Exercise) -> Exercise:
    """An exercise that passes with a loop, but says that it can be done without."""

    def judge(function: Any, *, seed: int = 0) -> Verdict:
        verdict = exercise.judge(function) if exercise.judge else judge_on_cases(exercise, [function], seed=seed)
        if verdict.passed and has_loop(function):
            return Verdict.ok(f"{verdict.said}; and now without a loop?")
        return verdict

    return replace(exercise, judge=judge, cases=None) if exercise.judge is None else replace(exercise, judge=judge)


# ---------------------------------------------------------------------------------------------------------------- rings
def rings(H: int, W: int) -> Array:
    """Squared distance of every cell of an H x W board from the board's middle."""
    i = np.arange(H) - (H - 1) / 2
    j = np.arange(W) - (W - 1) / 2
    return i[:, None] ** 2 + j**2


_NO_HALF = "// throws the half away: an even number of cells has its middle between two of them."

RINGS = Exercise(
    "rings",
    1,
    rings,
    lambda rng: [(3, 5), (4, 7), (1, 6), (6, 2)],
    (
        Mistake(
            lambda H, W: (np.arange(H) - H / 2)[:, None] ** 2 + (np.arange(W) - W / 2) ** 2,
            "the middle of 5 cells, numbered 0 to 4, is 2 and not 5/2: use (H - 1) / 2.",
        ),
        Mistake(
            lambda H, W: rings(H, W).T,
            "rows and columns are exchanged: the numbers of the rows have to stand in a column, [:, None].",
        ),
        Mistake(
            lambda H, W: np.abs(np.arange(H) - (H - 1) / 2)[:, None] + np.abs(np.arange(W) - (W - 1) / 2),
            "distances are added, and not their squares.",
        ),
        Mistake(
            lambda H, W: np.sqrt(rings(H, W)),
            "this is the distance; the squared distance was asked for.",
        ),
        Mistake(
            lambda H, W: np.maximum((np.arange(H) - (H - 1) / 2)[:, None] ** 2, (np.arange(W) - (W - 1) / 2) ** 2),
            "this is the larger of the two squares; their sum was asked for.",
        ),
        Mistake(
            lambda H, W: (np.arange(H) - (H - 1) / 2)[:, None] ** 2 * (np.arange(W) - (W - 1) / 2) ** 2,
            "the squares are multiplied; a plus belongs there.",
        ),
        Mistake(
            lambda H, W: np.arange(float(H))[:, None] ** 2 + np.arange(float(W)) ** 2,
            "these are the distances from the upper left corner, not from the middle.",
        ),
        Mistake(
            lambda H, W: (np.arange(H) - (H - 1) // 2)[:, None] ** 2.0 + (np.arange(W) - (W - 1) // 2) ** 2.0,
            _NO_HALF,
        ),
        Mistake(lambda H, W: (np.arange(H) - H // 2)[:, None] ** 2.0 + (np.arange(W) - W // 2) ** 2.0, _NO_HALF),
    ),
    hints=(
        "How far is cell i from the middle, if there were rows only? Make that a vector of H numbers. The same for W.",
        "An array of shape (H, 1) and one of shape (W,) add up to shape (H, W). `v[:, None]` makes a column of v.",
        "i = np.arange(H) - (H - 1) / 2;  j = np.arange(W) - (W - 1) / 2;  return i[:, None] ** 2 + j ** 2",
    ),
    asks_dtype=True,
    doc="Squared distance of every cell from the middle of the board.",
)


# ---------------------------------------------------------------------------------------------------------- centre_rows
def centre_rows(x: Array) -> Array:
    """Every row minus its own mean."""
    return x - x.mean(axis=1, keepdims=True)


CENTRE_ROWS = Exercise(
    "centre_rows",
    1,
    centre_rows,
    lambda rng: [(rng.standard_normal(shape),) for shape in ((3, 4), (5, 2), (4, 4), (1, 3))],
    (
        Mistake(lambda x: x - x.mean(axis=0), "axis=0 is the one that disappears: this is the mean of every *column*."),
        Mistake(
            lambda x: x - x.mean(), "this is the mean of everything; every row has its own. Which axis disappears?"
        ),
        Mistake(
            lambda x: np.broadcast_to(x.mean(axis=1, keepdims=True), x.shape).copy(),
            "these are the means themselves; they have to be taken from x.",
        ),
        Mistake(
            lambda x: x.mean(axis=1, keepdims=True), "these are the means themselves; they have to be taken from x."
        ),
        Mistake(
            lambda x: x - np.median(x, axis=1, keepdims=True),
            "this is the median of every row; the mean was asked for.",
        ),
        Mistake(
            lambda x: x - x.sum(axis=1, keepdims=True) / len(x),
            "the sum of a row is divided by the number of rows; a row has x.shape[1] numbers.",
        ),
        Mistake(lambda x: x - x.sum(axis=1, keepdims=True), "the sum of every row is taken off, not its mean."),
        Mistake(lambda x: x + x.mean(axis=1, keepdims=True), "the mean is added; it was to be taken off."),
        Mistake(
            lambda x: (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True),
            "the rows are divided by their standard deviation as well; only the mean was to go.",
        ),
    ),
    hints=(
        "Which axis has to disappear, so that one number is left for every row?",
        "x.mean(axis=1) has shape (H,), and NumPy lines shapes up at their right ends. What shape would fit (H, W)?",
        "keepdims=True leaves a 1 where the axis was: x - x.mean(axis=1, keepdims=True)",
    ),
    doc="Every row minus its own mean.",
)


# -------------------------------------------------------------------------------------------------------------- strides
STRIDES: dict[str, tuple[int, ...]] = {
    "x.T": (4, 16),
    "x[1]": (4,),
    "x[:, ::2]": (16, 8),
    "x[::-1]": (-16, 4),
    "x.reshape(2, 6)": (24, 4),
    "np.broadcast_to(x[0], (3, 4))": (0, 4),
}
"""Strides in bytes of expressions in x, an array of zeros of shape (3, 4) and float32."""

COPIES = {"x[[0, 2]]", "x.T.reshape(12)", "x + 0"}
VIEWS = {"x[0:2]", "x.T", "x.reshape(12)"}

_WALKS = {
    "x.T": "one row on in x.T is one column on in x",
    "x[1]": "one row is left, and it has one axis",
    "x[:, ::2]": "along axis 1 it visits the columns 0 and 2",
    "x[::-1]": "along axis 0 it walks backwards",
    "x.reshape(2, 6)": "a row of it has 6 numbers",
    "np.broadcast_to(x[0], (3, 4))": "one row on, it is the same row again",
}


_STRIDE_MISTAKES = (
    ([tuple(v // 4 for v in value) for value in STRIDES.values()], "NumPy counts bytes, not numbers: a float32 has 4."),
    ([tuple(2 * v for v in value) for value in STRIDES.values()], "a float32 has 4 bytes; 8 would be a float64."),
    ([value[::-1] for value in STRIDES.values()], "the axes are exchanged: axis 0, down, comes first."),
)
"""What a mistake gives for all six, and what to tell."""


def _stride_tuple(given: Any) -> tuple[int, ...] | None:
    """Strides as a tuple of whole numbers; None if they are anything else."""
    array = as_array(given)
    if array is None or array.ndim > 1 or array.dtype.kind not in "iu":
        return None
    return tuple(np.atleast_1d(array).tolist())


def judge_strides(strides: Mapping[str, Any], copies: Any) -> Verdict:
    """Compare the strides, and which expressions are copies."""
    if not isinstance(strides, Mapping) or set(strides) != set(STRIDES):
        return Verdict.wrong("strides must be a dict with the keys " + ", ".join(map(repr, STRIDES)))
    if any(value is None for value in strides.values()):
        return Verdict.not_yet("not answered yet")
    given = {key: _stride_tuple(strides[key]) for key in STRIDES}
    right = sum(given[key] == value for key, value in STRIDES.items())
    for key, value in STRIDES.items():
        yours = given[key]
        if yours == value:
            continue
        if yours is None:
            return Verdict.wrong(f"the strides of {key} are whole numbers, got {strides[key]!r}", code="E12")
        told = [f"yours {yours}", f"right so far: {right} of 6", f"{_WALKS[key]}; how many bytes is that?"]
        cause = explanation([given[k] for k in STRIDES], _STRIDE_MISTAKES)
        if len(yours) != len(value):
            cause = f"it has {len(value)} {'axis' if len(value) == 1 else 'axes'}, and each has one stride."
        elif not cause and key == "x.T" and yours == (16, 4):
            cause = "these are the strides of x itself. What has become of its two axes in x.T?"
        return Verdict.wrong(f"the strides of {key}", *told, cause=cause)
    if isinstance(copies, str) or not isinstance(copies, set | frozenset | list | tuple):
        return Verdict.wrong(f"copies must be a set of expressions, got {copies!r}")
    if not all(isinstance(one, str) for one in copies) or not set(copies) <= COPIES | VIEWS:
        return Verdict.wrong("copies must be a set of expressions from the list above")
    for key in sorted(COPIES | VIEWS):
        if (key in set(copies)) != (key in COPIES):
            what = "a view: the same memory, read with other strides" if key in VIEWS else "a copy"
            why = {
                "x[[0, 2]]": "a list of rows could be any rows, in any order: there is no stride for that.",
                "x.T.reshape(12)": "in the order of x.T the places are 0, 4, 8, 1, ...: no single stride does that.",
                "x + 0": "a calculation makes new numbers, and they need a place.",
            }.get(key, "")
            return Verdict.wrong(f"{key} is {what}", f"yours: {sorted(copies)}", cause=why)
    return Verdict.ok("6 strides, 3 copies")


STRIDES_EXERCISE = Exercise(
    "strides",
    1,
    judge=judge_strides,
    hints=(
        "Put your finger on the strip in the picture. Take one step along axis 0 of the expression. How far did it go?",
        "In x itself: one row on is 4 numbers of 4 bytes, 16; one column on is 4 bytes. Every other expression is made "
        "of these.",
        "x.T exchanges the strides, ::2 doubles one, ::-1 turns its sign, broadcasting makes it 0, and reshape counts "
        "anew. Then ask NumPy: x[:, ::2].strides, and np.shares_memory(x, x[[0, 2]]).",
    ),
    doc="Strides in bytes of six expressions, and which of six others are copies.",
)


# -------------------------------------------------------------------------------------------------------------- patches
def patches(x: Array, K: int) -> Array:
    """Every K x K window of a matrix, as a view: (H, W) to (H-K+1, W-K+1, K, K)."""
    return sliding_window_view(x, (K, K))


def _patch_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((4, 5)), 2),
        (rng.standard_normal((5, 3)), 3),
        (rng.standard_normal((3, 4)), 1),
        (rng.standard_normal((5, 4)).T, 2),
        (rng.standard_normal((6, 4)).T, 3),
    ]


def _strided(x: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """A view that cannot leave its array: wrong strides are for teaching, not for reading foreign memory."""
    places = sum((n - 1) * abs(s) for n, s in zip(shape, strides, strict=True)) // x.itemsize + 1
    base = np.zeros(max(places, x.size), x.dtype)
    base[: x.size] = np.ascontiguousarray(x).ravel()
    return as_strided(base, shape, strides)


def _places(x: Array, K: int) -> tuple[int, int]:
    return x.shape[0] - K + 1, x.shape[1] - K + 1


def _as_if_contiguous(x: Array, K: int) -> Array:
    # What its shape alone says of an array's strides: right for a fresh one, and not for a transpose.
    H, W = x.shape
    s, t = W * x.itemsize, x.itemsize
    return as_strided(np.ravel(x, order="K"), (H - K + 1, W - K + 1, K, K), (s, t, s, t))


_PATCHES = Exercise(
    "patches",
    1,
    patches,
    _patch_cases,
    (
        Mistake(
            lambda x, K: sliding_window_view(x, (K, K)).swapaxes(2, 3),
            "every window is transposed: the last two strides are exchanged.",
        ),
        Mistake(
            lambda x, K: sliding_window_view(x, (K, K)).transpose(2, 3, 0, 1),
            "the axes come in the order (k, l, i, j): the window's place has to come first.",
        ),
        Mistake(
            lambda x, K: sliding_window_view(x, (K, K))[:-1, :-1],
            "the last row and column of windows are missing: there are H - K + 1 of them, not H - K.",
        ),
        Mistake(
            lambda x, K: _strided(x, (*_places(x, K), K, K), (*x.strides[::-1], *x.strides[::-1])),
            "both pairs of strides are exchanged: x.strides[0] is the step down.",
        ),
        Mistake(
            lambda x, K: sliding_window_view(x, (K, K))[::K, ::K],
            "these windows do not overlap; the next one starts one pixel on, not K.",
        ),
        Mistake(
            lambda x, K: _strided(x, (x.shape[0] - K + 1, x.shape[1] - K + 1, K, K), (*x.strides[::-1], *x.strides)),
            "the first two strides are exchanged: i goes down, and one row on is x.strides[0].",
        ),
        *(
            Mistake(
                in_numbers,
                "NumPy counts strides in bytes, and these are counted in numbers: a float64 has 8 bytes. So windows "
                "begin in the middle of numbers, and what is read there makes no sense.",
            )
            for in_numbers in (
                lambda x, K: as_strided(x, (*_places(x, K), K, K), tuple(s // x.itemsize for s in 2 * x.strides)),
                lambda x, K: as_strided(x, (*_places(x, K), K, K), (x.shape[1], 1, x.shape[1], 1)),
            )
        ),
        Mistake(
            _as_if_contiguous,
            "right for a fresh array, wrong for a slice or a transpose: take the strides from x.strides.",
        ),
    ),
    hints=(
        "y[i, j, k, l] is x[i + k, j + l]. Write down the place of that in memory, and read off four strides.",
        "The place is (i + k) * s0 + (j + l) * s1. In i the stride is s0; in j, s1; in k, ...; in l, ... .",
        "as_strided(x, (H - K + 1, W - K + 1, K, K), (s0, s1, s0, s1)) with s0, s1 = x.strides; or, ready-made, "
        "sliding_window_view(x, (K, K)).",
    ),
)


def judge_patches(function: Any) -> Verdict:
    """Right on the cases, and a view."""
    verdict = judge_on_cases(_PATCHES, [function])
    if not verdict.passed:
        return verdict
    x = np.arange(400.0).reshape(20, 20)
    if not np.shares_memory(function(x, 5), x):
        return Verdict.wrong(
            "patches gives the right numbers, but copies them",
            f"of {x.nbytes:,} bytes it made {function(x, 5).nbytes:,}",
            cause="the windows can lie in the memory of x itself, read with other strides. Leave out .copy().",
        )
    return Verdict.ok("5 cases, no copies")


PATCHES = replace(_PATCHES, reference=None, cases=None, judge=judge_patches, doc="Every K x K window, as a view.")


# ---------------------------------------------------------------------------------------------------------------- weigh
def weigh(patches: Array, kernels: Array) -> Array:
    """Sum of every patch times every kernel: (Ho, Wo, K, K) and (K, K, O) to (Ho, Wo, O)."""
    return np.einsum("ijkl,klo->ijo", patches, kernels)


WEIGH = Exercise(
    "weigh",
    1,
    weigh,
    lambda rng: [
        (rng.standard_normal((a, b, K, K)), rng.standard_normal((K, K, O)))
        for a, b, K, O in ((2, 3, 2, 1), (3, 2, 3, 2), (4, 1, 2, 3), (2, 2, 1, 4))
    ],
    (
        Mistake(
            lambda patches, kernels: np.einsum("ijlk,klo->ijo", patches, kernels),
            "patch and kernel lie across each other: k must be the row in both, and l the column.",
        ),
        Mistake(
            lambda patches, kernels: np.einsum("ijkl,klo->ijo", patches, kernels[::-1, ::-1]),
            "the kernel is turned by 180 degrees. Mathematicians' convolution does that; networks' does not.",
        ),
        Mistake(
            lambda patches, kernels: np.einsum("ijkl,klo->ijo", patches, kernels) / kernels.shape[0] ** 2,
            "this is the mean over the window; the sum was asked for.",
        ),
        Mistake(
            lambda patches, kernels: np.einsum("ijkl,klo->oij", patches, kernels),
            "o comes first; in minigan channels are the last axis: (Ho, Wo, O).",
        ),
        Mistake(
            lambda patches, kernels: np.einsum("ijkl,klo->ijl", patches, kernels),
            "l is kept and o is summed: what stands behind the arrow is what is kept.",
        ),
        Mistake(
            lambda patches, kernels: (patches[..., None] * kernels).max(axis=(2, 3)),
            "this is the largest of the products; their sum was asked for.",
        ),
        Mistake(
            lambda patches, kernels: np.einsum("ijkl,klo->ijo", patches, kernels[..., :1] + 0 * kernels),
            "all channels use the first kernel.",
        ),
    ),
    hints=(
        "Give every axis a letter. Which letters stand in both arrays? Which are left in the result?",
        "Patches have the letters ijkl, kernels klo. k and l are in both and not in the result: they are summed over.",
        'np.einsum("ijkl,klo->ijo", patches, kernels)',
    ),
    doc="Every patch times every kernel, summed.",
)


# ------------------------------------------------------------------------------------------------------------ unit_rows
class ForeignArrayError(TypeError):
    """NumPy's functions were given an array of another library, or the arrays of two libraries were mixed."""


_MIXED = "arrays of two libraries cannot be used in one calculation"


class PretendArray:
    """An array of a graphics card, as far as a program can tell: only its own library computes with it.

    Parameters
    ----------
    values : Array
    """

    def __init__(self, values: Any) -> None:
        self._values = values

    def __array__(self, *arguments: Any, **settings: Any) -> Any:
        raise ForeignArrayError("NumPy cannot make one of its own arrays of another library's")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **settings: Any) -> Any:
        if any(isinstance(one, np.ndarray) for one in inputs):  # an operator, such as numpy_array * x
            raise ForeignArrayError(_MIXED)
        raise ForeignArrayError(f"np.{ufunc.__name__} was given an array of another library")

    def __array_function__(self, function: Any, *arguments: Any) -> Any:
        raise ForeignArrayError(f"np.{function.__name__} was given an array of another library")

    def __getattr__(self, name: str) -> Any:
        return _on_device(getattr(self._values, name))

    def __getitem__(self, index: Any) -> Any:
        return _on_device(self._values[index])

    def __len__(self) -> int:
        return len(self._values)


def _operator(name: str) -> Any:
    def apply(self: PretendArray, *others: Any) -> Any:
        if any(isinstance(other, np.ndarray) for other in others):
            raise ForeignArrayError(_MIXED)
        return _on_device(getattr(self._values, name)(*map(_off_device, others)))

    return apply


for _name in ("add", "sub", "mul", "truediv", "pow"):
    setattr(PretendArray, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(PretendArray, f"__r{_name}__", _operator(f"__r{_name}__"))
for _name in ("neg", "abs", "matmul", "lt", "le", "gt", "ge"):
    setattr(PretendArray, f"__{_name}__", _operator(f"__{_name}__"))


def _on_device(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return PretendArray(np.asarray(value))
    if callable(value):

        def call(*arguments: Any, **settings: Any) -> Any:
            if any(isinstance(one, np.ndarray) for one in arguments):
                raise ForeignArrayError(_MIXED)
            settings = {key: _off_device(one) for key, one in settings.items()}
            return _on_device(value(*map(_off_device, arguments), **settings))

        return call
    return value


def _off_device(value: Any) -> Any:
    return value._values if isinstance(value, PretendArray) else value


class _PretendModule(ModuleType):
    """NumPy's functions for `PretendArray`."""

    def __getattr__(self, name: str) -> Any:
        return _pretending(getattr(np, name))


class _PretendPart:
    """A part of NumPy, such as ``np.linalg``, for `PretendArray`."""

    def __init__(self, part: ModuleType) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return _pretending(getattr(self._part, name))


def _pretending(found: Any) -> Any:
    if isinstance(found, ModuleType):
        return _PretendPart(found)
    return found if isinstance(found, type) else _on_device(found)


PRETEND = replace(
    NUMPY,
    name="pretend",
    xp=_PretendModule("pretend"),
    array_type=PretendArray,
    asarray=lambda a, dtype=None: PretendArray(np.asarray(a, dtype)),
    to_host=_off_device,
    device_name="none: a stand-in for a graphics card",
)
"""A second array library for those who have no graphics card; `minigan.nn.backend.xp_of` knows it once registered."""


def unit_rows(x: Array) -> Array:
    """Every row divided by its length, with the functions of x's own library."""
    xp = xp_of(x)
    return x / xp.sqrt((x * x).sum(axis=1, keepdims=True))


_UNIT_ROWS = Exercise(
    "unit_rows",
    1,
    unit_rows,
    lambda rng: [
        (rng.standard_normal((4, 2)),),
        (rng.standard_normal((2, 5)),),
        (3 * rng.standard_normal((3, 3)).astype(np.float32),),
    ],
    (
        Mistake(lambda x: x / (x * x).sum(axis=1, keepdims=True), "the root is missing: this is the squared length."),
        Mistake(
            lambda x: x / np.sqrt((x * x).sum()), "this is the length of all rows together: which axis disappears?"
        ),
        Mistake(
            lambda x: x / np.sqrt((x * x).sum(axis=0)), "axis=0 is the one that disappears: this is for every column."
        ),
        Mistake(lambda x: x / x.sum(axis=1, keepdims=True), "the length is the root of the sum of *squares*."),
        Mistake(
            lambda x: x / np.abs(x).sum(axis=1, keepdims=True),
            "absolute values are added; the length is the root of the sum of *squares*.",
        ),
        Mistake(
            lambda x: x / np.abs(x).max(axis=1, keepdims=True),
            "this divides by the largest entry; the length is the root of the sum of squares.",
        ),
        Mistake(
            lambda x: x * np.sqrt((x * x).sum(axis=1, keepdims=True)),
            "the rows are multiplied by their length: divide.",
        ),
        Mistake(
            lambda x: 0 * x + np.sqrt((x * x).sum(axis=1, keepdims=True)), "these are the lengths: divide x by them."
        ),
        Mistake(
            lambda x: x / np.sqrt((x * x).mean(axis=1, keepdims=True)),
            "a mean where the sum belongs: the length grows with the number of columns.",
        ),
    ),
    tolerance=1e-6,
    hints=(
        "Length: square, sum over the right axis, root. And the result has to fit beside x.",
        "The sum is a method and works for either library; the root is a function: which library's?",
        "xp = xp_of(x);  return x / xp.sqrt((x * x).sum(axis=1, keepdims=True))",
    ),
)


def judge_unit_rows(function: Any) -> Verdict:
    """Right for NumPy's arrays, and for those of a library that NumPy cannot compute with."""
    verdict = judge_on_cases(_UNIT_ROWS, [function])
    if not verdict.passed:
        return verdict
    register(PRETEND)
    x = np.array([[3.0, 4.0], [0.0, -2.0], [1.0, 1.0]], np.float32)
    try:
        y = function(PretendArray(x))
    except ForeignArrayError as error:
        finding = blame(error, [function])
        return Verdict.wrong(
            "unit_rows is right for NumPy's arrays, and fails for another library's",
            *(finding.evidence if finding else ()),
            str(error),
            cause="np.something is NumPy's alone. Ask the array for its library, xp = xp_of(x), and use xp.something.",
            code="E10",
        )
    if not isinstance(y, PretendArray):
        return Verdict.wrong(
            "unit_rows gives a NumPy array for another library's", f"got a {type(y).__name__}", cause="a conversion."
        )
    if not np.allclose(_off_device(y), unit_rows(x), rtol=1e-6):
        return Verdict.wrong("unit_rows gives other numbers for another library's array than for NumPy's")
    return Verdict.ok("NumPy, and a stand-in for CuPy")


UNIT_ROWS = replace(
    _UNIT_ROWS, reference=None, cases=None, judge=judge_unit_rows, doc="Every row at length 1, for NumPy and CuPy."
)


# ------------------------------------------------------------------------------------------------------------- break it
def centre_rows_broken(x: Array) -> Array:
    """`centre_rows` with a mistake that NumPy notices, but not always."""
    return x - x.mean(axis=1)


def judge_trap(x: Any) -> Verdict:
    """An input for which the broken function gives a wrong result without complaint."""
    given, x = x, numbers(x)
    if x is None:
        return Verdict.wrong(f"an array of numbers is wanted, got {type(given).__name__}")
    if x.ndim != 2 or x.size == 0:
        return Verdict.wrong(f"a matrix is wanted, got shape {x.shape}")
    if not np.isfinite(x).all():
        return Verdict.wrong("every number of the matrix is to be finite")
    try:
        broken = centre_rows_broken(x)
    except ValueError as error:
        return Verdict.wrong(
            f"for shape {x.shape} NumPy raises an error",
            str(error),
            cause="an error that is raised is a friend. Look for a shape for which NumPy raises none.",
        )
    if broken.shape != x.shape:
        return Verdict.wrong(
            f"for shape {x.shape} the result has shape {broken.shape}",
            cause="that is a trap indeed, but the result's shape shows it. Look for one that nothing shows.",
        )
    if np.allclose(broken, centre_rows(x)):
        return Verdict.wrong(
            "here the broken function is right",
            "largest difference 0",
            cause="all rows have the same mean, so it does not matter which one is subtracted from where.",
        )
    difference = np.abs(broken - centre_rows(x)).max()
    return Verdict.ok(f"no complaint, and wrong by up to {difference:.3g}")


TRAP = Exercise(
    "silent_trap",
    1,
    judge=judge_trap,
    hints=(
        "x.mean(axis=1) has shape (H,). Against which last axis does NumPy lay it?",
        "It goes wrong without a word if H equals W.",
        "np.array([[1.0, 2.0], [3.0, 4.0]]): the first column loses the first row's mean, and not the first row.",
    ),
    doc="A matrix for which the broken centre_rows is wrong without an error.",
)


def framed(x: Array) -> Array:
    """A copy of a matrix with zeros all around its border."""
    y = x.copy()
    y[[0, -1]] = 0
    y[:, [0, -1]] = 0
    return y


def framed_broken(x: Array) -> Array:
    """`framed` with a mistake, for students to find."""
    y = x[:]
    y[0] = y[-1] = 0
    y[:, 0] = y[:, -1] = 0
    return y


def _partly_framed(x: Array, rows: Any, columns: Any) -> Array:
    y = x.copy()
    y[rows] = 0
    y[:, columns] = 0
    return y


def _frames_with_gaps() -> Iterator[Mistake]:
    """One, two or three of the four sides keep their numbers."""
    sides = {"the first row": (0, 0), "the last row": (0, -1), "the first column": (1, 0), "the last column": (1, -1)}
    for n in (1, 2, 3):
        for missing in itertools.combinations(sides, n):
            left = [place for side, place in sides.items() if side not in missing]
            rows, columns = ([index for axis, index in left if axis == wanted] for wanted in (0, 1))
            told = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
            keeps = f"{told} {'keeps its' if n == 1 else 'keep their'} numbers; all four sides become 0."
            yield Mistake(partial(_partly_framed, rows=rows, columns=columns), keeps)


FRAMED = Exercise(
    "framed",
    1,
    framed,
    lambda rng: [(rng.standard_normal(shape),) for shape in ((4, 5), (3, 3), (6, 4))],
    (
        *_frames_with_gaps(),
        Mistake(lambda x: np.pad(x[1:-1, 1:-1], 1, mode="edge"), "the border repeats its neighbours; it should be 0."),
        Mistake(lambda x: np.pad(x[1:-1, 1:-1], 1, constant_values=1), "the border is 1; it should be 0."),
        Mistake(lambda x: _partly_framed(x, ([0, 0, -1, -1], [0, -1, 0, -1]), []), "only the four corners are 0."),
        Mistake(
            lambda x: _partly_framed(x, (slice(1, -1), slice(1, -1)), []),
            "inside and border are exchanged: the border becomes 0, and the inside stays.",
        ),
        Mistake(lambda x: x[1:-1, 1:-1].copy(), "this cuts the border off; it is to become 0, and the shape stays."),
        Mistake(lambda x: np.pad(x, 1), "this puts a border around x; its own border was to become 0."),
    ),
    hints=(
        "Look at x after the call. What has changed it?",
        "x[:] of a list is a copy. x[:] of an array is a view: the same memory under a second name.",
        "y = x.copy() in the first line; the rest may stay.",
    ),
    doc="A copy of x with zeros on its border.",
)


# ------------------------------------------------------------------------------------------------------------ five more
def steps(x: Array) -> Array:
    """How much every row rises from one column to the next: (H, W) to (H, W-1)."""
    return x[:, 1:] - x[:, :-1]


STEPS = Exercise(
    "steps",
    1,
    steps,
    lambda rng: [(rng.standard_normal(shape),) for shape in ((2, 4), (3, 3), (4, 2))],
    (
        Mistake(lambda x: x[:, :-1] - x[:, 1:], "the sign: a row that rises has positive steps."),
        Mistake(lambda x: x[1:] - x[:-1], "these are the steps from one row to the next; axis 1 was asked for."),
        Mistake(lambda x: np.diff(x, axis=1, prepend=0), "the first column has no column to its left: W - 1 steps."),
        Mistake(lambda x: np.abs(x[:, 1:] - x[:, :-1]), "a step down is negative; no absolute value."),
        Mistake(lambda x: x[:, 1:] / x[:, :-1], "these are quotients; how much it rises is a difference."),
        Mistake(lambda x: x - np.roll(x, 1, axis=1), "np.roll goes round the corner: the first column minus the last."),
    ),
    hints=(
        "All columns but the first, and all columns but the last, have the same shape.",
        "x[:, 1:] begins at column 1; x[:, :-1] ends before the last.",
        "x[:, 1:] - x[:, :-1]",
    ),
    doc="Differences between neighbouring columns.",
)


def one_hot(labels: Array, C: int) -> Array:
    """A row for every label, with a single 1 in the label's column: (N,) to (N, C)."""
    return (labels[:, None] == np.arange(C)).astype(float)


def _label_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    drawn = [(rng.integers(C, size=N), C) for N, C in ((5, 3), (3, 4), (4, 4), (2, 6))]
    return [(np.array([0, 1, 1]), 4), *drawn, (np.array([3, 1]), 4)]  # the first lacks the last labels


ONE_HOT = Exercise(
    "one_hot",
    1,
    one_hot,
    _label_cases,
    (
        Mistake(lambda labels, C: one_hot(labels, C).T, "every label is a *row*: make a column of the labels."),
        Mistake(lambda labels, C: labels[:, None] == np.arange(C), "True and False; .astype(float) makes 1.0 and 0.0."),
        Mistake(lambda labels, C: one_hot(labels - 1, C), "labels count from 0, np.arange(C) does, too."),
        Mistake(lambda labels, C: 1 - one_hot(labels, C), "ones and zeros are exchanged."),
        Mistake(
            lambda labels, C: (labels[:, None] >= np.arange(C)).astype(float),
            "there are ones in all columns up to the label: ==, not >=.",
        ),
    ),
    hints=(
        "Compare a column with a row: == broadcasts like +.",
        "The column: labels[:, None]. The row: the numbers 0 to C - 1.",
        "(labels[:, None] == np.arange(C)).astype(float)",
    ),
    doc="Labels as rows with a single 1.",
)


def counts(labels: Array, C: int) -> Array:
    """How often every label comes: (N,) to (C,), whole numbers."""
    return (labels[:, None] == np.arange(C)).sum(axis=0)


COUNTS = Exercise(
    "counts",
    1,
    counts,
    _label_cases,
    (
        Mistake(lambda labels, C: counts(labels, C) / len(labels), "these are shares; the counts were asked for."),
        Mistake(
            lambda labels, C: (labels[:, None] == np.arange(C)).sum(axis=1),
            "the axis of the labels has to disappear, and this made the other one disappear: every row has a single 1.",
        ),
        Mistake(
            lambda labels, C: np.unique(labels, return_counts=True)[1],
            "labels that never come are left out; their count is 0.",
        ),
        Mistake(
            lambda labels, C: np.bincount(labels),
            "np.bincount ends at the largest label that comes: give it minlength=C.",
        ),
        Mistake(
            lambda labels, C: (labels[:, None] <= np.arange(C)).sum(axis=0),
            "place c counts the labels up to c: they are cumulated.",
        ),
        Mistake(lambda labels, C: np.sort(counts(labels, C))[::-1], "sorted: place c should count the label c."),
    ),
    hints=(
        "You have just made a matrix with a single 1 in every row. Which sum counts? (In whole numbers: sum the "
        "comparison itself, in which True counts as 1.)",
        "Of (N, C), the axis N has to disappear.",
        "(labels[:, None] == np.arange(C)).sum(axis=0)",
    ),
    doc="A histogram of labels.",
)


def halve(x: Array) -> Array:
    """Images of half the size, each pixel the mean of a block of 2 x 2: (N, H, W, C) to (N, H/2, W/2, C)."""
    N, H, W, C = x.shape
    return x.reshape(N, H // 2, 2, W // 2, 2, C).mean(axis=(2, 4))


def _halve_across(x: Array) -> Array:
    N, H, W, C = x.shape
    return x.reshape(N, 2, H // 2, 2, W // 2, C).mean(axis=(1, 3))


HALVE = Exercise(
    "halve",
    1,
    halve,
    lambda rng: [(rng.standard_normal(shape),) for shape in ((2, 4, 6, 3), (1, 2, 4, 1), (3, 6, 2, 2))],
    (
        Mistake(lambda x: x[:, ::2, ::2], "every second pixel, and the others are thrown away: no mean."),
        Mistake(_halve_across, "the axis of the 2 has to stand *behind* the one that counts blocks: (H//2, 2)."),
        Mistake(lambda x: (x[:, ::2] + x[:, 1::2]) / 2, "only the rows are halved; the columns are, too."),
        Mistake(lambda x: (x[:, :, ::2] + x[:, :, 1::2]) / 2, "only the columns are halved; the rows are, too."),
        Mistake(lambda x: 4 * halve(x), "the sum of each block; the mean was asked for."),
        Mistake(
            lambda x: x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).max(axis=(2, 4)),
            "the largest of each block; the mean was asked for.",
        ),
        Mistake(lambda x: halve(x).mean(axis=3, keepdims=True), "the colours are averaged, too; C was to stay."),
    ),
    hints=(
        "Give rows two axes: which block of two, and which row of the block. The same for columns.",
        "x.reshape(N, H // 2, 2, W // 2, 2, C) touches no number. Which axes have to disappear?",
        "x.reshape(N, H // 2, 2, W // 2, 2, C).mean(axis=(2, 4))",
    ),
    doc="Images at half their size.",
)


def nearest(a: Array, b: Array) -> Array:
    """For every row of a, the number of the nearest row of b: (N, D) and (M, D) to (N,)."""
    return ((a[:, None] - b) ** 2).sum(axis=2).argmin(axis=1)


NEAREST = Exercise(
    "nearest_rows",
    1,
    nearest,
    lambda rng: [
        *((rng.standard_normal((N, D)), rng.standard_normal((M, D))) for N, M, D in ((4, 3, 2), (2, 6, 3), (5, 5, 1))),
        # from (0, 0) the first is nearest, the second by |x| + |y|, and the third by the larger of the two
        (np.array([[0.0, 0.0], [9.0, 9.0]]), np.array([[3.6, 1.6], [0.0, 4.5], [2.95, 2.95]])),
    ],
    (
        Mistake(
            lambda a, b: (a @ b.T).argmax(axis=1),
            "this takes the largest product a @ b.T: it prefers long rows. The distance is |a|^2 - 2 a b + |b|^2.",
        ),
        Mistake(
            lambda a, b: ((a[:, None] - b) ** 2)[:, :, 0].argmin(axis=1), "only the first axis counts: sum over all D."
        ),
        Mistake(
            lambda a, b: np.abs(a[:, None] - b).sum(axis=2).argmin(axis=1),
            "this adds up the distances along the axes; the square of a distance is the sum of their *squares*.",
        ),
        Mistake(
            lambda a, b: np.abs(a[:, None] - b).max(axis=2).argmin(axis=1),
            "this looks at the axis with the largest difference alone; all of them count, by their squares.",
        ),
        Mistake(
            lambda a, b: ((a[:, None] - b) ** 2).sum(axis=2).argmin(axis=0),
            "for every row of b the nearest of a: the axis of b has to disappear, axis 1.",
        ),
        Mistake(lambda a, b: ((a[:, None] - b) ** 2).sum(axis=2).argmax(axis=1), "these are the farthest ones."),
        Mistake(
            lambda a, b: (a[:, None] - b).sum(axis=2).argmin(axis=1),
            "differences of both signs cancel; square them first.",
        ),
        Mistake(
            lambda a, b: ((a[:, None] - b) ** 2).sum(axis=2).min(axis=1), "this is how far; *which one* is argmin."
        ),
    ),
    hints=(
        "All pairs at once: shape (N, M, D). Which axes disappear, and how?",
        "a[:, None] is (N, 1, D), b is (M, D): their difference is (N, M, D). Sum squares over D, then argmin over M.",
        "((a[:, None] - b) ** 2).sum(axis=2).argmin(axis=1)",
    ),
    doc="The nearest row, for all rows at once.",
)

EXERCISES = (
    *(without_loops(RINGS), without_loops(CENTRE_ROWS), STRIDES_EXERCISE),
    *(without_loops(PATCHES), without_loops(WEIGH), without_loops(UNIT_ROWS)),
    *(TRAP, without_loops(FRAMED)),
    *map(without_loops, (STEPS, ONE_HOT, COUNTS, HALVE, NEAREST)),
)
