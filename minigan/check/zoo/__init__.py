"""The bug zoo: wrong implementations of every exercise, written the way students err, and right ones written otherwise.

The checker is tested on it: it must catch every bug, name most of them, and find no fault with the right ones. Each
specimen replaces one or two functions of its exercise; `codes` says which findings name the mistake. The specimens are
in `minigan.check.zoo.dense_and_activations`, `convolutions`, `batch_norm`, `update_rules` and `training_steps`, one
section for each exercise.

>>> len(BUGS) >= 75 and len(CORRECT) >= 25
True
"""

from __future__ import annotations

from minigan.check.zoo import batch_norm, convolutions, dense_and_activations, training_steps, update_rules
from minigan.check.zoo.specimen import Specimen

__all__ = ["BUGS", "CORRECT", "Specimen"]

_ALL = tuple(
    specimen
    for module in (dense_and_activations, convolutions, batch_norm, update_rules, training_steps)
    for shelf in module.SHELVES
    for specimen in shelf.specimens
)

BUGS: tuple[Specimen, ...] = tuple(specimen for specimen in _ALL if specimen.codes)
"""Every one is wrong; `codes` names the mistake."""

CORRECT: tuple[Specimen, ...] = tuple(specimen for specimen in _ALL if not specimen.codes)
"""Every one is right, in a style of its own."""
