"""Pictures of lesson 10: what batch normalisation does, its graph, and the three paths of its gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from lessons.figures import style

Array = np.ndarray
Backward = Callable[[Array, tuple[Array, Array, Array]], Array]

HATCHES = ("", "///", "...", "xx")


def histograms(before: Array, after: Array) -> Figure:
    """Distributions of a few channels before and after batch normalisation.

    Parameters
    ----------
    before, after : Array of shape (N, C)
        At most four channels.

    Returns
    -------
    Figure
    """
    C = before.shape[1]
    figure, axes = style.new(C, 2, 9, 4)
    grid = np.reshape(axes, (2, C))
    for row, (values, name) in enumerate(((before, "x"), (after, "y"))):
        reach = tuple(np.quantile(values, [0.0, 0.998]))
        for c in range(C):
            ax = grid[row, c]
            ax.hist(values[:, c], bins=60, range=reach, color=style.BLUE if row == 0 else style.ORANGE)
            ax.axvline(values[:, c].mean(), color=style.INK, linestyle="--", linewidth=1)
            mean, spread = values[:, c].mean(), values[:, c].std()
            ax.set_title(
                f"{name}, channel {c}: mean {mean + 0.0:.1f}, std {spread:.1f}".replace("-0.0", "0.0"), fontsize=9
            )
            ax.set_xlabel(f"value of {name}")
            ax.set_ylabel("how many" if c == 0 else "")
            ax.set_yticks([])
    return figure


def graph(x: Sequence[float], dy: Sequence[float], gamma: float, beta: float, eps: float) -> Figure:
    """The graph of one channel, with each node's values and, below them, its gradient.

    Parameters
    ----------
    x, dy : sequence of N floats
    gamma, beta, eps : float

    Returns
    -------
    Figure
    """
    nodes = _node_by_node(np.array(x, float), np.array(dy, float), gamma, beta, eps)
    places = {
        "x": (0, 1.0),
        "mu": (0.75, 0.0),
        "c": (1.75, 1.0),
        "q": (2.6, 0.0),
        "v": (3.55, 0.0),
        "s": (4.5, 0.0),
        "r": (5.45, 0.0),
        "xhat": (6.0, 1.0),
        "y": (7.5, 1.0),
    }
    arrows = (
        ("x", "mu", "mean"),
        ("x", "c", "directly"),
        ("mu", "c", "subtract"),
        ("c", "q", "square"),
        ("q", "v", "mean"),
        ("v", "s", "root"),
        ("s", "r", "1 /"),
        ("r", "xhat", "times"),
        ("c", "xhat", "directly"),
        ("xhat", "y", "gamma, beta"),
    )
    labels = {"mu": "μ", "xhat": "x̂"}
    figure, axes = style.new(1, 1, 11, 4.2)
    ax = np.ravel(axes)[0]
    for start, end, word in arrows:
        (x0, y0), (x1, y1) = places[start], places[end]
        ax.annotate(
            "",
            xy=(x1, y1),
            xytext=(x0, y0),
            arrowprops={"arrowstyle": "-|>", "color": style.GREY, "shrinkA": 27, "shrinkB": 27, "linewidth": 1.4},
        )
        flat = y0 == y1
        ax.text(
            (x0 + x1) / 2,
            (y0 + y1) / 2 + (0.05 if flat else 0.0),
            word,
            fontsize=8,
            color=style.INK,
            ha="center",
            va="bottom" if flat else "center",
            bbox=None if flat else {"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    for name, (px, py) in places.items():
        value, gradient = nodes[name]
        ax.text(
            px,
            py,
            labels.get(name, name),
            ha="center",
            va="center",
            fontsize=14,
            fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.45", "facecolor": "white", "edgecolor": style.INK},
        )
        # Away from the slanting arrows: above the upper row, below the lower one.
        first, second, side = (py + 0.42, py + 0.25, "bottom") if py > 0.5 else (py - 0.25, py - 0.42, "top")
        ax.text(px, first, _told(value), ha="center", va=side, fontsize=9, color=style.BLUE)
        ax.text(px, second, _told(gradient), ha="center", va=side, fontsize=9, color=style.RED, style="italic")
    ax.text(7.4, 0.08, "upright, blue: values (forward)", fontsize=9, color=style.BLUE, ha="center")
    ax.text(7.4, -0.09, "italic, red: gradients (backward)", fontsize=9, color=style.RED, style="italic", ha="center")
    ax.set_xlim(-0.55, 8.2)
    ax.set_ylim(-0.6, 1.65)
    ax.set_axis_off()
    ax.set_title("x splits into two arrows, c splits into two arrows: there the gradients add")
    return figure


def _node_by_node(x: Array, dy: Array, gamma: float, beta: float, eps: float) -> dict[str, tuple[Array, Array]]:
    """Value and gradient of every node of one channel."""
    N = x.size
    mu = x.mean()
    c = x - mu
    q = c**2
    v = q.mean()
    s = np.sqrt(v + eps)
    r = 1 / s
    xhat = c * r
    dxhat = gamma * dy
    dr = (dxhat * c).sum()
    ds = -dr / s**2
    dv = ds / (2 * s)
    dq = np.full(N, dv / N)
    dc = dxhat * r + 2 * c * dq
    dmu = -dc.sum()
    dx = dc + dmu / N
    return {
        "x": (x, dx),
        "mu": (mu, dmu),
        "c": (c, dc),
        "q": (q, dq),
        "v": (v, dv),
        "s": (s, ds),
        "r": (r, dr),
        "xhat": (xhat, dxhat),
        "y": (gamma * xhat + beta, dy),
    }


def _told(values: Any) -> str:
    """One number or a few, short."""
    return ", ".join(f"{round(float(v), 2) + 0.0:g}" for v in np.ravel(values)).replace("-", "−")


def three_paths(paths: Sequence[Array]) -> Figure:
    """Bars of what reaches each x directly, through the mean and through the variance, and of the sum.

    Parameters
    ----------
    paths : three arrays of shape (N, 1) or (N,)
        The direct path, that through the mean, that through the variance.

    Returns
    -------
    Figure
    """
    shares = [np.ravel(p) for p in paths]
    shares.append(np.sum(shares, axis=0))
    names = ("directly", "through the mean", "through the variance", "sum: dx")
    colours = (style.BLUE, style.ORANGE, style.GREEN, style.INK)
    figure, axes = style.new(1, 1, 8, 3.6)
    ax = np.ravel(axes)[0]
    place = np.arange(shares[0].size)
    for k, (share, name, colour, hatch) in enumerate(zip(shares, names, colours, HATCHES, strict=True)):
        left = place + (k - 1.5) * 0.2
        face = colour if k == 3 else "white"
        ax.bar(left, share, 0.18, label=name, facecolor=face, edgecolor=colour, hatch=hatch if k else "", linewidth=1.3)
        for a, value in zip(left, share, strict=True):
            ax.text(
                a,
                value + (0.08 if value >= 0 else -0.08),
                f"{value + 0.0:.2f}".replace("-0.00", "0").replace("-", "−"),
                ha="center",
                va="bottom" if value >= 0 else "top",
                fontsize=8,
            )
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.set_xticks(place, [f"$x_{{{i + 1}}}$" for i in place])
    ax.set_ylabel("share of dx")
    low, high = min(s.min() for s in shares), max(s.max() for s in shares)
    ax.set_ylim(low - 0.18 * (high - low), high + 0.18 * (high - low))
    ax.set_xlabel("value of the batch")
    ax.set_title("Three paths, and how they cancel")
    ax.legend(frameon=False, fontsize=9, loc="upper right")
    return figure


def tangent(c: Array, dy: Array) -> Figure:
    """The plane of centred triples: backward takes from dy its part along (1, 1, 1) and its part along xhat.

    Parameters
    ----------
    c : Array of shape (3,)
        A centred batch of three.
    dy : Array of shape (3,)

    Returns
    -------
    Figure
    """
    across, up = np.array([-1.0, 0, 1]) / np.sqrt(2), np.array([-1.0, 2, -1]) / np.sqrt(6)

    def plane(a: Array) -> Array:
        return np.array([a @ across, a @ up])

    xhat = c / c.std()
    centred = dy - dy.mean()
    rest = centred - xhat * (centred * xhat).mean()
    start, a, b = plane(xhat), plane(centred), plane(rest)
    figure, axes = style.new(1, 1, 6.4, 4.9)
    ax = np.ravel(axes)[0]
    radius = np.sqrt(3)
    ax.add_patch(Circle((0, 0), radius, fill=False, edgecolor=style.INK, linewidth=1.5))
    ax.plot([0, start[0]], [0, start[1]], color=style.GREY, linestyle=":", linewidth=1.2)
    ax.plot(0, 0, "o", color=style.INK, markersize=4)
    ax.text(0.08, -0.14, "all three equal", fontsize=9, va="top", ha="center")
    ax.plot(*start, "o", color=style.INK)
    ax.text(start[0] + 0.16, start[1] + 0.04, "$\\hat x$", fontsize=15, ha="left", va="bottom")

    def arrow(to: Array, origin: Array, colour: str, line: str) -> None:
        ax.annotate(
            "",
            xy=origin + to,
            xytext=origin,
            arrowprops={
                "arrowstyle": "-|>",
                "color": colour,
                "linewidth": 2.2,
                "linestyle": line,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )

    arrow(a, start, style.BLUE, "-")
    arrow(b, start, style.RED, "-")
    arrow(a - b, start + b, style.ORANGE, "--")
    ax.text(*(start + a + [0.0, -0.1]), "dy without\nits mean", color=style.BLUE, ha="center", va="top", fontsize=10)
    ax.text(
        *(start + b / 2 + [0.16, 0.0]), "dx: along the circle", color=style.RED, ha="left", va="center", fontsize=10
    )
    ax.text(
        *(start + b + (a - b) / 2 + [0.1, -0.1]),
        "its part along $\\hat x$: taken off",
        color="#9A6A00",
        va="top",
        fontsize=10,
    )
    corners = np.array([start + a, start + b, [-radius, -radius], [radius, radius]])
    (x0, y0), (x1, y1) = corners.min(axis=0) - 0.3, corners.max(axis=0) + np.array([1.5, 0.3])
    ax.set_xlim(x0, x1)
    ax.set_ylim(y0, y1)
    ax.set_aspect("equal")
    ax.set_xlabel("$(x_3 - x_1)/\\sqrt{2}$")
    ax.set_ylabel("$(2x_2 - x_1 - x_3)/\\sqrt{6}$")
    ax.set_title("Every normalised triple lies on this circle")
    return figure


def probes(backwards: Mapping[str, Backward], rng: np.random.Generator, *, eps: float = 1e-5) -> Figure:
    """What four upstream gradients see of each wrong backward pass.

    Parameters
    ----------
    backwards : mapping of str to callable
        ``(dy, (xhat, gamma, s)) -> dx``; one of them is called "right".
    rng : numpy.random.Generator
    eps : float

    Returns
    -------
    Figure
    """
    errors, probe_names = probe_errors(backwards, rng, eps=eps)
    figure, axes = style.new(1, 1, 7.6, 3.9)
    ax = np.ravel(axes)[0]
    shown = np.log10(np.maximum(errors, 1e-8))
    ax.imshow(shown, cmap=style.MAGNITUDE, vmin=-8, vmax=2, aspect="auto")
    for row in range(errors.shape[0]):
        for column in range(errors.shape[1]):
            seen = errors[row, column] > 1e-3
            ax.text(
                column,
                row,
                f"{errors[row, column]:.0e}\n{'seen' if seen else 'passes'}",
                ha="center",
                va="center",
                fontsize=8,
                color="black",
                bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.2},
            )
            if not seen:
                ax.fill_between(
                    [column - 0.5, column + 0.5],
                    row - 0.5,
                    row + 0.5,
                    facecolor="none",
                    edgecolor=style.GREY,
                    hatch="///",
                    linewidth=0,
                )
    ax.set_xticks(range(len(probe_names)), probe_names)
    ax.set_yticks(range(len(errors)), list(backwards))
    ax.set_xlabel("upstream gradient dy")
    ax.set_ylabel("backward pass")
    ax.set_title("Error that a check sees (relative to gamma / s * dy)")
    return figure


def probe_errors(
    backwards: Mapping[str, Backward], rng: np.random.Generator, *, eps: float = 1e-5
) -> tuple[Array, tuple[str, ...]]:
    """Errors of each backward under each probe, relative to the largest gamma / s * dy.

    Parameters
    ----------
    backwards, rng, eps
        As `probes`.

    Returns
    -------
    errors : Array of shape (backwards, 4)
    names : tuple of str
    """
    N, C = 12, 3
    x = 2 * rng.standard_normal((N, C)) + 1
    gamma, beta = np.array([0.5, -1.5, 2.0]), np.array([0.3, 0.6, -0.4])
    s = np.sqrt(x.var(axis=0) + eps)
    xhat = (x - x.mean(axis=0)) / s
    single = np.zeros((N, C))
    single[2] = 1
    dys = {
        "all ones\n(loss = sum of y)": np.ones((N, C)),
        "dy = y\n(sum of squares)": gamma * xhat + beta,
        "a single 1": single,
        "random": rng.standard_normal((N, C)),
    }

    def right(dy: Array) -> Array:
        return gamma / s * (dy - dy.mean(axis=0) - xhat * (dy * xhat).mean(axis=0))

    errors = [
        [np.abs(f(dy, (xhat, gamma, s)) - right(dy)).max() / np.abs(gamma / s * dy).max() for dy in dys.values()]
        for f in backwards.values()
    ]
    return np.array(errors), tuple(dys)


def records(values: Array, average: Callable[..., Any], momenta: Sequence[float]) -> Figure:
    """Moving averages of one sequence: started at 0, started at 1, and debiased, for several momenta.

    Parameters
    ----------
    values : Array of shape (T,)
    average : callable
        ``average(moving, biased, t, value, momentum) -> moving, biased, t``.
    momenta : sequence of float

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(momenta), 1, 11, 3.4)
    for ax, momentum in zip(np.ravel(axes), momenta, strict=True):
        zero, one, debiased = [], [], []
        from_zero, from_one = 0.0, 1.0
        moving, biased, t = np.zeros(1), np.zeros(1), 0
        for value in values:
            from_zero = momentum * from_zero + (1 - momentum) * value
            from_one = momentum * from_one + (1 - momentum) * value
            moving, biased, t = average(moving, biased, t, np.array([value]), momentum)
            zero.append(from_zero)
            one.append(from_one)
            debiased.append(float(moving[0]))
        steps = np.arange(1, len(values) + 1)
        ax.plot(steps, values, ".", color=style.GREY, markersize=4, label="values")
        ax.plot(steps, zero, ":", color=style.ORANGE, linewidth=2, label="started at 0")
        ax.plot(steps, one, "--", color=style.GREEN, linewidth=1.6, label="started at 1")
        ax.plot(steps, debiased, "-", color=style.BLUE, linewidth=2, label="debiased")
        ax.set_ylim(-0.3, 6.3)
        ax.set_title(f"momentum {momentum}")
        ax.set_xlabel("update")
    first = np.ravel(axes)[0]
    first.set_ylabel("variance on record")
    first.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def company(rng: np.random.Generator, *, N: int = 4000) -> Figure:
    """One feature of reals and fakes: raw, normalised together, and normalised each on its own; D's step and G's.

    Parameters
    ----------
    rng : numpy.random.Generator
    N : int
        Values of each kind.

    Returns
    -------
    Figure
    """
    real = 1 + 0.6 * rng.standard_normal(N)
    fake = -1 + 0.6 * rng.standard_normal(N)
    both = np.concatenate([real, fake])

    def own(x: Array) -> Array:
        return (x - x.mean()) / x.std()

    together = (both - both.mean()) / both.std()
    panels = (
        ("the feature itself", real, fake),
        ("D's step, together:\na gap that D learns to use", together[:N], together[N:]),
        ("G's step after that:\nfakes where D knows neither kind", None, own(fake)),
        None,
        ("D's step, each on its own:\nnothing to see in this feature", own(real), own(fake)),
        ("G's step after that:\nfakes where D knows them", None, own(fake)),
    )
    figure, axes = style.new(3, 2, 9, 5)
    for ax, panel in zip(np.ravel(axes), panels, strict=True):
        if panel is None:
            ax.set_axis_off()
            continue
        title, reals, fakes = panel
        look = {"bins": 50, "range": (-4, 4), "histtype": "stepfilled", "facecolor": "none", "linewidth": 1.5}
        if reals is not None:
            ax.hist(reals, edgecolor=style.BLUE, label="real", **look)
        ax.hist(fakes, edgecolor=style.ORANGE, linestyle="--", hatch="////", label="fake", **look)
        ax.axvline(0, color=style.GREY, linewidth=0.8)
        ax.set_title(title)
        ax.set_xlabel("value of the feature")
        ax.set_yticks([])
        ax.set_ylim(0, N * 0.14)
    first, _, _, empty, *_ = np.ravel(axes)
    first.set_ylabel("how many")
    empty.legend(*first.get_legend_handles_labels(), loc="center", fontsize=11)
    return figure


def opinions(logits: Mapping[str, Array]) -> Figure:
    """A discriminator's logits for the same fakes: alone in their batch, among reals, and by the record.

    Parameters
    ----------
    logits : mapping of str to Array of shape (N,)
        "alone", "mixed" and "record".

    Returns
    -------
    Figure
    """
    figure, axes = style.new(2, 1, 9, 4.2)
    low = min(z.min() for z in logits.values()) - 0.2
    high = max(z.max() for z in logits.values()) + 0.2
    panels = (("mixed", "half fakes, half reals", style.BLUE, "o"), ("record", "D's record", style.RED, "^"))
    for ax, (name, told, colour, marker) in zip(np.ravel(axes), panels, strict=True):
        shift = logits[name] - logits["alone"]
        ax.plot([low, high], [low, high], "--", color=style.GREY, linewidth=1.2, label="the same verdict")
        ax.plot(
            logits["alone"], logits[name], marker, color=colour, markersize=4, markerfacecolor="none", label="one fake"
        )
        ax.set_xlim(low, high)
        ax.set_ylim(low, high)
        ax.set_aspect("equal")
        ax.set_xlabel("logit, normalised among fakes")
        ax.set_ylabel(f"logit, normalised with\n{told}")
        told_shift = f"{shift.mean():+.2f} on average, {np.abs(shift).mean():.2f} either way"
        ax.set_title(f"{told}: {told_shift}".replace("-", "−"), fontsize=9.5)
        ax.legend(loc="upper left")
    return figure


def deep(losses: Mapping[str, Array]) -> Figure:
    """How deep discriminators learn, a panel for each kind of first kernel.

    Parameters
    ----------
    losses : mapping of str to Array of shape (seeds, steps)
        Named by the kernels, a comma, and "with" or "without" (batch normalisation).

    Returns
    -------
    Figure
    """
    kinds = list(dict.fromkeys(name.rpartition(", ")[0] for name in losses))
    figure, axes = style.new(len(kinds), 1, 9.6, 3.2)
    looks = {"without": (style.ORANGE, "--"), "with": (style.BLUE, "-")}
    for ax, kind in zip(np.ravel(axes), kinds, strict=True):
        for end, (color, line) in looks.items():
            for number, one in enumerate(losses[f"{kind}, {end}"]):
                smooth = np.convolve(one, np.ones(10) / 10, mode="valid")  # a mean over ten steps
                label = f"{end} batch normalisation" if number == 0 else None
                ax.plot(np.arange(9, len(one)), smooth, color=color, linestyle=line, linewidth=1.3, label=label)
        ax.axhline(2 * np.log(2), color=style.GREY, linewidth=1, linestyle=":")
        ax.set(xlabel="step", ylim=(0, 1.75))
        ax.set_title(kind.replace(", ", ",\n"), fontsize=9.5)
    np.ravel(axes)[0].set_ylabel("D's loss on reals and fakes")
    np.ravel(axes)[0].legend(loc="lower left", frameon=False, fontsize=8.5)
    np.ravel(axes)[len(kinds) // 2].text(75, 1.45, "knows nothing: 2 ln 2", ha="center", fontsize=8.5)
    return figure


def residuals(suspects: Mapping[str, Backward], rng: np.random.Generator) -> Figure:
    """What each suspect's dx lacks, against xhat, for one channel.

    Parameters
    ----------
    suspects : mapping of str to callable
        ``(dy, (xhat, gamma, s)) -> dx``.
    rng : numpy.random.Generator

    Returns
    -------
    Figure
    """
    N = 24
    x, dy = 2 * rng.standard_normal((N, 1)), rng.standard_normal((N, 1))
    xhat, gamma, s = (x - x.mean()) / x.std(), np.array([1.7]), np.array([x.std()])
    dy += 0.6 + 0.5 * xhat  # so that both means are well away from 0
    right = gamma / s * (dy - dy.mean() - xhat * (dy * xhat).mean())
    figure, axes = style.new(len(suspects), 1, 12, 2.8)
    missing = {name: (right - suspect(dy, (xhat, gamma, s))).ravel() for name, suspect in suspects.items()}
    reach = 1.15 * max(np.abs(r).max() for r in missing.values())
    for ax, (name, residual) in zip(np.ravel(axes), missing.items(), strict=True):
        ax.axhline(0, color=style.GREY, linewidth=0.8)
        ax.axvline(0, color=style.GREY, linewidth=0.8)
        ax.plot(xhat.ravel(), residual, "o", color=style.RED, markersize=4)
        ax.set_ylim(-reach, reach)
        ax.set_title(f"suspect {name}")
        ax.set_xlabel("$\\hat x$")
    np.ravel(axes)[0].set_ylabel("right dx − its dx")
    return figure
