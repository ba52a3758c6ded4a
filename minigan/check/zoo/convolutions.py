"""Specimens of convolution and transposed convolution.

The plain versions go through the output (or input) positions one by one. At each they handle the patches of the whole
batch. The factories `_conv_forward_with`, `_conv_backward_with` and so on are the same code; a specimen replaces one of
its lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.check.zoo.specimen import Shelf

# N samples, H rows, W columns, C channels in, O channels out; p, q run over the kernel's rows and columns.
_PATCH_BY_KERNEL = "npqc,pqco->no"
_DY_BY_KERNEL = "no,pqco->npqc"
_PATCH_BY_DY = "npqc,no->pqco"


def _padded(x: Any, pad: int) -> Any:
    return np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))


def _cropped(x: Any, pad: int) -> Any:
    return x[:, pad : x.shape[1] - pad, pad : x.shape[2] - pad]


def _window(i: int, j: int, K: int, stride: int) -> Any:
    """Where the patch of output position (i, j) is."""
    return slice(None), slice(stride * i, stride * i + K), slice(stride * j, stride * j + K)


# --------------------------------------------------------------------------------------------------------------- conv2d
def _conv_forward_with(
    *,
    enlarge: Any = _padded,
    kernel: Any = lambda w: w,
    window: Any = _window,
    bias: Any = lambda y, b: y + b,
) -> Any:
    def conv2d_forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
        K, O = w.shape[0], w.shape[3]
        big = enlarge(x, pad)
        Ho, Wo = (big.shape[1] - K) // stride + 1, (big.shape[2] - K) // stride + 1
        y = np.zeros((len(x), Ho, Wo, O), x.dtype)
        for i in range(Ho):
            for j in range(Wo):
                y[:, i, j] = np.einsum(_PATCH_BY_KERNEL, big[window(i, j, K, stride)], kernel(w))
        return bias(y, b), (x, w, stride, pad)

    return conv2d_forward


def _conv_backward_with(
    *,
    dw_line: Any = lambda patch, g: np.einsum(_PATCH_BY_DY, patch, g),
    dx_line: Any = lambda g, w: np.einsum(_DY_BY_KERNEL, g, w),
    window: Any = _window,
    crop: Any = _cropped,
    db_line: Any = lambda dy: dy.sum(axis=(0, 1, 2)),
    add: bool = True,
) -> Any:
    def conv2d_backward(dy: Any, cache: Any) -> Any:
        x, w, stride, pad = cache
        K = w.shape[0]
        big = _padded(x, pad)
        dbig, dw = np.zeros_like(big), np.zeros_like(w)
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                here = window(i, j, K, stride)
                dw += dw_line(big[here], dy[:, i, j])
                dbig[here] = dx_line(dy[:, i, j], w) + (dbig[here] if add else 0)
        return crop(dbig, pad), dw, db_line(dy)

    return conv2d_backward


_conv_forward, _conv_backward = _conv_forward_with(), _conv_backward_with()

conv2d = Shelf("conv2d", _conv_forward, _conv_backward)

# A true convolution, as mathematicians (and SciPy) define it.
conv2d.forward("the kernel is flipped", "E31")(_conv_forward_with(kernel=lambda w: w[::-1, ::-1]))
# The usual confusion of (row, column) with (x, y).
conv2d.forward("rows and columns of the kernel are exchanged", "E31")(
    _conv_forward_with(kernel=lambda w: w.transpose(1, 0, 2, 3))
)
# b is an argument and never used.
conv2d.forward("the bias is forgotten", "E32")(_conv_forward_with(bias=lambda y, b: y))
# One bias for all channels.
conv2d.forward("the sum of the bias is added to every channel", "E32")(
    _conv_forward_with(bias=lambda y, b: y + b.sum())
)
# pad is an argument and never used.
conv2d.forward("the padding is ignored", "E13", "E33")(_conv_forward_with(enlarge=lambda x, pad: x))
# The border is repeated; a convolution is padded with zeros.
conv2d.forward("the border is repeated instead of zeros", "E33")(
    _conv_forward_with(enlarge=lambda x, pad: np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge"))
)
# All padding on one side: the size is right, the image is shifted.
conv2d.forward("all padding at the bottom and on the right", "E33")(
    _conv_forward_with(enlarge=lambda x, pad: np.pad(x, ((0, 0), (0, 2 * pad), (0, 2 * pad), (0, 0))))
)
# The stride is in the number of positions, but not in the positions themselves.
conv2d.forward("the window moves by one whatever the stride", "E33")(
    _conv_forward_with(window=lambda i, j, K, stride: _window(i, j, K, 1))
)
# One of the two lines was forgotten.
conv2d.forward("the stride moves rows only", "E33")(
    _conv_forward_with(window=lambda i, j, K, stride: (slice(None), slice(stride * i, stride * i + K), slice(j, j + K)))
)


@conv2d.forward("the default of pad is 1", "E17")
def _(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 1) -> Any:
    """Made for the 3 x 3 kernels of one network, whose size it keeps."""
    return _conv_forward(x, w, b, stride, pad)


@conv2d.forward("the bias is added at every kernel position", "E32")
def _(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    """Inside the loop over the kernel: K*K times, instead of once."""
    K, O = w.shape[0], w.shape[3]
    big = _padded(x, pad)
    Ho, Wo = (big.shape[1] - K) // stride + 1, (big.shape[2] - K) // stride + 1
    y = np.zeros((len(x), Ho, Wo, O), x.dtype)
    for p in range(K):
        for q in range(K):
            part = big[:, p : p + stride * (Ho - 1) + 1 : stride, q : q + stride * (Wo - 1) + 1 : stride]
            y += part @ w[p, q] + b
    return y, (x, w, stride, pad)


@conv2d.forward("the output is one too small", "E13", "E33")
def _(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    """``(H + 2*pad - K) // stride`` and no ``+ 1``."""
    y, cache = _conv_forward(x, w, b, stride, pad)
    return y[:, :-1, :-1].copy(), cache


@conv2d.forward("the patch is unrolled in another order than the kernel", "E38", "E31")
def _(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    """im2col in (C, K, K) order against a kernel in (K, K, C) order."""
    K, O = w.shape[0], w.shape[3]
    big = _padded(x, pad)
    Ho, Wo = (big.shape[1] - K) // stride + 1, (big.shape[2] - K) // stride + 1
    y = np.empty((len(x), Ho, Wo, O), x.dtype)
    for i in range(Ho):
        for j in range(Wo):
            patch = big[_window(i, j, K, stride)].transpose(0, 3, 1, 2)
            y[:, i, j] = patch.reshape(len(x), -1) @ w.reshape(-1, O) + b
    return y, (x, w, stride, pad)


conv2d.forward("the kernel's matrix is made with reshape in place of a transpose", "E38")(
    _conv_forward_with(kernel=lambda w: w.reshape(w.shape[3], -1).T.reshape(w.shape))
)


@conv2d.forward("only the last input channel counts", "E30", "E38")
def _(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    """``=`` where ``+=`` belongs, in the loop over the channels."""
    y = np.zeros(())
    for c in range(x.shape[3]):
        y, _cache = _conv_forward(x[..., c : c + 1], w[:, :, c : c + 1], b, stride, pad)
    return y, (x, w, stride, pad)


@conv2d.forward("stride and pad are no arguments", "E16")
def _(x: Any, w: Any, b: Any) -> Any:
    """Written for stride 1 without padding."""
    return _conv_forward(x, w, b)


@conv2d.forward("the output is float64", "E14")
def _(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    """``np.zeros`` without a dtype makes float64."""
    K, O = w.shape[0], w.shape[3]
    big = _padded(x, pad)
    Ho, Wo = (big.shape[1] - K) // stride + 1, (big.shape[2] - K) // stride + 1
    y = np.zeros((len(x), Ho, Wo, O))
    for i in range(Ho):
        for j in range(Wo):
            y[:, i, j] = np.einsum(_PATCH_BY_KERNEL, big[_window(i, j, K, stride)], w) + b
    return y, (x, w, stride, pad)


# Every patch overwrites its neighbours.
conv2d.backward("overlapping patches overwrite each other in dx", "E66")(_conv_backward_with(add=False))
# "The gradient is a convolution with the flipped kernel": true if each pixel of dx collects its
# terms, but not if each output position adds to its patch, as here.
conv2d.backward("the kernel is flipped in dx", "E54")(
    _conv_backward_with(dx_line=lambda g, w: np.einsum(_DY_BY_KERNEL, g, w[::-1, ::-1]))
)
# p and q are mixed up; not seen with a symmetric kernel.
conv2d.backward("rows and columns of the kernel are exchanged in dx", "E53")(
    _conv_backward_with(dx_line=lambda g, w: np.einsum(_DY_BY_KERNEL, g, w.transpose(1, 0, 2, 3)))
)
# In a cross-correlation nothing is flipped, forwards or backwards.
conv2d.backward("dw is flipped", "E54")(
    _conv_backward_with(dw_line=lambda patch, g: np.einsum(_PATCH_BY_DY, patch, g)[::-1, ::-1])
)
# p and q are mixed up once more.
conv2d.backward("rows and columns of dw are exchanged", "E53")(
    _conv_backward_with(dw_line=lambda patch, g: np.einsum(_PATCH_BY_DY, patch, g).transpose(1, 0, 2, 3))
)
# Indices 0:H instead of pad:pad+H.
conv2d.backward("dx is cropped from the upper left corner", "E55")(
    _conv_backward_with(crop=lambda d, pad: d[:, : d.shape[1] - 2 * pad, : d.shape[2] - 2 * pad])
)
# This is the gradient of the padded x; the padding is not cut off.
conv2d.backward("dx keeps the padding", "E13", "E33")(_conv_backward_with(crop=lambda d, pad: d))
# pad:-pad is empty when pad is 0.
conv2d.backward("dx is empty without padding", "E13", "E68")(
    _conv_backward_with(crop=lambda d, pad: d[:, pad:-pad, pad:-pad])
)
# Tried with square images only: as many columns as rows are kept.
conv2d.backward("dx is right for square images only", "E13", "E68")(
    _conv_backward_with(crop=lambda d, pad: d[:, pad : d.shape[1] - pad, pad : d.shape[1] - pad])
)
# Written and tried with stride 1.
conv2d.backward("the stride is ignored", "E55", "E68")(
    _conv_backward_with(window=lambda i, j, K, stride: _window(i, j, K, 1))
)
# An index has removed the batch axis, left over from a search for another mistake.
conv2d.backward("dw of the first sample only", "E64")(
    _conv_backward_with(dw_line=lambda patch, g: np.einsum(_PATCH_BY_DY, patch[:1], g[:1]))
)
# The loss has divided by N already.
conv2d.backward("dw is averaged over the batch", "E57", "E51")(
    _conv_backward_with(dw_line=lambda patch, g: np.einsum(_PATCH_BY_DY, patch, g) / len(g))
)
# A mask from another layer that is 0 everywhere.
conv2d.backward("dx stays zero", "E52")(_conv_backward_with(dx_line=lambda g, w: 0 * np.einsum(_DY_BY_KERNEL, g, w)))
# mean where sum belongs.
conv2d.backward("db is a mean", "E57", "E51")(_conv_backward_with(db_line=lambda dy: dy.mean(axis=(0, 1, 2))))
# The bias is added at every position, so the gradients of all positions add up.
conv2d.backward("db is averaged over the positions", "E57", "E51")(
    _conv_backward_with(db_line=lambda dy: dy.mean(axis=(1, 2)).sum(axis=0))
)
# Right for a dense layer.
conv2d.backward("db is summed over the batch only", "E13", "E57")(
    _conv_backward_with(db_line=lambda dy: dy.sum(axis=0))
)
# dy[0] in place of dy.
conv2d.backward("db of the first sample only", "E64")(_conv_backward_with(db_line=lambda dy: dy[0].sum(axis=(0, 1))))
# As if the derivative of a product were the sum of both halves, each times 2.
conv2d.backward("dx twice as large", "E51")(
    _conv_backward_with(dx_line=lambda g, w: 2 * np.einsum(_DY_BY_KERNEL, g, w))
)
# The minus of gradient descent belongs in the optimizer.
conv2d.backward("dx has the wrong sign", "E51")(
    _conv_backward_with(dx_line=lambda g, w: -np.einsum(_DY_BY_KERNEL, g, w))
)


@conv2d.backward("the last row and column of dy are left out", "E65")
def _(dy: Any, cache: Any) -> Any:
    """``range(Ho - 1)``: off by one."""
    x, w, stride, pad = cache
    K = w.shape[0]
    big = _padded(x, pad)
    dbig, dw = np.zeros_like(big), np.zeros_like(w)
    for i in range(max(dy.shape[1] - 1, 1)):
        for j in range(max(dy.shape[2] - 1, 1)):
            here = _window(i, j, K, stride)
            dbig[here] += np.einsum(_DY_BY_KERNEL, dy[:, i, j], w)
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            dw += np.einsum(_PATCH_BY_DY, big[_window(i, j, K, stride)], dy[:, i, j])
    return _cropped(dbig, pad), dw, dy.sum(axis=(0, 1, 2))


@conv2d.backward("overlapping patches are averaged in dx", "E57", "E50")
def _(dy: Any, cache: Any) -> Any:
    """As for an image put together from patches: every pixel is divided by the number of its patches."""
    x, w, stride, pad = cache
    K = w.shape[0]
    dx, dw, db = _conv_backward(dy, cache)
    count = np.zeros_like(_padded(x, pad))
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            count[_window(i, j, K, stride)] += 1
    return dx / np.maximum(_cropped(count, pad), 1), dw, db


@conv2d.backward("the border of dx is dropped", "E65")
def _(dy: Any, cache: Any) -> Any:
    """The outermost pixels are treated as padding."""
    dx, dw, db = _conv_backward(dy, cache)
    inside = np.zeros_like(dx)
    inside[:, 1:-1, 1:-1] = dx[:, 1:-1, 1:-1]
    return inside, dw, db


@conv2d.backward("the size of x is guessed from dy", "E13", "E68")
def _(dy: Any, cache: Any) -> Any:
    """``stride * (Ho - 1) + K - 2*pad``: the last rows, which no patch reaches, are missing."""
    x, w, stride, pad = cache
    K = w.shape[0]
    big = _padded(x, pad)
    rows, columns = (stride * (n - 1) + K for n in dy.shape[1:3])
    dbig, dw = np.zeros((len(x), rows, columns, x.shape[3]), x.dtype), np.zeros_like(w)
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            here = _window(i, j, K, stride)
            dw += np.einsum(_PATCH_BY_DY, big[here], dy[:, i, j])
            dbig[here] += np.einsum(_DY_BY_KERNEL, dy[:, i, j], w)
    return _cropped(dbig, pad), dw, dy.sum(axis=(0, 1, 2))


@conv2d.backward("the padding is forgotten in dw", "E55", "E68")
def _(dy: Any, cache: Any) -> Any:
    """Patches of the unpadded x, filled with zeros at its end: right without padding only."""
    x, w, stride, pad = cache
    K = w.shape[0]
    shifted = np.pad(x, ((0, 0), (0, 2 * pad), (0, 2 * pad), (0, 0)))
    dw = np.zeros_like(w)
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            dw += np.einsum(_PATCH_BY_DY, shifted[_window(i, j, K, stride)], dy[:, i, j])
    dx, _dw, db = _conv_backward(dy, cache)
    return dx, dw, db


@conv2d.backward("dw and dx are exchanged", "E67", "E13")
def _(dy: Any, cache: Any) -> Any:
    """Returned in another order."""
    dx, dw, db = _conv_backward(dy, cache)
    return dw, dx, db


@conv2d.backward("channels in and out of dw are exchanged", "E13", "E53")
def _(dy: Any, cache: Any) -> Any:
    """Shape (K, K, O, C)."""
    dx, dw, db = _conv_backward(dy, cache)
    return dx, dw.transpose(0, 1, 3, 2).copy(), db


@conv2d.pair("backward uses the padded x of the latest forward", "E25")
def _() -> Any:
    """A module-wide buffer, to save an allocation."""
    buffer: dict[str, Any] = {}

    def forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
        buffer["x"] = x
        return _conv_forward(x, w, b, stride, pad)

    def backward(dy: Any, cache: Any) -> Any:
        _x, w, stride, pad = cache
        return _conv_backward(dy, (buffer["x"], w, stride, pad))

    return forward, backward


@conv2d.pair("dw is added into the cache from call to call", "E24")
def _() -> Any:
    """The array for dw is made once, in forward; a second backward adds to the first."""

    def forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
        y, cache = _conv_forward(x, w, b, stride, pad)
        return y, (cache, np.zeros_like(w))

    def backward(dy: Any, cache: Any) -> Any:
        inner, total = cache
        dx, dw, db = _conv_backward(dy, inner)
        total += dw
        return dx, total.copy(), db

    return forward, backward


def _im2col(x: Any, K: int, stride: int, pad: int) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(_padded(x, pad), (K, K), axis=(1, 2))
    return windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)  # (N, Ho, Wo, K, K, C)


@conv2d.pair("im2col and col2im; dx is a view of a buffer of its own")
def _() -> Any:
    def forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
        columns = _im2col(x, w.shape[0], stride, pad)
        N, Ho, Wo = columns.shape[:3]
        matrix = columns.reshape(N * Ho * Wo, -1)
        y = matrix @ w.reshape(-1, w.shape[3]) + b
        return y.reshape(N, Ho, Wo, -1), (matrix, x.shape, w, stride, pad)

    def backward(dy: Any, cache: Any) -> Any:
        matrix, (N, H, W, C), w, stride, pad = cache
        K, O = w.shape[0], w.shape[3]
        rows = dy.reshape(-1, O)
        dcolumns = (rows @ w.reshape(-1, O).T).reshape(*dy.shape[:3], K, K, C)
        dbig = np.zeros((N, H + 2 * pad, W + 2 * pad, C), dy.dtype)
        Ho, Wo = dy.shape[1:3]
        for p in range(K):
            for q in range(K):
                dbig[:, p : p + stride * Ho : stride, q : q + stride * Wo : stride] += dcolumns[:, :, :, p, q]
        return dbig[:, pad : pad + H, pad : pad + W], (matrix.T @ rows).reshape(w.shape), rows.sum(axis=0)

    return forward, backward


@conv2d.pair("the loop runs over the kernel, einsum over the rest")
def _() -> Any:
    def forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0, dilation: int = 1) -> Any:
        K = w.shape[0]
        big = _padded(x, pad)
        Ho, Wo = (big.shape[1] - K) // stride + 1, (big.shape[2] - K) // stride + 1
        y = np.tile(b, (len(x), Ho, Wo, 1))
        for p in range(K):
            for q in range(K):
                part = big[:, p : p + stride * (Ho - 1) + 1 : stride, q : q + stride * (Wo - 1) + 1 : stride]
                y += np.einsum("nijc,co->nijo", part, w[p, q])
        return y, {"x": x, "w": w, "stride": stride, "pad": pad}

    def backward(dy: Any, cache: Any) -> Any:
        x, w, stride, pad = (cache[name] for name in ("x", "w", "stride", "pad"))
        big = _padded(x, pad)
        dbig, dw = np.zeros_like(big), np.zeros_like(w)
        Ho, Wo = dy.shape[1:3]
        for p in range(w.shape[0]):
            for q in range(w.shape[1]):
                here = np.s_[:, p : p + stride * (Ho - 1) + 1 : stride, q : q + stride * (Wo - 1) + 1 : stride]
                dbig[here] += dy @ w[p, q].T
                dw[p, q] = np.tensordot(big[here], dy, axes=((0, 1, 2), (0, 1, 2)))
        return _cropped(dbig, pad).copy(), dw, np.einsum("nijo->o", dy)

    return forward, backward


@conv2d.pair("seven nested loops")
def _() -> Any:
    def forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
        (N, H, W, C), (K, _, _, O) = x.shape, w.shape
        Ho, Wo = (H + 2 * pad - K) // stride + 1, (W + 2 * pad - K) // stride + 1
        y = np.zeros((N, Ho, Wo, O), dtype=x.dtype)
        for n, i, j in np.ndindex(N, Ho, Wo):
            y[n, i, j] = b
            for p, q, c in np.ndindex(K, K, C):
                row, column = stride * i + p - pad, stride * j + q - pad
                if 0 <= row < H and 0 <= column < W:
                    y[n, i, j] += x[n, row, column, c] * w[p, q, c]
        return y, (x, w, b, stride, pad)

    def backward(dy: Any, cache: Any) -> Any:
        x, w, b, stride, pad = cache
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
        H, W = x.shape[1:3]
        for n, i, j in np.ndindex(dy.shape[:3]):
            db += dy[n, i, j]
            for p, q, c in np.ndindex(w.shape[:3]):
                row, column = stride * i + p - pad, stride * j + q - pad
                if 0 <= row < H and 0 <= column < W:
                    dx[n, row, column, c] += (dy[n, i, j] * w[p, q, c]).sum()
                    dw[p, q, c] += dy[n, i, j] * x[n, row, column, c]
        return dx, dw, db

    return forward, backward


# --------------------------------------------------------------------------------------------------------- conv2d, NCHW
def _nchw_columns(x: Any, K: int, stride: int, pad: int) -> Any:
    """Patches of x (N, C, H, W) as (N, Ho, Wo, C, K, K)."""
    big = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(big, (K, K), axis=(2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(0, 2, 3, 1, 4, 5)


def _nchw_conv_forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    columns = _nchw_columns(x, w.shape[2], stride, pad)
    y = np.einsum("nijcpq,ocpq->noij", columns, w) + b.reshape(1, -1, 1, 1)
    return y, (x, w, stride, pad)


def _nchw_conv_backward(dy: Any, cache: Any) -> Any:
    x, w, stride, pad = cache
    O, C, K, _ = w.shape
    dw = np.einsum("nijcpq,noij->ocpq", _nchw_columns(x, K, stride, pad), dy)
    dbig = np.zeros((len(x), C, x.shape[2] + 2 * pad, x.shape[3] + 2 * pad), x.dtype)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            part = (dy[:, :, i, j] @ w.reshape(O, -1)).reshape(-1, C, K, K)
            dbig[:, :, stride * i : stride * i + K, stride * j : stride * j + K] += part
    return dbig[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]], dw, dy.sum(axis=(0, 2, 3))


conv2d_nchw = Shelf("conv2d", _nchw_conv_forward, _nchw_conv_backward, layout="NCHW")


@conv2d_nchw.pair("NCHW")
def _() -> Any:
    return _nchw_conv_forward, _nchw_conv_backward


@conv2d_nchw.forward("NCHW, the kernel is flipped", "E31")
def _(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    """A true convolution."""
    y, _cache = _nchw_conv_forward(x, w[:, :, ::-1, ::-1], b, stride, pad)
    return y, (x, w, stride, pad)


@conv2d_nchw.backward("NCHW, db of the first sample only", "E64")
def _(dy: Any, cache: Any) -> Any:
    """``axis=(1, 2)`` of ``dy[0]``."""
    dx, dw, _db = _nchw_conv_backward(dy, cache)
    return dx, dw, dy[0].sum(axis=(1, 2))


@conv2d_nchw.backward("NCHW, dx is cropped from the lower right corner", "E55")
def _(dy: Any, cache: Any) -> Any:
    """Twice the padding is cut off at one side."""
    x, w, stride, pad = cache
    wide = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dbig, _dw, _db = _nchw_conv_backward(dy, (wide, w, stride, 0))
    _dx, dw, db = _nchw_conv_backward(dy, cache)
    return dbig[:, :, 2 * pad :, 2 * pad :], dw, db


# ----------------------------------------------------------------------------------------------------- conv2d_transpose
_X_BY_KERNEL = "nc,pqoc->npqo"
_PATCH_BY_TRANSPOSED = "npqo,pqoc->nc"
_PATCH_BY_X = "npqo,nc->pqoc"


def _transpose_forward_with(
    *,
    kernel: Any = lambda w: w,
    window: Any = _window,
    crop: Any = _cropped,
    stamp_bias: Any = lambda b: 0,
    bias: Any = lambda y, b: y + b,
    add: bool = True,
) -> Any:
    def conv2d_transpose_forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
        N, H, W, _ = x.shape
        K, O = w.shape[0], w.shape[2]
        full = np.zeros((N, stride * (H - 1) + K, stride * (W - 1) + K, O), x.dtype)
        for i in range(H):
            for j in range(W):
                here = window(i, j, K, stride)
                stamp = np.einsum(_X_BY_KERNEL, x[:, i, j], kernel(w)) + stamp_bias(b)
                full[here] = stamp + (full[here] if add else 0)
        return bias(crop(full, pad), b), (x, w, stride, pad)

    return conv2d_transpose_forward


def _transpose_backward_with(
    *,
    enlarge: Any = _padded,
    window: Any = _window,
    dx_line: Any = lambda patch, w: np.einsum(_PATCH_BY_TRANSPOSED, patch, w),
    dw_line: Any = lambda patch, x: np.einsum(_PATCH_BY_X, patch, x),
    db_line: Any = lambda dy: dy.sum(axis=(0, 1, 2)),
    add: bool = True,
) -> Any:
    def conv2d_transpose_backward(dy: Any, cache: Any) -> Any:
        x, w, stride, pad = cache
        K = w.shape[0]
        dfull = enlarge(dy, pad)
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                patch = dfull[window(i, j, K, stride)]
                dx[:, i, j] = dx_line(patch, w)
                dw = dw_line(patch, x[:, i, j]) + (dw if add else 0)
        return dx, dw, db_line(dy)

    return conv2d_transpose_backward


_transpose_forward, _transpose_backward = _transpose_forward_with(), _transpose_backward_with()

conv2d_transpose = Shelf("conv2d_transpose", _transpose_forward, _transpose_backward)

# Flipped as for the zero-insertion recipe, but then stamped.
conv2d_transpose.forward("the kernel is flipped", "E31")(_transpose_forward_with(kernel=lambda w: w[::-1, ::-1]))
# p and q are mixed up.
conv2d_transpose.forward("the kernel's matrix is made with reshape in place of a transpose", "E38")(
    _transpose_forward_with(kernel=lambda w: w.reshape(w.shape[3], -1).T.reshape(w.shape))
)
conv2d_transpose.forward("the stamps' matrix is reshaped from exchanged channels", "E38")(
    _transpose_forward_with(kernel=lambda w: w.transpose(0, 1, 3, 2).reshape(w.shape[3], -1).T.reshape(w.shape))
)
conv2d_transpose.forward("rows and columns of the kernel are exchanged", "E31")(
    _transpose_forward_with(kernel=lambda w: w.transpose(1, 0, 2, 3))
)
# b is an argument and never used.


@conv2d_transpose.forward("the default of stride is 2", "E17")
def _(x: Any, w: Any, b: Any, stride: int = 2, pad: int = 0) -> Any:
    """The generator's stride."""
    return _transpose_forward(x, w, b, stride, pad)


conv2d_transpose.forward("the bias is forgotten", "E32")(_transpose_forward_with(bias=lambda y, b: y))
# Where stamps overlap the bias comes more than once.
conv2d_transpose.forward("the bias is part of every stamp", "E32")(
    _transpose_forward_with(stamp_bias=lambda b: b, bias=lambda y, b: y)
)
# = where += belongs.
conv2d_transpose.forward("overlapping stamps overwrite each other", "E66", "E30")(_transpose_forward_with(add=False))
# pad is an argument and never used.
conv2d_transpose.forward("nothing is cropped", "E13", "E33")(_transpose_forward_with(crop=lambda full, pad: full))
# Twice the padding from one side: the size is right, the image is shifted.
conv2d_transpose.forward("cropped at the bottom and on the right only", "E33")(
    _transpose_forward_with(crop=lambda y, pad: y[:, : y.shape[1] - 2 * pad, : y.shape[2] - 2 * pad])
)
# The same at the other side.
conv2d_transpose.forward("cropped at the top and on the left only", "E33")(
    _transpose_forward_with(crop=lambda y, pad: y[:, 2 * pad :, 2 * pad :])
)
# As in a convolution: padding makes the output larger. In a transposed one it makes it smaller.
conv2d_transpose.forward("padded where it has to be cropped", "E13", "E33")(_transpose_forward_with(crop=_padded))
# The output has the right size, and most of it is empty.
conv2d_transpose.forward("the stamps are one apart whatever the stride", "E33")(
    _transpose_forward_with(window=lambda i, j, K, stride: _window(i, j, K, 1))
)
# pad:-pad is empty when pad is 0.
conv2d_transpose.forward("the output is empty without padding", "E13", "E33")(
    _transpose_forward_with(crop=lambda y, pad: y[:, pad:-pad, pad:-pad])
)


@conv2d_transpose.forward("zeros between the pixels, then a convolution with the same kernel", "E31")
def _(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    """Zeros between the rows need a flipped kernel; here it is not flipped."""
    N, H, W, C = x.shape
    K = w.shape[0]
    spread = np.zeros((N, stride * (H - 1) + 1, stride * (W - 1) + 1, C), x.dtype)
    spread[:, ::stride, ::stride] = x
    y, _cache = _conv_forward(_padded(spread, K - 1), w.transpose(0, 1, 3, 2), b)
    return _cropped(y, pad), (x, w, stride, pad)


@conv2d_transpose.forward("the output is stride times the input", "E13", "E33")
def _(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    """Keras's 'same', whatever the kernel size and the padding."""
    y, cache = _transpose_forward(x, w, b, stride, 0)
    return y[:, : stride * x.shape[1], : stride * x.shape[2]].copy(), cache


@conv2d_transpose.forward("the kernel's channels are in a convolution's order", "E10")
def _(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    """(K, K, C, O) in place of (K, K, O, C); runs only if C == O."""
    return _transpose_forward(x, w.transpose(0, 1, 3, 2), b, stride, pad)


# Reading a patch back is a cross-correlation: nothing is flipped.
conv2d_transpose.backward("the kernel is flipped in dx", "E54")(
    _transpose_backward_with(dx_line=lambda patch, w: np.einsum(_PATCH_BY_TRANSPOSED, patch, w[::-1, ::-1]))
)
# The same in dw.
conv2d_transpose.backward("dw is flipped", "E54")(
    _transpose_backward_with(dw_line=lambda patch, x: np.einsum(_PATCH_BY_X, patch, x)[::-1, ::-1])
)
# p and q are mixed up.
conv2d_transpose.backward("rows and columns of dw are exchanged", "E53")(
    _transpose_backward_with(dw_line=lambda patch, x: np.einsum(_PATCH_BY_X, patch, x).transpose(1, 0, 2, 3))
)
# An index has removed the batch axis.
conv2d_transpose.backward("dw of the first sample only", "E64")(
    _transpose_backward_with(dw_line=lambda patch, x: np.einsum(_PATCH_BY_X, patch[:1], x[:1]))
)
# `dw = ...` in the loop: each position overwrites the one before.
conv2d_transpose.backward("dw of the last position only", "E66", "E50")(_transpose_backward_with(add=False))
# All padding at the far side: every patch is read `pad` too far up and left.
conv2d_transpose.backward("dy is put back at the wrong corner", "E55")(
    _transpose_backward_with(enlarge=lambda dy, pad: np.pad(dy, ((0, 0), (0, 2 * pad), (0, 2 * pad), (0, 0))))
)
# Written and tried with stride 1.
conv2d_transpose.backward("the stride is ignored", "E55", "E68")(
    _transpose_backward_with(window=lambda i, j, K, stride: _window(i, j, K, 1))
)
# mean where sum belongs.
conv2d_transpose.backward("db is a mean", "E57", "E51")(
    _transpose_backward_with(db_line=lambda dy: dy.mean(axis=(0, 1, 2)))
)
# The loss has divided by N already.
conv2d_transpose.backward("db is averaged over the batch", "E57", "E51")(
    _transpose_backward_with(db_line=lambda dy: dy.sum(axis=(1, 2)).mean(axis=0))
)
# One row for each sample remains.
conv2d_transpose.backward("db is summed over pixels only", "E13", "E57")(
    _transpose_backward_with(db_line=lambda dy: dy.sum(axis=(1, 2)))
)
# dy[0] in place of dy.
conv2d_transpose.backward("the first sample's db", "E64")(
    _transpose_backward_with(db_line=lambda dy: dy[0].sum(axis=(0, 1)))
)
# This factor belongs to the loss.
conv2d_transpose.backward("dx is half as large", "E51")(
    _transpose_backward_with(dx_line=lambda patch, w: 0.5 * np.einsum(_PATCH_BY_TRANSPOSED, patch, w))
)


@conv2d_transpose.backward("channels in and out of dw are exchanged", "E13", "E53")
def _(dy: Any, cache: Any) -> Any:
    """The convolution's dw, with the roles of x and dy not swapped."""
    dx, dw, db = _transpose_backward(dy, cache)
    return dx, dw.transpose(0, 1, 3, 2).copy(), db


@conv2d_transpose.backward("the last row and column of dx are never computed", "E65")
def _(dy: Any, cache: Any) -> Any:
    """The loops leave out the border."""
    x, w, stride, pad = cache
    K = w.shape[0]
    dfull = _padded(dy, pad)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            patch = dfull[_window(i, j, K, stride)]
            dw += np.einsum(_PATCH_BY_X, patch, x[:, i, j])
            if i + 1 < x.shape[1] and j + 1 < x.shape[2]:
                dx[:, i, j] = np.einsum(_PATCH_BY_TRANSPOSED, patch, w)
    return dx, dw, dy.sum(axis=(0, 1, 2))


@conv2d_transpose.backward("dx is scattered as in forward", "E10", "E13")
def _(dy: Any, cache: Any) -> Any:
    """Backward applies the transposed convolution once more in place of the convolution."""
    _x, w, stride, pad = cache
    _dx, dw, db = _transpose_backward(dy, cache)
    dx, _cache = _transpose_forward(dy, w, np.zeros_like(db), stride, pad)
    return dx, dw, db


@conv2d_transpose.backward("gradients in float64", "E14")
def _(dy: Any, cache: Any) -> Any:
    """``np.zeros(x.shape)`` has the wrong dtype."""
    x, w, stride, pad = cache
    K = w.shape[0]
    dfull = _padded(dy, pad)
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            patch = dfull[_window(i, j, K, stride)]
            dx[:, i, j] = np.einsum(_PATCH_BY_TRANSPOSED, patch, w)
            dw += np.einsum(_PATCH_BY_X, patch, x[:, i, j])
    return dx, dw, dy.sum(axis=(0, 1, 2))


@conv2d_transpose.pair("zeros between the pixels, then a convolution with the kernel turned round")
def _() -> Any:
    def forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0, output_padding: int = 0) -> Any:
        N, H, W, C = x.shape
        K = w.shape[0]
        spread = np.zeros((N, stride * (H - 1) + 1, stride * (W - 1) + 1, C), x.dtype)
        spread[:, ::stride, ::stride] = x
        turned = w[::-1, ::-1].transpose(0, 1, 3, 2)
        y, _ = _conv_forward(_padded(spread, K - 1), turned, b)
        return _cropped(y, pad), (x, w, stride, pad)

    def backward(dy: Any, cache: Any) -> Any:
        x, w, stride, pad = cache
        columns = _im2col(dy, w.shape[0], stride, pad)
        dx = np.tensordot(columns, w, axes=3)
        dw = np.einsum("nijpqo,nijc->pqoc", columns, x)
        return dx, dw, dy.reshape(-1, dy.shape[3]).sum(axis=0)

    return forward, backward


@conv2d_transpose.pair("the adjoint of a convolution")
def _() -> Any:
    def forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
        K = w.shape[0]
        H, W = (stride * (n - 1) + K - 2 * pad for n in x.shape[1:3])
        image = np.zeros((len(x), H, W, w.shape[2]), x.dtype)
        y, _, _ = _conv_backward(x, (image, w, stride, pad))
        return y + b, [x, w, b, stride, pad]

    def backward(dy: Any, cache: Any) -> Any:
        x, w, b, stride, pad = cache
        dx, inner = _conv_forward(dy, w, np.zeros(x.shape[3], x.dtype), stride, pad)
        _, dw, _ = _conv_backward(x, inner)
        return dx, dw, (dy + 0 * b).sum(axis=(0, 1, 2))

    return forward, backward


@conv2d_transpose.pair("loops over the output: which inputs reach this pixel?")
def _() -> Any:
    def touching(x: Any, w: Any, size: Any, stride: int, pad: int) -> Any:
        for row, column in np.ndindex(*size):
            for p, q in np.ndindex(w.shape[:2]):
                i, j = row + pad - p, column + pad - q
                inside = 0 <= i < stride * x.shape[1] and 0 <= j < stride * x.shape[2]
                if inside and i % stride == 0 and j % stride == 0:
                    yield row, column, p, q, i // stride, j // stride

    def forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
        K = w.shape[0]
        size = [stride * (n - 1) + K - 2 * pad for n in x.shape[1:3]]
        y = np.zeros((len(x), *size, w.shape[2]), x.dtype) + b
        for row, column, p, q, i, j in touching(x, w, size, stride, pad):
            y[:, row, column] += x[:, i, j] @ w[p, q].T
        return y, (x, w, stride, pad)

    def backward(dy: Any, cache: Any) -> Any:
        x, w, stride, pad = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for row, column, p, q, i, j in touching(x, w, dy.shape[1:3], stride, pad):
            dx[:, i, j] += dy[:, row, column] @ w[p, q]
            dw[p, q] += dy[:, row, column].T @ x[:, i, j]
        return dx, dw, dy.sum(axis=0).sum(axis=0).sum(axis=0)

    return forward, backward


# ----------------------------------------------------------------------------------------------- conv2d_transpose, NCHW
def _nchw_transpose_forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    N, _, H, W = x.shape
    _, O, K, _ = w.shape
    full = np.zeros((N, O, stride * (H - 1) + K, stride * (W - 1) + K), x.dtype)
    for p in range(K):
        for q in range(K):
            part = np.einsum("nchw,co->nohw", x, w[:, :, p, q])
            full[:, :, p : p + stride * (H - 1) + 1 : stride, q : q + stride * (W - 1) + 1 : stride] += part
    y = full[:, :, pad : full.shape[2] - pad, pad : full.shape[3] - pad] + b[:, None, None]
    return y, (x, w, stride, pad)


def _nchw_transpose_backward(dy: Any, cache: Any) -> Any:
    x, w, stride, pad = cache
    columns = _nchw_columns(dy, w.shape[2], stride, pad)  # (N, H, W, O, K, K)
    dx = np.einsum("nhwopq,copq->nchw", columns, w)
    dw = np.einsum("nhwopq,nchw->copq", columns, x)
    return dx, dw, dy.sum(axis=(0, 2, 3))


conv2d_transpose_nchw = Shelf("conv2d_transpose", _nchw_transpose_forward, _nchw_transpose_backward, layout="NCHW")


@conv2d_transpose_nchw.pair("NCHW")
def _() -> Any:
    return _nchw_transpose_forward, _nchw_transpose_backward


@conv2d_transpose_nchw.backward("NCHW, the kernel is flipped in dx", "E54")
def _(dy: Any, cache: Any) -> Any:
    """The kernel is flipped once too often."""
    x, w, stride, pad = cache
    columns = _nchw_columns(dy, w.shape[2], stride, pad)
    dx = np.einsum("nhwopq,copq->nchw", columns, w[:, :, ::-1, ::-1])
    dw = np.einsum("nhwopq,nchw->copq", columns, x)
    return dx, dw, dy.sum(axis=(0, 2, 3))


SHELVES = (conv2d, conv2d_nchw, conv2d_transpose, conv2d_transpose_nchw)
