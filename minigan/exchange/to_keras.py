"""Writing a network as an HDF5 file, the format of Keras's own ``model.save("G.hdf5")``.

Such a file has two parts: the attribute ``model_config``, which says in JSON how to build the model, and the group
``model_weights`` with a group for each layer. Keras 3 builds the model and puts in the weights, in the order of the
attributes ``layer_names`` and ``weight_names``.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from minigan.exchange.keras_layers import keras_names, weights
from minigan.exchange.optional_formats import require
from minigan.nn.backend import Array
from minigan.nn.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    Tanh,
)
from minigan.nn.network import Sequential
from minigan.system.atomic_files import replacing


def write_keras(path: Path, network: Sequential) -> None:
    """Write a network to an HDF5 file that ``keras.models.load_model`` loads, all or nothing.

    Parameters
    ----------
    path : Path
    network : Sequential
        Made of layers of `minigan.gan.models`, on the NumPy backend.

    Raises
    ------
    UserError
        If h5py is not installed.
    OSError
        If it cannot be written.
    """
    h5py = require("h5py", "a file for Keras")
    names = keras_names(network)
    content = io.BytesIO()  # so that a full disk is met by our own writing, and not inside the library
    with h5py.File(content, "w") as file:
        file.attrs["model_config"] = np.bytes_(json.dumps(model_config(network)))
        group = file.create_group("model_weights")
        for where in (file, group):
            where.attrs["keras_version"], where.attrs["backend"] = np.bytes_("3.0.0"), np.bytes_("numpy")
        group.attrs["layer_names"] = np.array(names, "S")
        for name, layer in zip(names, network.layers, strict=True):
            own = group.create_group(name)
            _write_weights(own, name, weights(layer))
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _write_weights(group: Any, name: str, arrays: dict[str, Array]) -> None:
    group.attrs["weight_names"] = np.array([f"{name}/{weight}:0" for weight in arrays], "S")
    for weight, array in arrays.items():
        group.create_dataset(f"{name}/{weight}:0", data=array)


def model_config(network: Sequential) -> dict[str, Any]:
    """What Keras has to know to build a network: a Sequential model's configuration.

    Parameters
    ----------
    network : Sequential

    Returns
    -------
    dict
        Ready for JSON.
    """
    begin = {
        "class_name": "InputLayer",
        "config": {"name": "input", "batch_shape": [None, *network.input_shape], "dtype": "float32"},
    }
    layers = [
        {"class_name": _class_name(layer), "config": {"name": name, **_config(layer)}}
        for name, layer in zip(keras_names(network), network.layers, strict=True)
    ]
    return {"class_name": "Sequential", "config": {"name": network.name, "layers": [begin, *layers]}}


def _class_name(layer: Layer) -> str:
    return "Activation" if isinstance(layer, Tanh) else type(layer).__name__


def _config(layer: Layer) -> dict[str, Any]:
    match layer:
        case Conv2D() | Conv2DTranspose():
            kernel = layer.params["kernel"]
            filters = kernel.shape[3] if isinstance(layer, Conv2D) else kernel.shape[2]
            return {
                "filters": filters,
                "kernel_size": list(kernel.shape[:2]),
                "strides": [layer.strides, layer.strides],
                "padding": layer.padding,
                "data_format": "channels_last",
            }
        case Dense():
            return {"units": layer.params["kernel"].shape[1]}
        case BatchNormalization():
            return {"axis": -1, "momentum": layer.momentum, "epsilon": layer.epsilon}
        case LeakyReLU():
            return {"negative_slope": layer.alpha}
        case Tanh():
            return {"activation": "tanh"}
        case Flatten():
            return {"data_format": "channels_last"}
        case _:
            raise TypeError(f"a layer of another kind: {type(layer).__name__}")
