"""Products in pieces: the same numbers, pieces that divide the whole, and one product where BLAS gains nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.fast.cpu import small_products
from minigan.fast.cpu.memory import scratch
from minigan.fast.cpu.small_products import FEWEST, LIMIT, block_width, multiply, piece_rows

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(("T", "K", "L"), [(128, 256, 128), (96, 512, 64), (13, 40, 24), (1, 64, 192), (127, 700, 64)])
def test_the_products_are_those_of_the_whole_matrices(fast, T, K, L, monkeypatch):
    monkeypatch.setattr(small_products, "are_fast", lambda: fast)
    a, b = RNG.standard_normal((3, 3, T, K)), RNG.standard_normal((3, 3, K, L))
    width = block_width(K, L)
    blocks = np.ascontiguousarray(b.reshape(3, 3, K, L // width, width).transpose(3, 0, 1, 2, 4))
    with scratch() as new:
        np.testing.assert_allclose(multiply(a, blocks, new), a @ b, atol=1e-10)


@given(rows=st.integers(1, 5000), numbers=st.integers(1, 3 * LIMIT))
def test_pieces_divide_the_rows_and_keep_to_the_limit_where_that_is_possible(rows, numbers):
    piece = piece_rows(rows, numbers)
    assert rows % piece == 0
    allowed = [k for k in range(FEWEST, rows + 1) if rows % k == 0 and k * numbers <= LIMIT]
    assert piece == max(allowed, default=rows)


@pytest.mark.parametrize("columns", [1, 7, 16, 32, 48, 64, 96, 512])
def test_a_block_has_few_columns_only_where_small_products_are_fast(columns, monkeypatch):
    monkeypatch.setattr(small_products, "are_fast", lambda: False)
    assert block_width(100, columns) == columns
    monkeypatch.setattr(small_products, "are_fast", lambda: True)
    assert columns % block_width(100, columns) == 0
    assert block_width(100, columns) == {96: 32, 512: 64}.get(columns, columns)
    assert block_width(2048, columns) == {96: 32}.get(columns, columns)  # 8 rows times 2,048 x 64 are above the limit


@pytest.mark.parametrize(("names", "fast"), [({"SkylakeX"}, True), ({"Haswell"}, False), (set(), False)])
def test_what_blas_says_of_itself_decides(names, fast, monkeypatch):
    monkeypatch.setattr(small_products, "blas_architectures", lambda: frozenset(names))
    small_products.are_fast.cache_clear()
    assert small_products.are_fast() is fast
    monkeypatch.undo()
    small_products.are_fast.cache_clear()
