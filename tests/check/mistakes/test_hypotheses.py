"""When a hypothesis fits a wrong result, and the names of constant factors."""

import numpy as np
import pytest

from minigan.check.exercise_table import Case
from minigan.check.mistakes import hypotheses
from minigan.check.mistakes.hypotheses import EXACT, Guess, Idea, Tried

RIGHT = np.arange(1.0, 7.0).reshape(2, 3)
CASE = Case({"x": np.zeros((2, 4, 5, 3)), "w": np.zeros((3, 3, 3, 7))}, {"stride": 6, "alpha": 0.2})


def tried(yours, right=RIGHT):
    return [Tried(CASE, yours, right)]


def test_two_results_are_the_same_if_they_agree_as_a_right_one_has_to():
    assert hypotheses.same(RIGHT * (1 + 1e-10), RIGHT, EXACT)
    assert not hypotheses.same(RIGHT * (1 + 1e-7), RIGHT, EXACT)
    assert not hypotheses.same(RIGHT.T, RIGHT, 1.0)
    assert not hypotheses.same(RIGHT, np.nan * RIGHT, 1.0)
    assert not hypotheses.same(RIGHT, np.inf * RIGHT, 1.0)


def guesses(fitting="", other=""):
    return [Guess(Idea("E30", cause), fits) for causes, fits in ((fitting, True), (other, False)) for cause in causes]


def test_the_common_idea_is_the_first_that_explains_every_case():
    assert hypotheses.common([(guesses("abc"), False), (guesses("cb", "a"), False)]).cause == "b"
    assert hypotheses.common([(guesses("a", "b"), False), (guesses("b", "a"), False)]) is None


def test_an_idea_has_to_explain_the_cases_that_pass():
    assert hypotheses.common([(guesses("a"), False), (guesses("a"), True)]).cause == "a"
    assert hypotheses.common([(guesses("a"), False), (guesses("", "a"), True)]) is None


def test_an_idea_that_says_nothing_about_a_case_explains_it_if_that_passes():
    assert hypotheses.common([(guesses("a"), False), ([], True)]).cause == "a"
    assert hypotheses.common([(guesses("a"), False), ([], False)]) is None


@pytest.mark.parametrize(
    ("factor", "name"),
    [(-1, "-1"), (2, "2"), (0.5, "1/2"), (3, "C"), (20, "H*W"), (1 / 40, "1/(N*H*W)"), (39 / 40, "(N*H*W - 1)/(N*H*W)"),
     (-6, "-stride"), (5, "1/alpha"), (9, "K*K"), (0.123, "0.123")],
)  # fmt: skip
def test_factors_have_names(factor, name):
    idea = hypotheses.constant_factor(tried(factor * RIGHT), "E34")
    assert idea == Idea("E34", f"it is {name} times the right one.")


@pytest.mark.parametrize("yours", [RIGHT, 0 * RIGHT, RIGHT + 1, RIGHT.T])
def test_what_is_no_constant_factor(yours):
    assert hypotheses.constant_factor(tried(yours), "E34") is None


def test_a_factor_explains_every_case():
    one, two = tried(2 * RIGHT)[0], tried(3 * RIGHT)[0]
    assert hypotheses.constant_factor([one, one], "E34").cause == "it is 2 times the right one."
    assert hypotheses.constant_factor([one, two], "E34") is None
    assert hypotheses.constant_factor([one, *tried(RIGHT)], "E34") is None
    single = Case({"x": np.zeros((1, 4))})
    by_size = [Tried(CASE, 2 * RIGHT, RIGHT), Tried(single, RIGHT, RIGHT)]
    assert hypotheses.constant_factor(by_size, "E34").cause == "it is N times the right one."


def test_between_two_numbers_there_is_always_a_factor():
    assert hypotheses.constant_factor(tried(np.array(0.123), np.array(1.0)), "E34") is None


def test_the_right_numbers_in_other_places():
    assert hypotheses.reordered(tried(RIGHT.T.reshape(2, 3)), "E38").code == "E38"
    assert hypotheses.reordered(tried(RIGHT + 1), "E38") is None
    assert hypotheses.reordered([*tried(RIGHT.T.reshape(2, 3)), *tried(RIGHT + 1)], "E38") is None
    assert hypotheses.reordered(tried(RIGHT * (1 + 1e-6)), "E38") is None


def test_the_worst_place():
    yours = RIGHT.copy()
    yours[1, 2] += 0.5
    assert hypotheses.worst_place(yours, RIGHT, "right") == "worst at (1, 2): yours +6.5, right +6"
    told = hypotheses.worst_place(np.array(1 + 1e-9), np.array(1.0), "right")
    assert told == "worst: yours +1.000000001, right +1"
