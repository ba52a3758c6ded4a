"""The clock of statements: it changes no number, it is gone afterwards, and no time is counted twice or lost."""

import ast
import json
import subprocess
import sys

import line_clock
import numpy as np
import pytest
import records
import time_profile
from line_clock import GROUPS, PYTHON, LineClock, computes, group_of, profile
from measured_ranks import SEED, Rank, Size, new_gan, new_images
from places import ROOT

from minigan.fast.cpu import fused, winograd
from minigan.gan.step import draw_inputs
from minigan.nn import ops
from minigan.ranks.interface import ALONE

SIZE = Size(8, 16, 32)


def rank():
    return Rank(ALONE, new_gan(SIZE), draw_inputs(new_images(SIZE), SEED, 0))


def test_a_step_with_the_clock_computes_the_same_bits_and_leaves_nothing_behind():
    usual, timed, clock = rank(), rank(), LineClock()
    codes = {function: function.__code__ for function, *_ in clock._codes}
    with clock.naming_layers(), clock.running(), clock.counting():
        assert winograd._join.__code__ is not codes[winograd._join]
        found = timed.step()
    np.testing.assert_array_equal(found, usual.step())
    for name, p in usual.gan.generator.params().items():
        np.testing.assert_array_equal(timed.gan.generator.params()[name], p)
    assert all(function.__code__ is code for function, code in codes.items())
    assert not hasattr(winograd, "_begin")
    assert ops.resolve(ops.PLAIN, np.zeros(1, np.float32)).conv2d_forward.__name__ == "conv2d_forward"
    assert clock.looks > 100
    assert sum(clock.flops.values()) > 0
    assert sum(clock.moved.values()) > 0


def test_an_error_in_between_leaves_nothing_behind_either():
    clock, code = LineClock(), fused.channel_sum.__code__
    with pytest.raises(ZeroDivisionError), clock.naming_layers(), clock.running():
        _ = 1 / 0
    assert fused.channel_sum.__code__ is code


def test_time_within_a_statement_counts_once(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(line_clock.time, "perf_counter", lambda: float(next(now)))
    clock = LineClock()
    clock._begin("outer")  # looks at 0, goes on at 1
    clock._begin("inner")  # 2: the outer one has taken 1; the inner one begins at 3
    clock._end()  # 4: the inner one has taken 1; the outer one goes on at 5
    clock._end()  # 6: the outer one has taken 1 more
    assert clock.seconds() == {("outer", ""): 2, ("inner", ""): 1}
    assert clock.looks == 2


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("y[i] = x", True),
        ("total[:k] += more[:k]", True),
        ("y = np.matmul(a, b)", True),
        ("_along(G, a, b)", True),
        ("return x @ w + b", True),
        ("dw.fill(0)", True),
        ("n = plan.n", False),
        ("a = np.empty(3)", False),
        ("self.t += 1", False),
        ("y = x.reshape(3, -1)", False),
    ],
)
def test_statements_with_arithmetic_are_told_from_others(statement, expected):
    assert computes(ast.parse(statement).body[0]) is expected


def test_every_group_is_one_of_the_picture():
    for path, function, statement in (
        ("fast/cpu/winograd.py", "_join", "_along(AT, a, b)"),
        ("fast/cpu/winograd.py", "transform", "_along(G, a, b)"),
        ("fast/cpu/winograd.py", "_add_weight_grad", "dU = np.matmul(VT, dM)"),
        ("fast/cpu/small_products.py", "multiply", "np.matmul(a, b)"),
        ("fast/cpu/chunked.py", "im2col", "taps[...] = patches"),
        ("fast/cpu/fused.py", "batch_norm_forward", "means[i] = 0"),
        ("nn/ops/updates.py", "adam_update", "m[...] = 0"),
        ("nn/ops/dense.py", "dense_forward", "return x @ w + b"),
    ):
        assert group_of(path, function, statement) in GROUPS


def test_shares_are_the_whole_time():
    found = profile(rank().step, 2)
    shares = time_profile.shares(found)
    assert set(shares) == set(GROUPS)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares[PYTHON] > 0
    layers = {row["layer"] for row in found["rows"]}
    assert any(layer.startswith("both gradients: ") for layer in layers)
    assert any(layer.startswith("inference: ") for layer in layers)  # the fakes


def test_rates_are_those_of_the_best_on_as_many_cores():
    row = {"group": "products", "layer": "", "seconds": 2.0, "flops": 4e9, "moved": 0}
    found = {"rows": [row], "gflops": 8.0, "threads": 2, "seconds": 1.0}
    assert time_profile.product_rate(found) == pytest.approx(0.5)  # 2 of 4 GFLOP/s on each core
    assert time_profile.memory_rate({**found, "copied": 1.0}, "normalization") is None


def test_the_script_profiles_steps_of_all_ranks_and_faces(tmp_path):
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "parts.py"),
        "--profile",
        "--quick",
        "--results",
        str(tmp_path),
    ]
    told = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    (path,) = tmp_path.glob("profile-*.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert set(record["profiles"]) == {cell.title for cell in time_profile.QUICK}
    for title, found in record["profiles"].items():
        assert title in told
        assert found["seconds"] > 0
        assert found["rows"]
    assert all(GROUPS[group] in told for group in ("im2col", "normalization", "adam"))


def test_the_picture_has_a_bar_for_every_size(tmp_path):
    rows = [
        {"group": group, "layer": "", "seconds": 1.0, "flops": 1e9, "moved": 0} for group in GROUPS if group != PYTHON
    ]
    found = {"rows": rows, "gflops": 2.0, "copied": 1.0, "seconds": 10.0}
    time_profile.draw({cell.title: found for cell in time_profile.CELLS}, tmp_path / "profile.png")
    assert (tmp_path / "profile.png").read_bytes().startswith(b"\x89PNG")


def test_numbers_of_another_folder_leave_the_documentations_pictures_alone(tmp_path):
    assert records.picture(None, "profile.png").parent.parts[-2:] == ("docs", "pictures")
    assert records.picture(tmp_path, "profile.png") == tmp_path / "profile.png"
