"""Reading a network from an HDF5 file of Keras, such as the original program saved with Keras 2.2.4.

``model.save`` writes the group ``model_weights`` and, as JSON, the attribute ``model_config``; ``model.save_weights``
writes what is in that group at the top of the file. Either way there is a group for each layer, in the order of the
attribute ``layer_names``, and in it a data set for each weight, in the order of ``weight_names``. Layers are numbered
through the whole program that saved them, so a name says nothing; the order and the shapes do.

A file may come from anywhere. Before a number is read, every shape is compared with that of a network of minigan's, and
with the length of the file. Links to other places and to other files are not followed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan.exchange.keras_layers import layers_with_weights, weights
from minigan.exchange.optional_formats import require
from minigan.gan.models import MAX_WIDTH, discriminator, generator
from minigan.nn.backend import Array, Shape
from minigan.nn.geometry import IMAGE_SIZES
from minigan.nn.layers import BatchNormalization, Conv2D, Conv2DTranspose, Layer, LeakyReLU
from minigan.nn.network import Sequential
from minigan.system.errors import UserError

MAX_NAMES, MAX_NAME = 200, 500
"""Most names in an attribute, and most bytes of each."""

MAX_BYTES_OF_NAMES = 1 << 29
"""Most bytes that the names of an attribute could have, as far as that is known before they are read."""

MAX_CONFIG = 1 << 20
"""Most characters of the attribute model_config; Keras writes some ten thousand."""

SETTLED = 1000.0
"""Updates that a moving average has behind it: so many that nothing is left to correct (`moving_average` in nn.ops)."""

_BUILDERS: dict[str, Callable[..., Sequential]] = {"generator": generator, "discriminator": discriminator}


class _UnusableError(Exception):
    """The file cannot be used; the message says why."""


class _StoredLayer(NamedTuple):
    """A layer with weights in a file: its name, and its data sets in order, with the last part of their names."""

    name: str
    datasets: list[tuple[str, Any]]

    def named(self, wanted: Collection[str]) -> dict[str, Any]:
        """The data sets by the wanted names: as they are called, or in Keras's order if they are called otherwise."""
        names = [name for name, _ in self.datasets]
        if sorted(names) != sorted(wanted) and len(names) == len(wanted):
            names = list(wanted)
        return {name: dataset for name, (_, dataset) in zip(names, self.datasets, strict=True)}


class Fitting(NamedTuple):
    """Which of minigan's networks a stored one is.

    kind : "generator" or "discriminator"; image_size, width : as in `minigan.gan.models`.
    """

    kind: str
    image_size: int
    width: int


def read_keras(path: Path, kind: str) -> tuple[Sequential, Fitting]:
    """Read a network from an HDF5 file of Keras.

    Parameters
    ----------
    path : Path
        Written by ``model.save`` or by ``model.save_weights``.
    kind : "generator" or "discriminator"
        Which network it must be, of any size that minigan has.

    Returns
    -------
    network : Sequential
        On the NumPy backend. When it is trained, its moving statistics go on from where they are.
    fitting : Fitting
        Its size.

    Raises
    ------
    UserError
        If the file cannot be read, or holds another network; the message names the layer.
    """
    h5py = require("h5py", "a file of Keras")
    try:
        if not path.exists():
            raise _UnusableError("there is no such file")
        if not path.is_file():
            raise _UnusableError("it is not a file")
        if not h5py.is_hdf5(path):
            raise _UnusableError("it is no HDF5 file, or it is damaged")
        with h5py.File(path, "r") as file:
            return _read(_Reader(h5py, file, path.stat().st_size), kind)
    except _UnusableError as error:
        raise UserError(f"{path}: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # of wrong bytes, h5py may raise almost anything
        words = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read ({words or type(error).__name__})") from None


def _read(reader: _Reader, kind: str) -> tuple[Sequential, Fitting]:
    stored = list(reader.layers())
    fitting = _fit(stored, kind)
    reader.check_config(_empty(fitting))
    return reader.load(stored, fitting), fitting


class _Reader:
    """What is read from an open file, with the checks that come before.

    Parameters
    ----------
    h5py : module
    file : h5py.File
    length : int
        Bytes of the file.
    """

    def __init__(self, h5py: Any, file: Any, length: int) -> None:
        self.h5py, self.file, self.length = h5py, file, length

    def layers(self) -> Iterator[_StoredLayer]:
        """The layers with weights, in order."""
        saved_whole = self._has(self.file, "model_weights")
        group = self._child(self.file, "model_weights") if saved_whole else self.file
        names = self._names(group, "layer_names")
        if names is None:
            raise _UnusableError("it holds no network of Keras: the attribute layer_names is missing")
        for name in names:
            layer = self._child(group, name)
            weights_of_it = self._names(layer, "weight_names")
            if weights_of_it is None:
                raise _UnusableError(f"layer {name!r} has no attribute weight_names")
            if weights_of_it:
                yield _StoredLayer(name, self._datasets(layer, name, weights_of_it))

    def _datasets(self, layer: Any, name: str, names: list[str]) -> list[tuple[str, Any]]:
        datasets = []
        for path in names:
            dataset = self._child(layer, path)
            if not isinstance(dataset, self.h5py.Dataset):
                raise _UnusableError(f"layer {name!r}: {path!r} is no data set")
            datasets.append((path.rsplit("/", 1)[-1].partition(":")[0], dataset))
        return datasets

    def _child(self, group: Any, path: str) -> Any:
        """What a path leads to, step by step, without following links to other places."""
        for part in filter(None, path.split("/")):
            if not self._has(group, part):
                raise _UnusableError(f"{path!r} is missing")
            if group.id.links.get_info(part.encode()).type != self.h5py.h5l.TYPE_HARD:
                raise _UnusableError(f"{path!r} is a link to another place, which is not followed")
            group = group[part]
        return group

    def _has(self, group: Any, name: str) -> bool:
        """Whether a group has a link of this name. What it leads to is not looked at, unlike with ``name in group``."""
        return isinstance(group, self.h5py.Group) and name != "." and group.id.links.exists(name.encode())

    def _names(self, group: Any, attribute: str) -> list[str] | None:
        """An attribute that is a list of names. Keras divides long ones: layer_names0, layer_names1 and so on."""
        if attribute in group.attrs:
            return self._short_names(group, attribute)
        names: list[str] = []
        part = 0
        while f"{attribute}{part}" in group.attrs and len(names) <= MAX_NAMES:
            names += self._short_names(group, f"{attribute}{part}")
            part += 1
        return names if part else None

    def _short_names(self, group: Any, attribute: str) -> list[str]:
        about = group.attrs.get_id(attribute)
        count = about.get_space().get_simple_extent_npoints()
        if count == 0:
            return []
        text = self.h5py.check_string_dtype(about.dtype)
        # Of names without a fixed length, each may be nearly as long as the file, and they are read together.
        length = self.length if text is not None and text.length is None else 0
        if text is None or count > MAX_NAMES or (text.length or 0) > MAX_NAME or count * length > MAX_BYTES_OF_NAMES:
            raise _UnusableError(f"the attribute {attribute} is no short list of names")
        names = [n.decode("utf-8") if isinstance(n, bytes) else str(n) for n in np.ravel(group.attrs[attribute])]
        if any(len(name) > MAX_NAME for name in names):
            raise _UnusableError(f"the attribute {attribute} is no short list of names")
        return names

    def load(self, stored: list[_StoredLayer], fitting: Fitting) -> Sequential:
        """Build a network with the weights that were found to fit."""
        numbers = sum(_empty(fitting).count())
        if 2 * numbers > self.length:  # the shortest numbers have 2 bytes
            raise _UnusableError(f"it is damaged ({self.length} bytes cannot hold {numbers} numbers)")
        network = _build(fitting, lambda shape: np.empty(shape, np.float32))
        for each, layer in zip(stored, layers_with_weights(network), strict=True):
            datasets = each.named(weights(layer))
            for weight, array in weights(layer).items():
                array[...] = self._numbers(f"layer {each.name!r}: {weight}", datasets[weight])
            if isinstance(layer, BatchNormalization):
                _settle(layer)
        return network

    def _numbers(self, what: str, dataset: Any) -> Array:
        storage = dataset.id.get_create_plist()
        if dataset.is_virtual or storage.get_external_count():
            raise _UnusableError(f"{what} lies in another file, which is not followed")
        if storage.get_nfilters() or dataset.chunks is not None:
            raise _UnusableError(f"{what} is compressed or in chunks, as Keras does not save it")
        if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
            raise _UnusableError(f"{what} must be of floating point numbers, got {dataset.dtype}")
        if dataset.id.get_storage_size() < dataset.size * dataset.dtype.itemsize:
            raise _UnusableError(f"{what} is incomplete")
        with np.errstate(over="ignore"):
            numbers = dataset[()].astype(np.float32)
        if not np.isfinite(numbers).all():
            raise _UnusableError(f"{what} holds a number that is not finite")
        if what.endswith("moving_variance") and (numbers < 0).any():
            raise _UnusableError(f"{what} must not be negative, got {numbers.min():g}")
        return numbers

    # ------------------------------------------------------------------------------------------------ model_config
    def check_config(self, network: Sequential) -> None:
        """Compare the file's own description of the model, if it has one, with the network: weights do not say all."""
        if "model_config" not in self.file.attrs:  # `save_weights` writes none
            return
        about = self.file.attrs.get_id("model_config")
        if about.shape != () or self.h5py.check_string_dtype(about.dtype) is None:
            raise _UnusableError("its attribute model_config is no text")
        text = self.file.attrs["model_config"]
        if len(text) > MAX_CONFIG:
            raise _UnusableError(f"its attribute model_config is longer than {MAX_CONFIG:,} characters")
        told = list(_described(json.loads(text)))
        wanted = list(_expected(network))
        if network.name == "discriminator" and told[len(wanted) :] == ["sigmoid"]:
            told.pop()  # minigan's discriminator ends in the logit; its sigmoid is in the loss
        for place, (found, must) in enumerate(zip(told, wanted, strict=False)):
            if found != must:
                raise _UnusableError(f"it is of another network: step {place + 1} is {found}, but {must} in minigan's")
        if len(told) != len(wanted):
            raise _UnusableError(
                f"it is of another network: it has {len(told)} steps, but minigan's {network.name} has {len(wanted)}"
            )


# ---------------------------------------------------------------------------------------------- which network it is
def _fit(stored: list[_StoredLayer], kind: str) -> Fitting:
    """The size of the network whose shapes the stored ones are; _UnusableError if it is none of this kind."""
    try:
        return _compare(stored, kind)
    except _UnusableError:
        other = "discriminator" if kind == "generator" else "generator"
        try:
            _compare(stored, other)
        except _UnusableError:
            pass
        else:
            raise _UnusableError(
                f"it holds a {other}, but must hold a {kind}; the generator's file comes first"
            ) from None
        raise


def _compare(stored: list[_StoredLayer], kind: str) -> Fitting:
    """As `_fit`, for one kind; the message names the first layer that differs."""
    counts = {len(layers_with_weights(_empty(Fitting(kind, size, 1)))): size for size in IMAGE_SIZES}
    fitting = Fitting(kind, counts.get(len(stored), 64), _width(stored, kind))
    for layer, each in zip(layers_with_weights(_empty(fitting)), stored, strict=False):
        wanted = {name: array.shape for name, array in weights(layer).items()}
        given = {name: dataset.shape for name, dataset in each.named(wanted).items()}
        if given != wanted:
            raise _UnusableError(
                f"it is of another network: layer {each.name!r} has {_shapes(given)}, "
                f"but a {kind} of minigan's has {_shapes(wanted)} there"
            )
    if len(stored) not in counts:
        numbers = ", ".join(map(str, sorted(counts)))
        raise _UnusableError(f"it is of another network: {len(stored)} layers have weights, but {numbers} in a {kind}")
    return fitting


def _width(stored: list[_StoredLayer], kind: str) -> int:
    """The network's width: channels of its largest feature map. 64 if there is none, for the message."""
    place = -1 if kind == "generator" else 0  # the layer next to the image; the last axis of its kernel
    kernel = dict(stored[place].datasets).get("kernel", stored[place].datasets[0][1]) if stored else None
    width = kernel.shape[-1] if kernel is not None and kernel.shape else 64
    return width if 1 <= width <= MAX_WIDTH else 64


def _build(fitting: Fitting, init: Callable[[Shape], Array]) -> Sequential:
    return _BUILDERS[fitting.kind](image_size=fitting.image_size, width=fitting.width, init=init)


def _empty(fitting: Fitting) -> Sequential:
    """A network to compare with. Its kernels are one number, seen at every place: they take no memory."""
    return _build(fitting, lambda shape: np.broadcast_to(np.float32(0), shape))


def _shapes(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}".replace(",)", ")") for name, shape in list(shapes.items())[:4])


def _settle(layer: BatchNormalization) -> None:
    """Let the moving statistics go on from their values: the files of Keras do not say how many updates were made."""
    b = layer.buffers
    b["biased_mean"][...], b["biased_variance"][...] = b["moving_mean"], b["moving_variance"]
    b["updates"].fill(SETTLED)


# ------------------------------------------------------------------------------- what a network computes, step by step
_NOTHING = {"InputLayer", "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "Flatten", "Reshape"}
"""Layers that change no number when faces are drawn."""


def _expected(network: Sequential) -> Iterator[str]:
    """The steps of a network of minigan's, in the words of `_described`."""
    for layer in network.layers:
        match layer:
            case Conv2D() | Conv2DTranspose():
                yield _convolution(type(layer).__name__, layer.strides, layer.padding)
            case BatchNormalization():
                yield _with_number("BatchNormalization", "epsilon", layer.epsilon)
            case LeakyReLU():
                yield _with_number("LeakyReLU", "slope", layer.alpha)
            case Layer() if type(layer).__name__ in ("Dense", "Tanh"):
                yield {"Dense": "Dense", "Tanh": "tanh"}[type(layer).__name__]


def _described(config: Any) -> Iterator[str]:
    """The steps of a model by its configuration, as Keras 2 and Keras 3 write it."""
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else inner  # before Keras 2.2.3, a Sequential was a list
    if not isinstance(layers, list):
        raise _UnusableError("its attribute model_config describes no model")
    for entry in layers:
        kind = entry.get("class_name") if isinstance(entry, dict) else None
        about = entry.get("config") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or not isinstance(about, dict):
            raise _UnusableError("its attribute model_config describes no model")
        if kind in _NOTHING:
            continue
        if kind == "Activation":
            yield str(about.get("activation"))[:40]
            continue
        if kind in ("Conv2D", "Conv2DTranspose"):
            yield _convolution(kind, about.get("strides", 1), about.get("padding", "valid"), about)
        elif kind == "BatchNormalization":
            axis = about.get("axis", -1)
            other = "" if axis in (-1, 3, [-1], [3]) else f" over axis {str(axis)[:20]}"
            yield _with_number(kind, "epsilon", about.get("epsilon", 1e-3)) + other
        elif kind == "LeakyReLU":
            yield _with_number(kind, "slope", about.get("alpha", about.get("negative_slope", 0.3)))
        else:
            yield kind[:40]
        if about.get("activation", "linear") not in ("linear", None):
            yield str(about["activation"])[:40]


def _convolution(kind: str, strides: Any, padding: Any, about: dict[str, Any] | None = None) -> str:
    """A convolution in words; what is unusual about it comes last."""
    pair = strides if isinstance(strides, list) else [strides, strides]
    told = f"{kind} (strides {' x '.join(str(s)[:20] for s in pair[:3])}, {str(padding)[:20]})"
    about = about or {}
    if about.get("data_format") not in (None, "channels_last"):
        told += f" with {str(about['data_format'])[:20]}"
    if about.get("output_padding") is not None:
        told += f" with output_padding {str(about['output_padding'])[:20]}"
    if about.get("dilation_rate", 1) not in (1, [1, 1]):
        told += " with dilation"
    return told


def _with_number(kind: str, name: str, value: Any) -> str:
    """A layer and its number, to six digits: Keras 2 rounds some to float32, and writes some as a table."""
    value = value.get("value") if isinstance(value, dict) else value
    number = f"{value:.6g}" if isinstance(value, int | float) and math.isfinite(value) else repr(value)[:20]
    return f"{kind} ({name} {number})"
