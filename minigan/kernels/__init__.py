"""Convolution three times over: one file per algorithm, the same three functions in each.

`loops` is the definition (and the oracle of the tests), `im2col` the readable fast one. Each has
``conv_forward(x, w, stride, pad)``, ``conv_input_grad(dy, w, stride, pad, size)`` and
``conv_weight_grad(x, dy, stride, pad, kernel_size)``; shapes are checked one level up, in `minigan.conv`.
"""
