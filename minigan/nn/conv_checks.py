"""Do the arrays of a convolution fit together? Three checks, one for each primitive of `minigan.nn.conv`.

Every algorithm relies on them. An error names the argument, the rule and the value. Legend: `minigan.nn.conv`.
"""

from __future__ import annotations

from minigan.nn.backend import Array, backend_of
from minigan.nn.geometry import Pad, Size, output_size


def check_forward(x: Array, w: Array, b: Array | None, stride: int, pad: int | Pad) -> Pad:
    """Raise what `conv_forward` raises; return the padding of all four sides."""
    check_arrays("conv_forward", x=x, w=w)
    _check_bias("conv_forward", b, w, w.shape[3])
    pad = _check_geometry("conv_forward", stride, pad)
    if x.shape[3] != w.shape[2]:
        raise ValueError(
            f"conv_forward: x has {x.shape[3]} channels but w expects {w.shape[2]} "
            f"(x.shape={x.shape}, w.shape={w.shape})"
        )
    _check_fits("conv_forward", x.shape[1:3], w.shape[:2], stride, pad)
    return pad


def check_input_grad(dy: Array, w: Array, b: Array | None, stride: int, pad: int | Pad, size: Size) -> Pad:
    """Raise what `conv_input_grad` raises; return the padding of all four sides."""
    check_arrays("conv_input_grad", dy=dy, w=w)
    _check_bias("conv_input_grad", b, w, w.shape[2])
    pad = _check_geometry("conv_input_grad", stride, pad)
    if dy.shape[3] != w.shape[3]:
        raise ValueError(
            f"conv_input_grad: dy has {dy.shape[3]} channels but w gives {w.shape[3]} "
            f"(dy.shape={dy.shape}, w.shape={w.shape})"
        )
    if min(size) < 1:
        raise ValueError(f"conv_input_grad: size must be at least 1 x 1, got {size[0]} x {size[1]} (padding {pad})")
    _check_output("conv_input_grad", dy, size, w.shape[:2], stride, pad)
    return pad


def check_weight_grad(x: Array, dy: Array, stride: int, pad: int | Pad, kernel_size: Size) -> Pad:
    """Raise what `conv_weight_grad` raises; return the padding of all four sides."""
    check_arrays("conv_weight_grad", x=x, dy=dy)
    pad = _check_geometry("conv_weight_grad", stride, pad)
    if x.shape[0] != dy.shape[0]:
        raise ValueError(
            f"conv_weight_grad: x and dy must have one batch size, got {x.shape[0]} and {dy.shape[0]} "
            f"(x.shape={x.shape}, dy.shape={dy.shape})"
        )
    _check_output("conv_weight_grad", dy, x.shape[1:3], kernel_size, stride, pad)
    return pad


def check_arrays(where: str, **arrays: Array) -> None:
    """Raise what all three primitives raise: arrays of one backend and one dtype, with four axes each."""
    backend_of(*arrays.values())
    for name, a in arrays.items():
        if a.ndim != 4:
            raise ValueError(f"{where}: {name} must have 4 axes, got {a.ndim} ({name}.shape={a.shape})")
    check_dtypes(where, **arrays)


def check_dtypes(where: str, **arrays: Array) -> None:
    """Raise TypeError unless all arrays have one dtype."""
    dtypes = {name: a.dtype for name, a in arrays.items()}
    if len(set(dtypes.values())) > 1:
        told = ", ".join(f"{name} is {dtype}" for name, dtype in dtypes.items())
        raise TypeError(f"{where}: arrays must have one dtype, but {told}; convert one with a.astype(...)")


def _check_bias(where: str, b: Array | None, w: Array, channels: int) -> None:
    if b is None:
        return
    backend_of(w, b)
    check_dtypes(where, w=w, b=b)
    if b.shape != (channels,):
        raise ValueError(f"{where}: b must be of shape ({channels},), got {b.shape}")


def _check_geometry(where: str, stride: int, pad: int | Pad) -> Pad:
    if stride < 1:
        raise ValueError(f"{where}: stride must be at least 1, got {stride}")
    full: Pad = ((pad, pad), (pad, pad)) if isinstance(pad, int) else pad
    if min(full[0][0], full[1][0]) < 0:
        raise ValueError(f"{where}: padding at the top and on the left must be 0 or more, got {full}")
    return full


def _check_fits(where: str, size: Size, kernel_size: Size, stride: int, pad: Pad) -> Size:
    output = output_size(size, kernel_size, stride, pad)
    if min(output) < 1:
        raise ValueError(
            f"{where}: a {kernel_size[0]} x {kernel_size[1]} kernel does not fit into {size[0]} x {size[1]} pixels "
            f"with padding {pad}"
        )
    return output


def _check_output(where: str, dy: Array, size: Size, kernel_size: Size, stride: int, pad: Pad) -> None:
    output = _check_fits(where, size, kernel_size, stride, pad)
    if dy.shape[1:3] != output:
        raise ValueError(
            f"{where}: {size[0]} x {size[1]} pixels give an output of {output}, but dy is {dy.shape[1:3]} "
            f"(kernel {kernel_size}, stride {stride}, padding {pad}, dy.shape={dy.shape})"
        )
