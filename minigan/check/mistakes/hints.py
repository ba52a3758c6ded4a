"""Three hints for every result that can be wrong: a question, where to look, and the way out.

`with_three_hints` gives every finding three, also one about an exception or a wrong shape: its own come first, and
those of the part that fails fill them up. A lesson that teaches another way than the usual one passes its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from minigan.check.calls.own_lines import assigned
from minigan.check.exercise_table import Exercise
from minigan.check.outcomes import Finding

Hints = tuple[str, str, str]
Method = Mapping[str, Hints]
"""Hints for the parts of one exercise ("y", "dx", ...) that follow a lesson's own way."""

_ELEMENTWISE = "Each element of x reaches one element of y only: dx is dy times one derivative, element by element."

GRADIENTS: dict[tuple[str, str], Hints] = {
    ("dense", "dx"): (
        "Which elements of y does one element of x reach, and through which weights?",
        "x[n, c] reaches y[n, o] for every o, with weight w[c, o]: sum dy[n, o] * w[c, o] over o.",
        "dx = dy @ w.T",
    ),
    ("dense", "dw"): (
        "Which elements of y does one weight reach? In how many samples?",
        "w[c, o] reaches y[n, o] in every sample n, multiplied by x[n, c]: sum over n.",
        "dw = x.T @ dy",
    ),
    ("dense", "db"): (
        "One element of b is added in every sample. How many elements of y does it reach?",
        "Sum dy over the samples; it is a sum, not a mean.",
        "db = dy.sum(axis=0)",
    ),
    ("relu", "dx"): (_ELEMENTWISE, "The derivative is 1 where x > 0 and 0 elsewhere.", "dx = dy * (x > 0)"),
    ("leaky_relu", "dx"): (
        _ELEMENTWISE,
        "The derivative is 1 where x > 0 and alpha elsewhere; alpha has to be in the cache.",
        "dx = np.where(x > 0, dy, alpha * dy)",
    ),
    ("tanh", "dx"): (_ELEMENTWISE, "The derivative of tanh can be written with y alone.", "dx = dy * (1 - y**2)"),
    ("sigmoid", "dx"): (_ELEMENTWISE, "The derivative can be written with y alone.", "dx = dy * y * (1 - y)"),
    ("flatten", "dx"): (
        "Flattening changes no value, only its place: backward puts each value back.",
        "The cache has to tell the shape of x; the order of elements must be that of forward.",
        "dx = dy.reshape(shape_of_x)",
    ),
    ("bce_with_logits", "dz"): (
        "Write the loss with z, not with the probability, and take the derivative: many terms cancel.",
        "For one element it is sigmoid(z) - target; the mean and dloss still have to come in.",
        "dz = dloss * (sigmoid(z) - target) / z.size",
    ),
    ("conv2d", "dx"): (
        "Take one pixel of x: which output positions used it, and with which tap of the kernel?",
        "Go through the output positions as forward does; each gives its dy, times the kernel, back to "
        "its whole patch.",
        "dxp[:, S*i:S*i+K, S*j:S*j+K] += sum over o of dy[:, i, j, o] * w[:, :, :, o]; then cut the padding off.",
    ),
    ("conv2d", "dw"): (
        "One tap of the kernel is used at every output position of every sample.",
        "At position (i, j) the tap met a patch of the padded x: sum patch times dy over all positions and samples.",
        "dw += sum over n of xp[n, S*i:S*i+K, S*j:S*j+K, :, None] * dy[n, i, j]",
    ),
    ("conv2d", "db"): (
        "One element of b is added at every position of every sample.",
        "Sum dy over samples, rows and columns; it is a sum, not a mean.",
        "db = dy.sum(axis=(0, 1, 2))",
    ),
    ("conv2d_transpose", "dx"): (
        "One input position has stamped the kernel onto one patch of the output. Its gradient comes from that patch.",
        "This is a convolution of dy with the same kernel: no flip, the same stride and padding.",
        "dx[n, i, j, c] = sum over p, q, o of dyp[n, S*i+p, S*j+q, o] * w[p, q, o, c], dyp being dy with "
        "`pad` zeros around.",
    ),
    ("conv2d_transpose", "dw"): (
        "One tap has been stamped by every input position of every sample.",
        "It is the convolution's weight gradient with the roles exchanged: dy is the image, x the gradient.",
        "dw[p, q, o, c] = sum over n, i, j of dyp[n, S*i+p, S*j+q, o] * x[n, i, j, c]",
    ),
    ("conv2d_transpose", "db"): (
        "One element of b is added at every position of every sample.",
        "Sum dy over samples, rows and columns of the output; it is a sum, not a mean.",
        "db = dy.sum(axis=(0, 1, 2))",
    ),
    ("batch_norm", "dx"): (
        "Draw the graph from x to y. Three paths lead there: directly, through the mean, through the variance.",
        "Each missing path leaves an error of its own kind: one constant per channel (mean), or a "
        "multiple of xhat (variance).",
        "dx = gamma / std * (dy - mean(dy) - xhat * mean(dy * xhat)), the means over samples and pixels, "
        "channel by channel",
    ),
    ("batch_norm", "dgamma"): (
        "y = gamma * xhat + beta: what does one gamma multiply?",
        "Every value of its channel: sum over samples and pixels.",
        "dgamma = (dy * xhat), summed over samples and pixels",
    ),
    ("batch_norm", "dbeta"): (
        "One beta is added to every value of its channel.",
        "Sum dy over samples and pixels; it is a sum, not a mean.",
        "dbeta = dy, summed over samples and pixels",
    ),
}

RESULTS: dict[str, Hints] = {
    "dense": (
        "Compute one output by hand.",
        "Each output is a sum over the input channels, plus one bias.",
        "y = x @ w + b",
    ),
    "relu": ("What comes out for -1, and for 2?", "The larger one of x and 0.", "y = np.maximum(x, 0)"),
    "leaky_relu": ("What comes out for -1, and for 2?", "alpha is the slope below 0.", "y = np.maximum(alpha * x, x)"),
    "tanh": (
        "Compare with np.tanh at 0, 1, -1000 and 1000.",
        "exp of a large positive number overflows; NumPy has the function itself.",
        "y = np.tanh(x)",
    ),
    "sigmoid": (
        "Compare at 0 (1/2) and at -1000 (0).",
        "exp of a large positive number overflows; (1 + tanh(x/2)) / 2 is the same function.",
        "y = 0.5 * np.tanh(0.5 * x) + 0.5",
    ),
    "flatten": (
        "Where does x[0, 0, 1, 0] go?",
        "Rows first, then columns, channels last: C order.",
        "y = x.reshape(len(x), -1)",
    ),
    "bce_with_logits": (
        "Compute one element by hand: z = 0 gives log 2 whatever the target.",
        "-(target * log p + (1 - target) * log(1 - p)), averaged; then rewrite it without log of a sigmoid.",
        "mean of np.maximum(z, 0) - z * target + np.log1p(np.exp(-np.abs(z)))",
    ),
    "conv2d": (
        "Compute one output position by hand, on a 3 x 3 image with a 2 x 2 kernel.",
        "Output (i, j) is the sum of the patch that begins at (S*i, S*j) of the padded x, times the kernel, plus b.",
        "y[:, i, j] = np.tensordot(xp[:, S*i:S*i+K, S*j:S*j+K], w, 3) + b",
    ),
    "conv2d_transpose": (
        "Compute a single input pixel by hand: it must stamp the kernel onto the output.",
        "Stamps lie `stride` apart and add up; then `pad` rows and columns are cut off on all four "
        "sides, then b is added.",
        "full[:, S*i:S*i+K, S*j:S*j+K] += np.einsum('nc,pqoc->npqo', x[:, i, j], w)",
    ),
    "batch_norm": (
        "Look at one channel alone: after normalising, what should its mean and variance be?",
        "Mean and biased variance over samples and pixels; eps goes under the root, with the variance.",
        "y = gamma * (x - mean) / np.sqrt(var + eps) + beta",
    ),
    "batch_norm_inference": (
        "No statistic of x is taken here.",
        "Subtract the given mean, then divide by the root of the given variance plus eps.",
        "y = gamma * (x - mean) / np.sqrt(var + eps) + beta",
    ),
    "moving_average": (
        "After the first update, `moving` has to equal the value.",
        "`biased` carries the history; `moving` is computed from it anew each time.",
        "biased = momentum*biased + (1-momentum)*value; t = t + 1; moving = biased / (1 - momentum**t)",
    ),
    "sgd": ("Which way is downhill?", "Against the gradient, a step of lr times it.", "p - lr * g"),
    "momentum": (
        "Compute one number by hand, with v = 1 and g = 1.",
        "The new v first; then p moves by the new v.",
        "v = beta * v + g; p = p - lr * v",
    ),
    "adam": (
        "Compute one number by hand at t = 1: the step should be almost exactly lr.",
        "New moments first, then the corrected rate, then the step; eps is outside the root and not corrected.",
        "p - lr * math.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + eps)",
    ),
    "discriminator_step": (
        "Write down what may change in this step, and what must not.",
        "Forward in training mode, loss, zero_grads, backward, one optimizer.step.",
        "z, caches = D.forward(x, training=True); loss, cache = bce_with_logits_forward(z, labels); D.zero_grads(); "
        "D.backward(bce_with_logits_backward(1.0, cache), caches); optimizer.step(D.grads()); return loss",
    ),
    "generator_step": (
        "Write down what may change in this step, and what must not: of G, and of D.",
        "Both forwards in training mode, D's with update_stats=False; D.backward with input_grad=True, "
        "param_grads=False.",
        "fakes, g_caches = G.forward(noise, training=True); z, d_caches = D.forward(fakes, training=True, "
        "update_stats=False); loss and dz as in D's step; dfakes = D.backward(dz, d_caches, input_grad=True, "
        "param_grads=False); G.zero_grads(); G.backward(dfakes, g_caches); optimizer.step(G.grads()); return loss",
    ),
}


_CHANNELS_FIRST: dict[tuple[str, str], Hints] = {
    ("conv2d", "dx"): (
        *GRADIENTS["conv2d", "dx"][:2],
        "dxp[:, :, S*i:S*i+K, S*j:S*j+K] += sum over o of dy[:, o, i, j] * w[o]; then cut the padding off.",
    ),
    ("conv2d", "dw"): (
        *GRADIENTS["conv2d", "dw"][:2],
        "dw[o] += sum over n of xp[n, :, S*i:S*i+K, S*j:S*j+K] * dy[n, o, i, j]",
    ),
    ("conv2d", "db"): (*GRADIENTS["conv2d", "db"][:2], "db = dy.sum(axis=(0, 2, 3))"),
    ("conv2d_transpose", "dx"): (
        *GRADIENTS["conv2d_transpose", "dx"][:2],
        "dx[n, c, i, j] = sum over o, p, q of dyp[n, o, S*i+p, S*j+q] * w[c, o, p, q], dyp being dy with "
        "`pad` zeros around.",
    ),
    ("conv2d_transpose", "dw"): (
        *GRADIENTS["conv2d_transpose", "dw"][:2],
        "dw[c, o, p, q] = sum over n, i, j of dyp[n, o, S*i+p, S*j+q] * x[n, c, i, j]",
    ),
    ("conv2d_transpose", "db"): (*GRADIENTS["conv2d_transpose", "db"][:2], "db = dy.sum(axis=(0, 2, 3))"),
    ("conv2d", "y"): (
        RESULTS["conv2d"][0],
        RESULTS["conv2d"][1],
        "y[:, o, i, j] = (xp[:, :, S*i:S*i+K, S*j:S*j+K] * w[o]).sum(axis=(1, 2, 3)) + b[o]",
    ),
    ("conv2d_transpose", "y"): (
        RESULTS["conv2d_transpose"][0],
        RESULTS["conv2d_transpose"][1],
        "full[:, :, S*i:S*i+K, S*j:S*j+K] += np.einsum('nc,copq->nopq', x[:, :, i, j], w)",
    ),
    ("flatten", "y"): (
        "Where does x[0, 0, 0, 1] go?",
        "Channels first, then rows, then columns: C order.",
        RESULTS["flatten"][2],
    ),
}


def gradient_hints(exercise: str, name: str, layout: str) -> Hints | None:
    """Hints for a gradient, in the student's layout.

    Parameters
    ----------
    exercise, name : str
        Such as "conv2d" and "dx".
    layout : str

    Returns
    -------
    tuple of three str, or None
    """
    plain = GRADIENTS.get((exercise, name))
    return _CHANNELS_FIRST.get((exercise, name), plain) if layout == "NCHW" else plain


def result_hints(exercise: str, layout: str) -> Hints | None:
    """Hints for a forward result, in the student's layout."""
    plain = RESULTS.get(exercise)
    return _CHANNELS_FIRST.get((exercise, "y"), plain) if layout == "NCHW" else plain


def part_of(finding: Finding, exercise: Exercise) -> str:
    """Which part of an exercise a finding is about: "y" for a result, a gradient's name, or "backward" for all.

    Parameters
    ----------
    finding : Finding
    exercise : Exercise

    Returns
    -------
    str
    """
    function, _, name = finding.where.partition(": ")
    if len(exercise.functions) == 1 or function != exercise.functions[1]:
        return "y"
    name = name if name in exercise.gradients else assigned(finding.evidence, exercise.gradients)
    return name or "backward"


def part_hints(exercise: Exercise, part: str, layout: str, method: Method | None = None) -> Hints:
    """The three hints for one part of an exercise, or for all its gradients if the part is "backward".

    Parameters
    ----------
    exercise : Exercise
    part : str
        "y", a gradient's name, or "backward".
    layout : str
    method : mapping, optional
        A lesson's own hints, which go before those from here.

    Returns
    -------
    tuple of three str
    """
    if part == "backward":
        names = list(exercise.gradients)
        if len(names) == 1:
            return part_hints(exercise, names[0], layout, method)
        each = [part_hints(exercise, name, layout, method) for name in names]
        first, second = (
            " ".join(f"For {name}: {three[k]}" for name, three in zip(names, each, strict=True)) for k in range(2)
        )
        return first, second, "; ".join(three[2] for three in each)
    if method is not None and part in method:
        return method[part]
    found = result_hints(exercise.name, layout) if part == "y" else gradient_hints(exercise.name, part, layout)
    if found is None:
        raise KeyError(f"no hints for {exercise.name}: {part}")
    return found


def with_three_hints(finding: Finding, exercise: Exercise, layout: str, method: Method | None = None) -> Finding:
    """A finding with three hints: its own first, filled up with those of the part that fails.

    Parameters
    ----------
    finding : Finding
    exercise : Exercise
    layout : str
    method : mapping, optional
        As in `part_hints`.

    Returns
    -------
    Finding
    """
    part = part_of(finding, exercise)
    more = part_hints(exercise, part, layout, method)
    about_the_call = finding.rung == "contract" and len(finding.hints) == 3  # no way of computing helps there
    taught = method is not None and part in method and not about_the_call
    own = finding.hints[:1] if taught else finding.hints  # what follows the first may be another way than the lesson's
    if len(own) == 1 and own[0] != more[0]:
        own = (f"{own[0]} {more[0]}",)
    return replace(finding, hints=(*own, *more[len(own) :]))
