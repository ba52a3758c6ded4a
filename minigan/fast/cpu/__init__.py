"""Fast on a processor: fewer multiplications, fewer walks through memory, memory that is used again.

The kernels work on one core, and know its cache.

* `im2col` and `winograd` are convolution; `fused` is everything else that walks through large arrays.
* `memory` gives out arrays in memory that was used before.
* `pool` runs a whole network on several cores where it only draws or judges. Training has ranks for that
  (`minigan.ranks`).
"""
