"""Writing a network as an ONNX file: a list of operations and their weights, which many programs can evaluate.

Input and output have minigan's shapes, with the channels last. ONNX's convolutions want the channels first, so the
axes are exchanged once before them and once after them. All that is random or learned is in the weights; a file
evaluates in inference mode only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan.exchange.keras_layers import weights
from minigan.exchange.optional_formats import require
from minigan.nn.backend import Array, Shape
from minigan.nn.geometry import same_padding, transpose_size
from minigan.nn.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dense, Flatten, Layer, LeakyReLU, Tanh
from minigan.nn.network import Sequential
from minigan.system.atomic_files import replacing

OPSET, IR = 17, 8
"""Versions of the operations and of the file format: those of 2022, which today's programs all know."""

ENDS = {"generator": ("noise", "images"), "discriminator": ("images", "logits")}
"""Names of the input and of the output."""

_TO_FIRST, _TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def write_onnx(path: Path, network: Sequential) -> None:
    """Write a network to an ONNX file, all or nothing.

    Parameters
    ----------
    path : Path
    network : Sequential
        The generator or the discriminator, on the NumPy backend.

    Raises
    ------
    UserError
        If the package onnx is not installed.
    OSError
        If it cannot be written.
    """
    onnx = require("onnx", "a file for ONNX")
    content = _model(onnx, network).SerializeToString(deterministic=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _model(onnx: Any, network: Sequential) -> Any:
    begin, end = ENDS[network.name]
    graph = _Graph(onnx, begin)
    graph.add("Transpose", perm=_TO_FIRST)
    shape = network.input_shape
    for number, layer in enumerate(network.layers):
        graph.path = f"{number}."
        _add(graph, layer, shape)
        shape = layer.output_shape(shape)
    if len(shape) == 3:
        graph.path = ""
        graph.add("Transpose", perm=_TO_LAST)
    graph.nodes[-1].output[0] = end
    value, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    made = onnx.helper.make_graph(
        graph.nodes,
        network.name,
        [value(begin, kind, ["N", *network.input_shape])],
        [value(end, kind, ["N", *shape])],
        graph.weights,
    )
    model = onnx.helper.make_model(
        made, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="minigan"
    )
    onnx.checker.check_model(model)
    return model


class _Graph:
    """A chain of operations that grows at its end."""

    def __init__(self, onnx: Any, begin: str) -> None:
        self.onnx, self.end, self.path = onnx, begin, ""
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, kind: str, arrays: dict[str, Array] | None = None, **settings: Any) -> None:
        """Let an operation follow, with weights of its own."""
        names = []
        for name, array in (arrays or {}).items():
            names.append(self.path + name)
            self.weights.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array, np.float32), names[-1]))
        inputs, self.end = [self.end, *names], f"{len(self.nodes)}.{kind}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [self.end], name=self.end, **settings))


def _add(graph: _Graph, layer: Layer, shape: Shape) -> None:
    """Let a layer follow; `shape` is that of its input in minigan, the batch axis left out."""
    arrays = weights(layer)
    match layer:
        case Conv2D() | Conv2DTranspose():
            size, window = shape[:2], arrays["kernel"].shape[:2]
            settings = {"strides": [layer.strides] * 2, "pads": _pads(layer, size, window), "kernel_shape": window}
            # The axes (K, K, O, C) of a transposed convolution's kernel become (C, O, K, K) there; (K, K, C, O) of a
            # convolution's become (O, C, K, K). In both cases the first two change places with the reversed last two.
            arrays["kernel"] = arrays["kernel"].transpose(3, 2, 0, 1)
            graph.add("Conv" if isinstance(layer, Conv2D) else "ConvTranspose", arrays, **settings)
        case Dense():
            graph.add("Gemm", arrays)
        case BatchNormalization():
            graph.add("BatchNormalization", arrays, epsilon=layer.epsilon)
        case LeakyReLU():
            graph.add("LeakyRelu", alpha=layer.alpha)
        case Tanh():
            graph.add("Tanh")
        case Flatten():
            graph.add("Transpose", perm=_TO_LAST)
            graph.add("Flatten")
        case _:
            raise TypeError(f"a layer of another kind: {type(layer).__name__}")


def _pads(layer: Conv2D | Conv2DTranspose, size: Sequence[int], window: Sequence[int]) -> list[int]:
    """Padding as ONNX has it: before each axis, then after each axis."""
    height_width, kernel = (size[0], size[1]), (window[0], window[1])
    if isinstance(layer, Conv2DTranspose):
        _, (rows, columns) = transpose_size(height_width, kernel, layer.strides, layer.padding)
    elif layer.padding == "same":
        rows, columns = same_padding(height_width, kernel, layer.strides)
    else:
        rows, columns = (0, 0), (0, 0)
    return [rows[0], columns[0], rows[1], columns[1]]
