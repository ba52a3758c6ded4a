"""Specimens of the update rules: gradient descent, momentum and Adam."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan.check.zoo.specimen import Shelf


# ------------------------------------------------------------------------------------------------------------------ sgd
def _sgd_step(p: Any, g: Any, lr: Any) -> Any:
    return p - lr * g


sgd = Shelf("sgd", _sgd_step)


@sgd.step("uphill", "E71")
def _(p: Any, g: Any, lr: Any) -> Any:
    """The gradient points in the direction in which the loss grows."""
    return p + lr * g


@sgd.step("no learning rate", "E77")
def _(p: Any, g: Any, lr: Any) -> Any:
    """The whole gradient at once."""
    return p - g


@sgd.step("the learning rate twice", "E77")
def _(p: Any, g: Any, lr: Any) -> Any:
    """Once for the step, and once more for the update."""
    step = lr * g
    return p - lr * step


@sgd.step("divided by the learning rate", "E77")
def _(p: Any, g: Any, lr: Any) -> Any:
    """A small rate makes a large step."""
    return p - g / lr


@sgd.step("the sign of the gradient only", "E70")
def _(p: Any, g: Any, lr: Any) -> Any:
    """Another method: signSGD."""
    return p - lr * np.sign(g)


@sgd.step("the learning rate shrinks p too", "E70")
def _(p: Any, g: Any, lr: Any) -> Any:
    """``(1 - lr) * p``: weight decay, which the exercise does not ask for."""
    return (1 - lr) * p - lr * g


@sgd.step("the step instead of the new p", "E70", "E78")
def _(p: Any, g: Any, lr: Any) -> Any:
    """Forgets p itself."""
    return -lr * g


@sgd.step("p is changed in place", "E20", "E22")
def _(p: Any, g: Any, lr: Any) -> Any:
    """``-=`` writes into the caller's p."""
    p -= lr * g
    return p


@sgd.step("in place, and nothing is returned", "E11", "E20")
def _(p: Any, g: Any, lr: Any) -> Any:
    """As an optimizer's method would."""
    p -= lr * g


@sgd.step("float64 through a NumPy scalar", "E14")
def _(p: Any, g: Any, lr: Any) -> Any:
    """A NumPy float64 scalar makes float32 arrays float64; a Python float does not."""
    return p - np.float64(lr) * g


@sgd.step("add the negative")
def _(p: Any, g: Any, lr: Any, weight_decay: float = 0.0) -> Any:
    step = np.multiply(g, -lr)
    step += p
    return step - weight_decay * p


# ------------------------------------------------------------------------------------------------------------- momentum
def _momentum_step(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    v = beta * v + g
    return p - lr * v, v


momentum = Shelf("momentum", _momentum_step)


@momentum.step("uphill", "E71")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """``+`` in place of ``-``."""
    v = beta * v + g
    return p + lr * v, v


@momentum.step("1 - beta in front of g", "E74")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """An average; this exercise asks for a sum."""
    v = beta * v + (1 - beta) * g
    return p - lr * v, v


@momentum.step("beta is forgotten", "E74")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """Nothing is ever forgotten: no friction."""
    v = v + g
    return p - lr * v, v


@momentum.step("beta in front of g", "E74")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """The factor beta is at g in place of v."""
    v = v + beta * g
    return p - lr * v, v


@momentum.step("1 - beta in front of v", "E74")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """Almost everything is forgotten at once."""
    v = (1 - beta) * v + g
    return p - lr * v, v


@momentum.step("the default of beta is 0.5", "E17")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.5) -> Any:
    """Adam's beta1 in the article, not this exercise's."""
    return _momentum_step(p, g, v, lr, beta)


@momentum.step("the learning rate is in v too", "E77", "E78")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """Two conventions mixed."""
    v = beta * v + lr * g
    return p - lr * v, v


@momentum.step("another convention: v is the step", "E78", "E77")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """Fine by itself, but not the one the exercise asks for."""
    v = beta * v - lr * g
    return p + v, v


@momentum.step("no learning rate", "E77")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """``p - v``."""
    v = beta * v + g
    return p - v, v


@momentum.step("p moves with the old v", "E70", "E78")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """The two lines are in the wrong order."""
    p = p - lr * v
    v = beta * v + g
    return p, v


@momentum.step("the old v is returned", "E78")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """The new v has another name and is lost."""
    velocity = beta * v + g
    return p - lr * velocity, v.copy()


@momentum.step("v is not returned", "E11")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """The next step starts from rest again."""
    v = beta * v + g
    return p - lr * v


@momentum.step("v, p: the order is wrong", "E78", "E67")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """Both have the same shape, so no error is raised."""
    v = beta * v + g
    return v, p - lr * v


@momentum.step("v is changed in place", "E20", "E22")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """``*=`` writes into the caller's v."""
    v *= beta
    v += g
    return p - lr * v, v


@momentum.step("Nesterov's look ahead", "E70")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9) -> Any:
    """Nesterov's momentum, another method."""
    v = beta * v + g
    return p - lr * (g + beta * v), v


@momentum.step("in two parts")
def _(p: Any, g: Any, v: Any, lr: Any, beta: float = 0.9, nesterov: bool = False) -> Any:
    past = beta * v
    moved = p - lr * past
    return [moved - lr * g, past + g]


# ----------------------------------------------------------------------------------------------------------------- adam
def _adam_step_with(
    *,
    m_line: Any = lambda m, g, b: b * m + (1 - b) * g,
    v_line: Any = lambda v, g, b: b * v + (1 - b) * g**2,
    rate: Any = lambda lr, t, b1, b2: lr * math.sqrt(1 - b2**t) / (1 - b1**t),
    step: Any = lambda m, v, eps: m / (np.sqrt(v) + eps),
) -> Any:
    def adam_step(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
        m, v = m_line(m, g, beta1), v_line(v, g, beta2)
        return p - rate(lr, t, beta1, beta2) * step(m, v, eps), m, v

    return adam_step


_adam_step = _adam_step_with()

adam = Shelf("adam", _adam_step)

# The first steps are much too large, since v starts at 0 and forgets slowly.
adam.step("no bias correction", "E72")(_adam_step_with(rate=lambda lr, t, b1, b2: lr))
# Half of the correction.
adam.step("bias correction of v only", "E72")(_adam_step_with(rate=lambda lr, t, b1, b2: lr * math.sqrt(1 - b2**t)))
# The other half.
adam.step("bias correction of m only", "E72")(_adam_step_with(rate=lambda lr, t, b1, b2: lr / (1 - b1**t)))
# The correction of v belongs under the root, like v itself.
adam.step("no root in the bias correction", "E72", "E76")(
    _adam_step_with(rate=lambda lr, t, b1, b2: lr * (1 - b2**t) / (1 - b1**t))
)
# A product in place of a division, and the reverse.
adam.step("the bias correction upside down", "E72")(
    _adam_step_with(rate=lambda lr, t, b1, b2: lr * (1 - b1**t) / math.sqrt(1 - b2**t))
)
# t counts from 1 already.
adam.step("t counts from 2", "E75", "E72")(
    _adam_step_with(rate=lambda lr, t, b1, b2: lr * math.sqrt(1 - b2 ** (t + 1)) / (1 - b1 ** (t + 1)))
)
# 1 - beta^0 is 0: the first step divides 0 by 0.
adam.step("t counts from 0", "E75", "E10", "E15")(
    _adam_step_with(rate=lambda lr, t, b1, b2: lr * math.sqrt(1 - b2 ** (t - 1)) / (1 - b1 ** (t - 1)))
)
# beta * t in place of beta ** t.
adam.step("beta times t", "E72", "E10")(
    _adam_step_with(rate=lambda lr, t, b1, b2: lr * math.sqrt(abs(1 - b2 * t)) / (1 - b1 * t + 1e-12))
)
# The correction alone is used as the rate.
adam.step("the learning rate is forgotten", "E77")(
    _adam_step_with(rate=lambda lr, t, b1, b2: math.sqrt(1 - b2**t) / (1 - b1**t))
)
# In the rate, and in the step once more.
adam.step("the learning rate twice", "E77")(
    _adam_step_with(rate=lambda lr, t, b1, b2: lr * lr * math.sqrt(1 - b2**t) / (1 - b1**t))
)
# sqrt(v + eps), as in batch normalization.
adam.step("eps inside the root", "E73")(_adam_step_with(step=lambda m, v, eps: m / np.sqrt(v + eps)))
# Divides by 0 where a gradient has always been 0.
adam.step("eps is forgotten", "E73", "E15")(_adam_step_with(step=lambda m, v, eps: m / np.sqrt(v)))
# m / v has another unit than p.
adam.step("no root of v", "E76")(_adam_step_with(step=lambda m, v, eps: m / (v + eps)))
# v is an average of g, whose root is NaN where g < 0.
adam.step("no square in v", "E76", "E15")(_adam_step_with(v_line=lambda v, g, b: b * v + (1 - b) * g))
# g * sign(g) is not g^2.
adam.step("the magnitude of g for its square", "E76")(
    _adam_step_with(v_line=lambda v, g, b: b * v + (1 - b) * np.abs(g))
)
# * in place of /.
adam.step("m multiplies v's root", "E70", "E76")(_adam_step_with(step=lambda m, v, eps: m * (np.sqrt(v) + eps)))
# One minus too many.
adam.step("uphill", "E71")(_adam_step_with(step=lambda m, v, eps: -m / (np.sqrt(v) + eps)))
# Old gradients count little, the new one much.
adam.step("beta and 1 - beta are exchanged in m", "E74")(_adam_step_with(m_line=lambda m, g, b: (1 - b) * m + b * g))
# The same in v.
adam.step("beta and 1 - beta are exchanged in v", "E74")(_adam_step_with(v_line=lambda v, g, b: (1 - b) * v + b * g**2))
# As in the exercise before, where v = beta*v + g.
adam.step("1 - beta is forgotten in m", "E74")(_adam_step_with(m_line=lambda m, g, b: b * m + g))
# The same in v.
adam.step("1 - beta is forgotten in v", "E74")(_adam_step_with(v_line=lambda v, g, b: b * v + g**2))


@adam.step("beta1 and beta2 are exchanged", "E74")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """Now m has the long memory and v the short one."""
    return _adam_step(p, g, m, v, t, lr, beta2, beta1, eps)


@adam.step("eps inside the bias correction", "E73")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """The paper's algorithm 1, where eps is added to the corrected v; the exercise asks for another order."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return p - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


@adam.step("the corrected moments are returned", "E78")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """The corrected moments are returned as the moments, and are corrected again at every later step."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    rate = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
    p = p - rate * m / (np.sqrt(v) + eps)
    return p, m / (1 - beta1**t), v / (1 - beta2**t)


@adam.step("v from m", "E70")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """The second moment of m, not of g."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * m**2
    rate = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
    return p - rate * m / (np.sqrt(v) + eps), m, v


@adam.step("g for m in the step", "E70")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """That is RMSprop: m is kept and never used."""
    _p, m, v = _adam_step(p, g, m, v, t, lr, beta1, beta2, eps)
    rate = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
    return p - rate * g / (np.sqrt(v) + eps), m, v


@adam.step("the old moments are returned", "E78")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """The new ones are lost."""
    new_p, _m, _v = _adam_step(p, g, m, v, t, lr, beta1, beta2, eps)
    return new_p, m.copy(), v.copy()


@adam.step("p, v, m: the order is wrong", "E78", "E67")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """All have the same shape, so no error is raised."""
    p, m, v = _adam_step(p, g, m, v, t, lr, beta1, beta2, eps)
    return p, v, m


@adam.step("only p is returned", "E11")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """The moments are lost."""
    return _adam_step(p, g, m, v, t, lr, beta1, beta2, eps)[0]


@adam.step("the moments are changed in place", "E20", "E22")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """``*=`` and ``+=`` write into the caller's m and v."""
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g * g
    rate = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
    return p - rate * m / (np.sqrt(v) + eps), m, v


@adam.step("the rate through np.sqrt, which makes p float64")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    """``np.sqrt`` of a Python float is a NumPy float64, which makes float32 arrays float64."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    rate = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
    return p - rate * m / (np.sqrt(v) + eps), m, v


@adam.step("steps towards g, out=")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any, amsgrad: bool = False) -> Any:
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (np.square(g) - v)
    work = np.sqrt(v)
    work += eps
    np.divide(m, work, out=work)
    work *= lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
    return p - work, m, v


@adam.step("corrected moments, with eps scaled to match")
def _(p: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Any:
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    mhat, vhat = m / (1 - beta1**t), v / (1 - beta2**t)
    return p - lr * mhat / (np.sqrt(vhat) + eps / (1 - beta2**t) ** 0.5), m, v


SHELVES = (sgd, momentum, adam)
