"""Specimens of batch normalization, its inference mode and the moving average.

``_batch_norm_backward_with`` is the backward pass step by step, as the chain rule gives it. A specimen replaces one of
its lines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigan.check.zoo.specimen import Shelf


# ----------------------------------------------------------------------------------------------------------- batch norm
class _Cache(NamedTuple):
    x: Any
    gamma: Any
    mean: Any
    var: Any
    eps: float

    @property
    def std(self) -> Any:
        return np.sqrt(self.var + self.eps)

    @property
    def xhat(self) -> Any:
        return (self.x - self.mean) / self.std


def _axes(x: Any) -> Any:
    return tuple(range(x.ndim - 1))


def _batch_norm_forward(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    cache = _Cache(x, gamma, x.mean(axis=_axes(x)), x.var(axis=_axes(x)), eps)
    return gamma * cache.xhat + beta, cache


def _formula(dy: Any, c: _Cache) -> Any:
    """The gradient in one line; most of the bugs leave out a part of it."""
    axes = _axes(dy)
    return c.gamma / c.std * (dy - dy.mean(axis=axes) - c.xhat * (dy * c.xhat).mean(axis=axes))


def _batch_norm_backward_with(
    *,
    dx_line: Any = _formula,
    dgamma_line: Any = lambda dy, c: (dy * c.xhat).sum(axis=_axes(dy)),
    dbeta_line: Any = lambda dy: dy.sum(axis=_axes(dy)),
) -> Any:
    def batch_norm_backward(dy: Any, cache: Any) -> Any:
        return dx_line(dy, cache), dgamma_line(dy, cache), dbeta_line(dy)

    return batch_norm_backward


_batch_norm_backward = _batch_norm_backward_with()

batch_norm = Shelf("batch_norm", _batch_norm_forward, _batch_norm_backward)


def _plain_cache(x: Any, gamma: Any, eps: float) -> _Cache:
    return _Cache(x, gamma, x.mean(axis=_axes(x)), x.var(axis=_axes(x)), eps)


@batch_norm.forward("the unbiased variance", "E35")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """``ddof=1``, as in statistics."""
    mean, var = x.mean(axis=_axes(x)), x.var(axis=_axes(x), ddof=1)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, _Cache(x, gamma, mean, var, eps)


@batch_norm.forward("eps is added to the standard deviation", "E36")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """Outside the root."""
    mean, std = x.mean(axis=_axes(x)), x.std(axis=_axes(x))
    return gamma * (x - mean) / (std + eps) + beta, _plain_cache(x, gamma, eps)


@batch_norm.forward("eps is forgotten", "E36")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """A constant channel divides 0 by 0."""
    mean, std = x.mean(axis=_axes(x)), x.std(axis=_axes(x))
    return gamma * (x - mean) / std + beta, _plain_cache(x, gamma, eps)


@batch_norm.forward("eps is always 1e-5", "E36")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """PyTorch's default, written into the formula."""
    cache = _plain_cache(x, gamma, 1e-5)
    return gamma * cache.xhat + beta, cache


@batch_norm.forward("the default of eps is 1e-5", "E17")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-5) -> Any:
    """PyTorch's default; right whenever eps is given."""
    return _batch_norm_forward(x, gamma, beta, eps)


@batch_norm.forward("divided by the variance", "E36")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """The root is missing."""
    c = _plain_cache(x, gamma, eps)
    return gamma * (x - c.mean) / (c.var + eps) + beta, c


@batch_norm.forward("multiplied by the standard deviation", "E36")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """``*`` where ``/`` belongs."""
    c = _plain_cache(x, gamma, eps)
    return gamma * (x - c.mean) * c.std + beta, c


@batch_norm.forward("the mean square for the variance", "E36", "E30")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """The mean is not subtracted before squaring."""
    c = _plain_cache(x, gamma, eps)
    square = (x**2).mean(axis=_axes(x))
    return gamma * (x - c.mean) / np.sqrt(square + eps) + beta, c


@batch_norm.forward("the two halves of the variance are exchanged", "E15", "E36")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """``E[x]^2 - E[x^2]`` is negative: the root is NaN."""
    c = _plain_cache(x, gamma, eps)
    var = c.mean**2 - (x**2).mean(axis=_axes(x))
    return gamma * (x - c.mean) / np.sqrt(var + eps) + beta, c


@batch_norm.forward("the mean is not taken off", "E30")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """Scaled, but not centred."""
    c = _plain_cache(x, gamma, eps)
    return gamma * x / c.std + beta, c


@batch_norm.forward("gamma is forgotten", "E37")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """Not seen as long as gamma is 1."""
    c = _plain_cache(x, gamma, eps)
    return c.xhat + beta, c


@batch_norm.forward("gamma is added and beta multiplied", "E37", "E32")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """The two parameters are exchanged."""
    c = _plain_cache(x, gamma, eps)
    return beta * c.xhat + gamma, c


@batch_norm.forward("beta is forgotten", "E32")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """Not seen as long as beta is 0."""
    c = _plain_cache(x, gamma, eps)
    return gamma * c.xhat, c


@batch_norm.forward("gamma multiplies beta too", "E32", "E37")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """The brackets are wrong."""
    c = _plain_cache(x, gamma, eps)
    return gamma * (c.xhat + beta), c


@batch_norm.forward("statistics over the batch axis only", "E38")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """Right for (N, C); in images every pixel gets statistics of its own."""
    mean, var = x.mean(axis=0), x.var(axis=0)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, _plain_cache(x, gamma, eps)


@batch_norm.forward("statistics over the pixels of each sample", "E38")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """That is instance normalization; right for matrices only."""
    axes = tuple(range(1, x.ndim - 1)) or (0,)
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, _plain_cache(x, gamma, eps)


@batch_norm.forward("statistics over the channels", "E38")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """That is layer normalization."""
    mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, _plain_cache(x, gamma, eps)


@batch_norm.forward("one mean for all channels", "E38")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """``mean()`` without an axis."""
    return gamma * (x - x.mean()) / np.sqrt(x.var() + eps) + beta, _plain_cache(x, gamma, eps)


@batch_norm.forward("x is centred in place", "E20")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """``-=`` writes into the caller's x."""
    c = _plain_cache(x.copy(), gamma, eps)
    x -= c.mean
    return gamma * x / c.std + beta, c


@batch_norm.forward("mean and variance are returned too", "E11")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """Four values for two."""
    y, cache = _batch_norm_forward(x, gamma, beta, eps)
    return y, cache.mean, cache.var, cache


# mean and std are treated as constants.
batch_norm.backward("both paths through the statistics are missing", "E58", "E59")(
    _batch_norm_backward_with(dx_line=lambda dy, c: dy * c.gamma / c.std)
)
# xhat changes with the mean too: every x_i reaches every y_j.
batch_norm.backward("the path through the mean is missing", "E58")(
    _batch_norm_backward_with(
        dx_line=lambda dy, c: c.gamma / c.std * (dy - c.xhat * (dy * c.xhat).mean(axis=_axes(dy)))
    )
)
# xhat changes with the variance too.
batch_norm.backward("the path through the variance is missing", "E59")(
    _batch_norm_backward_with(dx_line=lambda dy, c: c.gamma / c.std * (dy - dy.mean(axis=_axes(dy))))
)
# Not seen as long as gamma is 1.
batch_norm.backward("gamma is missing in dx", "E60")(
    _batch_norm_backward_with(dx_line=lambda dy, c: _formula(dy, c._replace(gamma=np.ones_like(c.gamma))))
)
# 1 / std is part of xhat already; here it comes once more.
batch_norm.backward("dx is divided by std twice", "E61")(
    _batch_norm_backward_with(dx_line=lambda dy, c: _formula(dy, c) / c.std)
)
# The chain rule stops at xhat.
batch_norm.backward("dx is not divided by std", "E61")(
    _batch_norm_backward_with(dx_line=lambda dy, c: _formula(dy, c) * c.std)
)
# 1 / (var + eps): the root is missing.
batch_norm.backward("dx is divided by the variance", "E61")(
    _batch_norm_backward_with(
        dx_line=lambda dy, c: (
            c.gamma / c.var * (dy - dy.mean(axis=_axes(dy)) - c.xhat * (dy * c.xhat).mean(axis=_axes(dy)))
        )
    )
)
# Made with zeros_like and never filled.
batch_norm.backward("dx stays zero", "E52")(_batch_norm_backward_with(dx_line=lambda dy, c: np.zeros_like(c.x)))
# A minus too many.
batch_norm.backward("dx has the wrong sign", "E51")(_batch_norm_backward_with(dx_line=lambda dy, c: -_formula(dy, c)))
# The one-line formula for N*dy, without the 1/N in front.
batch_norm.backward("dx is N times too large", "E51")(
    _batch_norm_backward_with(dx_line=lambda dy, c: _formula(dy, c) * (c.x.size // c.x.shape[-1]))
)
# sum where mean belongs, in both paths.
batch_norm.backward("the paths through the statistics are not divided by N", "E50", "E57")(
    _batch_norm_backward_with(
        dx_line=lambda dy, c: (
            c.gamma / c.std * (dy - dy.sum(axis=_axes(dy)) - c.xhat * (dy * c.xhat).sum(axis=_axes(dy)))
        )
    )
)
# The derivative of xhat's square is 2 xhat; here no square is differentiated.
batch_norm.backward("the path through the variance has the wrong sign", "E59")(
    _batch_norm_backward_with(
        dx_line=lambda dy, c: (
            c.gamma / c.std * (dy - dy.mean(axis=_axes(dy)) + c.xhat * (dy * c.xhat).mean(axis=_axes(dy)))
        )
    )
)
# x - mean has mean 0; x does not.
batch_norm.backward("dgamma with x for xhat", "E63", "E50")(
    _batch_norm_backward_with(dgamma_line=lambda dy, c: (dy * c.x).sum(axis=_axes(dy)))
)
# x - mean is used as xhat.
batch_norm.backward("dgamma is not divided by std", "E61")(
    _batch_norm_backward_with(dgamma_line=lambda dy, c: (dy * (c.x - c.mean)).sum(axis=_axes(dy)))
)
# dxhat = dy * gamma is used in place of dy.
batch_norm.backward("dgamma is multiplied by gamma", "E50", "E60")(
    _batch_norm_backward_with(dgamma_line=lambda dy, c: (dy * c.gamma * c.xhat).sum(axis=_axes(dy)))
)
# dgamma / N is part of the formula of dx; the result dgamma has no / N.
batch_norm.backward("dgamma is a mean", "E57", "E51")(
    _batch_norm_backward_with(dgamma_line=lambda dy, c: (dy * c.xhat).mean(axis=_axes(dy)))
)
# The same with dbeta.
batch_norm.backward("dbeta is a mean", "E57", "E51")(
    _batch_norm_backward_with(dbeta_line=lambda dy: dy.mean(axis=_axes(dy)))
)
# dy[0] in place of dy.
batch_norm.backward("dbeta of the first sample only", "E64")(
    _batch_norm_backward_with(dbeta_line=lambda dy: dy[0].reshape(-1, dy.shape[-1]).sum(axis=0))
)
# As if beta were subtracted.
batch_norm.backward("dbeta has the wrong sign", "E51")(
    _batch_norm_backward_with(dbeta_line=lambda dy: -dy.sum(axis=_axes(dy)))
)


@batch_norm.backward("dbeta is summed over the batch only", "E13", "E57")
def _(dy: Any, cache: Any) -> Any:
    """Right for (N, C); for images the axes of the pixels remain."""
    dx, dgamma, _dbeta = _batch_norm_backward(dy, cache)
    return dx, dgamma, dy.sum(axis=0)


@batch_norm.backward("dgamma and dbeta are exchanged", "E67")
def _(dy: Any, cache: Any) -> Any:
    """Both have shape (C,), so no error is raised."""
    dx, dgamma, dbeta = _batch_norm_backward(dy, cache)
    return dx, dbeta, dgamma


@batch_norm.backward("dgamma and dbeta are forgotten", "E11")
def _(dy: Any, cache: Any) -> Any:
    """Returns dx alone."""
    return _formula(dy, cache)


@batch_norm.backward("N - 1 for N", "E62")
def _(dy: Any, cache: Any) -> Any:
    """The variance is the biased one, its gradient that of the unbiased one."""
    c = cache
    axes, N = _axes(dy), c.x.size // c.x.shape[-1]
    dgamma, dbeta = (dy * c.xhat).sum(axis=axes), dy.sum(axis=axes)
    return c.gamma / c.std * (dy - dbeta / N - c.xhat * dgamma / (N - 1)), dgamma, dbeta


@batch_norm.backward("N counts samples, not pixels", "E68", "E57")
def _(dy: Any, cache: Any) -> Any:
    """``len(x)``: right for (N, C), too few for images."""
    c = cache
    axes, N = _axes(dy), len(c.x)
    dgamma, dbeta = (dy * c.xhat).sum(axis=axes), dy.sum(axis=axes)
    return c.gamma / c.std * (dy - dbeta / N - c.xhat * dgamma / N), dgamma, dbeta


@batch_norm.backward("in steps, the 2 of the square is lost", "E59", "E50")
def _(dy: Any, cache: Any) -> Any:
    """The derivative of (x - mean)^2 is 2 * (x - mean): half of the path is missing."""
    x, gamma, mean, _var, _eps = cache
    std, axes, N = cache.std, _axes(x), x.size // x.shape[-1]
    dxhat = dy * gamma
    dvar = (dxhat * (x - mean)).sum(axis=axes) * -0.5 / std**3
    dmean = -(dxhat / std).sum(axis=axes)
    dx = dxhat / std + dvar * (x - mean) / N + dmean / N
    return dx, (dy * cache.xhat).sum(axis=axes), dy.sum(axis=axes)


@batch_norm.backward("in steps, dmean is not divided by N", "E57", "E58")
def _(dy: Any, cache: Any) -> Any:
    """The mean spreads its gradient over N values."""
    x, gamma, mean, _var, _eps = cache
    std, axes, N = cache.std, _axes(x), x.size // x.shape[-1]
    dxhat = dy * gamma
    dvar = (dxhat * (x - mean)).sum(axis=axes) * -0.5 / std**3
    dmean = -(dxhat / std).sum(axis=axes)
    dx = dxhat / std + dvar * 2 * (x - mean) / N + dmean
    return dx, (dy * cache.xhat).sum(axis=axes), dy.sum(axis=axes)


@batch_norm.backward("in steps, the power of the variance is -1/2", "E59", "E61")
def _(dy: Any, cache: Any) -> Any:
    """The derivative of v^(-1/2) is -1/2 * v^(-3/2)."""
    x, gamma, mean, _var, _eps = cache
    std, axes, N = cache.std, _axes(x), x.size // x.shape[-1]
    dxhat = dy * gamma
    dvar = (dxhat * (x - mean)).sum(axis=axes) * -0.5 / std
    dmean = -(dxhat / std).sum(axis=axes)
    dx = dxhat / std + dvar * 2 * (x - mean) / N + dmean / N
    return dx, (dy * cache.xhat).sum(axis=axes), dy.sum(axis=axes)


@batch_norm.backward("in steps, the second gradient of x - mean overwrites the first", "E63")
def _(dy: Any, cache: Any) -> Any:
    """``=`` in place of ``+=``: the direct path is lost, and the path through the mean with it."""
    x, gamma, mean, _var, _eps = cache
    std, axes, N = cache.std, _axes(x), x.size // x.shape[-1]
    dxhat = dy * gamma
    dvar = (dxhat * (x - mean)).sum(axis=axes) * -0.5 / std**3
    dcentred = dxhat / std
    dcentred = dvar * 2 * (x - mean) / N
    dx = dcentred - dcentred.mean(axis=axes)
    return dx, (dy * cache.xhat).sum(axis=axes), dy.sum(axis=axes)


@batch_norm.backward("in steps, the direct path is overwritten", "E63")
def _(dy: Any, cache: Any) -> Any:
    """Both paths through the statistics are right, but the direct path of x is missing."""
    x, gamma, mean, _var, _eps = cache
    std, axes, N = cache.std, _axes(x), x.size // x.shape[-1]
    dxhat = dy * gamma
    dvar = (dxhat * (x - mean)).sum(axis=axes) * -0.5 / std**3
    dx = dxhat / std
    dmean = -dx.sum(axis=axes)
    dx = dvar * 2 * (x - mean) / N + dmean / N
    return dx, (dy * cache.xhat).sum(axis=axes), dy.sum(axis=axes)


@batch_norm.backward("in steps, the gradient of the mean overwrites the others", "E63")
def _(dy: Any, cache: Any) -> Any:
    """The last line of the graph, with ``=`` in place of ``+=``."""
    x, gamma, _mean, _var, _eps = cache
    dmean = -(dy * gamma / cache.std).sum(axis=_axes(x))
    dx = np.zeros_like(x) + dmean / (x.size // x.shape[-1])
    return dx, (dy * cache.xhat).sum(axis=_axes(x)), dy.sum(axis=_axes(x))


@batch_norm.backward("dy is scaled by gamma in place", "E21")
def _(dy: Any, cache: Any) -> Any:
    """``dy *= gamma`` changes the caller's dy, and dgamma and dbeta after it."""
    axes = _axes(dy)
    dgamma, dbeta = (dy * cache.xhat).sum(axis=axes), dy.sum(axis=axes)
    dy *= cache.gamma
    dx = (dy - dy.mean(axis=axes) - cache.xhat * (dy * cache.xhat).mean(axis=axes)) / cache.std
    return dx, dgamma, dbeta


@batch_norm.pair("backward uses the statistics of the latest batch", "E25")
def _() -> Any:
    """``self.xhat``: D runs forward on real, then on fake images; both backwards use the xhat of the fakes."""
    layer: dict[str, Any] = {}

    def forward(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
        y, layer["cache"] = _batch_norm_forward(x, gamma, beta, eps)
        return y, len(layer)

    def backward(dy: Any, cache: Any) -> Any:
        return _batch_norm_backward(dy, layer["cache"])

    return forward, backward


@batch_norm.pair("xhat is used up in backward", "E24")
def _() -> Any:
    """The cache's xhat is used as workspace; the second backward finds other values in it."""

    def forward(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
        y, c = _batch_norm_forward(x, gamma, beta, eps)
        return y, (c.xhat, gamma, c.std)

    def backward(dy: Any, cache: Any) -> Any:
        xhat, gamma, std = cache
        axes = _axes(dy)
        dgamma, dbeta = (dy * xhat).sum(axis=axes), dy.sum(axis=axes)
        xhat *= (dy * xhat).mean(axis=axes)
        return gamma / std * (dy - dy.mean(axis=axes) - xhat), dgamma, dbeta

    return forward, backward


@batch_norm.pair("in steps, as a computational graph")
def _() -> Any:
    def forward(x: Any, gamma: Any, beta: Any, eps: float = 1e-3, momentum: float = 0.9) -> Any:
        rows = x.reshape(-1, x.shape[-1])
        centred = rows - rows.mean(axis=0)
        var = (centred**2).mean(axis=0)
        std = np.sqrt(var + eps)
        xhat = centred / std
        return (xhat * gamma + beta).reshape(x.shape), {"c": centred, "s": std, "xhat": xhat, "g": gamma}

    def backward(dy: Any, cache: Any) -> Any:
        centred, std, xhat, gamma = cache["c"], cache["s"], cache["xhat"], cache["g"]
        rows = dy.reshape(centred.shape)
        N = len(rows)
        dxhat = rows * gamma
        dstd = -(dxhat * centred).sum(axis=0) / std**2
        dvar = 0.5 / std * dstd
        dcentred = dxhat / std + 2 / N * centred * dvar
        dx = dcentred - dcentred.sum(axis=0) / N
        return dx.reshape(dy.shape), (rows * xhat).sum(axis=0), rows.sum(axis=0)

    return forward, backward


class _BatchNorm:
    """A layer that keeps its batch; the cache is a bound method."""

    def __init__(self, gamma: Any, beta: Any, eps: float) -> None:
        self.gamma, self.beta, self.eps = gamma, beta, eps

    def __call__(self, x: Any) -> Any:
        """Normalise."""
        axes = tuple(range(x.ndim))[:-1]
        self.N = x[..., 0].size
        centred = x - x.mean(axis=axes, keepdims=True)
        self.scale = 1 / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + self.eps)
        self.xhat = centred * self.scale
        return self.gamma * self.xhat + self.beta

    def gradients(self, dy: Any) -> Any:
        """Everything at once."""
        rows = dy.reshape(self.N, -1)
        dgamma, dbeta = np.einsum("nc,nc->c", rows, self.xhat.reshape(rows.shape)), np.einsum("nc->c", rows)
        inner = self.N * dy - dbeta - self.xhat * dgamma
        return self.gamma * self.scale * inner / self.N, dgamma, dbeta


@batch_norm.pair("a class; the cache is a bound method")
def _() -> Any:
    def forward(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
        layer = _BatchNorm(gamma, beta, eps)
        return layer(x), layer.gradients

    def backward(dy: Any, cache: Any) -> Any:
        return cache(dy)

    return forward, backward


@batch_norm.pair("channel by channel in loops")
def _() -> Any:
    def forward(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
        y = np.empty_like(x)
        caches = []
        for c in range(x.shape[-1]):
            values = x[..., c]
            std = np.sqrt(values.var() + eps)
            xhat = (values - values.mean()) / std
            y[..., c] = gamma[c] * xhat + beta[c]
            caches.append((xhat, std, gamma[c]))
        return y, caches

    def backward(dy: Any, cache: Any) -> Any:
        dx = np.empty_like(dy)
        dgamma, dbeta = np.empty(len(cache), dy.dtype), np.empty(len(cache), dy.dtype)
        for c, (xhat, std, scale) in enumerate(cache):
            g = dy[..., c]
            dgamma[c], dbeta[c] = (g * xhat).sum(), g.sum()
            dx[..., c] = scale / std * (g - g.mean() - xhat * (g * xhat).mean())
        return dx, dgamma, dbeta

    return forward, backward


# ----------------------------------------------------------------------------------------------------- batch norm, NCHW
def _nchw_axes(x: Any) -> Any:
    return (0, *range(2, x.ndim))


def _nchw_row(parameter: Any, x: Any) -> Any:
    return parameter.reshape(1, -1, *[1] * (x.ndim - 2))


def _nchw_batch_norm_forward(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    axes = _nchw_axes(x)
    std = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    xhat = (x - x.mean(axis=axes, keepdims=True)) / std
    return _nchw_row(gamma, x) * xhat + _nchw_row(beta, x), (xhat, std, gamma)


def _nchw_batch_norm_backward(dy: Any, cache: Any) -> Any:
    xhat, std, gamma = cache
    axes = _nchw_axes(dy)
    means = [(v.mean(axis=axes, keepdims=True)) for v in (dy, dy * xhat)]
    dx = _nchw_row(gamma, dy) / std * (dy - means[0] - xhat * means[1])
    return dx, (dy * xhat).sum(axis=axes), dy.sum(axis=axes)


batch_norm_nchw = Shelf("batch_norm", _nchw_batch_norm_forward, _nchw_batch_norm_backward, layout="NCHW")


@batch_norm_nchw.pair("NCHW")
def _() -> Any:
    return _nchw_batch_norm_forward, _nchw_batch_norm_backward


@batch_norm_nchw.forward("NCHW, statistics of each sample", "E38")
def _(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Any:
    """Axes (2, 3): instance normalization; right for matrices only."""
    axes = tuple(range(2, x.ndim)) or (0,)
    _y, cache = _nchw_batch_norm_forward(x, gamma, beta, eps)
    xhat = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    return _nchw_row(gamma, x) * xhat + _nchw_row(beta, x), cache


@batch_norm_nchw.backward("NCHW, the path through the variance is missing", "E59")
def _(dy: Any, cache: Any) -> Any:
    """The term with xhat is left out."""
    _xhat, std, gamma = cache
    _dx, dgamma, dbeta = _nchw_batch_norm_backward(dy, cache)
    return _nchw_row(gamma, dy) / std * (dy - dy.mean(axis=_nchw_axes(dy), keepdims=True)), dgamma, dbeta


# ------------------------------------------------------------------------------------------------ batch norm, inference
def _inference(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3) -> Any:
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


batch_norm_inference = Shelf("batch_norm_inference", _inference)


@batch_norm_inference.step("the batch's own statistics", "E38", "E30")
def _(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3) -> Any:
    """The training formula: mean and var are arguments and never used."""
    axes = _axes(x)
    return gamma * (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes) + eps) + beta


@batch_norm_inference.step("eps outside the root", "E36")
def _(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3) -> Any:
    """``sqrt(var) + eps``."""
    return gamma * (x - mean) / (np.sqrt(var) + eps) + beta


@batch_norm_inference.step("the default of eps is 1e-5", "E17")
def _(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-5) -> Any:
    """PyTorch's default; right whenever eps is given."""
    return _inference(x, gamma, beta, mean, var, eps)


@batch_norm_inference.step("the variance is taken for the standard deviation", "E36")
def _(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3) -> Any:
    """The root is missing."""
    return gamma * (x - mean) / (var + eps) + beta


@batch_norm_inference.step("gamma is forgotten", "E37")
def _(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3) -> Any:
    """Not seen as long as gamma is 1."""
    return (x - mean) / np.sqrt(var + eps) + beta


@batch_norm_inference.step("beta is forgotten", "E32")
def _(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3) -> Any:
    """Not seen as long as beta is 0."""
    return gamma * (x - mean) / np.sqrt(var + eps)


@batch_norm_inference.step("the mean is taken off after scaling", "E30")
def _(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3) -> Any:
    """The brackets are wrong."""
    return gamma * x / np.sqrt(var + eps) - mean + beta


@batch_norm_inference.step("x is changed in place", "E20")
def _(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3) -> Any:
    """``-=`` and ``*=`` write into the caller's x."""
    x -= mean
    x *= gamma / np.sqrt(var + eps)
    return x + beta


@batch_norm_inference.step("y and a cache", "E11", "E12")
def _(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3) -> Any:
    """Inference has no backward, and no cache."""
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, None


@batch_norm_inference.step("one scale and one offset")
def _(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3, training: bool = False) -> Any:
    scale = gamma * (var + eps) ** -0.5
    offset = beta - mean * scale
    return x * scale + offset


# ------------------------------------------------------------------------------------------------------- moving average
def _moving_average(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    biased = momentum * biased + (1 - momentum) * value
    t = t + 1
    return biased / (1 - momentum**t), biased, t


moving_average = Shelf("moving_average", _moving_average)


@moving_average.step("momentum and 1 - momentum are exchanged", "E74")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """Not seen with a momentum of 0.5; PyTorch's momentum is 1 - momentum here."""
    biased = (1 - momentum) * biased + momentum * value
    t = t + 1
    return biased / (1 - (1 - momentum) ** t), biased, t


@moving_average.step("the default of momentum is 0.9", "E17")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.9) -> Any:
    """Right whenever momentum is given; the article's momentum is 0.5."""
    return _moving_average(moving, biased, t, value, momentum)


@moving_average.step("1 - momentum is forgotten", "E74")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """Like the optimizer's velocity: a sum, not an average."""
    biased = momentum * biased + value
    t = t + 1
    return biased / (1 - momentum**t), biased, t


@moving_average.step("no bias correction", "E72")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """The first averages are pulled towards 0."""
    biased = momentum * biased + (1 - momentum) * value
    return biased.copy(), biased, t + 1


@moving_average.step("the correction counts one update too many", "E75", "E72")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """``t + 1``, although t has been increased already."""
    biased = momentum * biased + (1 - momentum) * value
    t = t + 1
    return biased / (1 - momentum ** (t + 1)), biased, t


@moving_average.step("the correction uses t before it is counted up", "E15", "E75", "E10")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """The first update divides by 1 - momentum^0 = 0."""
    biased = momentum * biased + (1 - momentum) * value
    return biased / np.asarray(1 - momentum**t, biased.dtype), biased, t + 1


@moving_average.step("multiplied by the correction", "E72")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """``*`` where ``/`` belongs."""
    biased = momentum * biased + (1 - momentum) * value
    t = t + 1
    return biased * (1 - momentum**t), biased, t


@moving_average.step("the corrected average is averaged", "E78", "E72")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """The next update has to start from the biased one, not from the corrected one."""
    biased = momentum * moving + (1 - momentum) * value
    t = t + 1
    return biased / (1 - momentum**t), biased, t


@moving_average.step("the count stays where it was", "E78", "E75")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """The old t is returned."""
    biased = momentum * biased + (1 - momentum) * value
    return biased / (1 - momentum ** (t + 1)), biased, t


@moving_average.step("the corrected average is returned twice", "E78")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """The correction is applied again at every later update."""
    biased = momentum * biased + (1 - momentum) * value
    t = t + 1
    moving = biased / (1 - momentum**t)
    return moving, moving.copy(), t


@moving_average.step("biased is updated in place", "E20")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """The caller's array changes."""
    biased *= momentum
    biased += (1 - momentum) * value
    t = t + 1
    return biased / (1 - momentum**t), biased.copy(), t


@moving_average.step("only the average is returned", "E11")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5) -> Any:
    """The state is lost."""
    return _moving_average(moving, biased, t, value, momentum)[0]


@moving_average.step("a step towards the value")
def _(moving: Any, biased: Any, t: Any, value: Any, momentum: float = 0.5, debias: bool = True) -> Any:
    new = biased + (1 - momentum) * (value - biased)
    weight = 1.0 - momentum ** (int(t) + 1)
    return new / weight if debias else new, new, int(t) + 1


SHELVES = (batch_norm, batch_norm_nchw, batch_norm_inference, moving_average)
