"""Specimens of the affine layer, the activations, flatten and the loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan.check.zoo.specimen import Shelf


# ---------------------------------------------------------------------------------------------------------------- dense
def _dense_forward(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b, (x, w)


def _dense_backward(dy: Any, cache: Any) -> Any:
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


dense = Shelf("dense", _dense_forward, _dense_backward)


@dense.forward("the bias is forgotten", "E32")
def _(x: Any, w: Any, b: Any) -> Any:
    """``b`` is an argument and never used."""
    return x @ w, (x, w)


@dense.forward("the bias is subtracted", "E32")
def _(x: Any, w: Any, b: Any) -> Any:
    """The threshold of a perceptron, not a bias."""
    return x @ w - b, (x, w)


@dense.forward("the weights are used transposed, made to fit by reshape", "E31", "E38")
def _(x: Any, w: Any, b: Any) -> Any:
    """The shapes did not fit, so reshape made them fit; it does not transpose."""
    return x @ w.T.reshape(w.shape) + b, (x, w)


@dense.forward("w.T where w belongs", "E10")
def _(x: Any, w: Any, b: Any) -> Any:
    """PyTorch's order of the weights; runs only if C == O."""
    return x @ w.T + b, (x, w)


@dense.forward("the batch is multiplied sample by sample into a float64 array", "E14")
def _(x: Any, w: Any, b: Any) -> Any:
    """``np.zeros`` without a dtype makes float64."""
    y = np.zeros((x.shape[0], w.shape[1]))
    for n in range(len(x)):
        y[n] = x[n] @ w + b
    return y, (x, w)


@dense.forward("random dropout is left in", "E23")
def _(x: Any, w: Any, b: Any) -> Any:
    """Copied from a network with dropout."""
    keep = np.random.default_rng().random(x.shape) < 0.5
    x = (x * keep).astype(x.dtype)
    return x @ w + b, (x, w)


@dense.forward("the inputs are standardised in place first", "E20")
def _(x: Any, w: Any, b: Any) -> Any:
    """``-=`` writes into the caller's array."""
    x -= x.mean()
    return x @ w + b, (x, w)


@dense.forward("y without a cache", "E11")
def _(x: Any, w: Any, b: Any) -> Any:
    """The exercise asks for y and a cache."""
    return x @ w + b


@dense.backward("dw is transposed", "E13", "E53")
def _(dy: Any, cache: Any) -> Any:
    """(O, C) in place of (C, O)."""
    x, w = cache
    return dy @ w.T, dy.T @ x, dy.sum(axis=0)


@dense.backward("dw is transposed and reshaped to fit", "E53")
def _(dy: Any, cache: Any) -> Any:
    """The shape was wrong, so it was reshaped until it was right."""
    x, w = cache
    return dy @ w.T, (dy.T @ x).reshape(w.shape), dy.sum(axis=0)


@dense.backward("dx with w reshaped instead of transposed", "E53")
def _(dy: Any, cache: Any) -> Any:
    """``reshape`` has the right shape and the wrong order."""
    x, w = cache
    return dy @ w.reshape(w.shape[1], w.shape[0]), x.T @ dy, dy.sum(axis=0)


@dense.backward("dw is averaged over the batch", "E57", "E51")
def _(dy: Any, cache: Any) -> Any:
    """The loss has divided by N already."""
    x, w = cache
    return dy @ w.T, x.T @ dy / len(x), dy.sum(axis=0)


@dense.backward("db is averaged over the batch", "E57", "E51")
def _(dy: Any, cache: Any) -> Any:
    """``mean`` in place of ``sum``."""
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.mean(axis=0)


@dense.backward("db of the first sample only", "E64")
def _(dy: Any, cache: Any) -> Any:
    """``dy[0]`` has the right shape."""
    x, w = cache
    return dy @ w.T, x.T @ dy, dy[0].copy()


@dense.backward("db has shape (1, O)", "E13")
def _(dy: Any, cache: Any) -> Any:
    """``keepdims`` keeps the batch axis."""
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0, keepdims=True)


@dense.backward("db is one number", "E13")
def _(dy: Any, cache: Any) -> Any:
    """``sum`` without an axis; broadcasting hides it in the update."""
    x, w = cache
    return dy @ w.T, x.T @ dy, np.asarray(dy.sum())


@dense.backward("dw, dx, db: the order is wrong", "E67", "E13")
def _(dy: Any, cache: Any) -> Any:
    """Returned in the order in which they were derived."""
    x, w = cache
    return x.T @ dy, dy @ w.T, dy.sum(axis=0)


@dense.backward("db is forgotten", "E11")
def _(dy: Any, cache: Any) -> Any:
    """Two gradients where there are three arguments."""
    x, w = cache
    return dy @ w.T, x.T @ dy


@dense.backward("nothing is returned", "E11")
def _(dy: Any, cache: Any) -> Any:
    """No ``return``."""
    x, w = cache
    dx, dw, db = dy @ w.T, x.T @ dy, dy.sum(axis=0)
    del dx, dw, db


@dense.backward("dx is a list of rows", "E12")
def _(dy: Any, cache: Any) -> Any:
    """Collected in a list that never became an array."""
    x, w = cache
    dx = [w @ row for row in dy]
    return dx, x.T @ dy, dy.sum(axis=0)


@dense.backward("dx stays zero", "E52")
def _(dy: Any, cache: Any) -> Any:
    """The loop variable is assigned, the array never written."""
    x, w = cache
    dx = np.zeros_like(x)
    for row, dy_row in zip(dx, dy, strict=True):
        row = w @ dy_row  # noqa: F841
    return dx, x.T @ dy, dy.sum(axis=0)


@dense.backward("dw points the wrong way", "E51")
def _(dy: Any, cache: Any) -> Any:
    """The minus of gradient descent belongs in the optimizer."""
    x, w = cache
    return dy @ w.T, -(x.T @ dy), dy.sum(axis=0)


@dense.backward("weight decay is mixed into dw", "E40")
def _(dy: Any, cache: Any) -> Any:
    """A regularizer is part of the loss, not of the layer."""
    x, w = cache
    return dy @ w.T, x.T @ dy + 0.01 * w, dy.sum(axis=0)


@dense.backward("dy is clipped on its way", "E41")
def _(dy: Any, cache: Any) -> Any:
    """Gradient clipping inside a layer."""
    x, w = cache
    dy = np.clip(dy, -0.5, 0.5)
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


@dense.backward("dy is scaled in place", "E21")
def _(dy: Any, cache: Any) -> Any:
    """``/=`` writes into the caller's dy."""
    x, w = cache
    dy /= len(dy)
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


@dense.pair("backward empties the cache", "E24")
def _() -> Any:
    """``pop`` removes the arrays, so that a second backward fails."""

    def forward(x: Any, w: Any, b: Any) -> Any:
        return x @ w + b, [x, w]

    def backward(dy: Any, cache: Any) -> Any:
        w, x = cache.pop(), cache.pop()
        return dy @ w.T, x.T @ dy, dy.sum(axis=0)

    return forward, backward


@dense.pair("backward reads what the latest forward left behind", "E25")
def _() -> Any:
    """Like ``self.x = x`` in a layer: after two forwards, backward finds the x of the second one only."""
    latest: dict[str, Any] = {}

    def forward(x: Any, w: Any, b: Any) -> Any:
        latest.update(x=x, w=w)
        return x @ w + b, None

    def backward(dy: Any, cache: Any) -> Any:
        return dy @ latest["w"].T, latest["x"].T @ dy, dy.sum(axis=0)

    return forward, backward


@dense.pair("einsum")
def _() -> Any:
    def forward(x: Any, w: Any, b: Any) -> Any:
        return np.einsum("nc,co->no", x, w) + b[None, :], {"x": x, "w": w}

    def backward(dy: Any, cache: Any) -> Any:
        dx = np.einsum("no,co->nc", dy, cache["w"])
        dw = np.einsum("nc,no->co", cache["x"], dy)
        return dx, dw, np.einsum("no->o", dy)

    return forward, backward


@dense.pair("loops, and more arguments with defaults")
def _() -> Any:
    def forward(x: Any, w: Any, b: Any, activation: Any = None, verbose: bool = False) -> Any:
        y = np.empty((x.shape[0], w.shape[1]), x.dtype)
        for n in range(y.shape[0]):
            for o in range(y.shape[1]):
                y[n, o] = b[o] + (x[n] * w[:, o]).sum()
        return y, (x, w, b)

    def backward(dy: Any, cache: Any, scale: float = 1.0) -> Any:
        x, w, b = cache
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
        for n in range(len(x)):
            for o in range(len(b)):
                dx[n] += scale * dy[n, o] * w[:, o]
                dw[:, o] += scale * dy[n, o] * x[n]
                db[o] += scale * dy[n, o]
        return dx, dw, db

    return forward, backward


class _DenseLayer:
    """One call of a layer; the object itself is the cache."""

    def __init__(self, w: Any, b: Any) -> None:
        self.w, self.b = w, b

    def forward(self, x: Any) -> Any:
        """Remember x."""
        self.x = x
        return np.dot(x, self.w) + self.b

    def backward(self, dy: Any) -> Any:
        """Gradients in a list."""
        ones = np.ones(len(dy), dy.dtype)
        return [np.dot(dy, self.w.transpose()), np.dot(self.x.transpose(), dy), np.dot(ones, dy)]


@dense.pair("a class; the cache is the object")
def _() -> Any:
    def forward(x: Any, w: Any, b: Any) -> Any:
        layer = _DenseLayer(w, b)
        return layer.forward(x), layer

    def backward(dy: Any, cache: Any) -> Any:
        return cache.backward(dy)

    return forward, backward


@dense.pair("closures; the cache is a function")
def _() -> Any:
    def forward(x: Any, w: Any, b: Any) -> Any:
        return x.dot(w) + b, lambda dy: (dy.dot(w.T), x.T.dot(dy), np.add.reduce(dy))

    def backward(dy: Any, cache: Any) -> Any:
        return cache(dy)

    return forward, backward


# ----------------------------------------------------------------------------------------------------------------- relu
def _relu_forward(x: Any) -> Any:
    return np.maximum(x, 0), x


def _relu_backward(dy: Any, cache: Any) -> Any:
    return dy * (cache > 0)


relu = Shelf("relu", _relu_forward, _relu_backward)


@relu.forward("the wrong side is cut off", "E3A")
def _(x: Any) -> Any:
    """``minimum`` in place of ``maximum``."""
    return np.minimum(x, 0), x


@relu.forward("the absolute value", "E3B")
def _(x: Any) -> Any:
    """Negative values get the other sign instead of becoming 0."""
    return np.abs(x), x


@relu.forward("a leaky ReLU", "E3B")
def _(x: Any) -> Any:
    """The next exercise."""
    return np.where(x > 0, x, x * 0.2), x


@relu.forward("x is changed in place", "E20")
def _(x: Any) -> Any:
    """Saves memory, but changes the caller's x."""
    x[x < 0] = 0
    return x.copy(), x.copy()


@relu.forward("y is x itself, changed in place", "E20", "E22")
def _(x: Any) -> Any:
    """``out=x`` makes y and x one array."""
    mask = x > 0
    return np.maximum(x, 0, out=x), mask


@relu.backward("the mask is that of dy", "E41", "E63")
def _(dy: Any, cache: Any) -> Any:
    """The mask belongs to the sign of x, not of dy."""
    return dy * (dy > 0)


@relu.backward("dy is passed through everywhere", "E63")
def _(dy: Any, cache: Any) -> Any:
    """The derivative of the identity."""
    return dy.copy()


@relu.backward("the mask is on the wrong side", "E63")
def _(dy: Any, cache: Any) -> Any:
    """``<`` in place of ``>``."""
    return dy * (cache < 0)


@relu.backward("the derivative without dy", "E56", "E40")
def _(dy: Any, cache: Any) -> Any:
    """The chain rule needs dy too."""
    return (cache > 0).astype(dy.dtype)


@relu.backward("multiplied by x", "E63")
def _(dy: Any, cache: Any) -> Any:
    """The value of the function in place of its derivative."""
    return dy * np.maximum(cache, 0)


@relu.backward("dy is changed in place", "E21", "E22")
def _(dy: Any, cache: Any) -> Any:
    """Saves an array: dx is dy itself."""
    dy[cache <= 0] = 0
    return dy


@relu.pair("dx is the cached mask itself", "E24", "E22")
def _() -> Any:
    """The mask is used as the array for dx, and is then no mask any more."""

    def forward(x: Any) -> Any:
        mask = (x > 0).astype(x.dtype)
        return x * mask, mask

    def backward(dy: Any, cache: Any) -> Any:
        cache *= dy
        return cache

    return forward, backward


@relu.backward("the batch is averaged first", "E42", "E57")
def _(dy: Any, cache: Any) -> Any:
    """Every sample gets the mean gradient of the batch."""
    return dy.mean(axis=0, keepdims=True) * (cache > 0)


@relu.backward("dx is as long as a batch of one", "E13")
def _(dy: Any, cache: Any) -> Any:
    """Summed over the batch as if x were a parameter."""
    return (dy * (cache > 0)).sum(axis=0)


@relu.pair("the mask as the cache, boolean assignment")
def _() -> Any:
    def forward(x: Any) -> Any:
        off = x <= 0
        y = x.copy()
        y[off] = 0
        return y, off

    def backward(dy: Any, cache: Any) -> Any:
        dx = np.array(dy)
        dx[cache] = 0.0
        return dx

    return forward, backward


@relu.pair("half of x plus its absolute value")
def _() -> Any:
    def forward(x: Any) -> Any:
        return (x + abs(x)) / 2, np.sign(x)

    def backward(dy: Any, cache: Any) -> Any:
        return dy * (cache + abs(cache)) / 2

    return forward, backward


# ----------------------------------------------------------------------------------------------------------- leaky relu
def _leaky_forward(x: Any, alpha: float = 0.2) -> Any:
    return np.where(x > 0, x, alpha * x), (x, alpha)


def _leaky_backward(dy: Any, cache: Any) -> Any:
    x, alpha = cache
    return np.where(x > 0, dy, alpha * dy)


leaky_relu = Shelf("leaky_relu", _leaky_forward, _leaky_backward)


@leaky_relu.forward("the slope is 0.01 whatever alpha says", "E3B", "E30")
def _(x: Any, alpha: float = 0.2) -> Any:
    """The usual default of other libraries, written into the formula."""
    return np.where(x > 0, x, 0.01 * x), (x, alpha)


@leaky_relu.forward("the slope is on the positive side", "E3A")
def _(x: Any, alpha: float = 0.2) -> Any:
    """The two branches are exchanged."""
    return np.where(x > 0, alpha * x, x), (x, alpha)


@leaky_relu.forward("the negative side is turned up", "E3A")
def _(x: Any, alpha: float = 0.2) -> Any:
    """One minus too many: y is never negative."""
    return np.where(x > 0, x, -alpha * x), (x, alpha)


@leaky_relu.forward("an ordinary ReLU", "E3B")
def _(x: Any, alpha: float = 0.2) -> Any:
    """The argument alpha is never used."""
    return np.maximum(x, 0), (x, alpha)


@leaky_relu.forward("float64 comes out of where", "E14")
def _(x: Any, alpha: float = 0.2) -> Any:
    """``np.where`` of two Python floats makes a float64 array."""
    return np.where(x > 0, 1.0, alpha) * x, (x, alpha)


@leaky_relu.forward("alpha cannot be given", "E16")
def _(x: Any) -> Any:
    """The exercise's second argument is missing."""
    return np.where(x > 0, x, 0.2 * x), (x, 0.2)


@leaky_relu.forward("the default of alpha is 0.01", "E17")
def _(x: Any, alpha: float = 0.01) -> Any:
    """The usual default of other libraries; right whenever alpha is given."""
    return _leaky_forward(x, alpha)


@leaky_relu.backward("the slopes are exchanged", "E63")
def _(dy: Any, cache: Any) -> Any:
    """Takes alpha for x > 0."""
    x, alpha = cache
    return np.where(x > 0, alpha * dy, dy)


@leaky_relu.backward("the derivative of an ordinary ReLU", "E63")
def _(dy: Any, cache: Any) -> Any:
    """Copied from relu_backward."""
    x, _alpha = cache
    return dy * (x > 0)


@leaky_relu.backward("the sign of dy decides", "E41", "E63")
def _(dy: Any, cache: Any) -> Any:
    """``maximum(dy, alpha*dy)``: forward's formula with dy in place of x."""
    _x, alpha = cache
    return np.maximum(dy, alpha * dy)


@leaky_relu.backward("only alpha, on both sides", "E63", "E51")
def _(dy: Any, cache: Any) -> Any:
    """Everything is multiplied by alpha."""
    _x, alpha = cache
    return alpha * dy


@leaky_relu.pair("max(alpha*x, x) and a slope array")
def _() -> Any:
    def forward(x: Any, alpha: float = 0.2, name: str = "leaky") -> Any:
        slope = np.ones_like(x)
        slope[x <= 0] = alpha
        return np.maximum(alpha * x, x), slope

    def backward(dy: Any, cache: Any) -> Any:
        return cache * dy

    return forward, backward


# ----------------------------------------------------------------------------------------------------------------- tanh
def _tanh_forward(x: Any) -> Any:
    y = np.tanh(x)
    return y, y


def _tanh_backward(dy: Any, cache: Any) -> Any:
    return dy * (1 - cache**2)


tanh = Shelf("tanh", _tanh_forward, _tanh_backward)


@tanh.forward("exponentials that overflow", "E39", "E15")
def _(x: Any) -> Any:
    """For large x it is inf / inf, which is NaN."""
    e = np.exp(2 * x)
    y = (e - 1) / (e + 1)
    return y, y


@tanh.forward("a sigmoid", "E3B")
def _(x: Any) -> Any:
    """Values in (0, 1) instead of (-1, 1)."""
    y = 1 / (1 + np.exp(-x))
    return y, np.tanh(x)


@tanh.forward("a sigmoid, moved but not stretched", "E3B", "E30")
def _(x: Any) -> Any:
    """``2*sigmoid(x) - 1`` is tanh(x / 2)."""
    y = 2 / (1 + np.exp(-x)) - 1
    return y, np.tanh(x)


@tanh.pair("the derivative uses x where y belongs", "E63")
def _() -> Any:
    """``1 - x^2``: forward keeps x, backward uses it as y."""

    def backward(dy: Any, cache: Any) -> Any:
        x = cache
        return dy * (1 - x**2)

    return lambda x: (np.tanh(x), x), backward


@tanh.backward("the square is forgotten", "E63")
def _(dy: Any, cache: Any) -> Any:
    """``1 - y``."""
    return dy * (1 - cache)


@tanh.backward("the derivative of the sigmoid", "E63")
def _(dy: Any, cache: Any) -> Any:
    """``y * (1 - y)``."""
    return dy * cache * (1 - cache)


@tanh.backward("tanh is taken of y once more", "E63")
def _(dy: Any, cache: Any) -> Any:
    """The cache is y already."""
    return dy * (1 - np.tanh(cache) ** 2)


@tanh.backward("the derivative without dy", "E56", "E40")
def _(dy: Any, cache: Any) -> Any:
    """The chain rule needs dy too."""
    return 1 - cache**2


@tanh.backward("the sign is wrong", "E51")
def _(dy: Any, cache: Any) -> Any:
    """``y^2 - 1``."""
    return dy * (cache**2 - 1)


@tanh.backward("only the first sample gets a gradient", "E64")
def _(dy: Any, cache: Any) -> Any:
    """Tried with a batch of one, and returned inside the loop."""
    dx = np.zeros_like(dy)
    for n in range(len(dy)):
        dx[n] = dy[n] * (1 - cache[n] ** 2)
        return dx
    return dx


@tanh.pair("dx lies in a buffer of the cache", "E22")
def _() -> Any:
    """Saves an allocation; the next backward overwrites the dx that the caller still has."""

    def forward(x: Any) -> Any:
        y = np.tanh(x)
        return y, (1 - y * y, np.empty_like(y))

    def backward(dy: Any, cache: Any) -> Any:
        slope, buffer = cache
        return np.multiply(dy, slope, out=buffer)

    return forward, backward


@tanh.pair("by expm1, the derivative by cosh")
def _() -> Any:
    def forward(x: Any) -> Any:
        e = np.expm1(-2 * np.abs(x))
        return np.sign(x) * (-e / (e + 2)), [x]

    def backward(dy: Any, cache: Any) -> Any:
        (x,) = cache
        return dy / np.cosh(np.clip(x, -40, 40)) ** 2

    return forward, backward


# -------------------------------------------------------------------------------------------------------------- sigmoid
def _stable_sigmoid(x: Any) -> Any:
    e = np.exp(-abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _sigmoid_forward(x: Any) -> Any:
    y = _stable_sigmoid(x)
    return y, y


def _sigmoid_backward(dy: Any, cache: Any) -> Any:
    return dy * cache * (1 - cache)


sigmoid = Shelf("sigmoid", _sigmoid_forward, _sigmoid_backward)


@sigmoid.forward("exp(x) / (1 + exp(x)) overflows", "E39", "E15")
def _(x: Any) -> Any:
    """For large x it is inf / inf, which is NaN."""
    e = np.exp(x)
    y = e / (1 + e)
    return y, _stable_sigmoid(x)


@sigmoid.forward("the sign in the exponent", "E3A")
def _(x: Any) -> Any:
    """``exp(x)`` in place of ``exp(-x)``: the curve falls."""
    y = _stable_sigmoid(-x)
    return y, y


@sigmoid.forward("a tanh", "E3B")
def _(x: Any) -> Any:
    """Values in (-1, 1) instead of (0, 1)."""
    return np.tanh(x), _stable_sigmoid(x)


@sigmoid.forward("the exponent is halved", "E30", "E3B")
def _(x: Any) -> Any:
    """``(1 + tanh(x)) / 2`` is sigmoid(2x)."""
    return 0.5 * (1 + np.tanh(x)), _stable_sigmoid(x)


@sigmoid.backward("1 - y is forgotten", "E63")
def _(dy: Any, cache: Any) -> Any:
    """Half of the product."""
    return dy * cache


@sigmoid.pair("the derivative uses x where y belongs", "E63")
def _() -> Any:
    """``x * (1 - x)``: forward keeps x, backward uses it as y."""

    def backward(dy: Any, cache: Any) -> Any:
        x = cache
        return dy * x * (1 - x)

    return lambda x: (_stable_sigmoid(x), x), backward


@sigmoid.backward("1 - y^2 from tanh", "E63")
def _(dy: Any, cache: Any) -> Any:
    """Copied from tanh_backward."""
    return dy * (1 - cache**2)


@sigmoid.backward("the derivative without dy", "E56", "E40")
def _(dy: Any, cache: Any) -> Any:
    """The chain rule needs dy too."""
    return cache * (1 - cache)


@sigmoid.backward("dy is squared", "E41")
def _(dy: Any, cache: Any) -> Any:
    """The factor comes twice, once in each line."""
    slope = dy * (1 - cache)
    return dy * cache * slope


@sigmoid.pair("backward uses the latest y", "E25")
def _() -> Any:
    """One module-wide variable for all calls."""
    y_of: dict[str, Any] = {}

    def forward(x: Any) -> Any:
        y_of["latest"] = _stable_sigmoid(x)
        return y_of["latest"].copy(), "see y_of"

    def backward(dy: Any, cache: Any) -> Any:
        y = y_of["latest"]
        return dy * y * (1 - y)

    return forward, backward


@sigmoid.pair("by tanh, the slope as the cache")
def _() -> Any:
    def forward(x: Any) -> Any:
        y = (1 + np.tanh(x / 2)) / 2
        return y, y - y * y

    def backward(dy: Any, cache: Any) -> Any:
        return np.multiply(dy, cache)

    return forward, backward


# -------------------------------------------------------------------------------------------------------------- flatten
def _flatten_forward(x: Any) -> Any:
    return x.reshape(len(x), -1).copy(), x.shape


def _flatten_backward(dy: Any, cache: Any) -> Any:
    return dy.reshape(cache).copy()


flatten = Shelf("flatten", _flatten_forward, _flatten_backward)


@flatten.forward("Fortran order in forward", "E38")
def _(x: Any) -> Any:
    """The first axis runs fastest."""
    return x.reshape(len(x), -1, order="F").copy(), x.shape


@flatten.forward("channels first", "E38")
def _(x: Any) -> Any:
    """PyTorch's order, (c*H + h)*W + w."""
    return np.moveaxis(x, -1, 1).reshape(len(x), -1).copy(), x.shape


@flatten.forward("the batch axis is flattened too", "E13")
def _(x: Any) -> Any:
    """One long vector."""
    return x.ravel().copy(), x.shape


@flatten.forward("the batch axis goes last", "E38")
def _(x: Any) -> Any:
    """Reshaped to (-1, N) and transposed: the samples are mixed."""
    return x.reshape(-1, len(x)).T.copy(), x.shape


@flatten.backward("Fortran order in backward", "E53")
def _(dy: Any, cache: Any) -> Any:
    """The reverse of another flatten."""
    return dy.reshape(cache, order="F").copy()


@flatten.backward("rows and columns are exchanged", "E53")
def _(dy: Any, cache: Any) -> Any:
    """The shape is right, the pixels are in the wrong places."""
    N, H, W, C = cache
    return dy.reshape(N, W, H, C).transpose(0, 2, 1, 3).copy()


@flatten.backward("the shape is (N, W, H, C)", "E13", "E53")
def _(dy: Any, cache: Any) -> Any:
    """Not seen as long as images are square."""
    N, H, W, C = cache
    return dy.reshape(N, W, H, C).copy()


@flatten.backward("dy is returned as it is", "E13")
def _(dy: Any, cache: Any) -> Any:
    """Flatten has nothing to learn, so nothing was written."""
    return dy.copy()


@flatten.pair("the shape of the latest x is used", "E25", "E10")
def _() -> Any:
    """Fails as soon as two forwards with different shapes come before a backward."""
    latest: list[Any] = [None]

    def forward(x: Any) -> Any:
        latest[0] = x.shape
        return x.reshape(len(x), -1).copy(), ()

    def backward(dy: Any, cache: Any) -> Any:
        return dy.reshape(latest[0]).copy()

    return forward, backward


@flatten.pair("the index computed by hand")
def _() -> Any:
    def forward(x: Any) -> Any:
        N, H, W, C = x.shape
        y = np.empty((N, H * W * C), x.dtype)
        for h in range(H):
            for w in range(W):
                for c in range(C):
                    y[:, (h * W + w) * C + c] = x[:, h, w, c]
        return y, {"shape": x.shape}

    def backward(dy: Any, cache: Any) -> Any:
        dx = np.empty(cache["shape"], dy.dtype)
        _, H, W, C = cache["shape"]
        for h in range(H):
            for w in range(W):
                for c in range(C):
                    dx[:, h, w, c] = dy[:, (h * W + w) * C + c]
        return dx

    return forward, backward


@flatten.pair("each sample flattened, then stacked")
def _() -> Any:
    def forward(x: Any) -> Any:
        return np.stack([sample.flatten() for sample in x]), x[0].shape

    def backward(dy: Any, cache: Any) -> Any:
        return np.stack([row.reshape(cache) for row in dy])

    return forward, backward


# ----------------------------------------------------------------------------------------------------- bce with logits
def _bce_forward(z: Any, target: Any) -> Any:
    loss = np.maximum(z, 0) - z * target + np.log1p(np.exp(-abs(z)))
    return loss.mean(), (z, target)


def _bce_backward(dloss: Any, cache: Any) -> Any:
    z, target = cache
    return (_stable_sigmoid(z) - target) * (dloss / z.size)


bce = Shelf("bce_with_logits", _bce_forward, _bce_backward)


@bce.forward("the logarithm of a sigmoid", "E39", "E15")
def _(z: Any, target: Any) -> Any:
    """The sigmoid rounds to 0 or 1, and log(0) is -inf."""
    p = 1 / (1 + np.exp(-z))
    loss = -(target * np.log(p) + (1 - target) * np.log(1 - p))
    return loss.mean(), (z, target)


@bce.forward("the logarithm of 1 + exp(z) overflows", "E39", "E15")
def _(z: Any, target: Any) -> Any:
    """Right on paper; exp(z) is inf for large z."""
    loss = np.log(1 + np.exp(z)) - z * target
    return loss.mean(), (z, target)


@bce.forward("the sum over the batch", "E34", "E38")
def _(z: Any, target: Any) -> Any:
    """N times too large."""
    loss = np.maximum(z, 0) - z * target + np.log1p(np.exp(-abs(z)))
    return loss.sum(), (z, target)


@bce.forward("the minus is forgotten", "E3A", "E34")
def _(z: Any, target: Any) -> Any:
    """The log-likelihood, to be maximised."""
    loss = z * target - np.maximum(z, 0) - np.log1p(np.exp(-abs(z)))
    return loss.mean(), (z, target)


@bce.forward("the half for fakes is forgotten", "E3B", "E30")
def _(z: Any, target: Any) -> Any:
    """``-target * log(p)`` alone: a categorical cross-entropy of one class."""
    log_p = np.minimum(z, 0) - np.log1p(np.exp(-abs(z)))
    return -(target * log_p).mean(), (z, target)


@bce.forward("z is taken for a probability", "E15", "E3B")
def _(z: Any, target: Any) -> Any:
    """The sigmoid is missing: logarithms of negative numbers."""
    loss = -(target * np.log(z) + (1 - target) * np.log(1 - z))
    return loss.mean(), (z, target)


@bce.forward("(N, 1) against (N,)", "E38")
def _(z: Any, target: Any) -> Any:
    """Broadcasting pairs every logit with every target."""
    flat = target.ravel()
    loss = np.maximum(z, 0) - z * flat + np.log1p(np.exp(-abs(z)))
    return loss.mean(), (z, target)


@bce.forward("the target is exchanged for its opposite", "E3B", "E3A")
def _(z: Any, target: Any) -> Any:
    """Real and fake are exchanged: ``+`` in place of ``-``, and min in place of max."""
    loss = z * target - np.minimum(z, 0) + np.log1p(np.exp(-abs(z)))
    return loss.mean(), (z, target)


@bce.forward("a loss for each sample", "E13")
def _(z: Any, target: Any) -> Any:
    """The mean is missing."""
    loss = np.maximum(z, 0) - z * target + np.log1p(np.exp(-abs(z)))
    return loss, (z, target)


@bce.backward("not divided by N", "E51", "E57")
def _(dloss: Any, cache: Any) -> Any:
    """The gradient of the sum."""
    z, target = cache
    return (_stable_sigmoid(z) - target) * dloss


@bce.backward("target minus probability", "E51")
def _(dloss: Any, cache: Any) -> Any:
    """The sign of gradient *ascent*."""
    z, target = cache
    return (target - _stable_sigmoid(z)) * (dloss / z.size)


@bce.backward("dloss is ignored", "E56", "E40")
def _(dloss: Any, cache: Any) -> Any:
    """Right as long as dloss is 1."""
    z, target = cache
    return (_stable_sigmoid(z) - target) / z.size


@bce.backward("the sigmoid's slope is multiplied in once more", "E63")
def _(dloss: Any, cache: Any) -> Any:
    """The slope p * (1 - p) has cancelled already."""
    z, target = cache
    p = _stable_sigmoid(z)
    return (p - target) * p * (1 - p) * (dloss / z.size)


@bce.backward("z minus target", "E63")
def _(dloss: Any, cache: Any) -> Any:
    """The sigmoid is forgotten: the gradient of a squared error."""
    z, target = cache
    return (z - target) * (dloss / z.size)


@bce.backward("one number for the whole batch", "E13")
def _(dloss: Any, cache: Any) -> Any:
    """The mean gradient."""
    z, target = cache
    return np.asarray((_stable_sigmoid(z) - target).mean() * dloss)


@bce.backward("soft targets are rounded", "E50")
def _(dloss: Any, cache: Any) -> Any:
    """0.9 becomes 1: right for hard labels only."""
    z, target = cache
    return (_stable_sigmoid(z) - np.round(target)) * (dloss / z.size)


@bce.pair("logaddexp, and a Python float")
def _() -> Any:
    def forward(z: Any, target: Any) -> Any:
        loss = target * np.logaddexp(0, -z) + (1 - target) * np.logaddexp(0, z)
        return float(loss.mean()), {"p": _stable_sigmoid(z), "y": target}

    def backward(dloss: Any, cache: Any) -> Any:
        p, y = cache["p"], cache["y"]
        return float(dloss) * (p - y) / p.size

    return forward, backward


@bce.pair("sample by sample with the math module")
def _() -> Any:
    def forward(z: Any, target: Any) -> Any:
        total = 0.0
        for value, y in zip(z.ravel().tolist(), target.ravel().tolist(), strict=True):
            total += max(value, 0) - value * y + math.log1p(math.exp(-abs(value)))
        return np.asarray(total / z.size, z.dtype), (z, target)

    def backward(dloss: Any, cache: Any) -> Any:
        z, target = cache
        return dloss * (0.5 + 0.5 * np.tanh(0.5 * z) - target) / z.dtype.type(z.size)

    return forward, backward


SHELVES = (dense, relu, leaky_relu, tanh, sigmoid, flatten, bce)
