"""The exact first weights of the article's program, computed without TensorFlow: what `--init original` starts from.

The program was Keras 2.2.4 on TensorFlow 1.8, after ``np.random.seed(1337)``. For each kernel, Keras asked NumPy's
global generator for a number, the "op seed". TensorFlow made the key and the counter of a Philox4x32-10 generator from
the graph seed and the op seed. All of it is done here with NumPy, bit for bit. `minigan.gan.models` hands
`OriginalGlorotUniform` to its layers; `minigan.nn.initializers` has the usual first weights.

References
----------
J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import math

import numpy as np

from minigan.nn.backend import Array, Shape
from minigan.nn.initializers import glorot_limit

ORIGINAL_SEED = 1337
_TF_GRAPH_SEED = 87654321  # TensorFlow 1's DEFAULT_GRAPH_SEED, used when only the op has a seed


class OriginalGlorotUniform:
    """The original program's kernels, bit for bit, in the order in which it built them.

    Parameters
    ----------
    skip : int
        How many kernels the original had built before: 0 for the discriminator, which came first, 5 for the generator.
    seed : int
        NumPy seed of the original program.
    """

    def __init__(self, *, skip: int = 0, seed: int = ORIGINAL_SEED) -> None:
        self._numpy = np.random.RandomState(seed)
        for _ in range(skip):
            self._numpy.randint(10**7)

    def __call__(self, shape: Shape) -> Array:
        """The next kernel of this shape, float32."""
        op_seed = int(self._numpy.randint(10**7))
        limit = glorot_limit(shape)
        low, high = np.float32(-limit), np.float32(limit)
        u = tf_random_uniform(math.prod(shape), op_seed).reshape(shape)
        return u * (high - low) + low


def tf_random_uniform(count: int, op_seed: int, graph_seed: int = _TF_GRAPH_SEED) -> Array:
    """`tf.random_uniform` of TensorFlow 1.x on the CPU: `count` float32 numbers in [0, 1).

    Parameters
    ----------
    count : int
    op_seed, graph_seed : int
        The two seeds, 0 <= seed < 2**64.

    Returns
    -------
    numpy.ndarray of shape (count,), float32

    Notes
    -----
    Philox4x32-10 with the graph seed as key; group i of four numbers has counter (i, op seed), each 64 bits wide. Of
    each 32-bit word the low 23 bits become the mantissa of a float in [1, 2), and 1 is taken away.
    """
    groups = -(-count // 4)
    i = np.arange(groups, dtype=np.uint64)
    word = np.uint64(0xFFFFFFFF)
    counter = [
        i & word,
        i >> np.uint64(32),
        np.full(groups, op_seed & 0xFFFFFFFF, np.uint64),
        np.full(groups, op_seed >> 32, np.uint64),
    ]
    bits = np.stack(_philox4x32(counter, graph_seed), axis=1).reshape(-1)[:count]  # (count,) uint64
    mantissa = (bits & np.uint64(0x7FFFFF)).astype(np.uint32) | np.uint32(0x3F800000)
    return mantissa.view(np.float32) - np.float32(1)


def _philox4x32(counter: list[Array], key: int) -> list[Array]:
    """Ten rounds of Philox4x32. The 32-bit words are held in uint64, so that a product of two keeps its high half."""
    word, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    multiplier0, multiplier1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
    key0, key1 = key & 0xFFFFFFFF, key >> 32
    c0, c1, c2, c3 = counter
    for _ in range(10):
        product0, product1 = c0 * multiplier0, c2 * multiplier1
        c0, c1, c2, c3 = (
            (product1 >> half) ^ c1 ^ np.uint64(key0),
            product1 & word,
            (product0 >> half) ^ c3 ^ np.uint64(key1),
            product0 & word,
        )
        key0 = (key0 + 0x9E3779B9) & 0xFFFFFFFF
        key1 = (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return [c0, c1, c2, c3]
