"""Every part that can fail has three hints, whatever the finding is; those of a finding come first."""

import numpy as np
import pytest

from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.mistakes.hints import gradient_hints, part_hints, part_of, result_hints, with_three_hints
from minigan.check.outcomes import Finding
from minigan.check.zoo import BUGS

DENSE = EXERCISES["dense"]


def dense_forward(x, w, b):
    return x @ w + b, (x, w)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("name", EXERCISES)
def test_every_result_has_three_hints(name, layout):
    hints = [result_hints(name, layout), *(gradient_hints(name, g, layout) for g in EXERCISES[name].gradients)]
    for three in hints:
        assert three is not None
        assert len(set(three)) == 3
        assert all(three)


@pytest.mark.parametrize("own", [(), ("Look.",), ("Look.", "Look again."), ("Look.", "Look again.", "It is this.")])
def test_own_hints_come_first_and_there_are_three(own):
    finding = with_three_hints(Finding("E13", "contract", "f", hints=own, where="dense_backward: dw"), DENSE, "NHWC")
    assert len(finding.hints) == 3
    assert all(text.startswith(mine) for text, mine in zip(finding.hints, own, strict=False))
    if len(own) < 3:
        assert finding.hints[2] == "dw = x.T @ dy"
    if len(own) < 2:
        assert finding.hints[0].endswith(gradient_hints("dense", "dw", "NHWC")[0])


def test_a_lessons_own_way_replaces_what_follows_the_first_hint():
    method = {"dw": ("a", "b", "c")}
    for own in ((), ("Look.",), ("Look.", "x", "y")):
        finding = Finding("E50", "gradient", "f", hints=own, where="dense_backward: dw")
        assert with_three_hints(finding, DENSE, "NHWC", method).hints == (" ".join([*own[:1], "a"]), "b", "c")
        other = Finding("E50", "gradient", "f", where="dense_backward: db")
        assert with_three_hints(other, DENSE, "NHWC", method).hints == gradient_hints("dense", "db", "NHWC")


WRONG_BACKWARDS = {
    "an exception": (lambda dy, cache: dy.T @ dy.T, "E10", "backward"),
    "not enough results": (lambda dy, cache: dy, "E11", "backward"),
    "no array": (lambda dy, cache: (dy @ cache[1].T, cache[0].T @ dy, "db"), "E12", "db"),
    "a wrong shape": (lambda dy, cache: (dy @ cache[1].T, dy.T @ cache[0], dy.sum(0)), "E13", "dw"),
    "NaN": (lambda dy, cache: (dy @ cache[1].T, cache[0].T @ dy, dy.sum(0) * np.nan), "E15", "db"),
    "an input is changed": (lambda dy, cache: np.multiply(dy, 2, out=dy), "E11", "backward"),
    "a wrong number": (lambda dy, cache: (dy @ cache[1].T, cache[0].T @ dy, dy.mean(0)), "E57", "db"),
}


@pytest.mark.parametrize("name", WRONG_BACKWARDS)
def test_hints_are_about_the_part_that_fails(name):
    backward, code, part = WRONG_BACKWARDS[name]
    finding = run_exercise("dense", {"dense_forward": dense_forward, "dense_backward": backward}).finding
    assert (finding.code, part_of(finding, DENSE)) == (code, part)
    assert finding.hints[1:] == part_hints(DENSE, part, "NHWC")[1:]
    assert all(
        gradient in part_hints(DENSE, "backward", "NHWC")[2] for gradient in ("dy @ w.T", "x.T @ dy", "sum(axis=0)")
    )


def test_an_exception_in_a_line_that_assigns_a_gradient_is_about_that_gradient():
    def dense_backward(dy, cache):
        dx = dy @ cache[1].T
        dw = dy @ cache[0]
        return dx, dw, dy.sum(axis=0)

    finding = run_exercise("dense", {"dense_forward": dense_forward, "dense_backward": dense_backward}).finding
    assert finding.code == "E10"
    assert finding.evidence == (
        f"line {dense_backward.__code__.co_firstlineno + 2} of dense_backward: dw = dy @ cache[0]",
    )
    assert finding.hints[2] == "dw = x.T @ dy"


ONE_FOR_EACH_CODE = {(specimen.exercise, specimen.codes[0]): specimen for specimen in BUGS}


@pytest.mark.parametrize("specimen", ONE_FOR_EACH_CODE.values(), ids=lambda s: s.name)
def test_every_kind_of_bug_of_the_zoo_gets_three_hints(specimen):
    finding = run_exercise(specimen.exercise, specimen.functions, layout=specimen.layout).finding
    assert len(set(finding.hints)) == 3
