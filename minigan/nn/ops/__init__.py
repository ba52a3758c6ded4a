"""Pure functions in pairs: forward returns (y, cache), backward turns dy and the cache into gradients.

Nothing here owns a parameter or remembers a call. Forward puts everything that backward will need into the cache and
returns it to the caller. So the discriminator can run forward on reals and on fakes before it runs backward on either,
and a test can call any pair with any numbers. The layers of `minigan.nn.layers` call these functions.

Read `dense` first, then `activations`, `normalization` and `conv_pairs`. `updates` and `translation` are short. `table`
holds them all together: it is where a function of your own goes in.

Every function keeps the dtype of its input: float32 to train, float64 to check gradients. Legend: `minigan.nn.conv`.
Sources stand with the functions.
"""

from minigan.nn.ops.activations import (
    flatten_backward,
    flatten_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    tanh_backward,
    tanh_forward,
)
from minigan.nn.ops.conv_pairs import (
    ConvCache,
    conv2d_backward,
    conv2d_forward,
    conv2d_transpose_backward,
    conv2d_transpose_forward,
)
from minigan.nn.ops.dense import DenseCache, dense_backward, dense_forward
from minigan.nn.ops.normalization import (
    BatchNormCache,
    batch_moments,
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_inference,
    moving_average,
)
from minigan.nn.ops.table import LIBRARY, PLAIN, Ops, has_own, is_own, register_overlay, resolve
from minigan.nn.ops.translation import translate_backward, translate_forward

__all__ = [
    "LIBRARY",
    "PLAIN",
    "BatchNormCache",
    "ConvCache",
    "DenseCache",
    "Ops",
    "batch_moments",
    "batch_norm_backward",
    "batch_norm_forward",
    "batch_norm_inference",
    "conv2d_backward",
    "conv2d_forward",
    "conv2d_transpose_backward",
    "conv2d_transpose_forward",
    "dense_backward",
    "dense_forward",
    "flatten_backward",
    "flatten_forward",
    "has_own",
    "is_own",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "moving_average",
    "register_overlay",
    "relu_backward",
    "relu_forward",
    "resolve",
    "sigmoid_backward",
    "sigmoid_forward",
    "tanh_backward",
    "tanh_forward",
    "translate_backward",
    "translate_forward",
]
