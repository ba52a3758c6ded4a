"""The backend: arrays decide, mixed arrays are refused, and the whole step runs on a device that is not NumPy."""

import builtins
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from device_double import COUNTER, NAMES, DeviceArray

from minigan.gan.step import build_gan, draw_inputs, train_step
from minigan.nn import backend
from minigan.nn.backend import NUMPY, backend_of, get_backend, xp_of
from minigan.system.errors import UserError


def inputs_for(where, step, B=4, S=32):
    real = np.random.default_rng(step).uniform(-1, 1, (B, S, S, 3)).astype(np.float32)
    return draw_inputs(real, 5, step, where)


def test_xp_of_ignores_arguments_that_are_no_arrays():
    assert xp_of(None, 3, np.zeros(1)) is np


def test_no_array_is_refused():
    with pytest.raises(TypeError, match=r"expected an array of one of the backends numpy.*got list, int"):
        xp_of([1, 2], 3)


def test_arrays_of_a_backend_may_be_a_kind_of_numpys(monkeypatch):
    class Guarded(np.ndarray):
        pass

    monkeypatch.setattr(backend, "_known", dict(backend._known))
    backend.register(replace(NUMPY, name="guarded", array_type=Guarded))
    assert backend_of(np.zeros(1).view(Guarded)).name == "guarded"
    assert backend_of(np.zeros(1)) is NUMPY


def test_an_unknown_backend_is_refused():
    with pytest.raises(UserError, match=r"must be one of numpy, cupy.*, got 'torch'"):
        get_backend("torch")


def test_without_cupy_the_message_says_how_to_install_it(monkeypatch):
    real_import = builtins.__import__

    def no_cupy(name, *args, **kwargs):
        if name == "cupy":
            raise ImportError("No module named 'cupy'")
        return real_import(name, *args, **kwargs)

    monkeypatch.delitem(backend._known, "cupy", raising=False)
    monkeypatch.setattr(builtins, "__import__", no_cupy)
    with pytest.raises(UserError, match=r"CuPy is not installed .*for CUDA 12: python -m pip install cupy-cuda12x"):
        get_backend("cupy")


@pytest.mark.parametrize("fails", [True, False])
def test_without_a_gpu_the_message_asks_for_a_driver(monkeypatch, fails):
    class CUDARuntimeError(RuntimeError):
        pass

    def count():
        if fails:
            raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
        return 0

    runtime = types.SimpleNamespace(getDeviceCount=count, CUDARuntimeError=CUDARuntimeError)
    cupy = types.SimpleNamespace(__version__="14.2.0", cuda=types.SimpleNamespace(runtime=runtime))
    monkeypatch.delitem(backend._known, "cupy", raising=False)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(UserError, match=r"CuPy 14.2.0 is installed but finds no usable GPU .*install an NVIDIA driver"):
        get_backend("cupy")


# --------------------------------------------------------------------------------------------------- the double itself
def test_the_device_double_refuses_what_a_gpu_refuses(double):
    a = double.asarray(np.ones(3, np.float32))
    with pytest.raises(TypeError):
        np.add(a, np.ones(3))
    with pytest.raises(TypeError):
        a + np.ones(3)
    with pytest.raises(TypeError):
        np.ones(3) * a
    with pytest.raises(TypeError):
        a[...] = np.zeros(3)
    with pytest.raises(TypeError):
        np.asarray(a)
    with pytest.raises(AttributeError, match="no attribute 'einsum_path_of_glory'"):
        double.xp.einsum_path_of_glory  # noqa: B018
    with pytest.raises(TypeError, match="no keyword argument 'where'"):
        double.xp.maximum(a, a, where=a > 0)
    assert isinstance(a.sum(), DeviceArray)
    assert COUNTER.syncs == 0
    assert float(a.sum()) == 3
    assert COUNTER.syncs == 1


def test_mixed_backends_are_refused_with_advice(double):
    with pytest.raises(TypeError, match=r"move one of them with get_backend\('cupy'\).to_host\(a\)"):
        backend_of(np.zeros(1), double.asarray(np.zeros(1)))


# ----------------------------------------------------------------------------------------------- the step on the double
def test_whole_step_on_the_double_equals_numpy(double):
    """Same numbers as on NumPy, only what CuPy has, no NumPy array in between, and not one value read back."""
    host, device = build_gan(image_size=32, width=4), build_gan(image_size=32, width=4, backend=double)
    for step in range(3):
        expected = train_step(host, inputs_for(NUMPY, step))
        result = train_step(device, inputs_for(double, step))
        assert isinstance(result.metrics, DeviceArray)
        if step:
            assert COUNTER.syncs == 0
        else:
            assert COUNTER.calls > 100
            COUNTER.syncs = 0
        metrics = result.metrics._data  # looked at without asking the device
        np.testing.assert_allclose(metrics, expected.metrics, rtol=2e-3)
        assert metrics.dtype == np.float32
    for name, array in device.generator.state().items():
        assert isinstance(array, DeviceArray), name
        assert array.dtype == np.float32
        np.testing.assert_allclose(array._data, host.generator.state()[name], atol=5e-3)


def test_building_on_the_double_reads_nothing_back(double):
    build_gan(image_size=32, width=2, backend=double)
    assert COUNTER.syncs == 0


def test_names_are_those_of_the_installed_cupy():
    """Where CuPy can be imported (no GPU needed), the recorded names are still true of it."""
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from cupy_names import collect

    real = collect()
    used = {name for name in NAMES["functions"] if name in real["functions"]}
    assert len(used) > 0.95 * len(NAMES["functions"])
    for name in ("as_strided", "sliding_window_view"):
        assert real["lib.stride_tricks"][name] == NAMES["lib.stride_tricks"][name]


@pytest.mark.gpu
def test_whole_step_on_a_gpu_equals_numpy(gpu):
    host, device = build_gan(image_size=32, width=8), build_gan(image_size=32, width=8, backend=gpu)
    for step in range(3):
        expected = train_step(host, inputs_for(NUMPY, step))
        result = train_step(device, inputs_for(gpu, step))
        np.testing.assert_allclose(gpu.to_host(result.metrics), expected.metrics, rtol=5e-3)
