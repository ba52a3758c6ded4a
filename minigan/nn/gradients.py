"""The gradients of one layer: a mapping from a parameter's name to the array that backward passes add to.

Every `minigan.nn.layers.Layer` has one. It behaves like a dictionary of arrays that are all zero at first. Most of the
time nobody reads those zeros: the first gradient of a step is added to them, and 0 + g is g. So an array of zeros is
made only when it is read. If the first gradient is a new array that nobody else uses, it becomes the sum itself,
without a copy. A reader cannot tell the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from minigan.nn.backend import Array, Shape, xp_of


class Gradients(MutableMapping[str, Array]):
    """One gradient for each parameter, with the parameter's shape and dtype.

    Parameters
    ----------
    params : dict of str to Array
        The layer's own dictionary, not a copy: a parameter that is added to it later has a gradient, too.

    Attributes
    ----------
    arrays : dict of str to Array
        The gradients that have been read or added to since they were last set to zero. All others are zero.
    """

    def __init__(self, params: dict[str, Array]) -> None:
        self._params = params
        self.arrays: dict[str, Array] = {}

    def add(self, name: str, g: Array, *, fresh: bool = False) -> None:
        """``self[name] += g``; see `minigan.nn.layers.Layer.add_grad`. A fresh g may become the gradient itself."""
        p = self._params[name]
        if not hasattr(g, "shape"):
            raise TypeError(f"gradient of {name!r}: must be an array, got {type(g).__name__}")
        if _long_axes(g.shape) != _long_axes(p.shape):
            raise ValueError(f"gradient of {name!r}: must have the parameter's shape {p.shape}, got {g.shape}")
        # NumPy's sum over all axes is a number and no array; what is added to it makes another number.
        alike = (type(g), g.shape, g.dtype) == (type(p), p.shape, p.dtype)
        if fresh and name not in self.arrays and alike and g.flags.c_contiguous:
            self.arrays[name] = g
        else:
            total = self[name]
            total += g.reshape(p.shape)

    def zero(self) -> None:
        """Set all to zero. What comes next goes into new arrays: one that was read before keeps its numbers."""
        self.arrays.clear()

    def __getitem__(self, name: str) -> Array:
        if name not in self.arrays:
            p = self._params[name]
            self.arrays[name] = xp_of(p).zeros_like(p)
        return self.arrays[name]

    def __setitem__(self, name: str, array: Array) -> None:
        self._params[name]  # raises KeyError if there is no such parameter
        self.arrays[name] = array

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"gradient of {name!r}: cannot be deleted; Layer.zero_grads sets it to zero")

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __repr__(self) -> str:
        return repr(dict(self))


def _long_axes(shape: Shape) -> list[int]:
    return [n for n in shape if n != 1]
