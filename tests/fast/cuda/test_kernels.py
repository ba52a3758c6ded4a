"""The GPU kernels: the CUDA source itself, compiled for the processor with g++ (and for a GPU where there is one).

Every test that takes `device` runs on both. On the double, kernels also run with the threads of each block in reverse
order, which shows a missing barrier, and memory that nobody wrote is NaN.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from device_double import COMPILER, COUNTER, Device, DeviceArray, RawModule

from minigan.fast.cuda import cublas
from minigan.fast.cuda import kernels as cuda
from minigan.fast.cuda.recording import Recording
from minigan.nn import backend, im2col, loops, losses, ops, share
from minigan.nn.backend import get_backend

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no g++ to compile the kernels for the processor")
RNG = np.random.default_rng(20)
SOURCE = Path(cuda.__file__).with_suffix(".cu")


@pytest.fixture(params=[pytest.param("double", marks=needs_compiler), pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """A backend with kernels."""
    if request.param == "gpu":
        return request.getfixturevalue("gpu")
    return request.getfixturevalue("kernels")


@pytest.fixture(params=[False, True], ids=["forwards", "backwards"])
def either_order(request, monkeypatch):
    """Threads of a block first to last, then last to first."""
    monkeypatch.setattr(RawModule, "reverse", request.param)


def numbers(*shape, dtype=np.float64, mean=0.0):
    return (RNG.standard_normal(shape) + mean).astype(dtype)


def check(device, result, expected, dtype):
    """As good as the dtype allows, relative to the largest number."""
    result = device.to_host(result)
    assert result.dtype == dtype
    assert result.shape == expected.shape
    scale = np.abs(expected).max() or 1.0
    np.testing.assert_allclose(result / scale, expected / scale, atol=1e-10 if dtype == np.float64 else 2e-5, rtol=0)


# ---------------------------------------------------------------------------------------------------------- convolution
GEOMETRIES = {
    # N, H, W, C, O, K, stride, pad
    "winograd": (3, 8, 12, 16, 20, 4, 2, ((1, 1), (1, 1))),
    "winograd, odd tiles": (2, 6, 10, 17, 16, 4, 2, ((1, 1), (1, 1))),
    "winograd, one output": (1, 2, 2, 16, 16, 4, 2, ((1, 1), (1, 1))),
    "winograd, more channels than a block": (1, 4, 10, 160, 144, 4, 2, ((1, 1), (1, 1))),
    "winograd, a row of more tiles than a block": (2, 2, 38, 16, 64, 4, 2, ((1, 1), (1, 1))),
    "edge": (2, 8, 6, 3, 5, 4, 2, ((1, 1), (1, 1))),
    "3x3": (2, 5, 6, 4, 3, 3, 1, ((1, 1), (1, 1))),
    "3x3 by tiles": (3, 8, 12, 16, 20, 3, 1, ((1, 1), (1, 1))),
    "3x3 by tiles, not whole": (2, 5, 7, 17, 33, 3, 1, ((1, 1), (1, 1))),
    "3x3 by tiles, no padding": (2, 6, 9, 16, 16, 3, 1, ((0, 0), (0, 0))),
    "3x3 by tiles, uneven padding": (2, 5, 6, 16, 18, 3, 1, ((2, 0), (0, 2))),
    "3x3 by tiles, rows left out": (2, 7, 8, 16, 16, 3, 1, ((1, -1), (0, -2))),
    "3x3 by tiles, one pixel": (2, 1, 1, 16, 16, 3, 1, ((1, 1), (1, 1))),
    "3x3, much padding": (1, 4, 3, 16, 16, 3, 1, ((3, 1), (0, 1))),
    "odd side": (2, 7, 9, 16, 17, 4, 2, ((1, 2), (1, 2))),
    "first of the generator": (4, 4, 4, 6, 7, 4, 1, ((0, 0), (0, 0))),
    "one patch that is not all": (4, 5, 4, 6, 7, 4, 1, ((0, 0), (0, 0))),
    "stride 3, rows left out": (2, 9, 8, 3, 4, 5, 3, ((0, -1), (2, 1))),
    "stride 3, rows that no patch covers": (2, 8, 9, 3, 4, 2, 3, ((0, 0), (0, 0))),
    "a patch that is all padding": (1, 3, 4, 2, 3, 3, 1, ((3, 3), (4, 3))),
    "5x5 of many channels": (2, 5, 6, 70, 3, 5, 2, ((2, 2), (1, 2))),
    "long rows": (1, 2, 150, 2, 3, 4, 2, ((1, 1), (1, 1))),
    "one pixel of one channel": (3, 1, 1, 1, 1, 1, 1, ((0, 0), (0, 0))),
}


def arrays_for(geometry, dtype):
    N, H, W, C, O, K, stride, pad = geometry
    x, w = numbers(N, H, W, C, dtype=dtype), numbers(K, K, C, O, dtype=dtype)
    y = loops.conv_forward(x, w, stride, pad)
    return x, w, y, numbers(*y.shape, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_convolutions_are_those_of_the_loops(device, geometry, dtype):
    _, H, W, _, _, K, stride, pad = geometry
    x, w, y, dy = arrays_for(geometry, dtype)
    dx, dw = loops.conv_input_grad(dy, w, stride, pad, (H, W)), loops.conv_weight_grad(x, dy, stride, pad, (K, K))
    on_x, on_w, on_dy = map(device.asarray, (x, w, dy))
    check(device, cuda.conv_forward(on_x, on_w, stride, pad), y, dtype)
    check(device, cuda.conv_input_grad(on_dy, on_w, stride, pad, (H, W)), dx, dtype)
    check(device, cuda.conv_weight_grad(on_x, on_dy, stride, pad, (K, K)), dw, dtype)
    b = numbers(y.shape[-1], dtype=dtype)
    check(device, cuda.conv_forward(on_x, on_w, stride, pad, device.asarray(b)), y + b, dtype)
    b = numbers(x.shape[-1], dtype=dtype)
    check(device, cuda.conv_input_grad(on_dy, on_w, stride, pad, (H, W), device.asarray(b)), dx + b, dtype)
    # Both gradients in one walk, of a convolution and of the transposed one.
    for got, expected in zip(cuda.conv_grads(on_x, on_w, on_dy, stride, pad), (dx, dw), strict=True):
        check(device, got, expected, dtype)
    expected = loops.conv_forward(x, w, stride, pad), dw
    for got, wanted in zip(cuda.conv_transpose_grads(on_dy, on_w, on_x, stride, pad), expected, strict=True):
        check(device, got, wanted, dtype)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_leaky_relu_with_the_last_walk_of_a_convolution(device, geometry, with_bias):
    _, H, W, _, _, _, stride, pad = geometry
    x, w, y, dy = arrays_for(geometry, np.float64)
    on_x, on_w, on_dy = map(device.asarray, (x, w, dy))
    for z, call in (
        (y, lambda b: cuda.conv_forward(on_x, on_w, stride, pad, b, alpha=0.25)),
        (
            loops.conv_input_grad(dy, w, stride, pad, (H, W)),
            lambda b: cuda.conv_input_grad(on_dy, on_w, stride, pad, (H, W), b, alpha=0.25),
        ),
    ):
        b = numbers(z.shape[-1]) if with_bias else None
        expected, _ = ops.leaky_relu_forward(z if b is None else z + b, 0.25)
        check(device, call(None if b is None else device.asarray(b)), expected, np.float64)


@pytest.mark.parametrize(("C", "O"), [(16, 20), (70, 33), (20, 16)])
def test_in_a_training_step_a_kernel_is_prepared_once_until_it_is_updated(device, C, O):
    w, x, pad = numbers(4, 4, C, O), numbers(2, 6, 8, C), ((1, 1), (1, 1))
    dy = numbers(2, 3, 4, O)
    on_w, on_x, on_dy = map(device.asarray, (w, x, dy))
    whole = share.Share()
    for _ in range(3):
        with share.having(whole, [on_w]):
            for factor in (1, 2):
                dx, dw = loops.conv_input_grad(dy, w, 2, pad, (6, 8)), loops.conv_weight_grad(x, dy, 2, pad, (4, 4))
                y = loops.conv_forward(x, w, 2, pad)
                COUNTER.reset()
                check(device, cuda.conv_forward(on_x, on_w, 2, pad), y, np.float64)
                check(device, cuda.conv_input_grad(on_dy, on_w, 2, pad, (6, 8)), dx, np.float64)
                for got, expected in zip(cuda.conv_grads(on_x, on_w, on_dy, 2, pad), (dx, dw), strict=True):
                    check(device, got, expected, np.float64)
                for got, expected in zip(cuda.conv_transpose_grads(on_dy, on_w, on_x, 2, pad), (y, dw), strict=True):
                    check(device, got, expected, np.float64)
                if isinstance(on_w, DeviceArray):
                    assert COUNTER.kernels.count("winograd_kernels") == 1
                    assert COUNTER.kernels.count("winograd_output_adjoint") == 3
                    assert COUNTER.kernels.count("winograd_gather") == 3
                w *= 2
                on_w *= 2  # with factor 2 by hand, between two steps
                if factor == 1:
                    share.updated([on_w])


@pytest.mark.parametrize("multiprocessors", [1, 28, 132])
@pytest.mark.parametrize("N", [1, 7, 32])
@pytest.mark.parametrize("geometry", [(8, 20, 16, 20, 4, 2), (16, 18, 3, 5, 4, 2)], ids=["winograd", "im2col"])
def test_a_wide_gpu_gets_the_sums_of_a_weight_gradient_in_parts(kernels, geometry, N, multiprocessors, monkeypatch):
    H, W, C, O, K, stride = geometry
    pad = ((1, 1), (1, 1))
    x, dy = numbers(N, H, W, C), numbers(N, H // 2, W // 2, O)
    monkeypatch.setattr(Device, "multiprocessors", multiprocessors)
    monkeypatch.setattr(cuda, "MIN_PART_ROWS", 4)
    on_x, on_dy = map(kernels.asarray, (x, dy))
    products = []
    multiply = cuda._sum_of_products
    monkeypatch.setattr(
        cuda, "_sum_of_products", lambda a, b, out, **_: (products.append(out), multiply(a, b, out, **_))
    )
    dw = cuda.conv_weight_grad(on_x, on_dy, stride, pad, (K, K))
    check(kernels, dw, loops.conv_weight_grad(x, dy, stride, pad, (K, K)), np.float64)
    parts = products[0].shape[1]
    assert parts == 1 if multiprocessors == 1 else N == 1 or parts > 1
    # Three images at a time; the rows of the last one of seven cannot be cut into as many parts.
    image = 9 * 2 * 5 * 4 * C if C == 16 else 8 * 9 * 16 * C
    monkeypatch.setattr(cuda, "CHUNK_BYTES", 3 * image * 8)
    dw = cuda.conv_weight_grad(on_x, on_dy, stride, pad, (K, K))
    check(kernels, dw, loops.conv_weight_grad(x, dy, stride, pad, (K, K)), np.float64)


@pytest.mark.parametrize("geometry", [GEOMETRIES["winograd"], GEOMETRIES["3x3"]], ids=["winograd", "im2col"])
def test_a_large_batch_goes_in_parts(device, geometry, monkeypatch):
    _, H, W, _, _, K, stride, pad = geometry
    x, w, _, dy = arrays_for(geometry, np.float64)
    dx, dw = im2col.conv_input_grad(dy, w, stride, pad, (H, W)), im2col.conv_weight_grad(x, dy, stride, pad, (K, K))
    on_x, on_w, on_dy = map(device.asarray, (x, w, dy))
    whole = device.to_host(cuda.conv_forward(on_x, on_w, stride, pad))
    monkeypatch.setattr(cuda, "CHUNK_BYTES", 1)  # one image at a time
    np.testing.assert_array_equal(device.to_host(cuda.conv_forward(on_x, on_w, stride, pad)), whole)
    check(device, cuda.conv_input_grad(on_dy, on_w, stride, pad, (H, W)), dx, np.float64)
    check(device, cuda.conv_weight_grad(on_x, on_dy, stride, pad, (K, K)), dw, np.float64)


def test_images_are_counted_where_patches_leave_most_pixels_out(kernels, monkeypatch):
    """The kernels' 32-bit indices must be enough for both."""
    x, w = numbers(4, 9, 9, 2), numbers(1, 1, 2, 3)
    monkeypatch.setattr(cuda, "CHUNK_BYTES", 2 * x[0].nbytes)
    COUNTER.reset()
    y = cuda.conv_forward(kernels.asarray(x), kernels.asarray(w), 4, ((0, 0), (0, 0)))
    assert COUNTER.kernels.count("im2col") == 2
    check(kernels, y, loops.conv_forward(x, w, 4, ((0, 0), (0, 0))), np.float64)


def test_winograd_is_used_where_it_suits(kernels):
    x, w, _, dy = (kernels.asarray(a) for a in arrays_for(GEOMETRIES["winograd"], np.float32))
    COUNTER.reset()
    cuda.conv_forward(x, w, 2, ((1, 1), (1, 1)))
    assert COUNTER.kernels == ["winograd_kernels", "winograd_gather", "gemm", "winograd_output"]
    COUNTER.reset()
    cuda.conv_weight_grad(x, dy, 2, ((1, 1), (1, 1)), (4, 4))
    assert COUNTER.kernels == ["winograd_gather", "winograd_output_adjoint", "gemm", "winograd_kernel_adjoint"]


def test_the_generators_first_layer_is_one_product(kernels):
    _, w, y, _ = arrays_for(GEOMETRIES["first of the generator"], np.float32)
    COUNTER.reset()
    cuda.conv_input_grad(kernels.asarray(y), kernels.asarray(w), 1, ((0, 0), (0, 0)), (4, 4))
    assert COUNTER.kernels == ["gemm"]


def test_arrays_need_not_be_contiguous(device):
    x, w, y, _ = arrays_for(GEOMETRIES["winograd"], np.float64)
    turned = device.asarray(np.ascontiguousarray(x.transpose(0, 2, 1, 3))).transpose(0, 2, 1, 3)
    check(device, cuda.conv_forward(turned, device.asarray(w), 2, ((1, 1), (1, 1))), y, np.float64)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", [(0, 0, 0, 0), (1, 3, 4, 2), (2, 7, 11, 15)])
def test_not_finite_exactly_where_the_direct_convolution_is(device, bad, place):
    x, w, *_ = arrays_for(GEOMETRIES["winograd"], np.float64)
    x[place] = bad
    with np.errstate(invalid="ignore"):
        expected = np.isfinite(loops.conv_forward(x, w, 2, ((1, 1), (1, 1))))
    result = device.to_host(cuda.conv_forward(device.asarray(x), device.asarray(w), 2, ((1, 1), (1, 1))))
    np.testing.assert_array_equal(np.isfinite(result), expected)


# ------------------------------------------------------------------------------------------------------ matrix products
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stack", [(), (3,)], ids=["matrix", "stack"])
@pytest.mark.parametrize("turn_b", [False, True])
@pytest.mark.parametrize("turn_a", [False, True])
@pytest.mark.parametrize("with_cublas", [True, False])
def test_matmul(kernels, monkeypatch, with_cublas, turn_a, turn_b, stack, dtype):
    if not with_cublas:
        monkeypatch.setattr(cublas, "_open", lambda xp: None)
        cublas._load.cache_clear()
    a, b, c = numbers(*stack, 4, 5, dtype=dtype), numbers(*stack, 5, 7, dtype=dtype), numbers(*stack, 4, 7, dtype=dtype)
    on_a = kernels.asarray(np.ascontiguousarray(a.swapaxes(-2, -1)) if turn_a else a)
    on_b = kernels.asarray(np.ascontiguousarray(b.swapaxes(-2, -1)) if turn_b else b)
    check(kernels, cublas.matmul(on_a, on_b, transpose_a=turn_a, transpose_b=turn_b), a @ b, dtype)
    out = kernels.asarray(c)
    assert cublas.matmul(on_a, on_b, transpose_a=turn_a, transpose_b=turn_b, out=out, accumulate=True) is out
    check(kernels, out, c + a @ b, dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("turn_b", [False, True])
@pytest.mark.parametrize("turn_a", [False, True])
def test_matmul_on_a_gpu(gpu, turn_a, turn_b):
    a, b = numbers(9, 300, 200, dtype=np.float32), numbers(9, 200, 170, dtype=np.float32)
    on_a = gpu.asarray(np.ascontiguousarray(a.swapaxes(-2, -1)) if turn_a else a)
    on_b = gpu.asarray(np.ascontiguousarray(b.swapaxes(-2, -1)) if turn_b else b)
    check(gpu, cublas.matmul(on_a, on_b, transpose_a=turn_a, transpose_b=turn_b), a @ b, np.float32)
    assert cublas._load(gpu.xp) is not None, "cuBLAS was not found under its usual name"


def test_tf32_only_when_asked_for(device, monkeypatch):
    a, b = numbers(9, 40, 64, dtype=np.float32), numbers(9, 64, 30, dtype=np.float32)
    exact = a.astype(np.float64) @ b.astype(np.float64)

    def error(tf32):
        monkeypatch.setitem(backend._known, "cupy", get_backend("cupy", tf32=tf32))
        product = device.to_host(cublas.matmul(device.asarray(a), device.asarray(b)))
        return np.linalg.norm(product - exact) / np.linalg.norm(exact)

    assert error(tf32=False) < 1e-6
    assert error(tf32=True) < 1e-3
    if isinstance(device.asarray(a), DeviceArray):  # a GPU from before tf32 multiplies exactly whatever it is asked
        assert error(tf32=True) > 1e-5
    doubles = device.to_host(cublas.matmul(device.asarray(a.astype(float)), device.asarray(b.astype(float))))
    np.testing.assert_allclose(doubles, exact, rtol=1e-12, atol=1e-12)


def test_a_failing_call_of_cublas_is_reported(kernels):
    matrix = kernels.asarray(numbers(3, 3))
    library = cublas._load(kernels.xp)
    with pytest.raises(RuntimeError, match="cuBLAS: the call failed with status 7"):
        library.multiply(matrix, matrix, matrix, (-1, 3, 3), (False, False), accumulate=False, tf32=False)


# ----------------------------------------------------------------------------------------------------------------- sums
@pytest.mark.parametrize("shape", [(1, 5), (7, 1), (64, 1), (300, 3), (40, 70), (5, 6, 8, 33)])
def test_channel_sum(device, shape, either_order):
    x = numbers(*shape)
    check(device, cuda.channel_sum(device.asarray(x)), x.reshape(-1, shape[-1]).sum(axis=0), np.float64)


def test_sums_of_many_rows_are_cut_into_slices(device):
    x = numbers(70_000, 2, dtype=np.float32)
    check(device, cuda.channel_sum(device.asarray(x)), x.astype(float).sum(axis=0).astype(np.float32), np.float32)


# -------------------------------------------------------------------------------------------------- batch normalization
def plain_forward(x, gamma, beta, alpha):
    y, cache = ops.batch_norm_forward(x, gamma, beta, 1e-3)
    y, slope = ops.leaky_relu_forward(y, alpha)
    return y, (cache, slope)


def plain_backward(dy, cache):
    return ops.batch_norm_backward(ops.leaky_relu_backward(dy, cache[1]), cache[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.2, 1.0])
@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 6, 33), (700, 40), (9, 1)])
def test_batch_norm_with_leaky_relu(device, shape, alpha, dtype, either_order):
    C = shape[-1]
    x, dy = numbers(*shape, mean=3, dtype=dtype), numbers(*shape, dtype=dtype)
    gamma, beta = numbers(C, mean=1, dtype=dtype), numbers(C, dtype=dtype)
    exact = [a.astype(float) for a in (x, dy, gamma, beta)]
    y, cache = plain_forward(exact[0], *exact[2:], alpha)
    gradients = plain_backward(exact[1], cache)
    on_x, on_dy, on_gamma, on_beta = map(device.asarray, (x, dy, gamma, beta))
    result, stats = cuda.batch_norm_forward(on_x, on_gamma, on_beta, 1e-3, alpha)
    check(device, result, y, dtype)
    check(device, stats[0], cache[0].mean, dtype)
    check(device, stats[1], cache[0].variance, dtype)
    results = cuda.batch_norm_backward(on_dy, on_x, result, stats, on_gamma, alpha)
    for got, wanted in zip(results, gradients, strict=True):
        check(device, got, wanted, dtype)
    again = cuda.batch_norm_backward(on_dy, on_x, None, stats, on_gamma, alpha, beta=on_beta)
    for got, wanted in zip(again, results, strict=True):  # the very same: y has the sign of what is computed again
        np.testing.assert_array_equal(device.to_host(got), device.to_host(wanted))
    results = cuda.batch_norm_backward(on_dy, on_x, result, stats, on_gamma, alpha, input_grad=False)
    assert results[0] is None
    check(device, results[1], gradients[1], dtype)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 6, 33)])
def test_batch_norm_inference_with_leaky_relu(device, shape, alpha):
    x, gamma, beta, mean = numbers(*shape), *(numbers(shape[-1]) for _ in range(3))
    variance = numbers(shape[-1]) ** 2
    y = ops.leaky_relu_forward(ops.batch_norm_inference(x, gamma, beta, mean, variance, 1e-3), alpha)[0]
    arrays = map(device.asarray, (x, gamma, beta, mean, variance))
    check(device, cuda.batch_norm_inference(*arrays, 1e-3, alpha), y, np.float64)


def test_the_variance_keeps_its_digits_where_the_mean_is_large(device):
    """A mean a thousand times the spread: E[x^2] - E[x]^2 would have no digit left in float32."""
    x = numbers(5000, 34, mean=1000, dtype=np.float32)
    ones = device.asarray(np.ones(34, np.float32))
    _, stats = cuda.batch_norm_forward(device.asarray(x), ones, ones, 1e-3, 0.2)
    variance = device.to_host(stats)[1]
    np.testing.assert_allclose(variance, x.astype(float).var(axis=0), rtol=1e-5)


def test_batch_norm_keeps_nan_and_infinity(device):
    x = numbers(40, 3)
    x[7, 1], x[9, 2] = np.nan, np.inf
    ones = device.asarray(np.ones(3))
    y, stats = cuda.batch_norm_forward(device.asarray(x), ones, ones, 1e-3, 0.2)
    np.testing.assert_array_equal(np.isfinite(device.to_host(y)).all(axis=0), [True, False, False])
    np.testing.assert_array_equal(np.isfinite(device.to_host(stats)).all(axis=0), [True, False, False])


@pytest.mark.parametrize("C", [3, 300])
def test_moving_averages(device, C, either_order):
    names = ("moving_mean", "biased_mean", "moving_variance", "biased_variance")
    expected = {name: np.zeros(C) for name in names} | {"updates": np.zeros(())}
    on_device = {name: device.asarray(a) for name, a in expected.items()}
    for _ in range(3):
        stats = numbers(3, C)
        t = expected["updates"]
        for name, value in (("mean", stats[0]), ("variance", 1.25 * stats[1])):
            moving, biased, count = ops.moving_average(
                expected[f"moving_{name}"], expected[f"biased_{name}"], t, value, 0.75
            )
            expected |= {f"moving_{name}": moving, f"biased_{name}": biased, "updates": np.asarray(count)}
        cuda.update_moving_averages(on_device, *device.asarray(stats)[:2], 1.25, 0.75)
        for name, a in expected.items():
            check(device, on_device[name], a, np.float64)


# --------------------------------------------------------------------------------------------- activations and the loss
def test_activations(device):
    x, dy = numbers(3, 50, 7), numbers(3, 50, 7)
    x[0, 0, 0] = 0  # the slope there is alpha
    y, cache = ops.leaky_relu_forward(x, 0.2)
    on_y, on_dy = cuda.leaky_relu_forward(device.asarray(x), 0.2), device.asarray(dy)
    check(device, on_y, y, np.float64)
    check(device, cuda.leaky_relu_backward(on_dy, on_y, 0.2), ops.leaky_relu_backward(dy, cache), np.float64)
    y = np.tanh(x)
    check(device, cuda.tanh_backward(on_dy, device.asarray(y)), ops.tanh_backward(dy, y), np.float64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moved_images(device, either_order, dtype):
    """More numbers than a block has threads, and moves to every side, by nothing, and out of the image."""
    x, move = numbers(5, 9, 11, 3, dtype=dtype), np.array([[0, 0], [2, -3], [-1, 4], [9, 0], [0, -11]])
    for sign in (1, -1):
        expected, _ = ops.translate_forward(x, sign * move)
        check(device, cuda.translate(device.asarray(x), device.asarray(move), sign), expected, dtype)


LIMITS = (losses.LOGIT_MIN, losses.LOGIT_MAX)


@pytest.mark.parametrize("N", [1, 5, 256, 700])
def test_loss_and_its_gradient(device, N, either_order):
    z, target = 6 * numbers(N, 1), RNG.random((N, 1))
    z[0], z[-1] = 30, -40  # outside the clip
    loss, cache = losses.bce_with_logits_forward(z, target)
    on_z, on_target = device.asarray(z), device.asarray(target)
    check(device, cuda.bce_forward(on_z, on_target, *LIMITS), np.asarray(loss), np.float64)
    dz = losses.bce_with_logits_backward(1.5, cache)
    check(device, cuda.bce_backward(on_z, on_target, *LIMITS, 1.5 / N), dz, np.float64)


def test_the_loss_of_a_nan_is_nan(device):
    z = device.asarray(np.array([[0.5], [np.nan]]))
    assert np.isnan(device.to_host(cuda.bce_forward(z, z, *LIMITS)))
    np.testing.assert_array_equal(np.isnan(device.to_host(cuda.bce_backward(z, z, *LIMITS, 1.0))), [[False], [True]])


def test_step_metrics(device, either_order):
    z_real, z_fake = numbers(300, 1), numbers(300, 1)
    three = [device.asarray(np.asarray(value)) for value in (0.25, 0.5, 0.75)]
    metrics = cuda.step_metrics(three, device.asarray(z_real), device.asarray(z_fake))
    sure = [ops.sigmoid_forward(z)[0].mean() for z in (z_real, z_fake)]
    right = ((z_real > 0).mean() + (z_fake < 0).mean()) / 2
    check(device, metrics, np.array([0.25, 0.5, 0.75, *sure, right]), np.float64)


# ------------------------------------------------------------------------------- all tensors of a network in one launch
SHAPES = [(3,), (70, 70), (), (2048,), (2049,)]


def test_averages_move_towards_the_latest_values(device, either_order):
    averages, latest = ([numbers(*shape) for shape in SHAPES] for _ in range(2))
    on_averages, on_latest = ([device.asarray(a) for a in group] for group in (averages, latest))
    averaging = cuda.Averaging()
    for part in (0.25, 1.0, 0.0):
        averaging.run(on_averages, on_latest, device.asarray(np.array(part)))
        averages = [a + part * (b - a) for a, b in zip(averages, latest, strict=True)]
        for got, expected in zip(on_averages, averages, strict=True):
            check(device, got, expected, np.float64)
    for got, expected in zip(on_latest, latest, strict=True):
        np.testing.assert_array_equal(device.to_host(got), expected)


def test_adam_counts_on_the_device(device):
    """Steps from 4 on, as after a checkpoint; the reference is the definition."""
    shapes = [shape for shape in SHAPES if shape]
    p, m, v = ([numbers(*shape, dtype=np.float32) for shape in shapes] for _ in range(3))
    v = [a * a for a in v]
    on_device = [[device.asarray(a) for a in group] for group in (p, m, v)]
    steps = cuda.AdamSteps()
    settings = {"learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.999, "epsilon": 1e-7}
    for t in (4, 5, 6, 9, 1):
        g = [numbers(*shape, dtype=np.float32) for shape in shapes]
        rate = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.5**t)
        m = [0.5 * a + 0.5 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g, strict=True)]
        p = [a - rate * b / (np.sqrt(c) + 1e-7) for a, b, c in zip(p, m, v, strict=True)]
        on_p, on_m, on_v = on_device
        steps.run(on_p, [device.asarray(a) for a in g], on_m, on_v, t=t, **settings)
        for got, expected in zip(on_p + on_m + on_v, p + m + v, strict=True):
            check(device, got, expected, np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [int, np.float64, np.float32], ids=lambda kind: kind.__name__)
def test_numbers_may_be_of_any_kind(device, dtype, kind):
    """A whole number, such as 0 for Adam's beta_1, must not arrive as an int's bits, nor NumPy's as eight bytes."""
    x, dy = (device.asarray(numbers(6, 5, dtype=dtype)) for _ in range(2))
    gamma, beta = (device.asarray(numbers(5, dtype=dtype)) for _ in range(2))
    for number in (0, 1):
        given, usual = kind(number), float(number)
        for call in (
            lambda a: cuda.leaky_relu_forward(x, a),
            lambda a: cuda.leaky_relu_backward(dy, x, a),
            lambda a: cuda.batch_norm_forward(x, gamma, beta, a + 1, a)[0],
            lambda a: cuda.batch_norm_inference(x, gamma, beta, beta, gamma * gamma, a + 1, a),
            lambda a: cuda.bce_backward(x, dy, -16, 16, a),
        ):
            np.testing.assert_array_equal(*(device.to_host(call(a)) for a in (given, usual)))
    after = []
    for zero in (kind(0), 0.0):
        p, m, v = ([device.asarray(np.ones(5, dtype))] for _ in range(3))
        g = [device.asarray(np.full(5, 2, dtype))]
        cuda.AdamSteps().run(p, g, m, v, t=1, learning_rate=0.01, beta_1=zero, beta_2=0.999, epsilon=zero)
        after.append(np.stack([device.to_host(a[0]) for a in (p, m, v)]))
    np.testing.assert_array_equal(*after)
    assert (after[0][1] == 2).all()  # the moment is the gradient


def test_arrays_of_other_dtypes_are_cast_or_refused(device):
    """Read as numbers of the first array's type, they would be garbage."""
    x, wide = (device.asarray(numbers(6, 4, dtype=dtype)) for dtype in (np.float32, np.float64))
    row = device.asarray(numbers(4, dtype=np.float64))
    labels = device.asarray(np.ones((6, 4)))
    narrow = device.asarray(np.ones((6, 4), np.float32))
    assert device.to_host(cuda.bce_forward(x, labels, *LIMITS)) == device.to_host(cuda.bce_forward(x, narrow, *LIMITS))
    for call in (
        lambda: cuda.batch_norm_forward(x, row, row, 1e-3, 0.2),
        lambda: cuda.leaky_relu_backward(wide, x, 0.2),
        lambda: cuda.tanh_backward(wide, x),
        lambda: cublas.matmul(x, wide, transpose_b=True),
    ):
        with pytest.raises(TypeError, match="arrays must have one dtype"):
            call()
    images = device.asarray(numbers(2, 4, 4, 3))
    moves = np.array([[1, 0], [0, -1]])
    moved = [device.to_host(cuda.translate(images, device.asarray(moves.astype(t)), 1)) for t in (np.int32, np.int64)]
    np.testing.assert_array_equal(*moved)


def test_a_batch_without_images_has_no_weight_gradient(device):
    x, dy = device.asarray(np.zeros((0, 8, 8, 16))), device.asarray(np.zeros((0, 4, 4, 16)))
    dw = cuda.conv_weight_grad(x, dy, 2, ((1, 1), (1, 1)), (4, 4))
    np.testing.assert_array_equal(device.to_host(dw), np.zeros((4, 4, 16, 16)))


def test_arrays_that_are_not_contiguous_are_refused(device):
    averages = [device.asarray(numbers(3, 4)).T]
    with pytest.raises(ValueError, match=r"must be contiguous, got strides \(8, 32\)"):
        cuda.Averaging().run(averages, averages, device.asarray(np.array(0.5)))


def test_more_arrays_than_one_launch_can_take(device):
    averages, latest = ([device.asarray(numbers(3)) for _ in range(cuda.MOST_TENSORS + 1)] for _ in range(2))
    cuda.Averaging().run(averages, latest, device.asarray(np.array(1.0)))
    for average, new in zip(averages, latest, strict=True):
        check(device, average, device.to_host(new), np.float64)


def test_gradients_may_be_other_arrays_at_each_step_without_any_copy(kernels):
    p, m, v = ([kernels.asarray(numbers(5))] for _ in range(3))
    steps = cuda.AdamSteps()
    settings = {"learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.999, "epsilon": 1e-7}
    COUNTER.reset()
    for t in (1, 2, 3):
        steps.run(p, [p[0] * 2], m, v, t=t, **settings)
    assert COUNTER.uploads == 0
    assert COUNTER.kernels == ["adam_rate", "adam"] * 3


# ------------------------------------------------------------------------------------------------------- recorded steps
def test_a_recording_is_done_only_when_replayed(device):
    x = device.asarray(np.ones(5, np.float32))
    total = device.asarray(np.zeros(5, np.float32))
    z = device.asarray(np.array([[1.0], [2.0]], np.float32))

    def work():
        total[...] = total + x
        return cuda.bce_forward(z, z, *LIMITS), total * 2

    loss, _ = work()
    expected = device.to_host(loss)
    recording = Recording(work, device.xp)
    np.testing.assert_array_equal(device.to_host(total), np.ones(5))
    for n in (2, 3):
        recording.replay()
        np.testing.assert_array_equal(device.to_host(recording.result[1]), np.full(5, 2 * n))
    assert device.to_host(recording.result[0]) == expected


def test_what_cannot_be_recorded_leaves_the_device_as_it_was(device):
    x = device.asarray(np.ones(5, np.float32))
    with pytest.raises(RuntimeError):
        Recording(lambda: float(x.sum()), device.xp)
    np.testing.assert_array_equal(device.to_host(x + x), np.full(5, 2))


# --------------------------------------------------------------------------------------------------- the double itself
def test_the_double_shows_a_missing_barrier(kernels, monkeypatch):
    """Without its barrier the sum of a block is wrong in at least one order: the tests above can fail."""
    barrier = "        __syncthreads();\n        if (threadIdx.y < half) sums"
    code = SOURCE.read_text(encoding="utf-8")
    assert barrier in code
    code = code.replace(barrier, barrier.replace("__syncthreads();", ""))
    monkeypatch.setattr(cuda, "compiled", lambda xp, dtype: RawModule(code=code, options=("-DREAL=double",)))
    cuda._kernel.cache_clear()
    x = numbers(100, 40)
    try:
        for reverse in (False, True):
            monkeypatch.setattr(RawModule, "reverse", reverse)
            total = kernels.to_host(cuda.channel_sum(kernels.asarray(x)))
            if not np.allclose(total, x.sum(axis=0)):
                return
        pytest.fail("both orders gave the right sum")
    finally:
        cuda._kernel.cache_clear()


def test_the_double_checks_what_a_kernel_is_given(kernels):
    matrix, x32 = kernels.asarray(numbers(4, 4)), kernels.asarray(numbers(4, 4, dtype=np.float32))
    kernel = cuda._kernel(kernels.xp, "d", "tanh_backward")
    with pytest.raises(AssertionError, match="takes 4 arguments, got 3"):
        kernel((1,), (16,), (matrix, matrix, matrix))
    with pytest.raises(AssertionError, match="long long from int"):
        kernel((1,), (16,), (matrix, matrix, matrix, 16))
    with pytest.raises(AssertionError, match=r"const real\* from an array of float32"):
        kernel((1,), (16,), (matrix, x32, matrix, np.int64(16)))
    with pytest.raises(AssertionError, match="not contiguous"):
        kernel((1,), (16,), (matrix, matrix.T, matrix, np.int64(16)))


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no nvcc")
@pytest.mark.parametrize("real", ["float", "double"])
def test_the_source_compiles_for_gpus(real, tmp_path):
    command = ["nvcc", "-std=c++14", f"-DREAL={real}", "-Werror", "all-warnings", "-arch=sm_80", "-cubin"]
    subprocess.run([*command, "-o", str(tmp_path / "out.cubin"), str(SOURCE)], check=True)
