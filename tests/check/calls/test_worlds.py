"""The small GAN in which a training step is tried: it travels as arrays."""

import numpy as np
import pytest

from minigan.check.calls.answers import NOT_WRITTEN, RETURNED, FunctionsHere
from minigan.check.calls.worlds import World, parts_of
from minigan.gan import step as gan


@pytest.mark.parametrize("name", ["discriminator_step", "generator_step"])
def test_a_step_in_a_world_that_has_travelled_does_the_same(name):
    step = getattr(gan, name)
    here, sent = World.new(name, 3), World.new(name, 3).arrays()
    losses = [float(step(*arguments).loss) for arguments in here.calls()]
    functions = FunctionsHere({name: lambda *arguments: step(*arguments).loss})
    answer = functions.play(name, {key: a.copy() for key, a in sent.items()})
    assert answer.kind == RETURNED
    np.testing.assert_allclose([float(loss) for loss in answer.value["losses"]], losses)
    found, right = parts_of(answer.value["arrays"]), here.state()
    assert {part: list(arrays) for part, arrays in found.items()} == {p: list(a) for p, a in right.items()}
    for part, arrays in right.items():
        for key, array in arrays.items():
            np.testing.assert_allclose(found[part][key], array, atol=1e-6)
    assert functions.play("generator_step" if name.startswith("d") else "discriminator_step", sent).kind == NOT_WRITTEN


def test_parts_are_parameters_and_moving_statistics():
    world = World.new("generator_step", 0)
    parts = world.state()
    assert list(parts["D's parameters"]) == list(world.D.params())
    assert set(parts["G's moving statistics"]) == set(world.G.buffers())
