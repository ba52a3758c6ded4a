"""Lesson 3, affine layers and activations: its exercises beside the layers, and the toy problem at its end.

The layers themselves are exercises of `minigan.check`. Here are the network of two layers made from them, the bug hunt
in which an input has to be found that shows a bug, and the points of the plane that the network learns to tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lessons.judging import Exercise, Verdict, difference, explanation, judge, judge_layer, numbers
from minigan.nn import ops
from minigan.nn.backend import Array

Forward = Callable[..., tuple[Array, Any]]
Backward = Callable[..., Any]


# --------------------------------------------------------------------------------------------------- the toy problem
def heart(points: Array) -> Array:
    """Which points of the plane lie inside a heart.

    Parameters
    ----------
    points : Array of shape (N, 2)

    Returns
    -------
    Array of shape (N, 1)
        +1 inside, -1 outside.

    Examples
    --------
    >>> heart(np.array([[0.0, 0.0], [0.0, 1.2], [1.4, -1.4]])).ravel().tolist()
    [1.0, -1.0, -1.0]
    """
    x, y = points[:, :1] / 1.15, points[:, 1:] / 1.05
    return np.where(x**2 + (y + 0.15 - 1.05 * np.abs(x)) ** 2 < 1, 1.0, -1.0)


def first_weights(hidden: int, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Where training begins: w1 (2, hidden), b1 (hidden,), w2 (hidden, 1), b2 (1,)."""
    w1, b1 = rng.standard_normal((2, hidden)), rng.uniform(-1, 1, hidden)
    return w1, b1, rng.standard_normal((hidden, 1)) / np.sqrt(hidden), np.zeros(1)


# -------------------------------------------------------------------------------------------- the network of two layers
def net_forward(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> tuple[Array, Any]:
    """Dense, LeakyReLU, Dense, tanh."""
    h, first = ops.dense_forward(x, w1, b1)
    a, bent = ops.leaky_relu_forward(h)
    z, second = ops.dense_forward(a, w2, b2)
    y, squashed = ops.tanh_forward(z)
    return y, (first, bent, second, squashed)


def net_backward(dy: Array, cache: Any) -> tuple[Array, Array, Array, Array, Array]:
    """Gradients of `net_forward`: dx, dw1, db1, dw2, db2."""
    first, bent, second, squashed = cache
    dz = ops.tanh_backward(dy, squashed)
    da, dw2, db2 = ops.dense_backward(dz, second)
    dh = ops.leaky_relu_backward(da, bent)
    dx, dw1, db1 = ops.dense_backward(dh, first)
    return dx, dw1, db1, dw2, db2  # type: ignore[return-value]


NAMES = ("dx", "dw1", "db1", "dw2", "db2")


def _without(part: str) -> Backward:
    """Backward through the network with one of its activations left out."""

    def backward(dy: Array, cache: Any) -> tuple[Any, ...]:
        first, bent, second, squashed = cache
        dz = dy if part == "tanh" else ops.tanh_backward(dy, squashed)
        da, dw2, db2 = ops.dense_backward(dz, second)
        dh = da if part == "leaky_relu" else ops.leaky_relu_backward(da, bent)
        return (*ops.dense_backward(dh, first), dw2, db2)

    return backward


def _order(*places: int) -> Backward:
    """The right gradients in another order."""
    return lambda dy, cache: tuple(net_backward(dy, cache)[k] for k in places)


def _mixed_up() -> Iterator[tuple[Backward, str]]:
    """One step of the way back is handed the wrong array, or bends with the wrong slope."""

    def changed(**other: Callable[[dict[str, Array]], Array]) -> Backward:
        def backward(dy: Array, cache: Any) -> tuple[Array, ...]:
            (x, w1), _, (h, w2), y = cache
            a = np.where(h > 0, h, h / 0.2)
            v: dict[str, Array] = {"dy": dy, "x": x, "w1": w1, "a": a, "h": h, "w2": w2, "y": y}

            def put(name: str, right: Callable[[dict[str, Array]], Array]) -> None:
                v[name] = other.get(name, right)(v)

            put("dz", lambda v: v["dy"] * (1 - v["y"] ** 2))
            put("dh", lambda v: v["dz"] @ v["w2"].T)
            put("da", lambda v: np.where(v["a"] > 0, v["dh"], 0.2 * v["dh"]))
            put("dx", lambda v: v["da"] @ v["w1"].T)
            put("dw1", lambda v: v["x"].T @ v["da"])
            put("db1", lambda v: v["da"].sum(axis=0))
            put("dw2", lambda v: v["h"].T @ v["dz"])
            put("db2", lambda v: v["dz"].sum(axis=0))
            return tuple(v[name] for name in NAMES)

        return backward

    before_leaky, before_tanh = "has not gone through LeakyReLU yet", "has not gone through tanh yet"
    yield (
        changed(dw2=lambda v: v["a"].T @ v["dz"]),
        ("dw2 is made with what goes into LeakyReLU; the second layer's input is what comes out of it"),
    )
    yield changed(dx=lambda v: v["dh"] @ v["w1"].T), f"dx is made from a gradient that {before_leaky}"
    yield changed(dw1=lambda v: v["x"].T @ v["dh"]), f"dw1 is made from a gradient that {before_leaky}"
    yield changed(db1=lambda v: v["dh"].sum(axis=0)), f"db1 is made from a gradient that {before_leaky}"
    yield (
        changed(dh=lambda v: v["dy"] @ v["w2"].T),
        f"the first layer's gradients are made from a dy that {before_tanh}",
    )
    yield changed(dw2=lambda v: v["h"].T @ v["dy"]), f"dw2 is made from dy, which {before_tanh}"
    yield changed(db2=lambda v: v["dy"].sum(axis=0)), f"db2 is made from dy, which {before_tanh}"
    yield changed(dz=lambda v: v["dy"] * (1 - v["y"])), "the slope of tanh is 1 - y^2: the square is missing"
    yield changed(dz=lambda v: v["dy"] * (1 - np.tanh(v["y"]) ** 2)), "tanh is taken twice: y has gone through it"
    yield changed(da=lambda v: np.where(v["a"] > 0, v["dh"], 0)), "the way back is through ReLU, not LeakyReLU"
    yield (
        changed(da=lambda v: np.where(v["dh"] > 0, v["dh"], 0.2 * v["dh"])),
        ("LeakyReLU's gate looks at the gradient; it is the way in that opens it or closes it"),
    )
    yield (
        changed(da=lambda v: v["dh"] * np.where(v["a"] > 0, v["a"], 0.2 * v["a"])),
        ("the gradient is multiplied by LeakyReLU's output, not by its slope"),
    )


MISTAKES: tuple[tuple[Backward, str], ...] = (
    (_without("tanh"), "the way back through tanh is left out"),
    (_without("leaky_relu"), "the way back through LeakyReLU is left out"),
    (_order(0, 3, 4, 1, 2), "the gradients of the two layers are exchanged; the order is dx, dw1, db1, dw2, db2"),
    (lambda dy, cache: tuple(-g for g in net_backward(dy, cache)), "all signs are turned round"),
    (lambda dy, cache: tuple(g / len(dy) for g in net_backward(dy, cache)),
     "everything is divided by the number of samples; that belongs to the loss, and dy already contains it"),
    *_mixed_up(),
)  # fmt: skip


def _without_leaky_relu(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    return np.tanh((x @ w1 + b1) @ w2 + b2)


def _without_tanh(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    return ops.leaky_relu_forward(x @ w1 + b1)[0] @ w2 + b2


FORWARD_MISTAKES: tuple[tuple[Callable[..., Array], str], ...] = (
    (_without_leaky_relu, "LeakyReLU is left out"),
    (_without_tanh, "tanh at the end is left out"),
    (lambda *given: np.tanh(_without_leaky_relu(*given)), "tanh stands twice, and LeakyReLU is left out"),
    (
        lambda x, w1, b1, w2, b2: np.tanh(np.maximum(x @ w1 + b1, 0) @ w2 + b2),
        "the first activation is ReLU; LeakyReLU was asked for",
    ),
    (
        lambda x, w1, b1, w2, b2: np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2),
        "tanh stands in both places; between the layers it is LeakyReLU",
    ),
    (
        lambda *given: ops.leaky_relu_forward(_without_tanh(*given))[0],
        "LeakyReLU stands in both places; at the end it is tanh",
    ),
)
"""Wrong results y of the network, and why."""


def _cases(rng: np.random.Generator) -> list[tuple[Array, ...]]:
    normal = rng.standard_normal
    sizes = ((5, 2, 7, 1), (1, 3, 4, 2), (4, 1, 2, 3))  # N, C, hidden, O: all different
    return [(normal((N, C)), normal((C, M)), normal(M), normal((M, O)), normal(O)) for N, C, M, O in sizes]


def _judge_net(forward: Any, backward: Any = None, *, seed: int = 0) -> Verdict:
    rng = np.random.default_rng(seed)
    cases = _cases(rng)
    results, caches = [], []
    for case in cases:
        before = [a.copy() for a in case]
        result = forward(*case)
        if not (isinstance(result, tuple | list) and len(result) == 2):
            return Verdict.wrong("net_forward returns two things, y and a cache", code="E11", where="net_forward")
        if any(not np.array_equal(a, b) for a, b in zip(before, case, strict=True)):
            return Verdict.wrong("net_forward modifies one of its inputs", _told(case), code="E20")
        results.append(result[0])
        caches.append(result[1])
    for case, y in zip(cases, results, strict=True):
        found = difference(y, net_forward(*case)[0], 1e-9, "y")
        if found is not None:
            cause = explanation(results, [([wrong(*c) for c in cases], why) for wrong, why in FORWARD_MISTAKES])
            return Verdict.wrong(
                f"net_forward: {found.title}", *found.evidence, _told(case), cause=cause, code=found.code
            )
    if backward is None:
        return Verdict.ok("forward")
    # All forwards first, then all backwards: each backward has only its own forward's cache.
    dys, given, wrong_in = [], [], []
    for case, cache in zip(cases, caches, strict=True):
        dys.append(rng.standard_normal((len(case[0]), case[3].shape[1])))
        gradients = backward(dys[-1].copy(), cache)
        if not (isinstance(gradients, tuple | list) and len(gradients) == 5):
            return Verdict.wrong(
                "net_backward returns five gradients: dx, dw1, db1, dw2, db2", code="E11", where="net_backward"
            )
        given.append(gradients)
        right = net_backward(dys[-1], net_forward(*case)[1])
        wrong_in.append([difference(g, r, 1e-9, n) for g, r, n in zip(gradients, right, NAMES, strict=True)])
    bad = [name for k, name in enumerate(NAMES) if any(row[k] is not None for row in wrong_in)]
    if not bad:
        return Verdict.ok("forward, " + ", ".join(NAMES))
    first = next(f for row in wrong_in for f in row if f is not None)
    good = [name for name in NAMES if name not in bad]
    evidence = [*first.evidence, f"wrong: {', '.join(bad)}" + (f"; right: {', '.join(good)}" if good else "")]
    known = (
        ([wrong(dy, net_forward(*case)[1]) for case, dy in zip(cases, dys, strict=True)], why)
        for wrong, why in MISTAKES
    )
    return Verdict.wrong(
        f"net_backward: {first.title}", *evidence, _told(cases[0]), cause=explanation(given, known), code=first.code
    )


def _told(case: tuple[Array, ...]) -> str:
    return "for instance with " + ", ".join(
        f"{n} {a.shape}" for n, a in zip(("x", "w1", "b1", "w2", "b2"), case, strict=True)
    )


TWO_LAYER_NET = Exercise(
    name="two_layer_net",
    lesson=3,
    reference=net_forward,
    judge=_judge_net,
    hints=(
        "Forward is four lines, one for each layer, and each line gives a cache. Keep all four.",
        "Backward is the same list read from the end: tanh, Dense, LeakyReLU, Dense. What one line returns as its dx "
        "is the next line's dy.",
        "dz = tanh_backward(dy, c4); da, dw2, db2 = dense_backward(dz, c3); dh = leaky_relu_backward(da, c2); "
        "dx, dw1, db1 = dense_backward(dh, c1)",
    ),
)


def pair(name: str, forward: Forward, backward: Backward) -> tuple[Forward, Backward]:
    """The student's forward and backward if they pass their check, minigan's own otherwise.

    Parameters
    ----------
    name : str
        "two_layer_net", or an exercise of `minigan.check` such as "tanh".
    forward, backward : callable

    Returns
    -------
    forward, backward : callable
        Both the student's or both minigan's, because a backward can only read its own forward's cache.
    """
    if name == "two_layer_net":
        passed, own = judge(TWO_LAYER_NET, (forward, backward)).passed, (net_forward, net_backward)
    else:
        passed = judge_layer(name, (forward, backward)).passed
        own = getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")
    if not passed:
        print(f"{name}: minigan's own is used until yours passes")
    return (forward, backward) if passed else own


# ----------------------------------------------------------------------------------------------------------- bug hunts
def borrowed_dense_backward(dy: Array, cache: Any) -> tuple[Array, Array, Array]:
    """A broken function of the bug hunt; the lesson shows its text."""
    x, w = cache
    dx = dy @ w.reshape(w.shape[1], w.shape[0])
    dw = x.T @ dy / len(x)
    db = dy[0].copy()
    return dx, dw, db


def broken_relu(x: Array, dy: Array) -> Array:
    """Bug hunt, A: looks at the sign of dy."""
    return dy * (dy > 0)


def broken_sigmoid(x: Array) -> Array:
    """Bug hunt, B: overflows."""
    return np.exp(x) / (1 + np.exp(x))


def broken_flatten(x: Array) -> Array:
    """Bug hunt, C: columns before rows."""
    return x.transpose(0, 2, 1, 3).reshape(len(x), -1)


def broken_leaky_relu(x: Array, dy: Array) -> Array:
    """Bug hunt, D: one sign for the whole array."""
    return dy if x.sum() > 0 else 0.2 * dy


def _right_relu(x: Array, dy: Array) -> Array:
    return np.where(x > 0, dy, 0)


def _right_flatten(x: Array) -> Array:
    return x.reshape(len(x), -1)


def _right_leaky_relu(x: Array, dy: Array) -> Array:
    return np.where(x > 0, dy, 0.2 * dy)


def _right_sigmoid(x: Array) -> Array:
    return ops.sigmoid_forward(x)[0]


HUNTED: dict[str, tuple[Callable[..., Array], Callable[..., Array], tuple[str, ...], str]] = {
    "A": (broken_relu, _right_relu, ("x", "dy"), "where x and dy have one sign it is right"),
    "B": (broken_sigmoid, _right_sigmoid, ("x",), "in float64 exp(x) is finite up to x = 709"),
    "C": (
        broken_flatten,
        _right_flatten,
        ("x",),
        "an image of one row, of one column, or of equal numbers shows nothing",
    ),
    "D": (broken_leaky_relu, _right_leaky_relu, ("x", "dy"), "where all of x has one sign it is right"),
}
"""For each letter: the broken function, the right one, their arguments, and what hides the bug."""


def _as_floats(answer: Any) -> Array | None:
    """An array of float32 as it is, for some inputs are too large only there; others in float64; None if no numbers."""
    array = np.asarray(answer) if isinstance(answer, np.generic) else answer
    return array if getattr(array, "dtype", None) == np.float32 else numbers(array)


def _judge_witness(given: Any) -> Verdict:
    if not isinstance(given, dict) or set(given) != set(HUNTED):
        return Verdict.wrong(f"the answer is a dict with the keys {', '.join(HUNTED)}", code="E11")
    if all(answer is None for answer in given.values()):
        return Verdict.not_yet("not answered yet")
    evidence, solved = [], 0
    for name, (broken, right, arguments, hidden) in HUNTED.items():
        answer = given[name]
        if answer is None:
            evidence.append(f"{name}: not answered yet")
            continue
        wanted = f"{name}: the answer is a tuple of arrays, ({', '.join(arguments)}{',' * (len(arguments) == 1)})"
        if isinstance(answer, np.ndarray) and len(arguments) == 1:
            answer = (answer,)
        if not isinstance(answer, tuple | list) or len(answer) != len(arguments):
            evidence.append(wanted)
            continue
        arrays = [a for a in map(_as_floats, answer) if a is not None]
        if len(arrays) != len(arguments):
            evidence.append(wanted)
            continue
        if not all(np.isfinite(a).all() and a.size for a in arrays):
            evidence.append(f"{name}: every number of the input is to be finite, and there must be some")
        elif len(arrays) == 2 and arrays[0].shape != arrays[1].shape:
            evidence.append(f"{name}: x and dy have one shape, got {arrays[0].shape} and {arrays[1].shape}")
        elif name == "C" and arrays[0].ndim != 4:
            evidence.append(f"C: x has the shape (N, H, W, C), got {arrays[0].shape}")
        else:
            wrong, expected = broken(*arrays), right(*arrays)
            rtol = 1e-4 if arrays[0].dtype == np.float32 else 1e-6
            differs = ~np.isclose(wrong, expected, rtol=rtol, atol=1e-12)
            if not differs.any():
                evidence.append(f"{name}: on this input it is right. Why? {hidden[0].upper()}{hidden[1:]}")
            elif len(arrays) == 2 and not differs[arrays[0] != 0].any():
                evidence.append(f"{name}: at x = 0 any slope between the two sides is defensible. Show it elsewhere")
            else:
                solved += 1
    if evidence:
        return Verdict.wrong(f"{solved} of {len(HUNTED)} bugs are shown", *evidence)
    return Verdict.ok("all four are shown")


SHOW_THE_BUG = Exercise(
    name="show_the_bug",
    lesson=3,
    reference=lambda: None,
    judge=_judge_witness,
    hints=(
        "Say in words what each one does, and what it should do. For which input do the two sentences differ?",
        "A: look at dy > 0. B: let x be large. C: number the pixels of an image of more than one row and column. "
        "D: how many signs has an array?",
        "A: (np.array([1.0]), np.array([-1.0])). B: (np.array([1000.0]),). C: (np.arange(4.0).reshape(1, 2, 2, 1),). "
        "D: (np.array([2.0, -1.0]), np.ones(2)).",
    ),
)

EXERCISES = (TWO_LAYER_NET, SHOW_THE_BUG)
