"""The meetings of a training step, counted: the numbers that docs/scaling.md computes with."""

import re

import numpy as np
import pytest
from places import ROOT

from minigan.fast.cpu import small_products
from minigan.gan.division import divide
from minigan.gan.step import build_gan, draw_inputs, train_step
from minigan.ranks.interface import Alone
from minigan.training.ranks import part_of


class Counting(Alone):
    """Rank 0 of two, without the other: what it would have said is made up. Notes the bytes of every exchange."""

    size = 2

    def __init__(self):
        self.seen = []

    def note(self, kind, x):
        self.seen.append((kind, x.nbytes))

    def barrier(self):
        self.seen.append(("barrier", 0))

    def stack(self, x):
        self.note("stack", x)
        return np.stack([x, x])

    def scatter_sum(self, own):
        self.note("scatter_sum", own)
        return [own[self.share(len(own))]] * 2

    def gather_slices(self, shared):
        self.note("gather_slices", shared)


def meetings_of_a_step(batch_size=64):
    """(kind, bytes) of every meeting of a step of the article's networks, in order; of any step but the first one."""
    ranks = Counting()
    gan = divide(build_gan(), ranks, batch_size)
    real = np.random.default_rng(0).uniform(-1, 1, (batch_size, 64, 64, 3)).astype(np.float32)
    inputs = draw_inputs(real, 1, 0)
    for _ in range(2):
        ranks.seen.clear()
        train_step(gan, *part_of(gan, inputs, None))
    return ranks.seen


@pytest.mark.parametrize("small_products_are_fast", [True, False])
def test_docs_scaling_counts_as_the_step_does(small_products_are_fast, monkeypatch):
    """The table of docs/scaling.md has every kind of meeting, how many there are in a step, and their bytes."""
    monkeypatch.setattr(small_products, "are_fast", lambda: small_products_are_fast)
    seen = meetings_of_a_step()
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .*`(\w+)` \| (\d+) \| ([\d,]+) \|$", text, flags=re.MULTILINE)
    told = {kind: (int(count), int(size.replace(",", ""))) for kind, count, size in rows}
    kinds = by_kind(seen)
    barriers = kinds.pop("barrier")
    assert told == {kind: (len(sizes), sum(sizes)) for kind, sizes in kinds.items()}
    assert f"**{len(seen) - len(barriers)} meetings**" in text
    assert re.search(r"\*\*(\d+) more\*\* meetings \((\d+) ", text).group(2 - small_products_are_fast) == str(
        len(barriers)
    )


def by_kind(seen):
    return {kind: [size for other, size in seen if other == kind] for kind, _ in seen}
