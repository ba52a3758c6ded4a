"""Hypotheses about wrong gradients, exercise by exercise: what each known mistake would return as the gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigan.check.mistakes.gradient_evidence import Evidence
from minigan.check.mistakes.hypotheses import Guess, Idea, common
from minigan.nn.backend import Array
from minigan.nn.conv import conv_forward, conv_input_grad, conv_weight_grad

Wrongs = Iterator[tuple[Idea, Any]]


def of_the_exercise(evidence: list[Evidence]) -> Idea | None:
    """The first of the exercise's own hypotheses that fits all evidence."""
    table: dict[str, Callable[[Evidence], Wrongs]] = {
        "dense": _dense,
        "relu": _activation,
        "leaky_relu": _activation,
        "tanh": _activation,
        "sigmoid": _activation,
        "flatten": _flatten,
        "bce_with_logits": _bce,
        "conv2d": _conv,
        "conv2d_transpose": _transpose,
        "batch_norm": _batch_norm,
    }
    hypotheses = table[evidence[0].exercise.name]
    return common([([Guess(idea, e.fits(wrong)) for idea, wrong in hypotheses(e)], e.passes) for e in evidence])


def _parameter_sums(e: Evidence) -> Wrongs:
    """Wrong ways to sum dy into the gradient of a bias or of beta."""
    dy = e.dy
    C = dy.shape[-1]
    rows = dy.reshape(-1, C)
    full = np.zeros(C)
    yield Idea("E57", "dy is summed over all axes, so every channel gets the same number."), full + dy.sum()
    yield Idea("E57", "the mean over all axes: every channel gets the same number."), full + dy.mean()
    yield Idea("E57", "a mean over samples and positions; it is a sum."), rows.mean(0)
    yield Idea("E57", "the number of rows, whatever dy is."), full + len(rows)
    if dy.ndim == 4:
        yield Idea("E57", "a mean over the batch of sums over the image."), dy.sum((1, 2)).mean(0)
        yield Idea("E57", "a sum over the batch of means over the image."), dy.mean((1, 2)).sum(0)
        for axis, told in ((0, "the batch"), (1, "rows"), (2, "columns")):
            rest = tuple(a for a in (0, 1, 2) if a != axis)
            yield (
                Idea("E57", f"{told} are averaged, the other axes summed."),
                dy.mean(axis).sum(tuple(r - (r > axis) for r in rest)),
            )
            for index, which in ((0, "first"), (-1, "last")):
                part = np.take(dy, index, axis=axis)
                code = "E64" if axis == 0 else "E57"
                yield Idea(code, f"only the {which} of {told} counts."), part.reshape(-1, C).sum(0)
        yield Idea("E57", "only one pixel of one sample counts."), dy[0, 0, 0]
    else:
        yield Idea("E64", "only the first sample counts."), dy[0]
        yield Idea("E64", "only the last sample counts."), dy[-1]


def _dense(e: Evidence) -> Wrongs:
    x, w, b = (e.case.arrays[k] for k in "xwb")
    dy = e.dy
    if e.name == "dx":
        yield Idea("E63", "w is missing."), dy.sum(1, keepdims=True) + 0 * x
        yield (
            Idea("E53", "w is brought to its transposed shape with reshape, which mixes up its elements."),
            dy @ w.reshape(w.shape[::-1]),
        )
        yield Idea("E63", "dx is multiplied by x."), (dy @ w.T) * x
    if e.name == "dw":
        yield Idea("E63", "x is missing: every row of dw is the sum of dy."), 0 * w + dy.sum(0)
        yield Idea("E63", "dw is multiplied by w."), (x.T @ dy) * w
        y = x @ w + b
        if y.shape == dy.shape:
            yield Idea("E63", "y is used where dy belongs."), x.T @ y
        yield (
            Idea("E64", "x and dy are averaged over the samples before they are multiplied."),
            np.outer(x.mean(0), dy.sum(0)),
        )
        yield (
            Idea("E64", "x and dy are summed over the samples before they are multiplied."),
            np.outer(x.sum(0), dy.sum(0)),
        )
        for index, which in ((0, "first"), (-1, "last")):
            yield Idea("E64", f"only the {which} sample counts."), np.outer(x[index], dy[index])
    if e.name == "db":
        yield from _parameter_sums(e)


def _flatten(e: Evidence) -> Wrongs:
    x, rows = e.case.arrays["x"], e.dy
    N, H, W, C = x.shape
    for cause, shape, axes in (
        ("as if channels came first", (N, C, H, W), (0, 2, 3, 1)),
        ("as if columns came before rows", (N, W, H, C), (0, 2, 1, 3)),
        ("as if all axes were reversed", (N, C, W, H), (0, 3, 2, 1)),
    ):
        yield Idea("E53", f"the elements go back {cause}."), rows.reshape(shape).transpose(axes)
    yield Idea("E53", 'order="F" puts the elements back in another order.'), rows.reshape(x.shape, order="F")


def _activation(e: Evidence) -> Wrongs:
    """Dy times a wrong derivative."""
    x, dy, name = e.case.arrays["x"], e.dy, e.exercise.name
    alpha = e.case.settings.get("alpha", 0.2)
    y = np.asarray(e.forward.y)
    s, t = 1 / (1 + np.exp(-x)), np.tanh(x)
    factors: list[tuple[str, Array]] = []
    if name == "relu":
        factors = [
            ("dy passes everywhere: the mask is missing", np.ones_like(x)),
            ("dy passes where x is negative: the mask is the wrong way round", (x < 0) * 1.0),
            ("dy is multiplied by y, not by the mask", np.maximum(x, 0)),
            ("dy is multiplied by x", x),
            ("dy is multiplied by the sign of x", np.sign(x)),
            ("a leaky slope is used on the negative side", np.where(x > 0, 1, 0.2)),
            ("a leaky slope is used on the negative side", np.where(x > 0, 1, 0.01)),
        ]
    elif name == "leaky_relu":
        factors = [
            ("the slopes are exchanged", np.where(x > 0, alpha, 1)),
            ("this is the ReLU's derivative: alpha is missing on the negative side", (x > 0) * 1.0),
            ("the slope is 1 everywhere", np.ones_like(x)),
            ("alpha multiplies both sides", np.full_like(x, alpha)),
            ("the negative side has slope -alpha", np.where(x > 0, 1, -alpha)),
            ("the negative side has slope 1 - alpha", np.where(x > 0, 1, 1 - alpha)),
            ("the slope is 0.01 whatever alpha is", np.where(x > 0, 1, 0.01)),
            ("the slope is 0.2 whatever alpha is", np.where(x > 0, 1, 0.2)),
            ("alpha is used twice", np.where(x > 0, 1, alpha**2)),
            ("alpha is multiplied by x", np.where(x > 0, 1, alpha * x)),
            ("the derivative is multiplied by x", np.where(x > 0, x, alpha * x)),
        ]
    elif name == "tanh":
        factors = [
            ("1 - x^2: the derivative is 1 - y^2, with y = tanh(x)", 1 - x**2),
            ("1 - y: the square is missing", 1 - y),
            ("1 + y^2: the sign", 1 + y**2),
            ("y^2 - 1: the sign", y**2 - 1),
            ("y^2: the 1 is missing", y**2),
            ("y: this is the function, not its derivative", y),
            ("1 - tanh(y)^2: tanh is taken twice", 1 - np.tanh(y) ** 2),
            ("y * (1 - y): that is the sigmoid's derivative", y * (1 - y)),
            ("(1 - y)^2", (1 - y) ** 2),
            ("the root of 1 - y^2", np.sqrt(1 - y**2)),
            ("1 - 2y^2", 1 - 2 * y**2),
            ("1 / (1 + x^2), the derivative of the arc tangent", 1 / (1 + x**2)),
        ]
    else:
        factors = [
            ("y: the factor 1 - y is missing", s),
            ("1 - y: the factor y is missing", 1 - s),
            ("x * (1 - x): y belongs in place of x", x * (1 - x)),
            ("y * (1 + y): the sign", s * (1 + s)),
            ("y * (y - 1): the sign", s * (s - 1)),
            (
                "sigmoid(y) * (1 - sigmoid(y)): the sigmoid is taken twice",
                1 / (1 + np.exp(-s)) * (1 - 1 / (1 + np.exp(-s))),
            ),
            ("1 - y^2: that is the tanh's derivative", 1 - s**2),
            ("y^2 * (1 - y)", s**2 * (1 - s)),
            ("y * (1 - y)^2", s * (1 - s) ** 2),
            ("exp(-x) / (1 + exp(-x)): the square below is missing", np.exp(-x) / (1 + np.exp(-x))),
            ("1 - tanh(x)^2, the derivative of the tanh", 1 - t**2),
        ]
    for cause, factor in factors:
        sentence = f"dy is multiplied by {cause}." if name in ("tanh", "sigmoid") else f"{cause}."
        yield Idea("E51" if cause.endswith(": the sign") and name == "tanh" else "E63", sentence), dy * factor
    yield (
        Idea("E63", "the mask is taken from dy, not from x."),
        np.where(dy > 0, dy, (alpha if name == "leaky_relu" else 0) * dy),
    )
    yield Idea("E63", "the gradient is clipped: where dy is negative nothing comes back."), np.maximum(e.numeric, 0)
    yield (
        Idea("E63", "forward is applied to dy, instead of multiplying by the derivative."),
        np.asarray(e.exercise.oracle(x=dy)),
    )


def _bce(e: Evidence) -> Wrongs:
    z, target = e.case.arrays["z"], e.case.arrays["target"]
    dloss, N = float(e.dy), z.size
    p = 1 / (1 + np.exp(-z))
    right = (p - target) / N
    yield Idea("E57", "the mean's division by the number of elements is missing."), dloss * right * N
    yield Idea("E57", "it is divided by the number of elements twice."), dloss * right / N
    if z.ndim == 2 and z.shape[1] > 1:
        yield (
            Idea("E57", "it is divided by the batch size; the mean runs over all elements."),
            dloss * right * N / z.shape[0],
        )
    yield (
        Idea("E57", "the mean over the batch is taken: every sample gets one and the same gradient."),
        dloss * np.full_like(z, (p - target).mean()),
    )
    yield (
        Idea("E57", "the mean over the batch is taken: every sample gets one and the same gradient, a share of it."),
        dloss * np.full_like(z, (p - target).mean() / N),
    )
    yield Idea("E56", "dloss is ignored."), right
    yield Idea("E56", "dloss is ignored, and the division by the number of elements is missing."), right * N
    for scale, more in ((1.0, ""), (float(N), ", and the division by the number of elements is missing")):
        d = dloss * scale
        yield Idea("E51", f"the sign is wrong: target - p{more}."), -d * right
        yield Idea("E63", f"the target is missing: p alone{more}."), d * p / N
        yield Idea("E63", f"z is used where the probability sigmoid(z) belongs{more}."), d * (z - target) / N
        yield (
            Idea("E63", f"the sigmoid's derivative is multiplied in once more{more}: it has cancelled already."),
            d * right * p * (1 - p),
        )
        yield (
            Idea("E63", f"this is the derivative by the probability, not yet by the logit{more}."),
            d * right / (p * (1 - p)),
        )
        yield Idea("E63", f"targets and 1 - targets are exchanged{more}."), d * (p - (1 - target)) / N
        yield Idea("E63", f"the term of the fakes is missing{more}."), d * -target * (1 - p) / N
        yield Idea("E63", f"the term of the reals is missing{more}."), d * (1 - target) * p / N
        yield Idea("E63", f"the sign of z in the sigmoid{more}."), d * ((1 - p) - target) / N
        q = 1 / (1 + np.exp(-p))
        yield Idea("E63", f"the sigmoid is taken twice{more}."), d * (q - target) / N


def _with_output_channels(e: Evidence) -> tuple[Array, Array, Array, int, Any]:
    x, w = e.case.arrays["x"], e.case.arrays["w"]
    return x, w, e.dy, e.case.settings["stride"], e.case.settings["pad"]


def _conv(e: Evidence) -> Wrongs:
    x, w, dy, S, P = _with_output_channels(e)
    K, size = w.shape[:2], x.shape[1:3]

    def back(dy: Array, w: Array) -> Array:
        return conv_input_grad(dy, w, stride=S, pad=P, size=size)

    yield from _left_out(e, {
        "dx": lambda dy: back(dy, w),
        "dw": lambda dy: conv_weight_grad(x, dy, stride=S, pad=P, kernel_size=(K[0], K[1])),
        "db": lambda dy: dy.sum((0, 1, 2)),
    }[e.name])  # fmt: skip
    if e.name == "dx":
        yield _FLIPPED, back(dy, w[::-1, ::-1])
        for axis, way in enumerate(_WAYS):
            yield Idea("E54", f"the kernel is flipped {way}."), back(dy, np.flip(w, axis))
        yield (
            Idea("E53", "rows and columns of the kernel are exchanged."),
            back(dy, np.ascontiguousarray(w.swapaxes(0, 1))),
        )
        yield _RESHAPED_KERNEL, back(dy, w.reshape(w.shape[3], -1).T.reshape(w.shape))
        yield from _scatter_mistakes(dy, w, S, P, size)
    elif e.name == "dw":
        yield from _weight_mistakes(x, dy, S, P, (K[0], K[1]))
    else:
        yield from _parameter_sums(e)


def _left_out(e: Evidence, gradient: Callable[[Array], Array]) -> Wrongs:
    """Loops that stop one short, or begin one late."""
    for cut, told in (((0, -1), "the last row and column"), ((1, None), "the first row and column")):
        inner = np.zeros_like(e.dy)
        window = (slice(None), slice(*cut), slice(*cut))
        inner[window] = e.dy[window]
        yield Idea("E65", f"{told} of dy are left out: a loop stops one short."), gradient(inner)
        for axis, which in ((1, "row"), (2, "column")):
            part = np.zeros_like(e.dy)
            one = tuple(slice(*cut) if a == axis else slice(None) for a in range(4))
            part[one] = e.dy[one]
            yield (
                Idea("E65", f"the {told.split()[1]} {which} of dy is left out: a loop stops one short."),
                gradient(part),
            )


_RESHAPED_KERNEL = Idea(
    "E53",
    "the kernel's matrix is turned over with reshape, which mixes up its elements: reshape is no transpose.",
    ("Bring w into a matrix with its last axis last, and then write .T.",),
)
_RESHAPED_GRADIENT = Idea(
    "E53",
    "the matrix of dw is brought into w's shape with the last axis first: reshape is no transpose.",
    ("Compute it with the kernel's last axis last, or transpose it before reshape.",),
)
_WAYS = ("top to bottom", "left to right")

_FLIPPED = Idea(
    "E54",
    "the kernel is flipped. dx as a convolution of dy needs a flip; dx as a sum of patches (col2im) does not: "
    "here is one flip too many, or too few.",
    ("Pixel (r, s) got to output (i, j) through tap (r - S*i + P, s - S*j + P): the same tap takes dy back.",),
)


def _scatter_mistakes(dy: Array, w: Array, S: int, P: int, size: tuple[int, int]) -> Wrongs:
    """Mistakes in adding patches to dx: overwriting, the wrong crop, the stride."""
    N, Ho, Wo, _ = dy.shape
    Kh, Kw, C, _ = w.shape
    H, W = size
    tall, wide = max(H + 2 * P, S * (Ho - 1) + Kh), max(W + 2 * P, S * (Wo - 1) + Kw)

    def lay(add: bool, by_tap: bool, stride: int = S) -> Array:
        canvas = np.zeros((N, tall + Kh, wide + Kw, C))
        if by_tap:
            for p, q in np.ndindex(Kh, Kw):
                place = canvas[:, p : p + stride * Ho : stride, q : q + stride * Wo : stride][:, :Ho, :Wo]
                place[...] = dy @ w[p, q].T + (place if add else 0)
        else:
            for i, j in np.ndindex(Ho, Wo):
                place = canvas[:, stride * i : stride * i + Kh, stride * j : stride * j + Kw]
                place[...] = np.einsum("no,pqco->npqc", dy[:, i, j], w) + (place if add else 0)
        return canvas

    for by_tap, what in ((False, "patches"), (True, "taps")):
        yield (
            Idea(
                "E66",
                f"overlapping {what} overwrite each other instead of adding up.",
                ("Use += where patches go back.",),
            ),
            (lay(False, by_tap)[:, P : P + H, P : P + W]),
        )
    canvas = lay(True, True)
    if P:
        for i, j, where in (
            (0, 0, "the padding is cropped at the bottom and on the right only, or not at all"),
            (2 * P, 2 * P, "the padding is cropped at the top and on the left only"),
            (P + 1, P + 1, "the crop begins one row and column too late"),
            (P - 1, P - 1, "the crop begins one row and column too early"),
            (0, P, "the padding is cropped at the wrong sides"),
            (P, 0, "the padding is cropped at the wrong sides"),
        ):
            yield Idea("E55", f"{where}: the image begins at row and column `pad`."), canvas[:, i : i + H, j : j + W]
    if S > 1:
        yield (
            Idea("E55", "patches go back 1 apart instead of `stride` apart."),
            lay(True, True, 1)[:, P : P + H, P : P + W],
        )
    cropped = canvas[:, P : P + H, P : P + W].copy()
    counts = np.zeros((tall + Kh, wide + Kw))
    for p, q in np.ndindex(Kh, Kw):
        counts[p : p + S * Ho : S, q : q + S * Wo : S][:Ho, :Wo] += 1
    cover = np.maximum(counts[P : P + H, P : P + W], 1)[None, :, :, None]
    yield Idea("E57", "overlapping patches are averaged; what comes back from each of them adds up."), cropped / cover
    if P:
        inner = np.zeros_like(cropped)
        inner[:, P : H - P, P : W - P] = cropped[:, P : H - P, P : W - P]
        yield Idea("E65", "the border is dropped: `pad` rows and columns too many are cropped."), inner


def _weight_mistakes(x: Array, dy: Array, S: int, P: int, kernel_size: tuple[int, int], what: str = "x") -> Wrongs:
    """Mistakes in the kernel's gradient of a convolution of x; `what` is padded there."""
    right = conv_weight_grad(x, dy, stride=S, pad=P, kernel_size=kernel_size)
    Ho, Wo = dy.shape[1:3]
    Kh, Kw = kernel_size
    yield Idea("E54", "the kernel's gradient is flipped."), right[::-1, ::-1]
    for axis, way in enumerate(_WAYS):
        yield Idea("E54", f"the kernel's gradient is flipped {way}."), np.flip(right, axis)
    yield _RESHAPED_GRADIENT, right.reshape(-1, right.shape[3]).T.reshape(right.shape)
    yield Idea("E53", "rows and columns of the kernel's gradient are exchanged."), right.swapaxes(0, 1)
    padded = np.pad(x, ((0, 0), (P, P), (P, P), (0, 0)))
    for index, which in ((0, "first"), (-1, "last")):
        one = conv_weight_grad(x[index:][:1], dy[index:][:1], stride=S, pad=P, kernel_size=kernel_size)
        yield Idea("E64", f"only the {which} sample of the batch counts."), one
    last = padded[:, S * (Ho - 1) : S * (Ho - 1) + Kh, S * (Wo - 1) : S * (Wo - 1) + Kw]
    overwritten = np.einsum("npqc,no->pqco", last, dy[:, -1, -1])
    yield (
        Idea("E66", "each output position overwrites dw instead of adding to it: only the last one counts."),
        overwritten,
    )
    one = np.einsum("pqc,o->pqco", last[-1], dy[-1, -1, -1])
    yield Idea("E66", "each output position of each sample overwrites dw: only the last one counts."), one
    if P:
        for before, cause in ((0, "all at the bottom and on the right"), (2 * P, "all at the top and on the left")):
            other = np.pad(x, ((0, 0), (before, 2 * P - before), (before, 2 * P - before), (0, 0)))
            yield (
                Idea("E55", f"the padding of {what} is {cause}."),
                conv_weight_grad(other, dy, stride=S, pad=0, kernel_size=kernel_size),
            )
        inner = _without_padding(x, dy, S, P, kernel_size)
        yield Idea("E65", "outputs whose patch reaches into the padding are left out."), inner
    if S > 1:
        close = np.zeros_like(right)
        for p, q in np.ndindex(Kh, Kw):
            close[p, q] = np.einsum("nijc,nijo->co", padded[:, p : p + Ho, q : q + Wo], dy)
        yield Idea("E55", f"the patches of {what} are taken 1 apart instead of `stride` apart."), close
    yield Idea("E57", "the spatial positions are averaged, not summed."), right / (Ho * Wo)
    total = np.einsum("nijc,nijo->co", padded[:, : S * Ho : S, : S * Wo : S][:, :Ho, :Wo], dy)
    yield (
        Idea("E53", "every tap gets the same gradient: the tap's own offset is missing."),
        np.broadcast_to(total, right.shape),
    )


def _without_padding(x: Array, dy: Array, S: int, P: int, kernel_size: tuple[int, int]) -> Array:
    H, W = x.shape[1:3]
    masked = dy.copy()
    for i, j in np.ndindex(dy.shape[1], dy.shape[2]):
        r, s = S * i - P, S * j - P
        if r < 0 or s < 0 or r + kernel_size[0] > H or s + kernel_size[1] > W:
            masked[:, i, j] = 0
    return conv_weight_grad(x, masked, stride=S, pad=P, kernel_size=kernel_size)


def _transpose(e: Evidence) -> Wrongs:
    x, w, dy, S, P = _with_output_channels(e)

    def down(dy: Array, w: Array) -> Array:
        return conv_forward(dy, np.ascontiguousarray(w), stride=S, pad=P)

    if e.name == "dx":
        yield (
            Idea(
                "E54",
                "the kernel is flipped: the backward of a transposed convolution is a convolution without a flip.",
            ),
            down(dy, w[::-1, ::-1]),
        )
        for axis, way in enumerate(_WAYS):
            yield Idea("E54", f"the kernel is flipped {way}."), down(dy, np.flip(w, axis))
        yield Idea("E53", "rows and columns of the kernel are exchanged."), down(dy, w.swapaxes(0, 1))
        yield _RESHAPED_KERNEL, down(dy, w.reshape(w.shape[3], -1).T.reshape(w.shape))
        h, v = x.shape[1:3]
        if P:
            for before, cause in (
                (0, "at the bottom and on the right only"),
                (2 * P, "at the top and on the left only"),
            ):
                other = np.pad(dy, ((0, 0), (before, 2 * P - before), (before, 2 * P - before), (0, 0)))
                yield (
                    Idea("E55", f"dy is padded {cause}: the crop of forward is undone at the wrong side."),
                    conv_forward(other, w, stride=S, pad=0),
                )
        if S > 1:
            close = conv_forward(dy, w, stride=1, pad=P)[:, :h, :v]
            yield Idea("E55", "the window moves over dy by 1 instead of by the stride."), close
        taps = np.zeros((len(x), h, v, x.shape[-1]))
        padded = np.pad(dy, ((0, 0), (P, P), (P, P), (0, 0)))
        for p, q in np.ndindex(w.shape[:2]):
            taps = padded[:, p : p + S * h : S, q : q + S * v : S][:, :h, :v] @ w[p, q]
        yield Idea("E66", "each tap overwrites dx instead of adding to it: only the last one counts."), taps
    elif e.name == "dw":
        yield from _weight_mistakes(dy, x, S, P, (w.shape[0], w.shape[1]), "dy")
    else:
        yield from _parameter_sums(e)


def _batch_norm(e: Evidence) -> Wrongs:
    x, gamma = e.case.arrays["x"], e.case.arrays["gamma"]
    eps, dy = e.case.settings.get("eps", 1e-3), e.dy
    axes = tuple(range(x.ndim - 1))
    N = x.size // x.shape[-1]
    mean, var = x.mean(axes), x.var(axes)
    inv = 1 / np.sqrt(var + eps)
    xhat = (x - mean) * inv
    m1, m2 = dy.mean(axes), (dy * xhat).mean(axes)
    if e.name == "dbeta":
        yield Idea("E60", "dbeta is multiplied by gamma."), gamma * dy.sum(axes)
        yield from _parameter_sums(e)
        return
    if e.name == "dgamma":
        yield Idea("E57", "a mean where a sum belongs."), m2
        yield Idea("E63", "x is used where xhat belongs: dgamma sees the normalised input."), (dy * x).sum(axes)
        yield (
            Idea("E61", "x - mean is used where xhat belongs: not yet divided by the standard deviation."),
            (dy * (x - mean)).sum(axes),
        )
        yield Idea("E61", "xhat is divided by the standard deviation once more."), (dy * xhat * inv).sum(axes)
        y = gamma * xhat + e.case.arrays["beta"]
        yield Idea("E63", "y is used where xhat belongs."), (dy * y).sum(axes)
        yield Idea("E60", "dgamma is multiplied by gamma."), gamma * m2 * N
        yield Idea("E63", "xhat without eps is used."), (dy * (x - mean) / np.sqrt(var)).sum(axes)
        yield Idea("E57", "dy and xhat are summed before they are multiplied."), dy.sum(axes) * xhat.sum(axes)
        yield Idea("E57", "all channels are summed into one number."), np.zeros(len(gamma)) + (dy * xhat).sum()
        yield Idea("E63", "xhat is missing: this is dbeta."), dy.sum(axes)
        for index, which in ((0, "first"), (-1, "last")):
            part = (dy[index] * xhat[index]).reshape(-1, len(gamma)).sum(0)
            yield Idea("E64", f"only the {which} sample counts."), part
        return
    g = gamma * inv
    mean_hint = (
        "x_i reaches every y_j through the mean, too.",
        "Subtract the mean of dy (per channel).",
        "dx = gamma/std * (dy - mean(dy) - xhat * mean(dy * xhat))",
    )
    var_hint = (
        "x_i reaches every y_j through the variance, too.",
        "Subtract xhat times the mean of dy * xhat.",
        mean_hint[2],
    )
    yield (
        Idea(
            "E58",
            "mean and variance are treated as constants: both paths through the statistics are missing.",
            mean_hint,
        ),
        g * dy,
    )
    yield (
        Idea("E58", "the path through the mean is missing: x_i reaches every y_j through mu.", mean_hint),
        g * (dy - xhat * m2),
    )
    yield (
        Idea("E59", "the path through the variance is missing: x_i reaches every y_j through sigma.", var_hint),
        g * (dy - m1),
    )
    direct_hint = (
        "x - mean is used twice on the way forward, and x, too. What has to happen to the two gradients of each?",
        "Add them. With = in place of +=, the second one overwrites the first: here dxhat / std, the direct path.",
        mean_hint[2],
    )
    for rest, left in (
        (-xhat * m2, "only the path through the variance is left"),
        (-m1 - xhat * m2, "only the paths through the mean and the variance are left"),
        (-m1 + 0 * dy, "only the path through the mean is left"),
    ):
        yield (
            Idea("E63", f"the direct path is missing, {left}. Is it overwritten, by = in place of +=?", direct_hint),
            g * rest,
        )
    for factor, code, cause in (
        (1 / gamma, "E60", "gamma is missing"),
        (gamma, "E60", "gamma is used twice"),
        (inv, "E61", "it is divided by the standard deviation once too often"),
        (1 / inv, "E61", "it is not divided by the standard deviation"),
        (1 / (var * inv), "E61", "it is divided by the variance instead of the standard deviation"),
        (1 / (np.sqrt(var) * inv), "E61", "the factor in front lacks eps"),
        (1 / inv**2, "E61", "it is multiplied by the standard deviation instead of divided by it"),
        (inv / gamma, "E60", "gamma is missing, and it is divided by the standard deviation twice"),
        (1 / (gamma * inv), "E60", "gamma and the division by the standard deviation are missing"),
    ):
        yield Idea(code, f"{cause}."), g * (dy - m1 - xhat * m2) * factor
        yield Idea("E58", f"{cause}, and both paths through the statistics are missing."), g * dy * factor
        yield Idea("E58", f"{cause}, and the path through the mean is missing."), g * (dy - xhat * m2) * factor
        yield Idea("E59", f"{cause}, and the path through the variance is missing."), g * (dy - m1) * factor
    if N > 1:
        k = N / (N - 1)
        cause = "N - 1 is used where N belongs"
        yield Idea("E62", f"{cause}, in both means."), g * (dy - k * m1 - k * xhat * m2)
        yield Idea("E62", f"{cause}, in the path through the mean."), g * (dy - k * m1 - xhat * m2)
        yield Idea("E62", f"{cause}, in the path through the variance."), g * (dy - m1 - k * xhat * m2)
        yield Idea("E62", f"{cause}, in the whole formula."), g * k * (dy - m1 - xhat * m2)
        unbiased = 1 / np.sqrt(var * k + eps)
        hat = (x - mean) * unbiased
        yield Idea("E62", f"{cause}, in the variance."), gamma * unbiased * (dy - m1 - hat * (dy * hat).mean(axes))
    yield Idea("E57", "sums where means belong: the division by N is missing."), g * (dy - N * m1 - N * xhat * m2)
    yield Idea("E57", "a sum where a mean belongs, in the path through the mean."), g * (dy - N * m1 - xhat * m2)
    yield Idea("E57", "a sum where a mean belongs, in the path through the variance."), g * (dy - m1 - N * xhat * m2)
    yield Idea("E58", "the path through the mean has the wrong sign."), g * (dy + m1 - xhat * m2)
    yield Idea("E59", "the path through the variance has the wrong sign."), g * (dy - m1 + xhat * m2)
    yield Idea("E59", "both paths through the statistics have the wrong sign."), g * (dy + m1 + xhat * m2)
    no_xhat = "in the path through the variance the mean of dy * xhat is not multiplied by xhat."
    yield Idea("E59", no_xhat), g * (dy - m1 - m2)
    yield (
        Idea("E59", "in the path through the variance stands the mean of dy, and not that of dy * xhat."),
        g * (dy - m1 - xhat * m1),
    )
    yield (
        Idea("E58", "the mean of dy is multiplied by xhat: that belongs to the path through the variance only."),
        g * (dy - xhat * m1 - xhat * m2),
    )
    yield Idea("E59", "the path through the variance is counted twice."), g * (dy - m1 - 2 * xhat * m2)
    yield (
        Idea("E59", "the path through the variance is counted by half: d(x^2) = 2x dx."),
        g * (dy - m1 - 0.5 * xhat * m2),
    )
    centred = x - mean
    yield (
        Idea("E61", "x - mean is used where xhat belongs, in the path through the variance."),
        g * (dy - m1 - centred * (dy * centred).mean(axes)),
    )
    yield Idea("E61", "x - mean is used where xhat belongs, once."), g * (dy - m1 - centred * m2)
    yield Idea("E61", "x is used where xhat belongs."), g * (dy - m1 - x * (dy * x).mean(axes))
    if x.ndim == 4:
        yield (
            Idea("E57", "the means run over the batch only, not over the pixels."),
            g * (dy - dy.mean(0) - xhat * (dy * xhat).mean(0)),
        )
        yield (
            Idea("E57", "sums over all positions are divided by the batch size only."),
            g * (dy - m1 * N / len(x) - xhat * m2 * N / len(x)),
        )
    no_eps = 1 / np.sqrt(var)
    hat = (x - mean) * no_eps
    yield (
        Idea("E61", "eps is missing in the standard deviation."),
        gamma * no_eps * (dy - m1 - hat * (dy * hat).mean(axes)),
    )


def batch_norm_residual(evidence: list[Evidence]) -> Idea | None:
    """If no formula fits: which of the two paths holds the error."""
    if evidence[0].exercise.name != "batch_norm" or evidence[0].name != "dx":
        return None
    parts = set()
    for e in evidence:
        x = e.case.arrays["x"]
        axes = tuple(range(x.ndim - 1))
        xhat = (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-30)
        residual = (e.yours - e.numeric) * 1.0
        a = residual.mean(axes)
        b = (residual * xhat).mean(axes)
        rest = residual - a - b * xhat
        scale = max(float(np.abs(residual).max()), 1e-12)
        if x.size // x.shape[-1] < 3 or np.abs(rest).max() > 1e-3 * scale:
            return None
        size_a, size_b = np.abs(a).max() / scale, np.abs(b).max() / scale
        parts.add("mean" if size_b < 1e-3 else "variance" if size_a < 1e-3 else "both")
    if parts == {"mean"}:
        return Idea("E58", "the error is one constant for each channel: look at the path through the batch mean.")
    if parts == {"variance"}:
        return Idea(
            "E59", "the error is proportional to xhat in each channel: look at the path through the batch variance."
        )
    return Idea("E58", "the error is a_c + b_c * xhat in each channel: look at both paths through the statistics.")
