"""Every code the checker can give, and what it means. `docs/check.md` is made from this table.

E0x: the file itself. E1x: contract. E2x: hygiene. E3x: forward. E4x: algebra. E5x and E6x: gradient. E7x: update rules.
E8x: training steps of a GAN.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # the file
    "E01": "the file is not valid Python",
    "E02": "the file imports something that is not installed",
    "E03": "the file raises an exception, or exits, when it is imported",
    "E04": "it takes too long (an endless loop?)",
    "E05": "it needs too much memory",
    "E06": "the process died while running it",
    "E07": "it prints far too much",
    # contract
    "E10": "it raises an exception",
    "E11": "it does not return what the exercise asks for (None, or a wrong number of values)",
    "E12": "something it returns is not an array",
    "E13": "an array has the wrong shape",
    "E14": "an array has another dtype than the input",
    "E15": "an array holds NaN or infinity",
    "E16": "it cannot be called with the exercise's arguments",
    "E17": "the default of an argument is not the exercise's",
    # hygiene
    "E20": "it modifies one of its inputs",
    "E21": "backward modifies dy",
    "E22": "it returns a view of an input or of the cache",
    "E23": "two equal calls give different results",
    "E24": "a second backward with the same cache gives another result",
    "E25": "backward uses the latest forward instead of its own cache",
    # forward
    "E30": "the forward result is wrong",
    "E31": "the kernel is flipped, or used transposed",
    "E32": "the bias (or beta) is missing or added wrongly",
    "E33": "stride, padding or crop are wrong",
    "E34": "the result is off by a constant factor",
    "E35": "the variance is the unbiased one",
    "E36": "epsilon, variance and standard deviation are mixed up",
    "E37": "gamma is missing or misused",
    "E38": "the sum or mean runs over the wrong axes, or elements are in the wrong order",
    "E39": "the formula overflows or loses all digits for large inputs",
    "E3A": "the sign, or the side of the kink, is wrong",
    "E3B": "the formula of another function",
    # algebra
    "E40": "backward of dy = 0 is not 0",
    "E41": "backward is not linear in dy",
    "E42": "samples of the batch influence each other's gradients",
    "E43": "backward is not the adjoint of forward",
    # gradient
    "E50": "the gradient is wrong, for no reason known to the checker",
    "E51": "the gradient is off by a constant factor",
    "E52": "the gradient is all zeros",
    "E53": "axes are swapped, or the array is transposed or reordered",
    "E54": "the kernel is flipped",
    "E55": "stride, padding or crop are wrong: the gradient is shifted",
    "E56": "dy is ignored",
    "E57": "a division by a number of elements is missing or too much, or a sum runs over the wrong axes",
    "E58": "the path through the batch mean is missing",
    "E59": "the path through the batch variance is missing",
    "E60": "gamma is missing",
    "E61": "the standard deviation is divided by too often, or not at all",
    "E62": "N - 1 where N belongs",
    "E63": "the derivative of the function itself is wrong",
    "E64": "only some samples of the batch are used",
    "E65": "the error is at the border only",
    "E66": "overlapping patches overwrite each other instead of adding up",
    "E67": "two gradients are exchanged",
    "E68": "it is right for simple sizes only",
    # update rules
    "E70": "the update is wrong, for no reason known to the checker",
    "E71": "the step goes uphill",
    "E72": "the bias correction is missing or wrong",
    "E73": "epsilon is in the wrong place",
    "E74": "beta and 1 - beta are exchanged, or one of them is missing",
    "E75": "the step count is wrong",
    "E76": "the square or the root is missing",
    "E77": "the learning rate is missing or used twice",
    "E78": "what is returned is not the new values, or not all of them",
    # training steps
    "E80": "the step is wrong, for no reason known to the checker",
    "E81": "the network that should learn does not change",
    "E82": "the other network is changed",
    "E83": "the labels are used wrongly",
    "E84": "moving statistics change where they must not, or do not change where they must",
    "E85": "gradients of an earlier step are still there",
    "E86": "batch normalization runs in the wrong mode",
    "E87": "the loss that is returned is not the one before the update",
    "E88": "the gradient goes into the wrong direction, or has the wrong size",
}


def describe(code: str) -> str:
    """What a code means, one line."""
    return CODES[code]
