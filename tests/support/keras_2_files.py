"""HDF5 files as Keras 2.2.4 writes them, made with h5py alone: ``model.save`` and ``model.save_weights``."""

import json
import re

import numpy as np

from minigan.nn.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dense, Flatten, LeakyReLU, Tanh


def random_weights(network, seed=0):
    """Give a network weights and moving statistics that are all different from the first ones; returns it."""
    rng = np.random.default_rng(seed)
    for name, array in network.state().items():
        if name.endswith(("gamma", "moving_variance")):
            array[...] = rng.uniform(0.5, 1.5, array.shape)
        elif name.endswith(("beta", "bias", "moving_mean")):
            array[...] = rng.normal(0, 0.2, array.shape)
    return network


def keras_layers(network, *, first=1, sigmoid=True):
    """(name, class, configuration, {weight: array}) of each layer of the model, numbered from `first`."""
    counts = {}

    def name(kind):
        counts[kind] = counts.get(kind, first - 1) + 1
        return f"{kind}_{counts[kind]}"

    told = [(name("input"), "InputLayer", {"batch_input_shape": [None, *network.input_shape]}, {})]
    for layer in network.layers:
        match layer:
            case Conv2D() | Conv2DTranspose():
                kind = type(layer).__name__
                settings = {
                    "kernel_size": list(layer.params["kernel"].shape[:2]),
                    "strides": [layer.strides, layer.strides],
                    "padding": layer.padding,
                    "data_format": "channels_last",
                    "activation": "linear",
                    "use_bias": True,
                }
                told.append((name(kind.lower().replace("2dt", "2d_t")), kind, settings, dict(layer.params)))
            case BatchNormalization():
                arrays = {**layer.params, **{n: a for n, a in layer.buffers.items() if n.startswith("moving_")}}
                settings = {"axis": -1, "momentum": layer.momentum, "epsilon": layer.epsilon}
                told.append((name("batch_normalization"), "BatchNormalization", settings, arrays))
            case LeakyReLU():
                told.append((name("leaky_re_lu"), "LeakyReLU", {"alpha": float(np.float32(layer.alpha))}, {}))
            case Flatten():
                told.append((name("flatten"), "Flatten", {"data_format": "channels_last"}, {}))
            case Dense():
                settings = {"units": layer.params["kernel"].shape[1], "activation": "linear", "use_bias": True}
                told.append((name("dense"), "Dense", settings, dict(layer.params)))
                if sigmoid:
                    told.append((name("activation"), "Activation", {"activation": "sigmoid"}, {}))
            case Tanh():
                told.append((name("activation"), "Activation", {"activation": "tanh"}, {}))
    return told


def write_keras_2(path, layers, *, whole=True, texts=False, parts=1, model="Model"):
    """Write layers to a file.

    whole : as ``model.save``, or else as ``model.save_weights``; texts : names as str and not as bytes;
    parts : in how many attributes the names of the layers are; model : class of the model.
    """
    import h5py

    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole else file
        for where in (file, group):
            where.attrs["keras_version"], where.attrs["backend"] = b"2.2.4", b"tensorflow"
        names = [name for name, *_ in layers]
        if parts == 1:
            group.attrs["layer_names"] = _names(names, texts)
        else:
            for k, some in enumerate(np.array_split(names, parts)):
                group.attrs[f"layer_names{k}"] = _names(list(map(str, some)), texts)
        for name, _, _, arrays in layers:
            own = group.create_group(name)
            paths = [f"{name}/{weight}:0" for weight in arrays]
            own.attrs["weight_names"] = _names(paths, texts) if paths else []
            for place, array in zip(paths, arrays.values(), strict=True):
                own.create_dataset(place, array.shape, dtype=array.dtype)[...] = array
        if whole:
            file.attrs["model_config"] = json.dumps(_config(layers, model)).encode()
            file.attrs["training_config"] = b'{"loss": "binary_crossentropy"}'
            optimizer = file.create_group("optimizer_weights")
            optimizer.attrs["weight_names"] = [b"Adam/iterations:0"]
            optimizer["Adam/iterations:0"] = np.int64(1000)
    return path


def _names(names, texts):
    return names if texts else [name.encode() for name in names]


def _config(layers, model):
    told = []
    before = None
    for name, kind, settings, _ in layers:
        entry = {"class_name": kind, "config": {"name": name, "trainable": True, **settings}}
        if model == "Model":
            entry |= {"name": name, "inbound_nodes": [[[before, 0, 0, {}]]] if before else []}
        if model == "Model" or kind != "InputLayer":
            told.append(entry)
        before = name
    return {"class_name": model, "config": {"name": re.sub("[0-9]", "", model), "layers": told}}
