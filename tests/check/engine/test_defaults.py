"""Arguments that are left out: a wrong default is named, and nothing else is taken for one."""

import inspect

import numpy as np
import pytest

from minigan.check.calls.student_functions import Subject
from minigan.check.engine.defaults import insist_on_defaults
from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import Stop
from minigan.nn import ops

LEAKY = EXERCISES["leaky_relu"]
SINGLE = np.float32(0.2)


def finding(function, name="leaky_relu"):
    """What is found in the first function of an exercise; None if its defaults are right, or cannot be judged."""
    exercise = EXERCISES[name]
    subject = Subject(exercise, {exercise.functions[0]: function})
    try:
        insist_on_defaults(subject, exercise.cases(np.random.default_rng(0))[0])
    except Stop as stop:
        return stop.finding


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=lambda e: e.name)
def test_the_signature_that_is_told_has_the_oracles_defaults(exercise):
    if exercise.kind == "step":
        return
    told = {name: value for name, value in exercise.arguments().items() if value is not None}
    parameters = inspect.signature(exercise.oracle).parameters.values()
    assert told == {p.name: p.default for p in parameters if p.default is not p.empty}


@pytest.mark.parametrize(
    ("name", "wrong", "seen"),
    [
        (
            "conv2d",
            {"stride": 2, "pad": 0},
            "y has the shape (2, 2, 2, 4) without stride, and (2, 3, 4, 4) with stride=1",
        ),
        ("conv2d", {"stride": 1, "pad": 1}, "y has the shape (2, 5, 6, 4) without pad, and (2, 3, 4, 4) with pad=0"),
        (
            "conv2d_transpose",
            {"stride": 2, "pad": 0},
            "y has the shape (2, 8, 10, 2) without stride, and (2, 6, 7, 2) with stride=1",
        ),
    ],
)
def test_the_argument_with_the_wrong_default_is_named(name, wrong, seen):
    function = getattr(ops, f"{name}_forward")

    def forward(x, w, b, stride=wrong["stride"], pad=wrong["pad"]):
        return function(x, w, b, stride=stride, pad=pad)

    found = finding(forward, name)
    assert (found.code, found.rung, found.where, found.evidence) == ("E17", "contract", f"{name}_forward", (seen,))


def test_where_results_differ_is_told():
    found = finding(lambda x, alpha=0.01: (np.where(x > 0, x, alpha * x), (x, alpha)))
    x = LEAKY.cases(np.random.default_rng(0))[0].arrays["x"]
    place = tuple(int(i) for i in np.unravel_index(np.argmin(x), x.shape))
    assert found.title == "leaky_relu_forward has another default for alpha than the exercise"
    assert found.evidence == (
        f"y at {place}: {0.01 * x[place]:+.6g} without alpha, {0.2 * x[place]:+.6g} with alpha=0.2",
    )
    assert found.hints[1:] == (
        "The exercise asks for leaky_relu_forward(x, alpha=0.2).",
        "def leaky_relu_forward(x, alpha=0.2):",
    )


def test_the_lessons_own_way_does_not_replace_what_to_write():
    method = {"y": ("Three steps.", "First the patches.", "y = ...")}
    functions = {"leaky_relu_forward": lambda x, alpha=0.01: (np.where(x > 0, x, alpha * x), (x, alpha))}
    hints = run_exercise("leaky_relu", functions, method=method).finding.hints
    assert hints[2] == "def leaky_relu_forward(x, alpha=0.2):"


def test_a_rule_names_the_result_that_differs():
    found = finding(lambda p, g, v, lr, beta=0.8: (p, beta * v + g), "momentum")
    assert found.evidence[0].startswith("v at (0, 0): ")


def test_a_wrong_default_is_told_before_a_wrong_formula():
    outcome = run_exercise("leaky_relu", {"leaky_relu_forward": lambda x, alpha=0.5: (alpha * x, (x, alpha))})
    assert outcome.finding.code == "E17"
    outcome = run_exercise("leaky_relu", {"leaky_relu_forward": lambda x, alpha=0.2: (alpha * x, (x, alpha))})
    assert outcome.finding.code != "E17"


def nan_without_alpha(x, alpha=np.nan):
    return np.where(x > 0, x, alpha * x), None


def random_without_alpha(x, alpha=None):
    return x * (np.random.default_rng().random() if alpha is None else alpha), None


def special_at_first():
    calls = []

    def forward(x, alpha=0.2):
        calls.append(x)
        return np.where(x > 0, x, alpha * x) + (len(calls) == 1), x

    return forward


@pytest.mark.parametrize(
    "function",
    [
        special_at_first(),
        lambda x, alpha=SINGLE: (np.where(x > 0, x, alpha * x), None),
        lambda x, alpha=None: (x,) if alpha is None else (x, None),
        lambda x, alpha=None: () if alpha is None else (x, None),
        lambda x, alpha=0.1: x * alpha,
        lambda x, alpha=0.2: (np.where(x > 0, x, alpha * x), None),
        lambda x, alpha=None: (np.where(x > 0, x, (0.2 if alpha is None else alpha) * x), None),
        lambda x, alpha: (np.where(x > 0, x, alpha * x), None),  # no default
        lambda x: (x, None),  # no such argument
        lambda x, alpha=0.1: None,
        lambda x, alpha=0.1: (str(alpha), None),
        lambda x, alpha=0.1: (np.array([alpha], object), None),
        lambda x, alpha=0.1: (10**400, None),
        lambda x, alpha=0.2: (x * np.nan, None),
        lambda x, alpha=None: (x * alpha, None),  # fails without alpha
        lambda x, alpha=0.2: (x * np.random.default_rng().random(), None),
        random_without_alpha,
    ],
)
def test_what_is_no_wrong_default(function):
    assert finding(function) is None


@pytest.mark.parametrize(
    "function",
    [
        lambda p, g, v, lr, beta=0.8: (p - lr * v, 0.9 * v + g, beta),
        lambda p, g, v, lr, beta=None: (p,) if beta is None else (p, v),
        lambda p, g, v, lr, beta=None: p if beta is None else (p, v),
    ],
)
def test_a_wrong_number_of_results_is_told_as_such(function):
    assert finding(function, "momentum") is None
    assert run_exercise("momentum", {"momentum_step": function}).finding.code == "E11"


def test_a_right_function_of_the_other_layout_gets_the_layouts_advice():
    def forward(x, w, b, stride=1, pad=1):
        y, cache = ops.conv2d_forward(x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), b, stride=stride, pad=pad)
        return np.ascontiguousarray(y.transpose(0, 3, 1, 2)), cache

    found = run_exercise("conv2d", {"conv2d_forward": forward}).finding
    assert 'LAYOUT = "NCHW"' in found.hints[0]
    assert run_exercise("conv2d", {"conv2d_forward": forward}, layout="NCHW").finding.code == "E17"


def test_nan_without_the_argument_is_a_wrong_default():
    assert "+nan without alpha" in finding(nan_without_alpha).evidence[0]


def test_images_of_the_students_layout_count_in_their_order():
    exercise = EXERCISES["conv2d"]

    def forward(x, w, b, stride=1, pad=1):
        return ops.conv2d_forward(x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), b, stride=stride, pad=pad)[
            0
        ].transpose(0, 3, 1, 2), None

    subject = Subject(exercise, {"conv2d_forward": forward}, "NCHW")
    with pytest.raises(Stop) as stopped:
        insist_on_defaults(subject, exercise.cases(np.random.default_rng(0))[0])
    assert stopped.value.finding.evidence == ("y has the shape (2, 4, 5, 6) without pad, and (2, 4, 3, 4) with pad=0",)
