"""Pictures for lesson 4: cross-entropy and its slope, where the textbook's formula breaks, two losses for G."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lessons.figures import style
from minigan.nn.backend import Array

Elementwise = Callable[[Array, Array], Array]


def _line(k: int) -> dict[str, Any]:
    return {name: value for name, value in style.LINES[k].items() if name != "marker"}


def curves(loss: Elementwise, gradient: Elementwise, targets: Sequence[float] = (1.0, 0.9, 0.0)) -> Figure:
    """The loss of one sample against its logit, and the slope, for several targets; minima are marked.

    Parameters
    ----------
    loss, gradient : callable
        Logits and targets of one shape to the loss and its derivative for each.
    targets : sequence of float

    Returns
    -------
    Figure
    """
    z = np.linspace(-6, 6, 1201)
    figure, (left, right) = style.new(2, 1, width=9, height=3.5)
    for k, t in enumerate(targets):
        y = loss(z, np.full_like(z, t))
        left.plot(z, y, label=f"t = {t:g}", **_line(k))
        right.plot(z, gradient(z, np.full_like(z, t)), label=f"t = {t:g}", **_line(k))
        if 0 < t < 1:
            best = int(np.argmin(y))
            left.plot(z[best], y[best], "s", color=style.INK, markersize=6)
            left.annotate(
                f"lowest: {y[best]:.3f}\nat z = {z[best]:.2f}", (z[best], y[best]), (z[best] + 1.1, y[best] + 0.75),
                arrowprops={"arrowstyle": "->", "color": style.INK}, fontsize=8.5,
            )  # fmt: skip
    left.plot(0, np.log(2), "o", color=style.INK, markersize=6)
    left.annotate(
        "ln 2, whatever t",
        (0, np.log(2)),
        (-5.7, 1.3),
        arrowprops={"arrowstyle": "->", "color": style.INK},
        fontsize=8.5,
    )
    left.set_title("loss of one sample")
    left.set_ylabel("loss, in nats")
    right.axhline(0, color=style.GREY, linewidth=0.8)
    right.set_title("its slope, sigmoid(z) - t")
    right.set_ylabel("dz")
    for ax in (left, right):
        ax.set_xlabel("logit z")
        ax.legend()
    return figure


def softplus_parts(softplus: Callable[[Array], Array]) -> Figure:
    """Softplus as max(z, 0) and a small correction.

    Parameters
    ----------
    softplus : callable

    Returns
    -------
    Figure
    """
    z = np.linspace(-6, 6, 401)
    y = softplus(z)
    figure, (left, right) = style.new(2, 1, width=9, height=3.1)
    left.plot(z, y, label="softplus(z)", **_line(0))
    left.plot(z, np.maximum(z, 0), label="max(z, 0)", **_line(1))
    left.fill_between(z, np.maximum(z, 0), y, color=style.BLUE, alpha=0.15, hatch="///", linewidth=0)
    left.set_title("a ramp with a round corner")
    left.set_ylabel("value")
    left.legend()
    right.plot(z, y - np.maximum(z, 0), **_line(2))
    right.set_title("the round corner alone: ln(1 + exp(-|z|))")
    right.set_ylabel("what is left")
    right.set_ylim(0, 0.8)
    for ax in (left, right):
        ax.set_xlabel("z")
    return figure


def _broken(ax: Any, z: Array, y: Array, height: float, label: str) -> None:
    """Mark along a line where values are infinite or NaN."""
    bad = ~np.isfinite(y)
    if bad.any():
        ax.plot(
            z[bad][::6], np.full(bad.sum(), height)[::6], "x", color=style.RED, markersize=5, linestyle="", label=label
        )


def naive_and_stable(
    naive: Elementwise, naive_gradient: Elementwise, stable: Elementwise, stable_gradient: Elementwise
) -> Figure:
    """Loss and gradient in float32 for t = 0, by the textbook's formula and by the stable one.

    Parameters
    ----------
    naive, naive_gradient, stable, stable_gradient : callable
        Logits and targets, float32, to one value for each.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(2, 2, width=9, height=5.6)
    for column, (low, high) in enumerate(((-10.0, 40.0), (13.5, 17.5))):
        z = np.linspace(low, high, 801, dtype=np.float32)
        t = np.zeros_like(z)
        for ax, wrong, right, name in (
            (axes[0, column], naive, stable, "loss, in nats"),
            (axes[1, column], naive_gradient, stable_gradient, "dz"),
        ):
            with np.errstate(all="ignore"):
                y, good = np.asarray(wrong(z, t), float), np.asarray(right(z, t), float)
            ax.plot(z, good, label="stable", **_line(0))
            ax.plot(z, y, color=style.RED, linestyle="--", linewidth=1.4, label="textbook")
            _broken(ax, z, y, 0.0 if name == "dz" else float(good.min()), "textbook: inf or NaN")
            ax.set_xlabel("logit z")
            ax.set_ylabel(name)
    axes[0, 0].set_title("a fake (t = 0) that D takes for real")
    axes[0, 1].set_title("the same, close to where it breaks")
    axes[1, 0].set_title("its gradient")
    axes[1, 1].set_title("the same, close to where it breaks")
    axes[0, 0].legend()
    for ax in axes[1]:
        ax.set_ylim(-0.08, 1.12)
    return figure


def floor(loss: Elementwise, labels: Array) -> Figure:
    """The mean loss of soft labels against a logit that all samples share, and how low it can get.

    Parameters
    ----------
    loss : callable
    labels : Array of shape (N,)
        Soft labels of real images.

    Returns
    -------
    Figure
    """
    z = np.linspace(-1, 7, 321)
    soft = np.array([loss(np.full_like(labels, one), labels).mean() for one in z])
    hard = loss(z, np.ones_like(z))
    best = int(np.argmin(soft))
    figure, ax = style.new(width=6.2, height=3.3)
    ax.plot(z, soft, label=f"soft labels, {labels.mean():.2f} on average", **_line(0))
    ax.plot(z, hard, label="hard labels, all 1", **_line(1))
    ax.plot(z[best], soft[best], "s", color=style.INK)
    ax.annotate(
        f"{soft[best]:.3f}: no D gets lower", (z[best], soft[best]), (z[best] - 0.4, 0.75),
        arrowprops={"arrowstyle": "->", "color": style.INK},
    )  # fmt: skip
    ax.set_xlabel("logit z, the same for all samples")
    ax.set_ylabel("mean loss, in nats")
    ax.set_title("Soft labels have a floor above 0")
    ax.legend()
    return figure


def generator_losses(gradients: Callable[[Array], tuple[Array, Array]]) -> Figure:
    """The generator's two losses against D(G(noise)), and how strongly each one pulls.

    Parameters
    ----------
    gradients : callable
        Logits to the derivatives of the saturating and of the non-saturating loss.

    Returns
    -------
    Figure
    """
    z = np.linspace(-9, 6, 401)
    d = 1 / (1 + np.exp(-z))
    saturating, other = gradients(z)
    figure, (left, right) = style.new(2, 1, width=9, height=3.6)
    left.plot(d, np.log1p(-d), label="ln(1 - D), saturating", **_line(1))
    left.plot(d, -np.log(d), label="-ln D, non-saturating", **_line(0))
    left.set_ylim(-4, 5)
    left.set_xlabel("D(G(noise))")
    left.set_ylabel("loss, in nats")
    left.set_title("both fall as G gets better")
    right.semilogy(z, np.abs(saturating), label="ln(1 - D), saturating", **_line(1))
    right.semilogy(z, np.abs(other), label="-ln D, non-saturating", **_line(0))
    right.axvspan(-9, -4, color=style.GREY, alpha=0.18)
    right.text(-6.5, 0.06, "fakes that D\nis sure about", ha="center", fontsize=8.5)
    right.set_xlabel("D's logit of a fake")
    right.set_ylabel("size of the gradient")
    right.set_title("but they do not pull at the same time")
    for ax in (left, right):
        ax.legend()
    return figure
