"""The table of operations: what a network is built from, and the one place where another function can be put in.

`PLAIN` holds the readable functions of this room. A student puts in functions of their own:
``generator(ops=replace(LIBRARY, batch_norm_backward=mine))``, and the real network runs them. minigan puts in its fast
versions in the same way: each backend has an *overlay*, functions that give the same results in less time, and
`resolve` lays it over the table that a network was given. `minigan.fast` registers the overlays. Nothing here knows how
they work.

A forward and its backward belong together, because the one reads the cache of the other. So a pair is exchanged as a
whole: where either of the two is a student's, both are as given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, TypeAlias

from minigan.nn import losses
from minigan.nn.backend import Array, Backend, backend_of
from minigan.nn.ops import activations, conv_pairs, dense, normalization, translation, updates

Function: TypeAlias = Callable[..., Any]


def steps(layers: list[Any]) -> list[Any]:
    """The layers as a network runs them: as they are. Fast versions may run two neighbours as one."""
    return layers


def in_batches(function: Callable[[Array], Array], x: Array, batch_size: int) -> Array:
    """A function of some images, called for all of x, at most `batch_size` at a time; the results in one array.

    Parameters
    ----------
    function : callable
        Array (n, ...) to Array (n, ...).
    x : Array of shape (N, ...)
        N at least 1.
    batch_size : int
        At least 1.

    Returns
    -------
    Array of shape (N, ...)
    """
    results = [function(x[a : a + batch_size]) for a in range(0, len(x), batch_size)]
    return results[0] if len(results) == 1 else backend_of(x).xp.concatenate(results)


@dataclass(frozen=True, eq=False)
class Ops:
    """The functions that networks, losses, optimizers and training steps call; minigan's own, unless you replace some.

    Attributes
    ----------
    plain : bool
        Whether exactly these functions run, and no fast version in their place.

    Notes
    -----
    Beside the pairs there are functions that stand alone, *factories* (`new_adam` and others, see
    `minigan.nn.ops.updates`), and two hooks of a network: `steps` and `in_batches`.

    Examples
    --------
    >>> from dataclasses import replace
    >>> def my_relu_backward(dy, cache):
    ...     return dy * (cache > 0)
    >>> mine = replace(LIBRARY, relu_backward=my_relu_backward)
    >>> mine.relu_forward is LIBRARY.relu_forward
    True
    """

    dense_forward: Function = dense.dense_forward
    dense_backward: Function = dense.dense_backward
    conv2d_forward: Function = conv_pairs.conv2d_forward
    conv2d_backward: Function = conv_pairs.conv2d_backward
    conv2d_transpose_forward: Function = conv_pairs.conv2d_transpose_forward
    conv2d_transpose_backward: Function = conv_pairs.conv2d_transpose_backward
    relu_forward: Function = activations.relu_forward
    relu_backward: Function = activations.relu_backward
    leaky_relu_forward: Function = activations.leaky_relu_forward
    leaky_relu_backward: Function = activations.leaky_relu_backward
    tanh_forward: Function = activations.tanh_forward
    tanh_backward: Function = activations.tanh_backward
    sigmoid_forward: Function = activations.sigmoid_forward
    sigmoid_backward: Function = activations.sigmoid_backward
    flatten_forward: Function = activations.flatten_forward
    flatten_backward: Function = activations.flatten_backward
    batch_norm_forward: Function = normalization.batch_norm_forward
    batch_norm_backward: Function = normalization.batch_norm_backward
    batch_norm_inference: Function = normalization.batch_norm_inference
    moving_average: Function = normalization.moving_average
    bce_with_logits_forward: Function = losses.bce_with_logits_forward
    bce_with_logits_backward: Function = losses.bce_with_logits_backward
    step_metrics: Function = losses.step_metrics
    translate_forward: Function = translation.translate_forward
    translate_backward: Function = translation.translate_backward
    adam_update: Function = updates.adam_update
    new_adam: Function = updates.new_adam
    new_averaging: Function = updates.new_averaging
    steps: Function = steps
    in_batches: Function = in_batches
    plain: bool = False


PLAIN = Ops()
"""The readable functions."""

LIBRARY = PLAIN
"""The public name of `PLAIN`. A network that is built from it runs the fast versions, unless `plain` is set."""

NAMES = tuple(field.name for field in fields(Ops) if field.name != "plain")
"""The names of all functions in a table."""

Overlay: TypeAlias = Callable[[Backend, Any], Mapping[str, Function]]
"""Backend and dtype to the fast versions for its arrays, by name: functions with the arguments of the plain ones, and
with what `is_own` says of their results. Of a pair, it has both or neither."""

_overlays: dict[str, Overlay] = {}
_own: dict[int, Function] = {id(getattr(PLAIN, name)): getattr(PLAIN, name) for name in NAMES}


def register_overlay(backend_name: str, overlay: Overlay) -> None:
    """Set the fast versions for a backend, in the place of earlier ones."""
    _overlays[backend_name] = overlay
    _resolved.cache_clear()


def resolve(wanted: Ops, x: Array) -> Ops:
    """The table to run on arrays like x: `wanted`, with fast versions in the place of minigan's own functions.

    Parameters
    ----------
    wanted : Ops
        As a layer, a network or an optimizer was given it.
    x : Array
        Its backend and dtype count.

    Returns
    -------
    Ops
    """
    return _resolved(wanted, backend_of(x), x.dtype)


@lru_cache(maxsize=256)
def _resolved(wanted: Ops, backend: Backend, dtype: Any) -> Ops:
    if wanted.plain or backend.name not in _overlays:
        return wanted
    overlay = _overlays[backend.name](backend, dtype)
    if unknown := overlay.keys() - set(NAMES):
        raise ValueError(f"overlay for {backend.name}: must have names of Ops only, got {', '.join(sorted(unknown))}")
    for name in NAMES:
        partner = name.replace("_forward", "_backward")
        if (name in overlay) != (partner in overlay):
            raise ValueError(f"overlay for {backend.name}: must have both or neither of {name} and {partner}")
    _own.update({id(fast): fast for fast in overlay.values()})
    usable: dict[str, Any] = {name: fast for name, fast in overlay.items() if has_own(wanted, family(name))}
    return replace(wanted, **usable)


def family(name: str) -> str:
    """What the names of functions that belong together have in common; of one that stands alone, its name.

    >>> [family(name) for name in ("conv2d_forward", "conv2d_backward", "new_adam", "adam_update", "moving_average")]
    ['conv2d', 'conv2d', 'adam', 'adam', 'moving_average']
    """
    if name in ("new_adam", "adam_update"):
        return "adam"
    return name.removesuffix("_forward").removesuffix("_backward")


def has_own(ops: Ops, *families: str) -> bool:
    """Whether all functions of these families are minigan's own in a table."""
    return all(getattr(ops, name) is getattr(PLAIN, name) for name in NAMES if family(name) in families)


def is_own(function: Function) -> bool:
    """Whether a function is minigan's own, plain or fast: each returns every gradient as a new array and keeps none."""
    return id(function) in _own


class FromFactory:
    """What an optimizer or an average keeps of a factory of its table: the function that it has made.

    The function is made when it is first asked for, and made anew when another table is to be used, as after a move to
    a GPU.

    Parameters
    ----------
    factory : str
        Its name in the table, such as "new_adam".
    """

    def __init__(self, factory: str) -> None:
        self._factory = factory
        self._table: Ops | None = None
        self._function: Any = None

    def function(self, wanted: Ops, arrays: Sequence[Array]) -> Any:
        """The function to use on arrays like these; `wanted` as in `resolve`."""
        table = resolve(wanted, arrays[0]) if arrays else wanted
        if table is not self._table:
            self._table, self._function = table, getattr(table, self._factory)(table)
        return self._function

    def __reduce__(self) -> tuple[type[FromFactory], tuple[str]]:
        """A copy makes a function of its own: what the old one remembers belongs to the old arrays."""
        return FromFactory, (self._factory,)
