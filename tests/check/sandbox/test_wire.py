"""Values on their way between two processes: nothing is executed, nothing is unbounded, and nothing else is taken."""

import json
import math

import numpy as np
import pytest

from minigan.check.calls.answers import CACHE, KINDS, RAISED, RETURNED, Answer, Kept, Shared
from minigan.check.sandbox import wire


def there_and_back(value):
    description, payload = wire.packed(value)
    return wire.unpacked(json.loads(json.dumps(description)), payload)


@pytest.mark.parametrize("dtype", wire.DTYPES)
def test_arrays_and_numbers_arrive_as_they_were(dtype):
    array = np.arange(-3, 9).reshape(2, 3, 2).astype(dtype)
    for value in (array, array[:, ::-1].T, array[:, :0], array[0, 0, 0], array.astype(array.dtype.newbyteorder())):
        found = there_and_back(value)
        assert (type(found), found.shape, found.dtype) == (type(value), value.shape, np.dtype(dtype))
        np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**62), 1.5, math.inf, "ä\ud800", Kept(3), (), [1, (2.0, None)], {"a": [1], "b": {}}],
)
def test_plain_values_arrive_as_they_were(value):
    found = there_and_back(value)
    assert found == value
    assert type(found) is type(value)


def test_what_is_no_plain_value_arrives_by_the_name_of_its_class():
    class Layer:
        pass

    for value, name in ((Layer(), "Layer"), (2**80, "int"), (3j, "complex"), (np.array([object()]), "ndarray")):
        found = there_and_back(value)
        assert type(found).__name__ == name
        assert not isinstance(found, int | np.ndarray)
    assert isinstance(there_and_back(np.ma.masked_array([1.0])), np.ma.MaskedArray)
    assert isinstance(there_and_back(np.ones((1, 2)).view(np.matrix)), np.matrix)
    assert math.isnan(there_and_back(math.nan))


def test_lists_that_say_they_are_long_take_no_memory():
    empty = ["tuple", wire.MOST_PLACES // 3, []]
    assert len(wire.unpacked(["list", 2, [empty, empty]], b"")) == 2
    for told in (["list", 4, [empty] * 4], ["tuple", wire.MOST_PLACES + 1, []], ["dict", 4, [[["int", 1], empty]] * 4]):
        with pytest.raises(wire.WireError):
            wire.unpacked(told, b"")


def test_the_largest_array_is_found_wherever_it_lies():
    big = np.broadcast_to(0.0, (10**6,))
    assert wire.largest_array({"a": [1, (big, np.ones(2))], "b": np.float64(1)}) == 8 * 10**6
    assert wire.largest_array([1, "a", None]) == 0


@pytest.mark.parametrize(
    "item",
    [0.1, "ü" * 2000, object(), np.float64(0.1), {1.5: "x" * 60}],
    ids=["float", "text", "thing", "number", "dict"],
)
def test_lists_in_lists_fit_into_a_message(item):
    """Of the many, only the first travel; the rest is None."""
    table = [[item] * 400] * 400
    description, payload = wire.packed({"value": table})
    line = wire.framed({"kind": "answer"}, (description, payload))
    assert len(line.partition(b"\n")[0]) < wire.LARGEST_HEADER
    found = wire.unpacked(description, payload)["value"]
    assert len(found) == 400
    assert len(found[0]) == 400
    assert found[-1] is None


def test_of_too_much_only_the_size_arrives():
    big = np.broadcast_to(np.float32(1), (1000, 10**6))
    description, payload = wire.packed([big, np.ones(2)])
    found = wire.unpacked(description, payload)
    assert (found[0].shape, found[0].dtype, found[0].strides) == (big.shape, big.dtype, (0, 0))
    assert len(payload) == 16
    many = [np.zeros(400_000)] * 10
    description, payload = wire.packed(many)
    assert len(payload) <= wire.LARGEST_PAYLOAD
    assert [a.shape for a in wire.unpacked(description, payload)] == [(400_000,)] * 10
    assert len(there_and_back(list(range(5000)))) == 5000
    nested = []
    for _ in range(50):
        nested = [nested]
    assert type(there_and_back(nested)) is list
    assert len(there_and_back("x" * 10**6)) == wire.LONGEST_TEXT


@pytest.mark.parametrize(
    "description",
    [
        None,
        5,
        [],
        ["array"],
        ["pickle", "cos"],
        ["array", "object", [1], 0],
        ["array", "O", [1], 0],
        ["array", "float64", [2], 0],
        ["array", "float64", [-1], 0],
        ["array", "float64", [1.5], 0],
        ["array", "float64", [True], 0],
        ["array", "float64", [2**50], None],
        ["array", "float64", [2**39] * 3, None],
        ["array", "float64", [1] * 80, 0],
        ["array", "float64", [1], -8],
        ["array", "float64", [2**39, 2**39, 0], 0],
        ["int", "5"],
        ["int", True],
        ["text", 5],
        ["float", 5],
        ["float", "nan nan"],
        ["kept", -1],
        ["tuple", -1, []],
        ["list", 10**9, []],
        ["tuple", 1, 5],
        ["dict", 1, [[5, ["none"]]]],
        ["dict", 1, [["a"]]],
        ["thing", None],
        [
            "tuple",
            1,
            [["tuple", 1, [["tuple", 1, [["tuple", 1, [["tuple", 1, [["tuple", 1, [["tuple", 1, []]]]]]]]]]]]],
        ],
    ],
    ids=str,
)
def test_what_does_not_keep_the_rules_is_refused(description):
    try:
        value = wire.unpacked(description, b"\0" * 8)
    except wire.WireError:
        return
    assert description == ["array", "float64", [2**39, 2**39, 0], 0]  # no elements: that is allowed
    assert value.size == 0


ANSWER = Answer(RETURNED, (np.ones(2), Kept(0)), (0,), (1,), (Shared(0, CACHE, same=True),))


@pytest.mark.parametrize("answer", [ANSWER, Answer(RAISED, error="ValueError", text="no", lines=("line 3", "line 4"))])
def test_answers_arrive_as_they_were(answer):
    description, payload = wire.packed_answer(answer)
    found = wire.unpacked_answer(json.loads(json.dumps(description)), payload, 2)
    if answer.value is not None:
        np.testing.assert_array_equal(found.value[0], answer.value[0])
        found, answer = (Answer(a.kind, None, a.changed, a.changed_before, a.shared) for a in (found, answer))
    assert found == answer


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "passed"},
        {"changed": (5,)},
        {"changed": ("x",)},
        {"shared": ((0, 7, False),)},
        {"shared": ((9, 0, False),)},
        {"shared": (3,)},
        {"told": ()},
        {"told": (1, 2)},
        {"value": 0, "changed": None},
    ],
    ids=str,
)
def test_a_forged_answer_is_refused(change):
    assert RETURNED in KINDS
    good = {
        "kind": RETURNED,
        "value": (1.0, 2.0),
        "changed": (),
        "changed_before": (),
        "shared": (),
        "told": ("", ""),
    }
    assert wire.unpacked_answer(*wire.packed(good), 2).value == (1.0, 2.0)
    with pytest.raises(wire.WireError):
        wire.unpacked_answer(*wire.packed({**good, **change}), 2)
    for missing in good:
        with pytest.raises(wire.WireError):
            wire.unpacked_answer(*wire.packed({k: v for k, v in good.items() if k != missing}), 2)
    with pytest.raises(wire.WireError):
        wire.unpacked_answer(["none"], b"", 2)


def test_frames_say_how_long_they_are():
    line, _, payload = wire.framed({"kind": "call", "number": 7}, wire.packed(np.ones(3)), "word ").partition(b"\n")
    assert line.startswith(b"word {")
    head = wire.head_of(line[5:])
    assert (head["kind"], head["number"], head["bytes"]) == ("call", 7, len(payload))
    np.testing.assert_array_equal(wire.unpacked(head["value"], payload), np.ones(3))


@pytest.mark.parametrize(
    "line", [b"", b"5", b"[]", b"{}", b'{"bytes": -1}', b'{"bytes": 99999999999}', b'{"bytes": "8"}', b"[" * 10**6]
)
def test_a_line_that_is_no_head_is_refused(line):
    with pytest.raises(wire.WireError):
        wire.head_of(line)
