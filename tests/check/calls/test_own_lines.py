"""The student's own line comes first, then the line of a helper in which the exception came up."""

from minigan.check.calls.own_lines import assigned, own_lines


def helper(x):
    return 1 / x


def forward(x):
    y = helper(x)
    return y, None


def caught(function, *arguments):
    try:
        function(*arguments)
    except ZeroDivisionError as error:
        return error
    raise AssertionError


def number(function, offset):
    return function.__code__.co_firstlineno + offset


def test_the_students_own_line_and_function_come_first():
    where, lines = own_lines(caught(forward, 0), ["forward"], lambda filename: False)
    assert where == "forward"
    assert lines == (
        f"line {number(forward, 1)} of forward: y = helper(x)",
        f"from there, line {number(helper, 1)} of helper: return 1 / x",
    )


def test_one_line_is_told_once():
    where, lines = own_lines(caught(helper, 0), ["helper"], lambda filename: False)
    assert where == "helper"
    assert lines == (f"line {number(helper, 1)} of helper: return 1 / x",)


def test_an_error_of_a_library_has_no_line():
    assert own_lines(caught(helper, 0), ["helper"], lambda filename: True) == ("", ())


def test_what_a_line_assigns():
    lines = ("line 3 of f: dw = x @ dy", "from there, line 1 of g: dx = 1")
    assert assigned(lines, ["dx", "dw"]) == "dw"
    assert assigned(("line 3 of f: dw += x @ dy",), ["dx", "dw"]) == "dw"
    assert assigned(("line 3 of f: return dw == dx",), ["dx", "dw"]) == ""
