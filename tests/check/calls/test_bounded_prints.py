"""What a student's functions print is shown up to a limit, in a notebook's check and in training."""

import io
import sys
from dataclasses import replace

import numpy as np
import pytest

from lessons.judging import judge, judge_layer
from lessons.notebook import check as lesson_check
from minigan.check import check, check_network
from minigan.check.calls.bounded_prints import LIMIT, Bounded, bounded_prints, printing_to
from minigan.nn.layers import ReLU
from minigan.nn.network import Sequential
from minigan.nn.ops import LIBRARY


def test_up_to_the_limit_all_is_shown(capsys):
    before = sys.stdout
    with bounded_prints(10):
        print("word")
        print("more", end="")
    assert sys.stdout is before
    assert capsys.readouterr().out == "word\nmore"


def test_the_rest_is_counted_and_left_out(capsys):
    def prints_and_raises():
        print("0123456789abc")
        print("d", file=sys.stderr)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), bounded_prints(10):
        prints_and_raises()
    told = capsys.readouterr()
    assert told.out == "0123456789\n[4 more characters that were printed are left out]\n"
    assert told.err == "d\n"


def test_a_print_of_a_module_says_once_that_it_leaves_things_out(capsys):
    bounded_print = printing_to(Bounded(limit=6), "layers.py")
    other = io.StringIO()
    for word in ("one", "two", "three"):
        bounded_print(word, "!", sep="")
        bounded_print(word, file=other)
    assert capsys.readouterr().out == "one!\nt\n[layers.py prints more; it is left out]\n"
    assert other.getvalue() == "one\ntwo\nthree\n"


def loud(x):
    for _ in range(2_000):
        print("in the loop", x.shape)
    return np.maximum(x, 0), x


@pytest.mark.parametrize(
    "ask",
    [
        lambda: check("relu", loud),
        lambda: lesson_check("relu", loud),
        lambda: judge_layer("relu", (loud,)),
    ],
)
def test_prints_in_a_loop_in_a_check(capsys, ask):
    ask()
    told = capsys.readouterr().out
    assert len(told) < 2 * LIMIT
    assert told.count("more characters that were printed are left out]") == 1


def test_prints_in_a_lessons_own_exercise(capsys):
    from lessons import exercises

    def read_logits(*arguments):
        loud(arguments[0])
        raise NotImplementedError

    assert judge(exercises.find("read_logits"), [read_logits]).status == "not implemented"
    assert len(capsys.readouterr().out) < 2 * LIMIT


def test_prints_of_a_layer_in_the_check_of_a_network(capsys):
    def loud_backward(dy, x):
        for _ in range(2_000):
            print("in the loop")
        return dy * (x > 0)

    ops = replace(LIBRARY, relu_forward=loud, relu_backward=loud_backward)
    assert check_network(Sequential([ReLU(ops=ops)], input_shape=(3,)), probes=1).passed
    told = capsys.readouterr().out
    assert len(told) < 2 * LIMIT
    assert "all 1 gradients are right" in told


def test_a_stream_says_what_programs_ask_before_they_print():
    stream = Bounded()
    assert (stream.encoding, stream.writable(), stream.isatty()) == ("utf-8", True, False)
