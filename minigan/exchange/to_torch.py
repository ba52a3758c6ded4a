"""Writing a network's weights for PyTorch: a safetensors file with the names of an ``nn.Sequential``.

docs/exchange.md has the two modules that take these weights with ``load_state_dict``. They have a layer for each of
minigan's, in the same order, so that the names are the same paths: "3.weight" is the kernel of layer 3. PyTorch is not
needed to write the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.numpy

from minigan.exchange.keras_layers import weights
from minigan.nn.backend import Array
from minigan.nn.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dense, Flatten, Layer
from minigan.nn.network import Sequential
from minigan.system.atomic_files import write_bytes


def write_torch(path: Path, network: Sequential) -> None:
    """Write a network's weights to a safetensors file, all or nothing.

    Parameters
    ----------
    path : Path
    network : Sequential
        The generator or the discriminator, on the NumPy backend.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    state = torch_state(network)
    np.empty(3 * sum(array.nbytes for array in state.values()), np.uint8)  # without room, safetensors ends the process
    write_bytes(path, safetensors.numpy.save(state, {"format": "pt"}))


def torch_state(network: Sequential) -> dict[str, Array]:
    """A network's weights by PyTorch's names, in PyTorch's layouts (channels first).

    Parameters
    ----------
    network : Sequential

    Returns
    -------
    dict of str to numpy.ndarray
        C-contiguous.
    """
    state = {}
    shape = network.input_shape
    flattened = shape
    for number, layer in enumerate(network.layers):
        if isinstance(layer, Flatten):
            flattened = shape
        for name, array in _state(layer, flattened).items():
            state[f"{number}.{name}"] = np.ascontiguousarray(array).reshape(array.shape)
        shape = layer.output_shape(shape)
    return state


def _state(layer: Layer, flattened: tuple[int, ...]) -> dict[str, Array]:
    """One layer's weights; `flattened` is the shape (H, W, C) of what was made a vector before a Dense."""
    own = weights(layer)
    match layer:
        case Conv2D() | Conv2DTranspose():
            # (K, K, C, O) becomes (O, C, K, K); of a transposed convolution, (K, K, O, C) becomes (C, O, K, K).
            return {"weight": own["kernel"].transpose(3, 2, 0, 1), "bias": own["bias"]}
        case Dense():
            units = own["kernel"].shape[1]  # PyTorch flattens (C, H, W), so the rows of the kernel change places
            kernel = own["kernel"].reshape(*flattened, units).transpose(3, 2, 0, 1).reshape(units, -1)
            return {"weight": kernel, "bias": own["bias"]}
        case BatchNormalization():
            return {
                "weight": own["gamma"],
                "bias": own["beta"],
                "running_mean": own["moving_mean"],
                "running_var": own["moving_variance"],
                "num_batches_tracked": np.array(0),
            }
        case _:
            return {}
