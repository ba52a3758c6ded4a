"""A student's functions in a network: called as in the check, in both layouts, alone and among minigan's own."""

from dataclasses import replace
from types import ModuleType

import numpy as np
import own_layers
import pytest
from small_gans import SMALL, inputs_of, state_of

from minigan.check.calls.network_calls import for_network
from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.sandbox.own_functions import IN_TRAINING, STEPS
from minigan.gan.models import discriminator, generator
from minigan.gan.step import build_gan, train_step
from minigan.nn.ops import LIBRARY


def module_of(text):
    module = ModuleType("student")
    exec(compile(text, "student.py", "exec"), vars(module))
    return vars(module)


STUDENTS = {"NHWC": module_of(own_layers.SOLUTIONS), "NCHW": module_of(own_layers.NCHW)}


def entries(layout, *exercises):
    found = {}
    for name in exercises:
        found |= for_network(name, {f: STUDENTS[layout][f] for f in EXERCISES[name].functions}, layout)
    return found


@pytest.mark.parametrize("layout", STUDENTS)
@pytest.mark.parametrize("name", IN_TRAINING)
def test_these_functions_pass_their_check(name, layout):
    """So that the tests below say something about what training uses."""
    functions = {f: STUDENTS[layout][f] for f in EXERCISES[name].functions}
    assert run_exercise(name, functions, layout=layout).status == "passed"


@pytest.mark.parametrize("layout", STUDENTS)
@pytest.mark.parametrize("build", [discriminator, generator])
def test_a_network_of_them_gives_minigans_numbers(build, layout):
    mine = replace(LIBRARY, **entries(layout, *(name for name in IN_TRAINING if name not in STEPS)))
    ours, theirs = (build(image_size=32, width=3, dtype=np.float64, ops=ops) for ops in (LIBRARY, mine))
    x = np.random.default_rng(0).standard_normal((5, *ours.input_shape))
    results = []
    for network in (ours, theirs):
        y, caches = network.forward(x, training=True)
        dx = network.backward(np.cos(np.arange(y.size)).reshape(y.shape), caches, input_grad=True)
        results.append({"y": y, "dx": dx, "inference": network.predict(x), **network.grads(), **network.buffers()})
    for name, value in results[0].items():
        np.testing.assert_allclose(results[1][name], value, rtol=1e-9, atol=1e-9, err_msg=name)


def trained(steps=2, **own):
    gan = build_gan(**SMALL, ops=replace(LIBRARY, **{k: f for k, f in own.items() if k not in STEPS}))
    for name in STEPS:
        if name in own:
            setattr(gan, name, own[name])
    metrics = [train_step(gan, inputs_of(step)).metrics for step in range(steps)]
    return np.stack(metrics), state_of(gan)


@pytest.fixture(scope="module")
def expected():
    return trained()


@pytest.mark.parametrize("layout", STUDENTS)
@pytest.mark.parametrize("name", IN_TRAINING)
def test_one_of_them_among_minigans_own_trains_as_minigans(expected, name, layout):
    """Fast versions remember what they prepare from weights; a student's step or Adam must not leave it stale."""
    metrics, state = trained(**entries(layout, name))
    np.testing.assert_allclose(metrics, expected[0], rtol=2e-4)
    for key, value in expected[1].items():
        assert np.shape(state[key]) == value.shape
        if key.endswith(("moving_mean", "moving_variance")):
            # The bias before a batch normalization has no gradient but rounding, and Adam makes steps of 2e-4 of it.
            np.testing.assert_allclose(state[key], value, rtol=1e-3, atol=1e-3, err_msg=key)


@pytest.mark.parametrize("layout", STUDENTS)
def test_each_function_is_really_called(layout):
    called = set()

    def counted(name, function):
        def run(*arguments, **settings):
            called.add(name)
            return function(*arguments, **settings)

        return run

    everything = {}
    for name in IN_TRAINING:
        functions = {f: counted(f, STUDENTS[layout][f]) for f in EXERCISES[name].functions}
        everything |= for_network(name, functions, layout)
    steps = {name: everything.pop(name) for name in STEPS}
    trained(steps=1, **everything)
    trained(steps=1, **steps)
    assert called == {f for name in IN_TRAINING for f in EXERCISES[name].functions}


def test_arguments_come_as_in_the_check():
    """In one piece, settings by name, the count as a whole number."""
    seen = {}

    def batch_norm_forward(x, gamma, beta, momentum=0.9, eps=0.0):
        seen.update(eps=eps, momentum=momentum, whole=x.flags.c_contiguous)
        return x, None

    def moving_average(moving, biased, t, value, momentum=0.5):
        seen["t"] = t
        return moving, biased, t

    given = {"batch_norm_forward": batch_norm_forward, "batch_norm_backward": None}
    x = np.zeros((3, 4, 2, 5)).transpose(0, 2, 1, 3)
    for_network("batch_norm", given)["batch_norm_forward"](x, np.ones(5), np.ones(5), 0.25)
    for_network("moving_average", {"moving_average": moving_average})["moving_average"](
        np.ones(5), np.ones(5), np.asarray(3.0, np.float32), np.ones(5), 0.5
    )
    assert seen == {"eps": 0.25, "momentum": 0.9, "whole": True, "t": 3}
    assert type(seen["t"]) is int


def test_a_gradient_of_another_shape_is_refused():
    pair = for_network("dense", {"dense_forward": lambda x, w, b: (x @ w + b, None), "dense_backward": wrong_dense})
    _, cache = pair["dense_forward"](np.ones((5, 3)), np.ones((3, 2)), np.ones(2))
    with pytest.raises(ValueError, match=r"dense_backward: dw must have the shape of w, \(3, 2\), got \(2, 3\)"):
        pair["dense_backward"](np.ones((5, 2)), cache)


def wrong_dense(dy, cache):
    return np.ones((5, 3)), np.ones((2, 3)), np.ones(2)


def test_a_step_that_cannot_move_images_says_so():
    own = entries("NHWC", "generator_step")
    with pytest.raises(ValueError, match="cannot train with --translate"):
        own["generator_step"](None, None, None, None, None, np.zeros((4, 2)))


def test_an_exercise_that_training_does_not_call_has_no_entry():
    assert for_network("sgd", {"sgd_step": lambda p, g, lr: p - lr * g}) == {}
