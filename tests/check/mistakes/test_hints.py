"""Every result that can be wrong has three hints, and those of a finding come first."""

import pytest

from minigan.check.exercise_table import EXERCISES
from minigan.check.mistakes.hints import filled, gradient_hints, result_hints


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("name", [name for name, exercise in EXERCISES.items() if exercise.kind != "step"])
def test_every_result_has_three_hints(name, layout):
    hints = [result_hints(name, layout), *(gradient_hints(name, g, layout) for g in EXERCISES[name].gradients)]
    for three in hints:
        assert three is not None
        assert len(three) == 3
        assert all(three)


def test_own_hints_come_first():
    assert filled(("mine",), ("a", "b", "c")) == ("mine", "b", "c")
    assert filled(("mine", "too"), None) == ("mine", "too")
