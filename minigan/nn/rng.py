"""Every random number in minigan, as a pure function of (seed, purpose, step).

In most programs everything draws from one stream of random numbers, so that saving one more image changes the rest of
the training. Here every purpose and every step has a stream of its own. Philox (Salmon et al. 2011) makes this
possible, because it is a *counter-based* generator: it turns a key and a counter into random bits, as a cipher turns a
key and a message into bits that look random. The key is made of the seed and the purpose; the counter starts at the
step. So draw number 7 of step 300 is the same whether step 299 was run or not. This is why a checkpoint needs the step
but no state of a generator, and why a resumed run equals an uninterrupted one.

Draws happen on the host in NumPy, so a CuPy run sees the same numbers. `minigan.nn.initializers` draws weights,
`minigan.gan.step` draws noise and labels, `minigan.data` draws batches.

>>> float(stream(1337, "noise", 5).standard_normal()) == float(stream(1337, "noise", 5).standard_normal())
True
>>> float(stream(1337, "noise", 5).standard_normal()) == float(stream(1337, "noise", 6).standard_normal())
False

References
----------
J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import numpy as np

PURPOSES = {
    "weights": 1,
    "data": 2,
    "noise": 3,
    "labels": 4,
    "pictures": 5,  # noise of the faces that are shown (the name is an old one)
    "faces": 6,
    "metrics": 7,
    "flip": 8,
    "average": 9,
    "augment": 10,
    "directions": 11,
}
"""What a number is drawn for. A run can be repeated only while the codes stay the same: append, never renumber."""

MAX_SEED = 2**32 - 1
MAX_STEP = 2**63 - 1


def stream(seed: int, purpose: str, step: int = 0) -> np.random.Generator:
    """Random generator for one purpose at one step.

    Parameters
    ----------
    seed : int
        The run's seed, 0 to 4,294,967,295.
    purpose : str
        A key of `PURPOSES`.
    step : int
        Training step, or an index within the purpose (which kernel, which face); 0 or more.

    Returns
    -------
    numpy.random.Generator
        A fresh Philox4x64-10 generator. Streams of different (seed, purpose, step) never overlap: a step owns 2**128
        consecutive counter values.

    Raises
    ------
    ValueError
        If seed or step is out of range, or the purpose is unknown.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"stream: purpose must be one of {', '.join(PURPOSES)}, got {purpose!r}")
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"stream: seed must be between 0 and {MAX_SEED}, got {seed}")
    if not 0 <= step <= MAX_STEP:
        raise ValueError(f"stream: step must be between 0 and {MAX_STEP}, got {step}")
    key = np.array([seed, PURPOSES[purpose]], dtype=np.uint64)
    counter = np.array([0, 0, step, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(counter=counter, key=key))
