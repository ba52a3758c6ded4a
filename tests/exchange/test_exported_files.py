"""Files for other tools, and what these tools compute from them: onnxruntime, Keras with PyTorch, and PyTorch.

`make test-interop` installs the tools and runs these tests; elsewhere those of a tool that is missing are skipped.
"""

import os
import re
import warnings

import numpy as np
import pytest
from keras_2_files import keras_layers, random_weights, write_keras_2
from places import ROOT

from minigan.exchange.from_keras import read_keras
from minigan.exchange.to_keras import model_config, write_keras
from minigan.exchange.to_onnx import write_onnx
from minigan.exchange.to_torch import torch_state, write_torch
from minigan.gan.models import discriminator, generator

BUILD = {"generator": generator, "discriminator": discriminator}
TOLERANCE = 1e-5
SIZES = [(32, 1), (32, 3), (64, 2), (64, 5), (128, 1), (128, 3)]
PAGE = (ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")

every_network = pytest.mark.parametrize(
    ("kind", "image_size", "width"), [(kind, *size) for kind in BUILD for size in SIZES]
)


def example(kind, image_size=32, width=2):
    """A network, an input of its own, and what minigan computes."""
    network = random_weights(BUILD[kind](image_size=image_size, width=width))
    x = np.random.default_rng(3).standard_normal((3, *network.input_shape)).astype(np.float32)
    return network, x, network.predict(x)


def from_page(name):
    """The code of the page whose first line is a comment with this name."""
    (code,) = re.findall(rf"^```python\n# {name}\n(.*?)^```$", PAGE, re.M | re.S)
    return code


def tool(name):
    """Import a tool, whatever it warns of on the way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"needs {name}: make test-interop", exc_type=ImportError)


@pytest.fixture
def keras(monkeypatch):
    tool("torch")
    tool("h5py")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    return tool("keras")


def run_page(name, folder, monkeypatch, **names):
    """Run an example of the page in a folder; returns its names."""
    monkeypatch.chdir(folder)
    exec(compile(from_page(name), name, "exec"), names)
    return names


# ---- ONNX ----


@every_network
def test_onnxruntime_computes_what_minigan_does(tmp_path, kind, image_size, width):
    tool("onnx")
    onnxruntime = tool("onnxruntime")
    network, x, y = example(kind, image_size, width)
    write_onnx(tmp_path / "x.onnx", network)
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    (begin,), (end,) = session.get_inputs(), session.get_outputs()
    assert (begin.name, end.name) == {"generator": ("noise", "images"), "discriminator": ("images", "logits")}[kind]
    assert (begin.shape[1:], end.shape[1:]) == (list(x.shape[1:]), list(y.shape[1:]))
    np.testing.assert_allclose(session.run([end.name], {begin.name: x})[0], y, atol=TOLERANCE, rtol=0)


def test_an_onnx_file_is_complete_and_always_the_same(tmp_path):
    onnx = tool("onnx")
    network, _, _ = example("generator")
    for name in ("a", "b"):
        write_onnx(tmp_path / name, network)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    model = onnx.load(tmp_path / "a")
    onnx.checker.check_model(model, full_check=True)
    assert model.producer_name == "minigan"


def test_the_example_for_onnxruntime(tmp_path, monkeypatch):
    tool("onnx")
    tool("onnxruntime")
    write_onnx(tmp_path / "generator.onnx", example("generator")[0])
    assert run_page("onnx", tmp_path, monkeypatch)["images"].shape == (16, 32, 32, 3)


# ---- Keras ----


@pytest.mark.filterwarnings("ignore")
@every_network
def test_keras_predicts_what_minigan_does(tmp_path, keras, kind, image_size, width):
    network, x, y = example(kind, image_size, width)
    write_keras(tmp_path / "x.hdf5", network)
    model = keras.models.load_model(tmp_path / "x.hdf5")
    np.testing.assert_allclose(model.predict(x, verbose=0), y, atol=TOLERANCE, rtol=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", BUILD)
def test_what_todays_keras_saves_is_read(tmp_path, keras, kind):
    network, x, y = example(kind)
    write_keras(tmp_path / "x.hdf5", network)
    keras.models.load_model(tmp_path / "x.hdf5").save(tmp_path / "again.h5")
    np.testing.assert_array_equal(read_keras(tmp_path / "again.h5", kind)[0].predict(x), y)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", BUILD)
def test_a_functional_model_of_todays_keras_is_read(tmp_path, keras, kind):
    """It is built layer by layer, as the original program does it, with random numbers everywhere."""
    network, x, _ = example(kind)
    layers = keras.layers
    inputs = y = layers.Input(network.input_shape)
    for layer in model_config(network)["config"]["layers"][1:]:
        y = getattr(layers, layer["class_name"])(**{**layer["config"], "name": None})(y)
    model = keras.Model(inputs, y)
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 0.3, w.shape) for w in model.get_weights()])
    model.save(tmp_path / "x.h5")
    read, _ = read_keras(tmp_path / "x.h5", kind)
    np.testing.assert_allclose(read.predict(x), model.predict(x, verbose=0), atol=TOLERANCE, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_todays_keras_reads_the_weights_that_our_tests_write_as_keras_2(tmp_path, keras):
    """So the layout of these files is not only what we take it for."""
    network, x, y = example("generator")
    path = write_keras_2(tmp_path / "x.h5", keras_layers(network), model="Sequential")
    write_keras(tmp_path / "zeros.hdf5", generator(image_size=32, width=2, init=lambda s: np.zeros(s, np.float32)))
    model = keras.models.load_model(tmp_path / "zeros.hdf5")
    model.load_weights(path)
    np.testing.assert_allclose(model.predict(x, verbose=0), y, atol=TOLERANCE, rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_the_example_for_keras(tmp_path, monkeypatch, keras):
    write_keras(tmp_path / "generator.hdf5", example("generator")[0])
    assert run_page("keras", tmp_path, monkeypatch)["images"].shape == (16, 32, 32, 3)
    assert os.environ["KERAS_BACKEND"] == "torch"


def test_a_keras_file_is_always_the_same(tmp_path):
    tool("h5py")
    for name in ("a", "b"):
        write_keras(tmp_path / name, example("generator")[0])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# ---- PyTorch ----


@every_network
def test_the_modules_of_the_page_compute_what_minigan_does(tmp_path, kind, image_size, width):
    torch = tool("torch")
    load_file = tool("safetensors.torch").load_file
    modules = {}
    exec(from_page("torch"), modules)
    network, x, y = example(kind, image_size, width)
    write_torch(tmp_path / "x.safetensors", network)
    module = modules[kind](image_size=image_size, width=width).eval()
    module.load_state_dict(load_file(tmp_path / "x.safetensors"))
    with torch.no_grad():
        result = module(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    if kind == "generator":
        result = result.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(result, y, atol=TOLERANCE, rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_the_example_for_pytorch(tmp_path, monkeypatch):
    tool("torch")
    modules = {}
    exec(from_page("torch"), modules)
    write_torch(tmp_path / "generator.torch.safetensors", random_weights(generator(width=1)))
    monkeypatch.setitem(modules, "generator", lambda image_size, width, build=modules["generator"]: build(64, 1))
    assert tuple(run_page("torch, in use", tmp_path, monkeypatch, **modules)["images"].shape) == (16, 3, 64, 64)


def test_the_state_for_pytorch_has_its_names_and_layouts():
    """Without PyTorch: numbers of one kernel are found where its convolution looks for them."""
    G, D = (example(kind)[0] for kind in BUILD)
    state = torch_state(G)
    assert list(state)[:8] == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
        "3.weight",
    ]
    kernel = G.params()["0.kernel"]  # (K, K, O, C)
    assert state["0.weight"].shape == (100, kernel.shape[2], 4, 4)
    assert state["0.weight"][70, 3, 1, 2] == kernel[1, 2, 3, 70]
    last = max(int(name.split(".")[0]) for name in torch_state(D))
    rows = D.params()[f"{last}.kernel"].reshape(4, 4, -1)  # of the dense layer: (H, W, C)
    assert torch_state(D)[f"{last}.weight"].reshape(-1, 4, 4)[5, 1, 2] == rows[1, 2, 5]
