"""A network is a list of layers: forward runs down the list, backward runs up.

`Sequential` adds three things to the list: it gathers the caches of a forward pass in one list, it gives every
parameter a path ("3.kernel" is the kernel of layer 3), and it prints a table for people (`summary`). The layers are
those of `minigan.nn.layers`; `minigan.gan.models` builds the two networks of the article.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from minigan.nn.backend import Array, Backend, Shape, backend_of
from minigan.nn.gradients import Gradients
from minigan.nn.layers import Cache, Layer
from minigan.nn.ops import LIBRARY, Ops, resolve
from minigan.nn.state import check_state

Caches: TypeAlias = list[tuple[Layer, Cache]]


class Sequential:
    """Layers one after the other.

    Parameters
    ----------
    layers : iterable of Layer
    input_shape : tuple of int
        Shape of one input, batch axis left out.
    name : str
        For `summary` and messages.
    ops : Ops
        For what the network itself calls: `steps` and `in_batches` (`minigan.nn.ops.table`); a training step takes the
        loss from it. Each layer has a table of its own.

    Raises
    ------
    ValueError
        If a layer with parameters is there twice: an optimizer would update it twice.
    """

    def __init__(
        self, layers: Iterable[Layer], *, input_shape: Shape, name: str = "network", ops: Ops = LIBRARY
    ) -> None:
        self.layers = list(layers)
        owners = [layer for layer in self.layers if layer.params]
        if len({id(layer) for layer in owners}) < len(owners):
            raise ValueError(f"{name}: layers must have every layer with parameters only once")
        self.input_shape = input_shape
        self.name = name
        self.ops = ops

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Caches]:
        """Output of the last layer, and the caches of all.

        Parameters
        ----------
        x : Array of shape (N, *input_shape)
        training, update_stats : bool
            As `Layer.forward`.

        Returns
        -------
        y : Array of shape (N, *output_shape)
        caches : list
            Each layer that was run and its cache, for `backward`.

        Raises
        ------
        ValueError
            If x has another shape than the network takes.
        """
        self._check(x)
        caches = []
        for layer in self._steps(x):
            x, cache = layer.forward(x, training=training, update_stats=update_stats)
            caches.append((layer, cache))
        return x, caches

    def predict(self, x: Array, *, batch_size: int = 64) -> Array:
        """Output in inference mode, some images at a time, without keeping caches: memory stays that of one batch.

        On NumPy, the fast version shares out the images of a batch among the processor's cores. So functions of your
        own in these layers are called from several places at once. The last digits of the output may depend on the
        number of cores.

        Parameters
        ----------
        x : Array of shape (N, *input_shape)
        batch_size : int
            At least 1.

        Returns
        -------
        Array of shape (N, *output_shape)
        """
        self._check(x)
        if batch_size < 1:
            raise ValueError(f"{self.name}: batch_size must be at least 1, got {batch_size}")
        return resolve(self.ops, x).in_batches(self._infer, x, batch_size)

    def _infer(self, x: Array) -> Array:
        for layer in self._steps(x):
            x, _ = layer.forward(x, training=False)
        return x

    def _steps(self, x: Array) -> list[Layer]:
        """What is run for an input like x: the layers, as the table has them run."""
        return resolve(self.ops, x).steps(self.layers)

    def backward(
        self,
        dy: Array,
        caches: Caches,
        *,
        input_grad: bool = False,
        param_grads: bool = True,
        keep_caches: bool = True,
    ) -> Array | None:
        """Add parameter gradients to each layer's `grads`; return the gradient for the input only if `input_grad`.

        Parameters
        ----------
        dy : Array
            Gradient for the output of `forward`.
        caches : list
            From that `forward`.
        input_grad : bool
            Whether dx is wanted. In training, only the generator's step wants it, from the discriminator.
        param_grads : bool
            Whether parameter gradients are wanted.
        keep_caches : bool
            Whether the caches will be needed again. If not, each is dropped as soon as it has been used: the list is
            empty in the end, and memory becomes free on the way.

        Returns
        -------
        Array of shape (N, *input_shape), or None

        Raises
        ------
        ValueError
            If the caches have been used up, or a gradient that is needed is None: dy, or what a layer returns.
        """
        if self.layers and not caches:
            raise ValueError(f"{self.name}: there are no caches; a backward with keep_caches=False has used them up")
        gradient: Array | None = dy
        reason = "dy is None; a backward gives no input gradient unless input_grad=True"
        for index in reversed(range(len(caches))):
            if gradient is None:
                raise ValueError(f"{self.name}: {reason}")
            layer, cache = caches[index] if keep_caches else caches.pop()
            gradient = layer.backward(gradient, cache, input_grad=input_grad or index > 0, param_grads=param_grads)
            reason = f"the backward of a {type(layer).__name__} must return dx, got None"
        return gradient

    def params(self) -> dict[str, Array]:
        """Trainable parameters by path, in order; the arrays themselves, not copies."""
        return {f"{i}.{name}": p for i, layer in enumerate(self.layers) for name, p in layer.params.items()}

    def grads(self) -> dict[str, Array]:
        """Gradients by path, in the order of `params`; the arrays themselves."""
        return {f"{i}.{name}": g for i, layer in enumerate(self.layers) for name, g in layer.grads.items()}

    def buffers(self) -> dict[str, Array]:
        """Moving statistics and the state of their averages, by path; the arrays themselves."""
        return {f"{i}.{name}": b for i, layer in enumerate(self.layers) for name, b in layer.buffers.items()}

    def state(self) -> dict[str, Array]:
        """All arrays that must be saved: `params` and `buffers`."""
        return {**self.params(), **self.buffers()}

    def zero_grads(self) -> None:
        """Set every gradient to 0. Backward passes add to the gradients, so call this first."""
        for layer in self.layers:
            layer.zero_grads()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Copy saved values into the parameters and buffers.

        Parameters
        ----------
        state : mapping of str to host array
            The keys and shapes of `state`, no more and no fewer.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a shape or dtype differs; then nothing is changed.
        """
        own = self.state()
        check_state(self.name, own, state)
        for name, array in own.items():
            array[...] = backend_of(array).asarray(state[name])

    def to(self, backend: Backend) -> Sequential:
        """Move all parameters, gradients and buffers to a backend, in place; returns the network itself."""
        for layer in self.layers:
            # Gradients that are not among `arrays` are zero, and will be made where the parameters are.
            grads = layer.grads.arrays if isinstance(layer.grads, Gradients) else layer.grads
            for arrays in (layer.params, grads, layer.buffers):
                for name, array in arrays.items():
                    arrays[name] = backend.asarray(backend_of(array).to_host(array))
        return self

    def output_shape(self) -> Shape:
        """Shape of one output, batch axis left out."""
        shape = self.input_shape
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def count(self) -> tuple[int, int]:
        """How many numbers are trained, and how many are moving statistics (the state for debiasing is not counted)."""
        trainable = sum(p.size for p in self.params().values())
        moving = sum(b.size for path, b in self.buffers().items() if ".moving_" in path)
        return trainable, moving

    def summary(self) -> str:
        """A table of the layers for people: settings, output shape, kernel shape, number of parameters."""
        rows = [("", "layer", "settings", "output", "kernel", "parameters")]
        shape = self.input_shape
        for i, layer in enumerate(self.layers):
            shape = layer.output_shape(shape)
            kernel = layer.params["kernel"].shape if "kernel" in layer.params else ()
            count = f"{sum(Sequential([layer], input_shape=()).count()):,}" if layer.params else ""
            rows.append((str(i), type(layer).__name__, layer.describe(), _times(shape), _times(kernel), count))
        sides = (">", "<", "<", "<", "<", ">")  # of its column, where a cell stands
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
            for row in rows
        ]
        rule = "-" * max(map(len, lines))
        title = f"{self.name}: input {_times(self.input_shape)}"
        trained, moving = self.count()
        total = f"{trained + moving:,} parameters: {trained:,} trained, {moving:,} moving statistics"
        return "\n".join([title, rule, lines[0], rule, *lines[1:], rule, total])

    def _check(self, x: Array) -> None:
        if x.shape[1:] != self.input_shape or len(x) == 0:
            raise ValueError(
                f"{self.name}: x must be (N, {', '.join(map(str, self.input_shape))}) with N at least 1, "
                f"got x.shape={x.shape}"
            )


def _times(shape: Shape) -> str:
    return " x ".join(map(str, shape))
