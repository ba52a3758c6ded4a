"""A student's file with every function that training calls, right, and written otherwise than minigan's.

`SOLUTIONS` is in minigan's layout, `NCHW` in the other one. Both are plain NumPy, and some functions return lists, or
have settings in an order of their own, as a student may.
"""

_COMMON = """
import numpy as np

def dense_forward(x, w, b):
    return [np.einsum("nc,co->no", x, w) + b, (x, w)]

def dense_backward(dy, cache):
    x, w = cache
    return [np.einsum("no,co->nc", dy, w), np.einsum("nc,no->co", x, dy), np.einsum("no->o", dy)]

def leaky_relu_forward(x, slope=0.5, alpha=0.2):
    return np.where(x > 0, x, x * x.dtype.type(alpha)), (x, alpha)

def leaky_relu_backward(dy, cache):
    x, alpha = cache
    return (np.where(x > 0, dy, dy * dy.dtype.type(alpha)),)

def tanh_forward(x):
    y = np.tanh(x)
    return y, y.copy()

def tanh_backward(dy, y):
    return [dy - dy * y * y]

def flatten_forward(x):
    return x.reshape(len(x), -1), x.shape

def flatten_backward(dy, shape):
    return dy.reshape(shape)

def bce_with_logits_forward(z, target):
    return float(np.mean(np.logaddexp(0, z) - z * target)), (z, target)

def bce_with_logits_backward(dloss, cache):
    z, target = cache
    return [(dloss * (0.5 + 0.5 * np.tanh(z / 2) - target) / z.size).astype(z.dtype)]

def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g ** 2 - v)
    rate = lr * (1 - beta2 ** t) ** 0.5 / (1 - beta1 ** t)
    return [p - rate * m / (v ** 0.5 + eps), m, v]

def discriminator_step(D, optimizer, x, labels):
    z, caches = D.forward(x, training=True)
    loss, cache = bce_with_logits_forward(z, labels)
    D.zero_grads()
    D.backward(bce_with_logits_backward(1.0, cache)[0], caches)
    optimizer.step(D.grads())
    return loss

def generator_step(G, D, optimizer, noise, labels):
    fakes, caches = G.forward(noise, training=True)
    z, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, cache = bce_with_logits_forward(z, labels)
    dx = D.backward(bce_with_logits_backward(1.0, cache)[0], d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dx, caches)
    optimizer.step(G.grads())
    return loss

def moving_average(moving, biased, t, value, momentum=0.5):
    t = len(range(t)) + 1  # t is a whole number, as in the check
    biased = momentum * biased + (1 - momentum) * value
    return [biased / (1 - momentum ** t), biased, t]
"""

SOLUTIONS = (
    _COMMON
    + """
def conv2d_forward(x, w, b, stride=1, pad=0):
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    K = w.shape[0]
    patches = np.lib.stride_tricks.sliding_window_view(x, (K, K), axis=(1, 2))[:, ::stride, ::stride]
    return np.tensordot(patches, w, axes=((4, 5, 3), (0, 1, 2))) + b, (x, w, patches, stride, pad)

def conv2d_backward(dy, cache):
    x, w, patches, stride, pad = cache
    K, dx = w.shape[0], np.zeros_like(x)
    H, W = dy.shape[1:3]
    for i in range(K):
        for j in range(K):
            dx[:, i : i + stride * (H - 1) + 1 : stride, j : j + stride * (W - 1) + 1 : stride] += dy @ w[i, j].T
    dw = np.tensordot(patches, dy, axes=((0, 1, 2), (0, 1, 2))).transpose(1, 2, 0, 3)
    return dx[:, pad : dx.shape[1] - pad, pad : dx.shape[2] - pad].copy(), dw, dy.sum((0, 1, 2))

def conv2d_transpose_forward(x, w, b, stride=1, pad=0):
    N, H, W, C = x.shape
    K, O = w.shape[0], w.shape[2]
    y = np.zeros((N, stride * (H - 1) + K, stride * (W - 1) + K, O), x.dtype)
    for i in range(K):
        for j in range(K):
            y[:, i : i + stride * (H - 1) + 1 : stride, j : j + stride * (W - 1) + 1 : stride] += x @ w[i, j].T
    return y[:, pad : y.shape[1] - pad, pad : y.shape[2] - pad] + b, (x, w, stride, pad)

def conv2d_transpose_backward(dy, cache):
    x, w, stride, pad = cache
    full = np.pad(dy, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    H, W = x.shape[1:3]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            part = full[:, i : i + stride * (H - 1) + 1 : stride, j : j + stride * (W - 1) + 1 : stride]
            dx += part @ w[i, j]
            dw[i, j] = np.tensordot(part, x, axes=((0, 1, 2), (0, 1, 2)))
    return dx, dw, dy.sum((0, 1, 2))

def batch_norm_forward(x, gamma, beta, momentum=0.9, eps=1e-3):
    axes = tuple(range(x.ndim - 1))
    centred = x - x.mean(axes)
    s = np.sqrt((centred * centred).mean(axes) + eps)
    return [gamma * centred / s + beta, (centred / s, s, gamma, axes)]

def batch_norm_backward(dy, cache):
    n, s, gamma, axes = cache
    dgamma, dbeta = (dy * n).sum(axes), dy.sum(axes)
    count = n.size // n.shape[-1]
    return gamma / s * (dy - dbeta / count - n * dgamma / count), dgamma, dbeta

def batch_norm_inference(x, gamma, beta, mean, var, eps=1e-3):
    return [(x - mean) / np.sqrt(var + eps) * gamma + beta]
"""
)

NCHW = (
    _COMMON
    + """
LAYOUT = "NCHW"

def conv2d_forward(x, w, b, stride=1, pad=0):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    K = w.shape[2]
    patches = np.lib.stride_tricks.sliding_window_view(x, (K, K), axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.tensordot(patches, w, axes=((1, 4, 5), (1, 2, 3))) + b
    return y.transpose(0, 3, 1, 2), (x, w, patches, stride, pad)

def conv2d_backward(dy, cache):
    x, w, patches, stride, pad = cache
    dx = np.zeros_like(x)
    H, W = dy.shape[2:]
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            part = np.einsum("nohw,oc->nchw", dy, w[:, :, i, j])
            dx[:, :, i : i + stride * (H - 1) + 1 : stride, j : j + stride * (W - 1) + 1 : stride] += part
    dw = np.einsum("nchwij,nohw->ocij", patches, dy)
    return dx[:, :, pad : dx.shape[2] - pad, pad : dx.shape[3] - pad].copy(), dw, dy.sum((0, 2, 3))

def conv2d_transpose_forward(x, w, b, stride=1, pad=0):
    N, C, H, W = x.shape
    O, K = w.shape[1:3]
    y = np.zeros((N, O, stride * (H - 1) + K, stride * (W - 1) + K), x.dtype)
    for i in range(K):
        for j in range(K):
            part = np.einsum("nchw,co->nohw", x, w[:, :, i, j])
            y[:, :, i : i + stride * (H - 1) + 1 : stride, j : j + stride * (W - 1) + 1 : stride] += part
    return y[:, :, pad : y.shape[2] - pad, pad : y.shape[3] - pad] + b[:, None, None], (x, w, stride, pad)

def conv2d_transpose_backward(dy, cache):
    x, w, stride, pad = cache
    full = np.pad(dy, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    H, W = x.shape[2:]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            part = full[:, :, i : i + stride * (H - 1) + 1 : stride, j : j + stride * (W - 1) + 1 : stride]
            dx += np.einsum("nohw,co->nchw", part, w[:, :, i, j])
            dw[:, :, i, j] = np.einsum("nchw,nohw->co", x, part)
    return dx, dw, dy.sum((0, 2, 3))

def _channels(a, ndim):
    return a.reshape(1, -1, *[1] * (ndim - 2))

def batch_norm_forward(x, gamma, beta, eps=1e-3):
    axes = (0, 2, 3)[: x.ndim - 1]
    centred = x - x.mean(axes, keepdims=True)
    s = np.sqrt((centred * centred).mean(axes, keepdims=True) + eps)
    n = centred / s
    return _channels(gamma, x.ndim) * n + _channels(beta, x.ndim), (n, s, gamma, axes)

def batch_norm_backward(dy, cache):
    n, s, gamma, axes = cache
    dgamma, dbeta = (dy * n).sum(axes), dy.sum(axes)
    count = n.size // n.shape[1]
    inner = dy - _channels(dbeta / count, dy.ndim) - n * _channels(dgamma / count, dy.ndim)
    return _channels(gamma, dy.ndim) / s * inner, dgamma, dbeta

def batch_norm_inference(x, gamma, beta, mean, var, eps=1e-3):
    n = (x - _channels(mean, x.ndim)) / np.sqrt(_channels(var, x.ndim) + eps)
    return n * _channels(gamma, x.ndim) + _channels(beta, x.ndim)
"""
)
