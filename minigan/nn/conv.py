"""The three convolution primitives that serve both networks, and the choice of the algorithm that computes them.

Read this file first: its legend explains the letters that all other files use. `minigan.nn.loops` computes the three
by their definition, `minigan.nn.im2col` by one matrix product; `minigan.nn.ops` makes the functions of a network out of
them. The functions here check that shapes fit (`minigan.nn.conv_checks`), and then call the algorithm.

Convolution here is cross-correlation (the kernel is not flipped), as in every deep-learning library:

    y[n,i,j,o] = sum over p, q, c of  x[n, S*i+p-P, S*j+q-P, c] * w[p,q,c,o]

It is linear in x and linear in w. Each of the two linear maps has an adjoint, the map with the transposed matrix:

* `conv_input_grad` carries a gradient dy back to x. It is also the *forward* pass of a transposed convolution: the
  generator's layer is the discriminator's backward pass.
* `conv_weight_grad` carries dy back to w, for both kinds of layer with the roles of x and dy swapped.

Legend, used in all of minigan:

    N batch    H, W height, width (Ho, Wo: of the output)    C channels in    O channels out
    K kernel size (Kh, Kw)    S stride    P padding    i, j output position    p, q kernel tap
    images (N, H, W, C)    Conv2D kernel (Kh, Kw, C, O)    Conv2DTranspose kernel (Kh, Kw, O, C)

References
----------
V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.
"""

from __future__ import annotations

from typing import Any

from minigan.nn import im2col, loops
from minigan.nn.backend import Array, backend_of
from minigan.nn.conv_checks import check_forward, check_input_grad, check_weight_grad
from minigan.nn.geometry import Pad, Size


def conv_forward(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: int = 1,
    pad: int | Pad = 0,
    kernel: str = "auto",
) -> Array:
    """Convolve images with a bank of kernels.

    Parameters
    ----------
    x : Array of shape (N, H, W, C)
    w : Array of shape (Kh, Kw, C, O)
    b : Array of shape (O,), optional
        Bias, added to every output position.
    stride : int
        Step between neighbouring output positions, in pixels.
    pad : int or ((top, bottom), (left, right))
        Zeros around x.
    kernel : str
        Algorithm: a key of `KERNELS`, or "auto", which takes the fastest that is known for x's backend.

    Returns
    -------
    Array of shape (N, Ho, Wo, O)
        Ho = floor((H + top + bottom - Kh) / S) + 1, Wo likewise.

    Raises
    ------
    ValueError
        If shapes, stride or padding do not fit, the kernel's name is unknown, or it cannot do this geometry.
    TypeError
        If arrays of two backends or two dtypes are mixed.

    Notes
    -----
    N * Ho * Wo * Kh * Kw * C * O multiply-adds.
    """
    pad = check_forward(x, w, b, stride, pad)
    return _algorithm(kernel, x).conv_forward(x, w, stride, pad, b)


def conv_input_grad(
    dy: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: int = 1,
    pad: int | Pad = 0,
    size: Size,
    kernel: str = "auto",
) -> Array:
    """Gradient of `conv_forward` for x; equally, the forward pass of a transposed convolution.

    Parameters
    ----------
    dy : Array of shape (N, Ho, Wo, O)
        Gradient for the convolution's output.
    w : Array of shape (Kh, Kw, C, O)
    b : Array of shape (C,), optional
        Bias of a transposed convolution, added to every position of the result.
    stride, pad, kernel
        As in `conv_forward`.
    size : (H, W)
        Size of x. Several sizes can lead to the same (Ho, Wo), so it must be given.

    Returns
    -------
    Array of shape (N, H, W, C)

    Raises
    ------
    ValueError, TypeError
        As `conv_forward`; also if `size` is below 1, or would not give dy's height and width.
    """
    pad = check_input_grad(dy, w, b, stride, pad, size)
    return _algorithm(kernel, dy).conv_input_grad(dy, w, stride, pad, size, b)


def conv_weight_grad(
    x: Array, dy: Array, *, stride: int = 1, pad: int | Pad = 0, kernel_size: Size, kernel: str = "auto"
) -> Array:
    """Gradient of `conv_forward` for w, summed over the batch.

    Parameters
    ----------
    x : Array of shape (N, H, W, C)
    dy : Array of shape (N, Ho, Wo, O)
    stride, pad, kernel
        As in `conv_forward`.
    kernel_size : (Kh, Kw)

    Returns
    -------
    Array of shape (Kh, Kw, C, O)

    Raises
    ------
    ValueError, TypeError
        As `conv_forward`; also if x and dy do not belong together.
    """
    pad = check_weight_grad(x, dy, stride, pad, kernel_size)
    return _algorithm(kernel, x).conv_weight_grad(x, dy, stride, pad, kernel_size)


# ------------------------------------------------------------------------------------------- the algorithms by name
KERNELS: dict[str, Any] = {"loops": loops, "im2col": im2col}
"""Modules with three functions, as `minigan.nn.loops` has them. Others are added by `register_kernel`."""

_only_on: dict[str, str | None] = {}  # the one backend that an algorithm is for
_fastest: dict[str, Any] = {}  # what "auto" means, by backend


def _algorithm(name: str, x: Array) -> Any:
    if name == "auto":
        return _fastest.get(backend_of(x).name, im2col)
    if name not in KERNELS:
        raise ValueError(f"kernel must be one of auto, {', '.join(KERNELS)}, got {name!r}")
    needed, here = _only_on.get(name), backend_of(x).name
    if needed not in (None, here):
        raise ValueError(f"kernel {name!r} needs {needed} arrays, got {here}; 'im2col' takes both")
    return KERNELS[name]


def register_kernel(name: str, module: Any, *, only_on: str | None = None) -> None:
    """Make an algorithm known to the functions above.

    Parameters
    ----------
    name : str
        For their argument ``kernel``.
    module
        With `conv_forward`, `conv_input_grad` and `conv_weight_grad`, called like those of `minigan.nn.loops`. They
        raise ValueError where they cannot do what they are asked for.
    only_on : str, optional
        The name of the one backend that it is for.
    """
    KERNELS[name], _only_on[name] = module, only_on


def register_fastest(backend_name: str, module: Any) -> None:
    """Set what "auto" means for the arrays of a backend: a module with the same functions, which can do everything."""
    _fastest[backend_name] = module
