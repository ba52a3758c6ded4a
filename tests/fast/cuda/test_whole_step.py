"""The whole training step on the GPU path: right numbers, few launches, no waiting; eager and as a recorded graph."""

import json
from dataclasses import replace

import device_double
import numpy as np
import pytest
from cupy_names import collect, is_name, names_used_by_minigan
from device_double import COMPILER, COUNTER, NAMES, DeviceArray, make_backend
from PIL import Image
from places import ROOT
from small_gans import assert_same, state_of

import minigan
from minigan import train
from minigan.fast.cuda import cublas
from minigan.fast.cuda import kernels as cuda
from minigan.fast.cuda.recording import Recording
from minigan.gan.step import build_gan, draw_inputs, recorded_step, train_step
from minigan.nn import backend
from minigan.nn.backend import NUMPY, get_backend
from minigan.nn.ops import LIBRARY
from minigan.system.cli import run_command
from minigan.training import trainer

SIZE = {"image_size": 32, "width": 16}  # the smallest with layers that go by Winograd


@pytest.fixture(
    params=[
        pytest.param("kernels", marks=pytest.mark.skipif(COMPILER is None, reason="there is no g++")),
        pytest.param("gpu", marks=pytest.mark.gpu),
    ]
)
def device(request):
    """The double with kernels, and a real GPU where there is one."""
    return request.getfixturevalue(request.param)


def inputs_for(where, step, B=4, S=32):
    # With the seeds 0, 1, 2 one number in D is so near 0 that rounding decides on which side of LeakyReLU it lies.
    real = np.random.default_rng(10 + step).uniform(-1, 1, (B, S, S, 3)).astype(np.float32)
    return draw_inputs(real, 5, step, where)


# ---------------------------------------------------------------------------------------------------------------- eager
def test_whole_step_equals_numpy(device):
    host, on_device = build_gan(**SIZE), build_gan(**SIZE, backend=device)
    for step in range(3):
        expected = train_step(host, inputs_for(NUMPY, step))
        result = train_step(on_device, inputs_for(device, step))
        np.testing.assert_allclose(device.to_host(result.metrics), expected.metrics, rtol=5e-3)
        np.testing.assert_allclose(device.to_host(result.fakes), expected.fakes, atol=5e-3)
    expected = state_of(host, NUMPY)
    for name, array in state_of(on_device, device).items():
        assert array.dtype == np.float32, name
        np.testing.assert_allclose(array, expected[name], atol=5e-3, err_msg=name)


def test_step_in_float64_equals_numpy_to_ten_digits(device):
    """No tolerance for float32 hides a slip: gradients of both networks, compared in double precision."""
    networks = [build_gan(**SIZE), build_gan(**SIZE)]
    for networks_here, where in zip(networks, (NUMPY, device), strict=True):
        for network in (networks_here.generator, networks_here.discriminator):
            for layer in network.layers:
                for arrays in (layer.params, layer.grads, layer.buffers):
                    for name, a in arrays.items():
                        arrays[name] = where.asarray(a.astype(np.float64))
        for optimizer, network in (
            (networks_here.g_optimizer, networks_here.generator),
            (networks_here.d_optimizer, networks_here.discriminator),
        ):
            optimizer.to(where, network.params())
            for moments in (optimizer.m, optimizer.v):
                for name, a in moments.items():
                    moments[name] = a.astype(np.float64)
        # A large epsilon: otherwise Adam's first step is the sign of the gradient, and zeros up to rounding have one.
        networks_here.g_optimizer.epsilon = networks_here.d_optimizer.epsilon = 1e-2
        for step in range(2):
            inputs = inputs_for(where, step)
            train_step(networks_here, type(inputs)(*(a.astype(np.float64) for a in inputs)))
    host, on_device = networks
    for expected, got in zip(
        (host.generator, host.discriminator), (on_device.generator, on_device.discriminator), strict=True
    ):
        for name, gradient in expected.grads().items():
            np.testing.assert_allclose(device.to_host(got.grads()[name]), gradient, atol=1e-10, err_msg=name)
    expected = state_of(host, NUMPY)
    for name, array in state_of(on_device, device).items():
        np.testing.assert_allclose(array, expected[name], atol=1e-10, err_msg=name)


def test_steps_repeat_bit_for_bit(device):
    states = []
    for _ in range(2):
        networks = build_gan(**SIZE, backend=device)
        for step in range(3):
            train_step(networks, inputs_for(device, step))
        states.append(state_of(networks, device))
    assert_same(*states)


def test_a_students_op_runs_on_the_device_too(kernels):
    """Plain layers, not fused, on the kernels' arrays."""

    def my_leaky_relu_backward(dy, cache):
        y, alpha = cache
        return dy * (alpha + (1 - alpha) * (y > 0)).astype(dy.dtype)

    mine = minigan.Ops(**(vars(LIBRARY) | {"leaky_relu_backward": my_leaky_relu_backward}))
    plain, changed = build_gan(**SIZE, backend=kernels), build_gan(**SIZE, backend=kernels, ops=mine)
    for networks in (plain, changed):
        train_step(networks, inputs_for(kernels, 0))
    expected = state_of(plain, kernels)
    for name, array in state_of(changed, kernels).items():
        np.testing.assert_allclose(array, expected[name], atol=5e-4, err_msg=name)


def test_nothing_is_read_back_and_nothing_else_copied_in(kernels):
    networks = build_gan(**SIZE, backend=kernels)
    assert COUNTER.syncs == 0
    train_step(networks, inputs_for(kernels, 0))
    for step in (1, 2):
        COUNTER.reset()
        inputs = inputs_for(kernels, step)
        assert COUNTER.uploads == len(inputs)
        result = train_step(networks, inputs)
        assert COUNTER.uploads == len(inputs)
        assert COUNTER.syncs == 0
    assert isinstance(result.metrics, DeviceArray)


def test_launches_of_the_articles_step(kernels, monkeypatch):
    """The number of docs/gpu.md. A recording counts launches without doing them."""
    monkeypatch.setattr(device_double, "_poison", lambda array: None)  # gigabytes of it
    networks = build_gan(backend=kernels)
    inputs = inputs_for(kernels, 0, B=64, S=64)
    for network, optimizer in (
        (networks.generator, networks.g_optimizer),
        (networks.discriminator, networks.d_optimizer),
    ):
        network.zero_grads()
        optimizer.step(network.grads())  # makes the tables that a recording must find ready
    COUNTER.reset()
    Recording(lambda: train_step(networks, inputs), kernels.xp)
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert f"{COUNTER.launches} launches a step" in page


# ------------------------------------------------------------------------------------------------------------- recorded
def refuse(line):
    pytest.fail(f"not recorded: {line}")


def test_a_recorded_step_equals_an_eager_one_bit_for_bit(device):
    eager, recorded = build_gan(**SIZE, backend=device), build_gan(**SIZE, backend=device)
    step_of = recorded_step(recorded, refuse)
    for step in range(5):
        expected = train_step(eager, inputs_for(device, step))
        result = step_of(inputs_for(device, step))
        for here, there in zip(result, expected, strict=True):
            np.testing.assert_array_equal(device.to_host(here), device.to_host(there))
    assert (recorded.d_optimizer.t, recorded.g_optimizer.t) == (10, 5)
    assert_same(state_of(recorded, device), state_of(eager, device))


def test_eager_steps_go_on_after_replays(device):
    """The device has counted Adam's steps; the host must take over where it is."""
    eager, recorded = build_gan(**SIZE, backend=device), build_gan(**SIZE, backend=device)
    step_of = recorded_step(recorded, refuse)
    for step in range(5):
        train_step(eager, inputs_for(device, step))
        (step_of if step < 3 else lambda inputs: train_step(recorded, inputs))(inputs_for(device, step))
    assert_same(state_of(recorded, device), state_of(eager, device))


def test_a_replay_is_one_launch(kernels):
    networks = build_gan(**SIZE, backend=kernels)
    step_of = recorded_step(networks, refuse)
    for step in range(3):
        COUNTER.reset()
        step_of(inputs_for(kernels, step))
    assert COUNTER.launches == 1 + 5  # and five inputs copied to where the recording reads them
    assert COUNTER.syncs == 0


@pytest.mark.parametrize("why", ["no cuBLAS", "host reads"])
def test_a_step_that_cannot_be_recorded_runs_as_usual(kernels, monkeypatch, why):
    def reading(losses, *logits):
        float(losses[0])
        return cuda.step_metrics(losses, *logits)

    ops = LIBRARY
    if why == "no cuBLAS":
        monkeypatch.setattr(cublas, "_open", lambda xp: None)
    if why == "host reads":
        ops = replace(LIBRARY, step_metrics=reading)
    eager, recorded = (build_gan(**SIZE, backend=kernels, ops=ops) for _ in range(2))
    told = []
    step_of = recorded_step(recorded, told.append)
    for step in range(4):
        train_step(eager, inputs_for(kernels, step))
        step_of(inputs_for(kernels, step))
    assert len(told) == 1
    assert told[0].startswith("--cuda-graph: a step cannot be recorded (")
    assert (recorded.d_optimizer.t, recorded.g_optimizer.t) == (8, 4)
    assert_same(state_of(recorded, kernels), state_of(eager, kernels))


@pytest.mark.gpu
def test_tf32_is_off_unless_asked_for(gpu):
    """A step's gradients on a GPU are float32's: ten times nearer to float64 than tf32 could bring them."""
    assert not gpu.tf32
    host, on_device = build_gan(**SIZE), build_gan(**SIZE, backend=gpu)
    train_step(host, inputs_for(NUMPY, 0, B=64))
    train_step(on_device, inputs_for(gpu, 0, B=64))
    for name, gradient in host.discriminator.grads().items():
        if name.endswith(".kernel"):  # from products. A bias before batch normalization has a gradient of 0.
            got = gpu.to_host(on_device.discriminator.grads()[name])
            assert np.linalg.norm(got - gradient) <= 1e-4 * np.linalg.norm(gradient), name


# ------------------------------------------------------------------------------------------------ from the command line
@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for k in range(8):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k}.png")
    return folder


def call(*arguments):
    return run_command(train.main, [str(a) for a in arguments])


def settings_for(image_folder):
    small = {"--image-size": 32, "--width": 2, "--batch-size": 4, "--sample-every": 1000, "--save-every": 1000}
    return ["--data", image_folder, *(word for pair in small.items() for word in pair)]


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_no_waiting_between_two_readings(image_folder, tmp_path, kernels, monkeypatch, graph):
    monkeypatch.setitem(backend._known, "cupy", make_backend(kernels=True, read_every=4))
    waited = []
    one_step = trainer.Trainer._one_step

    def counted(self, *arguments):
        before = COUNTER.syncs
        one_step(self, *arguments)
        waited.append(COUNTER.syncs - before)

    monkeypatch.setattr(trainer.Trainer, "_one_step", counted)
    option = ["--cuda-graph"] if graph else []
    out = tmp_path / "run"
    assert call(*settings_for(image_folder), "--steps", 11, "--backend", "cupy", *option, "--out", out) == 0
    assert len((out / "log.csv").read_text().splitlines()) == 12
    reading = [step for step, count in enumerate(waited) if count]
    assert reading == [0, 4, 8]  # the images of the first step, and the ring when it is full
    settings = json.loads((out / "config.json").read_text())["settings"]
    assert (settings["backend"], settings["cuda_graph"], settings["tf32"]) == ("cupy", graph, False)


@pytest.mark.parametrize("option", ["--cuda-graph", "--tf32"])
def test_gpu_options_are_refused_on_numpy(image_folder, tmp_path, capsys, option):
    out = tmp_path / "run"
    assert call(*settings_for(image_folder), "--steps", 2, option, "--out", out) == 2
    assert f"{option}: needs --backend cupy, got numpy" in capsys.readouterr().err
    assert not out.exists()


def test_gpu_options_may_change_on_resume(image_folder, tmp_path, kernels, capsys):
    out = tmp_path / "run"
    assert call(*settings_for(image_folder), "--steps", 2, "--backend", "cupy", "--tf32", "--out", out) == 0
    assert get_backend("cupy").tf32
    assert call("--resume", out, "--steps", 3, "--backend", "numpy") == 2
    assert "--tf32: needs --backend cupy, got numpy" in capsys.readouterr().err
    assert call("--resume", out, "--steps", 4, "--no-tf32", "--cuda-graph") == 0
    assert not get_backend("cupy").tf32
    assert call("--resume", out, "--steps", 5, "--backend", "numpy", "--no-cuda-graph") == 0
    assert len((out / "log.csv").read_text().splitlines()) == 6


def test_tf32_of_numpy_is_refused():
    with pytest.raises(backend.UserError, match="--tf32: needs --backend cupy, got numpy"):
        get_backend("numpy", tf32=True)


# ---------------------------------------------------------------------------------------------------------------- names
def test_every_name_taken_from_cupy_exists():
    used = names_used_by_minigan()
    assert {"empty", "RawModule", "cuda.Stream", "cuda.runtime.getDeviceCount", "maximum"} <= used
    assert [name for name in sorted(used) if not is_name(name, NAMES)] == []
    for name in ("begin_capture", "end_capture", "synchronize"):
        assert name in NAMES["classes"]["Stream"]
    assert "launch" in NAMES["classes"]["Graph"]
    assert {"malloc", "free_all_blocks", "get_limit", "set_limit", "total_bytes"} <= set(NAMES["classes"]["MemoryPool"])
    assert "get_function" in NAMES["classes"]["RawModule"]


def test_names_are_those_of_the_installed_cupy():
    """Where CuPy can be imported (no GPU needed), it has all the names that are used."""
    pytest.importorskip("cupy", reason="CuPy is not installed")
    real = collect()
    assert [name for name in sorted(names_used_by_minigan()) if not is_name(name, real)] == []
