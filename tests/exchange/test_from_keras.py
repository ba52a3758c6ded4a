"""Reading what Keras saved: every way in which Keras 2.2.4 may have written it, and files that are something else."""

import contextlib
import json
import os

import numpy as np
import pytest
from keras_2_files import keras_layers, random_weights, write_keras_2

from minigan.exchange import from_keras
from minigan.exchange.from_keras import read_keras
from minigan.exchange.to_keras import write_keras
from minigan.gan.models import discriminator, generator
from minigan.nn.layers import BatchNormalization
from minigan.system.errors import UserError

h5py = pytest.importorskip("h5py", reason="needs h5py: the extra exchange")

BUILD = {"generator": generator, "discriminator": discriminator}


def network(kind="generator", image_size=32, width=2, seed=0):
    return random_weights(BUILD[kind](image_size=image_size, width=width), seed)


def same(a, b):
    """Whether all weights and moving statistics are equal, bit for bit."""
    first, second = ({n: v for n, v in x.state().items() if "biased" not in n and "updates" not in n} for x in (a, b))
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def refusal(path, kind="generator"):
    with pytest.raises(UserError) as caught:
        read_keras(path, kind)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "ways",
    [
        {},
        {"whole": False},
        {"texts": True},
        {"whole": False, "texts": True, "parts": 3},
        {"parts": 2},
        {"model": "Sequential"},
    ],
    ids=lambda ways: " ".join(ways) or "model.save",
)
@pytest.mark.parametrize("kind", BUILD)
def test_however_keras_2_saved_it(tmp_path, kind, ways):
    saved = network(kind)
    path = write_keras_2(tmp_path / "x.hdf5", keras_layers(saved, first=7), **ways)
    read, fitting = read_keras(path, kind)
    assert fitting == (kind, 32, 2)
    assert same(read, saved)


@pytest.mark.parametrize("kind", BUILD)
@pytest.mark.parametrize(("image_size", "width"), [(32, 1), (64, 1), (64, 5), (128, 1), (128, 3)])
def test_the_size_is_found_from_the_shapes(tmp_path, kind, image_size, width):
    saved = network(kind, image_size, width)
    path = write_keras_2(tmp_path / "x.hdf5", keras_layers(saved))
    read, fitting = read_keras(path, kind)
    assert fitting == (kind, image_size, width)
    assert same(read, saved)


def test_our_own_files_give_equal_weights(tmp_path):
    for kind in BUILD:
        saved = network(kind)
        write_keras(tmp_path / "x.hdf5", saved)
        assert same(read_keras(tmp_path / "x.hdf5", kind)[0], saved)


def test_a_discriminator_may_end_in_its_sigmoid_or_not(tmp_path):
    saved = network("discriminator")
    for sigmoid in (True, False):
        path = write_keras_2(tmp_path / "x.hdf5", keras_layers(saved, sigmoid=sigmoid))
        assert same(read_keras(path, "discriminator")[0], saved)


def test_weights_of_unusual_names_are_taken_in_order(tmp_path):
    """TensorFlow numbers a variable whose name is taken."""
    saved = network()
    layers = [
        (n, kind, about, {f"{weight}_1": a for weight, a in arrays.items()})
        for n, kind, about, arrays in keras_layers(saved)
    ]
    assert same(read_keras(write_keras_2(tmp_path / "x.hdf5", layers), "generator")[0], saved)


def test_weights_in_another_order_are_taken_by_their_names(tmp_path):
    saved = network()
    layers = [(n, kind, about, dict(reversed(arrays.items()))) for n, kind, about, arrays in keras_layers(saved)]
    assert same(read_keras(write_keras_2(tmp_path / "x.hdf5", layers), "generator")[0], saved)


def test_numbers_of_another_precision(tmp_path):
    saved = network()
    layers = [
        (n, kind, about, {w: a.astype(np.float64) for w, a in arrays.items()})
        for n, kind, about, arrays in keras_layers(saved)
    ]
    assert same(read_keras(write_keras_2(tmp_path / "x.hdf5", layers), "generator")[0], saved)


def test_moving_statistics_go_on_from_their_values(tmp_path):
    """The next update weighs half, as after many; it does not replace the statistics, as a first one does."""
    saved = network("discriminator")
    read, _ = read_keras(write_keras_2(tmp_path / "x.hdf5", keras_layers(saved)), "discriminator")
    norm = next(layer for layer in read.layers if isinstance(layer, BatchNormalization))
    before = {name: norm.buffers[f"moving_{name}"].copy() for name in ("mean", "variance")}
    x = np.random.default_rng(1).normal(3, 2, (8, 4, 4, len(before["mean"]))).astype(np.float32)
    norm.forward(x, training=True)
    values = {"mean": x.mean((0, 1, 2)), "variance": x.var((0, 1, 2)) * norm.correction(x)}
    for name, value in values.items():
        np.testing.assert_allclose(norm.buffers[f"moving_{name}"], (before[name] + value) / 2, rtol=1e-5)


# ---- Other networks ----


def changed(tmp_path, change, kind="generator", **ways):
    """A file of a network in which `change` has altered the list of layers."""
    layers = [list(layer) for layer in keras_layers(network(kind))]
    change(layers)
    return write_keras_2(tmp_path / "x.hdf5", layers, **ways)


def find(layers, name):
    return next(layer for layer in layers if layer[0] == name)


@pytest.mark.parametrize("whole", [True, False])
def test_a_layer_of_another_shape_is_named_with_both_shapes(tmp_path, whole):
    def five_by_five(layers):
        find(layers, "conv2d_transpose_2")[3]["kernel"] = np.zeros((5, 5, 4, 8), np.float32)

    message = refusal(changed(tmp_path, five_by_five, whole=whole))
    assert "layer 'conv2d_transpose_2' has kernel (5, 5, 4, 8), bias (4)" in message
    assert "has kernel (4, 4, 4, 8), bias (4) there" in message


def test_a_layer_without_some_of_its_weights(tmp_path):
    def without_gamma(layers):
        del find(layers, "batch_normalization_2")[3]["gamma"]

    message = refusal(changed(tmp_path, without_gamma))
    assert "layer 'batch_normalization_2' has beta (4), moving_mean (4), moving_variance (4), but" in message


def test_a_layer_too_many_or_too_few(tmp_path):
    def drop(layers):
        layers.remove(find(layers, "batch_normalization_4"))

    assert "it is of another network" in refusal(changed(tmp_path, drop))

    def add(layers):
        layers.append(["dense_9", "Dense", {}, {"kernel": np.zeros((3, 1), np.float32)}])

    assert "it is of another network" in refusal(changed(tmp_path, add, whole=False))


def test_the_two_files_in_the_wrong_order(tmp_path):
    paths = {kind: write_keras_2(tmp_path / kind, keras_layers(network(kind))) for kind in BUILD}
    assert "it holds a discriminator, but must hold a generator" in refusal(paths["discriminator"])
    assert "it holds a generator, but must hold a discriminator" in refusal(paths["generator"], "discriminator")


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("leaky_re_lu_2", {"alpha": 0.3}, "LeakyReLU (slope 0.3), but LeakyReLU (slope 0.2) in minigan's"),
        ("batch_normalization_1", {"epsilon": 1e-5}, "BatchNormalization (epsilon 1e-05), but"),
        ("batch_normalization_1", {"axis": 1}, "BatchNormalization (epsilon 0.001) over axis 1, but"),
        ("conv2d_1", {"activation": "relu"}, "relu, but BatchNormalization"),
        ("conv2d_1", {"data_format": "channels_first"}, "with channels_first, but"),
        ("conv2d_1", {"dilation_rate": [2, 2]}, "with dilation, but"),
        ("conv2d_transpose_2", {"strides": [1, 1]}, "(strides 1 x 1, same), but"),
        ("conv2d_transpose_2", {"output_padding": [0, 0]}, "with output_padding [0, 0], but"),
        ("conv2d_transpose_1", {"padding": "same"}, "(strides 1 x 1, same), but"),
        ("activation_1", {"activation": "sigmoid"}, "sigmoid, but tanh"),
    ],
)
def test_the_same_shapes_and_another_computation(tmp_path, name, settings, words):
    def change(layers):
        find(layers, name)[2].update(settings)

    assert words in refusal(changed(tmp_path, change))


def test_the_same_layers_in_another_order(tmp_path):
    def swap(layers):
        k = layers.index(find(layers, "batch_normalization_2"))
        layers[k], layers[k + 1] = layers[k + 1], layers[k]

    assert "is LeakyReLU (slope 0.2), but BatchNormalization" in refusal(changed(tmp_path, swap))


def test_layers_that_change_nothing_are_passed_over(tmp_path):
    def drop_out(layers):
        layers.insert(3, ["dropout_1", "Dropout", {"rate": 0.5}, {}])

    read_keras(changed(tmp_path, drop_out), "generator")


# ---- Files that are broken, or made to do harm ----


def test_what_is_no_file_of_keras(tmp_path):
    assert "there is no such file" in refusal(tmp_path / "missing.hdf5")
    assert "it is not a file" in refusal(tmp_path)
    (tmp_path / "text").write_bytes(b"hello")
    assert "it is no HDF5 file" in refusal(tmp_path / "text")
    with h5py.File(tmp_path / "empty", "w"):
        pass
    assert "the attribute layer_names is missing" in refusal(tmp_path / "empty")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_a_file_that_is_cut_short(tmp_path, share):
    path = write_keras_2(tmp_path / "x.hdf5", keras_layers(network()))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refusal(path)


def test_flipped_bytes_are_a_mistake_of_the_user_or_only_other_numbers(tmp_path):
    path = write_keras_2(tmp_path / "x.hdf5", keras_layers(network()))
    content = path.read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(40):
        broken = bytearray(content)
        for place in rng.integers(0, len(content) // 4, 8):  # where the tables are, mostly
            broken[place] ^= int(rng.integers(1, 256))
        path.write_bytes(broken)
        with contextlib.suppress(UserError):
            read_keras(path, "generator")


def test_numbers_that_are_not_finite(tmp_path):
    def not_a_number(layers):
        find(layers, "conv2d_1")[3]["kernel"][1, 1, 0, 0] = np.nan

    assert "layer 'conv2d_1': kernel holds a number that is not finite" in refusal(changed(tmp_path, not_a_number))

    def too_large(layers):
        find(layers, "conv2d_1")[3]["bias"] = np.full(2, 1e300)

    assert "layer 'conv2d_1': bias holds a number that is not finite" in refusal(changed(tmp_path, too_large))

    def negative(layers):
        find(layers, "batch_normalization_1")[3]["moving_variance"][0] = -1

    assert "moving_variance must not be negative, got -1" in refusal(changed(tmp_path, negative))


def test_numbers_of_another_kind(tmp_path):
    def whole(layers):
        find(layers, "conv2d_1")[3]["bias"] = np.zeros(2, np.int32)

    assert "bias must be of floating point numbers, got int32" in refusal(changed(tmp_path, whole))


def replace(path, place, make):
    """Put something else in a data set's place."""
    with h5py.File(path, "r+") as file:
        shape = file[place].shape
        del file[place]
        make(file, place, shape)
    return refusal(path)


KERNEL = "model_weights/conv2d_1/conv2d_1/kernel:0"


@pytest.fixture
def good(tmp_path):
    return write_keras_2(tmp_path / "x.hdf5", keras_layers(network()))


def test_links_are_not_followed(good, tmp_path):
    other = write_keras_2(tmp_path / "other.hdf5", keras_layers(network()))
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)  # opening it would wait for ever
    for target in (other, pipe):
        for place in (KERNEL, "model_weights/conv2d_1"):
            with h5py.File(good, "r+") as file:
                del file[place]
                file[place] = h5py.ExternalLink(str(target), place)
            assert "is a link to another place, which is not followed" in refusal(good)
    with h5py.File(good, "r+") as file:
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(str(pipe), "model_weights")
    assert "'model_weights' is a link to another place" in refusal(good)


def test_soft_links_are_not_followed(good):
    def soft(file, place, shape):
        file[place] = h5py.SoftLink("/model_weights/conv2d_transpose_1/conv2d_transpose_1/kernel:0")

    assert "is a link to another place" in replace(good, KERNEL, soft)


def test_numbers_in_other_files_are_not_read(good, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0" * 4096)

    def external(file, place, shape):
        file.create_dataset(place, shape, "f4", external=[(str(secret), 0, 4096)])

    assert "lies in another file, which is not followed" in replace(good, KERNEL, external)

    def virtual(file, place, shape):
        layout = h5py.VirtualLayout(shape, "f4")
        layout[...] = h5py.VirtualSource(str(secret), "x", shape)
        file.create_virtual_dataset(place, layout)

    assert "lies in another file" in replace(good, KERNEL, virtual)


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"chunks": (1, 1, 1, 1)}, {"chunks": True}])
def test_what_keras_does_not_write_is_refused(good, options):
    def packed(file, place, shape):
        file.create_dataset(place, data=np.ones(shape, np.float32), **options)

    assert "is compressed or in chunks" in replace(good, KERNEL, packed)


def test_huge_shapes_cost_nothing(good):
    def huge(file, place, shape):
        file.create_dataset(place, (1 << 20, 1 << 20, 4, 4), "f4")

    assert "of another network" in replace(good, KERNEL, huge)


def test_a_network_that_is_declared_and_not_there(tmp_path, monkeypatch):
    """The largest generator's shapes in a file of some kilobytes: its 700 MB are never asked for."""
    layers = keras_layers(
        generator(image_size=128, width=512, init=lambda shape: np.broadcast_to(np.float32(0), shape))
    )
    path = tmp_path / "x.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name, *_ in layers]
        for name, _, _, arrays in layers:
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{w}:0".encode() for w in arrays] or []
            for weight, array in arrays.items():
                group.create_dataset(f"{name}/{weight}:0", array.shape, "f4")
    monkeypatch.setattr("minigan.exchange.from_keras.np.empty", lambda *a: pytest.fail("memory was asked for"))
    assert "bytes cannot hold" in refusal(path)


def test_a_data_set_without_numbers(good):
    def empty(file, place, shape):
        file.create_dataset(place, shape, "f4")  # numbers take room only when they are written

    assert "kernel is incomplete" in replace(good, KERNEL, empty)


@pytest.mark.parametrize(
    "names", [[b"x"] * 201, [b"x" * 501], ["ü" * 501], np.arange(4), b"x" * 9000, [b"\xff"]], ids=lambda n: str(len(n))
)
def test_names_that_are_no_short_list(good, names):
    with h5py.File(good, "r+") as file:
        file["model_weights"].attrs["layer_names"] = names
    refusal(good)


def test_names_without_a_fixed_length_cannot_fill_the_memory(good, monkeypatch):
    """A file may say two hundred times where one long name lies."""
    with h5py.File(good, "r+") as file:
        del file["model_weights"].attrs["layer_names"]
        file["model_weights"].attrs["layer_names"] = ["x" * 400] * 200
    monkeypatch.setattr(from_keras, "MAX_BYTES_OF_NAMES", 200 * good.stat().st_size - 1)
    assert "layer_names is no short list of names" in refusal(good)
    monkeypatch.setattr(from_keras, "MAX_BYTES_OF_NAMES", 200 * good.stat().st_size)
    assert "layer_names is no short list of names" not in refusal(good)


def test_a_long_description_is_not_parsed(good):
    with h5py.File(good, "r+") as file:
        file.attrs["model_config"] = "[" + "1," * 600_000 + "1]"
    assert "model_config is longer than 1,048,576 characters" in refusal(good)


def test_names_that_lead_elsewhere(good):
    for name in ("..", ".", "../conv2d_1", "/model_weights/conv2d_1", "conv2d_1/conv2d_1/kernel:0", ""):
        with h5py.File(good, "r+") as file:
            file["model_weights"].attrs["layer_names"] = [name]
        refusal(good)


@pytest.mark.parametrize(
    "config",
    [
        b"{",
        b"[]",
        b"3",
        json.dumps({"config": {"layers": [3]}}).encode(),
        json.dumps({"config": {"layers": [{"class_name": "Model", "config": {}}]}}).encode(),
        b"[" * 20_000,
        b'{"config": {"layers": [{"class_name": "LeakyReLU", "config": {"alpha": 1e999}}]}}',
        [b"{}", b"{}"],
        np.int64(3),
    ],
    ids=["cut", "list", "number", "no layer", "model in a model", "deep", "infinite", "two texts", "no text"],
)
def test_descriptions_that_are_none(good, config):
    with h5py.File(good, "r+") as file:
        file.attrs["model_config"] = config
    refusal(good)
