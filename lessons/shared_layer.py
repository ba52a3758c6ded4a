"""Lesson 14's layer on several ranks: each has its share of the images; they meet to add up the gradient for w.

Ranks are processes of their own, which import what they run by its name. So this function lies in a module: they could
not import a function of the notebook.
"""

from __future__ import annotations

import time

import numpy as np

from minigan.nn.backend import Array
from minigan.nn.conv import conv_input_grad, conv_weight_grad
from minigan.nn.rng import stream
from minigan.ranks.interface import Ranks


def inputs(N: int, H: int, C: int, O: int) -> tuple[Array, Array, Array]:
    """The same arrays in every process: x (N, H, H, C), w (4, 4, O, C) and an upstream gradient dy (N, 2H, 2H, O)."""
    draw = stream(14, "data")
    shapes = (N, H, H, C), (4, 4, O, C), (N, 2 * H, 2 * H, O)
    x, w, dy = (draw.standard_normal(shape, np.float32) for shape in shapes)
    return x, w, dy


def weight_gradient(x: Array, dy: Array) -> Array:
    """The gradient for w of the transposed convolution: a sum over all images, (4, 4, O, C)."""
    return conv_weight_grad(dy, x, stride=2, pad=1, kernel_size=(4, 4))


def layer_on_ranks(ranks: Ranks, N: int, H: int, C: int, O: int, repeats: int) -> tuple[float, Array]:
    """Forward pass and gradient for w of the layer, each rank with its share of the images.

    Parameters
    ----------
    ranks : Ranks
    N, H, C, O : int
        Images in the whole batch, pixels of a side, channels before and after.
    repeats : int

    Returns
    -------
    seconds : float
        The shortest of several runs, from when all have begun to when all are done.
    dw : Array of shape (4, 4, O, C)
        The gradient of the whole batch.
    """
    x, w, dy = inputs(N, H, C, O)
    mine = ranks.share(N)  # which of the images: shares differ by at most one
    x, dy = x[mine], dy[mine]
    own = ranks.own((w.size,), w.dtype)  # the others can read it
    total = ranks.shared((w.size,), w.dtype)  # everybody has it
    times = []
    for _ in range(1 + repeats):
        ranks.stack(np.zeros(1))  # a meeting: nobody goes on before all are here
        start = time.perf_counter()
        conv_input_grad(x, w, stride=2, pad=1, size=(2 * H, 2 * H))
        own[:] = weight_gradient(x, dy).reshape(-1)
        total[ranks.share(w.size)] = sum(ranks.scatter_sum(own))  # my slice of everybody's gradients
        ranks.gather_slices(total)  # and everybody's slices of the sum
        times.append(time.perf_counter() - start)
    return min(times[1:]), total.reshape(w.shape).copy()
