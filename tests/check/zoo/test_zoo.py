"""The bug zoo itself: every bug really is one, every right implementation really is right."""

import copy
from collections import Counter

import numpy as np
import pytest

from minigan.check.codes import CODES
from minigan.check.zoo import BUGS, CORRECT, Specimen
from minigan.gan import step as gan
from minigan.gan.models import discriminator, generator
from minigan.nn import losses, ops
from minigan.nn.optimizers import Adam

PAIRS = (
    "dense",
    "relu",
    "leaky_relu",
    "tanh",
    "sigmoid",
    "flatten",
    "bce_with_logits",
    "conv2d",
    "conv2d_transpose",
    "batch_norm",
)
STEPS = ("batch_norm_inference", "moving_average", "sgd", "momentum", "adam", "discriminator_step", "generator_step")
IMAGES = ("conv2d", "conv2d_transpose", "batch_norm")


def function_names(exercise):
    if exercise in PAIRS:
        return {f"{exercise}_forward", f"{exercise}_backward"}
    return {f"{exercise}_step" if exercise in ("sgd", "momentum", "adam") else exercise}


# ------------------------------------------------------------------------------------------------------------ reference
def sgd_step(p, g, lr):
    return p - lr * g


def momentum_step(p, g, v, lr, beta=0.9):
    return p - lr * (beta * v + g), beta * v + g


def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    p = p.copy()
    adam = Adam({"p": p}, learning_rate=lr, beta_1=beta1, beta_2=beta2, epsilon=eps)
    adam.load_state({"m.p": m, "v.p": v}, t - 1)
    adam.step({"p": g})
    return p, adam.m["p"], adam.v["p"]


def reference(name):
    for module in (ops, losses, gan):
        if hasattr(module, name):
            return getattr(module, name)
    return globals()[name]


# ---------------------------------------------------------------------------------------------------------------- cases
def cases(exercise, dtype):
    """Calls of the exercise: lists of (args, kwargs)."""
    rng = np.random.default_rng(7)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def positive(*shape):
        return (0.3 + rng.random(shape)).astype(dtype)

    if exercise == "dense":
        return [((draw(N, C), draw(C, O), draw(O)), {}) for N, C, O in ((5, 3, 4), (1, 2, 2), (3, 4, 4))]
    if exercise in ("relu", "tanh", "sigmoid"):
        return [((draw(*shape),), {}) for shape in ((3, 4), (2, 3, 5, 2), (1, 1))] + [((1e3 * draw(4, 3),), {})]
    if exercise == "leaky_relu":
        return [((draw(*shape),), kwargs) for shape in ((3, 4), (2, 3, 5, 2)) for kwargs in ({}, {"alpha": 0.3})]
    if exercise == "flatten":
        return [((draw(*shape),), {}) for shape in ((2, 3, 4, 5), (1, 2, 2, 3), (3, 4, 2, 1))]
    if exercise == "bce_with_logits":
        soft = [((draw(*shape), rng.random(shape).astype(dtype)), {}) for shape in ((6, 1), (3, 2), (1, 1))]
        return [*soft, ((1000 * draw(4, 1), np.ones((4, 1), dtype)), {})]
    if exercise in ("conv2d", "conv2d_transpose"):
        found = []
        for N, H, W, C, O, K, S, P in (
            (2, 5, 6, 3, 2, 3, 1, 0),
            (2, 7, 5, 2, 3, 3, 2, 1),
            (1, 6, 6, 2, 2, 4, 2, 1),
            (3, 6, 5, 1, 2, 3, 2, 0),
            (2, 3, 4, 2, 4, 2, 3, 0),
        ):
            kernel = (K, K, C, O) if exercise == "conv2d" else (K, K, O, C)
            found.append(((draw(N, H, W, C), draw(*kernel), draw(O)), {"stride": S, "pad": P}))
        return [*found, (found[0][0], {})]
    if exercise == "batch_norm":
        shapes = ((6, 3), (3, 4, 5, 2), (2, 1, 3, 1))
        return [((2 * draw(*s) + 1, draw(s[-1]), draw(s[-1])), kw) for s in shapes for kw in ({}, {"eps": 0.1})]
    if exercise == "batch_norm_inference":
        shapes = ((6, 3), (3, 4, 5, 2))
        return [
            ((draw(*s), draw(s[-1]), draw(s[-1]), draw(s[-1]), positive(s[-1])), kwargs)
            for s in shapes
            for kwargs in ({"eps": 0.1}, {})
        ]
    if exercise == "moving_average":
        return [
            ((draw(3), np.zeros(3, dtype), 0, draw(3)), {}),
            ((draw(3), draw(3), 2, draw(3)), {"momentum": 0.9}),
            ((draw(2), draw(2), 4, draw(2)), {}),
        ]
    if exercise == "sgd":
        return [((draw(3, 2), draw(3, 2), lr), {}) for lr in (0.1, 0.5)]
    if exercise == "momentum":
        return [((draw(3, 2), draw(3, 2), draw(3, 2), 0.1), kwargs) for kwargs in ({}, {"beta": 0.6})]
    if exercise == "adam":
        settings = ((1, 0.1, 0.9, 0.999, 1e-8), (3, 0.01, 0.5, 0.99, 0.1))
        return [((draw(3, 2), draw(3, 2), draw(3, 2), positive(3, 2), *s), {}) for s in settings]
    raise AssertionError(exercise)


# --------------------------------------------------------------------------------------------------------------- layout
def to_nchw(exercise, name, a):
    """An array of minigan's layout in the other one."""
    if not isinstance(a, np.ndarray) or exercise not in IMAGES or a.ndim < 3:
        return a
    if name == "kernel":
        return np.ascontiguousarray(a.transpose(3, 2, 0, 1))
    return np.ascontiguousarray(np.moveaxis(a, -1, 1))


def from_nchw(exercise, name, a):
    if not isinstance(a, np.ndarray) or exercise not in IMAGES or a.ndim < 3:
        return a
    return a.transpose(2, 3, 1, 0) if name == "kernel" else np.moveaxis(a, 1, -1)


def converters(specimen):
    if specimen.layout == "NHWC":
        return (lambda name, a: a), (lambda name, a: a)
    return (
        lambda name, a: to_nchw(specimen.exercise, name, a),
        lambda name, a: from_nchw(specimen.exercise, name, a),
    )


def argument_name(exercise, index):
    return "kernel" if exercise in ("conv2d", "conv2d_transpose") and index == 1 else ""


# ----------------------------------------------------------------------------------------------------------- comparison
def same(mine, theirs, *, number=False):
    """Whether two results agree: type, shape, dtype, and values to the precision of the dtype."""
    if not isinstance(theirs, np.ndarray | np.generic):
        return np.allclose(mine, theirs, rtol=1e-9, atol=0)
    if not isinstance(mine, np.ndarray | np.generic) and not (number and isinstance(mine, float)):
        return False
    if np.shape(mine) != theirs.shape or (not number and mine.dtype != theirs.dtype):
        return False
    tolerance = 1e-9 if theirs.dtype == np.float64 else 2e-4
    return bool(np.allclose(mine, theirs, rtol=tolerance, atol=tolerance))


def all_same(mine, theirs):
    return len(mine) == len(theirs) and all(map(same, mine, theirs))


def as_tuple(results):
    return tuple(results) if isinstance(results, tuple | list) else (results,)


def shares(results, arrays):
    return any(
        isinstance(r, np.ndarray) and isinstance(a, np.ndarray) and np.shares_memory(r, a)
        for r in as_tuple(results)
        for a in arrays
    )


def unlike_pair(specimen, dtype):
    """The first thing in which a forward and backward differ from minigan's; "" if there is none."""
    exercise = specimen.exercise
    there, back = converters(specimen)
    my_forward, my_backward = (specimen.functions[f"{exercise}_{part}"] for part in ("forward", "backward"))
    forward, backward = (reference(f"{exercise}_{part}") for part in ("forward", "backward"))
    is_loss = exercise == "bce_with_logits"
    rng = np.random.default_rng(8)
    calls = cases(exercise, dtype)
    kept = []
    for args, kwargs in calls:
        huge = is_loss and np.abs(args[0]).max() > 15  # minigan clips there, the exercise does not ask for it
        y, cache = forward(*args, **kwargs)
        dy = 0.7 if is_loss else rng.standard_normal(y.shape).astype(dtype)
        wanted = backward(dy, cache)
        mine = [there(argument_name(exercise, i), a) for i, a in enumerate(args)]
        my_dy = there("", dy)
        before = copy.deepcopy(mine)
        my_y, my_cache = my_forward(*mine, **kwargs)
        if not all_same(mine, before):
            return "forward changes an input"
        if not (huge and np.isfinite(my_y)) and not same(back("", my_y), y, number=is_loss):
            return "forward"
        dy_before = copy.deepcopy(my_dy)
        gradients = my_backward(my_dy, my_cache)
        if not same(my_dy, dy_before):
            return "backward changes dy"
        if not all_same(mine, before):
            return "backward changes an input"
        if not isinstance(wanted, tuple):
            if not huge and not same(back("", gradients), wanted):
                return "backward"
        else:
            if not isinstance(gradients, tuple | list) or len(gradients) != len(wanted):
                return "number of gradients"
            for i, (a, b) in enumerate(zip(gradients, wanted, strict=True)):
                if not same(back(argument_name(exercise, i), a), b):
                    return f"gradient {i}"
        if shares(gradients, [*mine, my_dy]):
            return "a gradient is a view of an input"
        kept.append((my_dy, my_cache, gradients))
    for my_dy, my_cache, gradients in kept:
        first = copy.deepcopy(gradients)
        my_backward(3 * my_dy, my_cache)
        if not all_same(as_tuple(gradients), as_tuple(first)):
            return "a later backward changes the gradients of an earlier one"
        if not all_same(as_tuple(my_backward(my_dy, my_cache)), as_tuple(first)):
            return "a second backward"
    return ""


def unlike_function(specimen, dtype):
    (name,) = function_names(specimen.exercise)
    mine, wanted = specimen.functions[name], reference(name)
    for args, kwargs in cases(specimen.exercise, dtype):
        expected = wanted(*copy.deepcopy(args), **kwargs)
        own = copy.deepcopy(args)
        result = mine(*own, **kwargs)
        if not all_same(own, args):
            return "an input is changed"
        kinds_agree = isinstance(result, tuple | list) == isinstance(expected, tuple)
        if not kinds_agree or not all_same(as_tuple(result), as_tuple(expected)):
            return "result"
        if shares(result, own):
            return "a result is an input"
    return ""


def played(step, is_generator):
    """All that two steps leave behind, in float64, from networks with gradients left over from before."""
    rng = np.random.default_rng(9)
    D = discriminator(image_size=32, width=2, seed=1, dtype=np.float64)
    G = generator(image_size=32, width=2, seed=2, dtype=np.float64)
    for gradient in (*D.grads().values(), *G.grads().values()):
        gradient += rng.standard_normal(gradient.shape)
    learner = G if is_generator else D
    optimizer = Adam(learner.params(), learning_rate=0.01, epsilon=0.1)
    found = []
    for _ in range(2):
        labels = 1 - 0.2 * rng.random((4, 1))
        noise, x = rng.standard_normal((4, 1, 1, 100)), np.tanh(rng.standard_normal((4, 32, 32, 3)))
        result = step(G, D, optimizer, noise, labels) if is_generator else step(D, optimizer, x, labels)
        found.append(np.asarray(getattr(result, "loss", result), np.float64))
    other = D if is_generator else G
    networks = [*G.state().values(), *D.state().values(), *other.grads().values()]
    return [*found, *networks, *optimizer.m.values()]


REFERENCE_STEPS = {}


def unlike_step(specimen):
    exercise = specimen.exercise
    is_generator = exercise == "generator_step"
    if exercise not in REFERENCE_STEPS:
        REFERENCE_STEPS[exercise] = played(reference(exercise), is_generator)
    mine = played(specimen.functions[exercise], is_generator)
    right = all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-11)
        for a, b in zip(mine, REFERENCE_STEPS[exercise], strict=True)
    )
    return "" if right else "what the step leaves behind"


def unlike(specimen):
    """In what a specimen differs from minigan; "" if in nothing."""
    if specimen.exercise.endswith("_step"):
        return unlike_step(specimen)
    compare = unlike_pair if specimen.exercise in PAIRS else unlike_function
    with np.errstate(all="ignore"):
        return compare(specimen, np.float64) or compare(specimen, np.float32)


# ---------------------------------------------------------------------------------------------------------------- tests
def test_zoo_is_large_and_covers_every_exercise():
    assert len(BUGS) >= 75
    assert len(CORRECT) >= 25
    bugs, right = (Counter(s.exercise for s in zoo) for zoo in (BUGS, CORRECT))
    for exercise in PAIRS + STEPS:
        assert bugs[exercise] >= 3, exercise
        assert right[exercise] >= 1, exercise
    assert set(bugs) == set(right) == set(PAIRS + STEPS)


def test_zoo_names_are_unique():
    names = Counter(s.name for s in (*BUGS, *CORRECT))
    assert [name for name, count in names.items() if count > 1] == []


def test_zoo_uses_both_layouts():
    assert {s.layout for s in BUGS} == {s.layout for s in CORRECT} == {"NHWC", "NCHW"}


@pytest.mark.parametrize("specimen", [*BUGS, *CORRECT], ids=lambda s: s.name)
def test_specimen_is_complete(specimen):
    assert specimen.name.startswith(f"{specimen.exercise}: ")
    assert set(specimen.functions) == function_names(specimen.exercise)
    assert all(callable(function) for function in specimen.functions.values())
    assert all(code in CODES for code in specimen.codes)
    assert len(set(specimen.codes)) == len(specimen.codes)
    assert bool(specimen.codes) == (specimen in BUGS)


HARMLESS = {
    "adam: the rate through np.sqrt, which makes p float64": "result",
    "generator_step: D collects gradients too, which D's own step clears": "what the step leaves behind",
}
"""Right ones that differ from minigan in a way that does no harm, and how."""


@pytest.mark.parametrize("specimen", CORRECT, ids=lambda s: s.name)
def test_right_specimen_agrees_with_minigan(specimen):
    assert unlike(specimen) == HARMLESS.get(specimen.name, "")


@pytest.mark.parametrize("specimen", BUGS, ids=lambda s: s.name)
def test_bug_differs_from_minigan(specimen):
    try:
        difference = unlike(specimen)
    except Exception as error:
        difference = repr(error)
    assert difference, "this bug is right"


@pytest.mark.parametrize("exercise", PAIRS)
def test_comparison_finds_nothing_wrong_with_minigan_itself(exercise):
    functions = {name: reference(name) for name in function_names(exercise)}
    assert unlike(Specimen(f"{exercise}: minigan's", exercise, functions)) == ""
