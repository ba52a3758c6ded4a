"""What a student's function may return: number, type, shape and dtype of its values, all of them finite."""

import numpy as np
import pytest

from minigan.check.calls import contract
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import Stop

DENSE = EXERCISES["dense"]
CASE = DENSE.cases(np.random.default_rng(0))[0]  # x (5, 3), w (3, 4), b (4,)


def code_of(insist, *arguments):
    with pytest.raises(Stop) as stopped:
        insist(*arguments)
    return stopped.value.finding.code


def insist(raw, shape=(2, 3), exercise=DENSE, name="y"):
    return contract.insist_on_array("f", name, raw, shape, np.float64, exercise, CASE, "NHWC")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (None, "E12"),
        ([[1.0] * 3] * 2, "E12"),
        (np.zeros((3, 2)), "E13"),
        (np.zeros((2, 3), np.float32), "E14"),
        (np.zeros((2, 3), bool), "E14"),
        (np.full((2, 3), np.inf), "E15"),
    ],
)
def test_what_is_no_such_array(raw, code):
    assert code_of(insist, raw) == code


def test_an_array_that_keeps_the_contract_is_returned():
    y = np.ones((2, 3))
    assert insist(y) is y
    assert insist(np.float64(2), shape=()) == 2


def test_only_adams_p_may_be_of_greater_precision():
    p, adam = np.zeros(3, np.float64), EXERCISES["adam"]
    arguments = ("adam_step", (3,), np.float32, adam, adam.cases(np.random.default_rng(0))[0], "NHWC")

    def of(name):
        function, *rest = arguments
        return contract.insist_on_array(function, name, p, *rest)

    assert of("p") is p
    assert code_of(of, "m") == "E14"


@pytest.mark.parametrize("raw", [3, 0.5, np.float32(0.5), np.array(0.5)])
def test_a_loss_is_one_number(raw):
    loss = contract.insist_on_number("f", raw)
    assert (float(loss), loss.shape, loss.dtype) == (float(raw), (), np.float64)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (True, "E12"),
        ("0.5", "E12"),
        ([0.5], "E12"),
        (np.array("0.5"), "E12"),
        (np.array(1j), "E12"),
        (np.ones(1), "E13"),
        (np.nan, "E15"),
        (-np.inf, "E15"),
        (10**400, "E15"),
    ],
)
def test_what_is_no_loss(raw, code):
    assert code_of(contract.insist_on_number, "f", raw) == code


@pytest.mark.parametrize(
    ("result", "got"), [(None, "None"), ((1, 2, 3), "a tuple of 3"), ([1], "a list of 1"), (2.0, "a float")]
)
def test_a_wrong_number_of_results_is_told(result, got):
    finding = contract.wrong_structure("f", "(y, cache)", result)
    assert (finding.code, finding.title) == ("E11", f"f must return (y, cache), got {got}")
    assert finding.hints == ("The last line: return y, cache.",)


def test_gradients_in_another_order_are_told_by_their_shapes():
    dx, dw, db = (CASE.arrays[name] for name in ("x", "w", "b"))
    arguments = (DENSE, CASE, "NHWC")
    contract.insist_on_order("f", (dx, dw, db), *arguments)
    contract.insist_on_order("f", (dx, dw, dw), *arguments)  # no other order: a wrong shape is told elsewhere
    with pytest.raises(Stop) as stopped:
        contract.insist_on_order("f", (dw, db, dx), *arguments)
    assert stopped.value.finding.code == "E67"
    assert stopped.value.finding.evidence == ("their shapes fit dw, db, dx; asked for is dx, dw, db",)
