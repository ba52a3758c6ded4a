"""The backend: arrays decide, mixed arrays are refused, and the whole step runs on a device that is not NumPy."""

from dataclasses import replace

import numpy as np
import pytest
from device_double import COUNTER, DeviceArray

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
    with pytest.raises(UserError, match=r"must be one of numpy, .*cupy.*, got 'torch'"):
        get_backend("torch")


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


@pytest.mark.gpu
def test_whole_step_on_a_gpu_equals_numpy(gpu):
    host, device = build_gan(image_size=32, width=8), build_gan(image_size=32, width=8, backend=gpu)
    for step in range(3):
        expected = train_step(host, inputs_for(NUMPY, step))
        result = train_step(device, inputs_for(gpu, step))
        np.testing.assert_allclose(gpu.to_host(result.metrics), expected.metrics, rtol=5e-3)
