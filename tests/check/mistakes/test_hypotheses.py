"""When a hypothesis fits a wrong result, and the names of constant factors."""

import numpy as np
import pytest

from minigan.check.exercise_table import Case
from minigan.check.mistakes import hypotheses
from minigan.check.mistakes.hypotheses import Idea

RIGHT = np.arange(1.0, 7.0).reshape(2, 3)
CASE = Case({"x": np.zeros((2, 4, 5, 3)), "w": np.zeros((3, 3, 3, 7))}, {"stride": 6, "alpha": 0.2})


def test_a_hypothesis_fits_if_it_comes_much_closer_than_the_right_result():
    wrong = 2 * RIGHT
    assert hypotheses.fits(wrong * (1 + 1e-6), wrong, RIGHT)
    assert not hypotheses.fits(wrong * 1.01, wrong, RIGHT)
    assert not hypotheses.fits(wrong.T, wrong, RIGHT)
    nearly_right = RIGHT * (1 + 1e-6)
    assert not hypotheses.fits(nearly_right, RIGHT * (1 + 2e-6), RIGHT)


def test_the_common_idea_is_the_first_that_fits_everywhere():
    a, b, c = (Idea(f"E3{k}", cause) for k, cause in enumerate("abc"))
    assert hypotheses.common([[a, b, c], [c, b]]) == b
    assert hypotheses.common([[a], [b, c]]) is None


@pytest.mark.parametrize(
    ("factor", "name"),
    [(-1, "-1"), (2, "2"), (0.5, "1/2"), (3, "C"), (20, "H*W"), (1 / 40, "1/(N*H*W)"), (39 / 40, "(N*H*W - 1)/(N*H*W)"),
     (-6, "-stride"), (5, "1/alpha"), (9, "K*K"), (0.123, "0.123")],
)  # fmt: skip
def test_factors_have_names(factor, name):
    assert hypotheses.factor_names(factor, CASE)[0] == name
    idea = hypotheses.constant_factor(factor * RIGHT, RIGHT, CASE, "E34")
    assert idea == Idea("E34", f"it is {name} times the right one.")


@pytest.mark.parametrize("yours", [RIGHT, 0 * RIGHT, RIGHT + 1, RIGHT.T])
def test_what_is_no_constant_factor(yours):
    assert hypotheses.constant_factor(yours, RIGHT, CASE, "E34") is None


def test_between_two_numbers_there_is_always_a_factor():
    assert hypotheses.constant_factor(np.array(0.123), np.array(1.0), CASE, "E34") is None


def test_the_right_numbers_in_other_places():
    assert hypotheses.reordered(RIGHT.T.reshape(2, 3), RIGHT, "E38").code == "E38"
    assert hypotheses.reordered(RIGHT + 1, RIGHT, "E38") is None


def test_the_worst_place():
    yours = RIGHT.copy()
    yours[1, 2] += 0.5
    assert hypotheses.worst_place(yours, RIGHT, "right") == "worst at (1, 2): yours +6.5, right +6"
    told = hypotheses.worst_place(np.array(1 + 1e-9), np.array(1.0), "right")
    assert told == "worst: yours +1.000000001, right +1"
