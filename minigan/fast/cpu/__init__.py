"""Fast on a processor: fewer multiplications, fewer walks through memory, memory that is used again.

The kernels work on one core, and know its cache. Read `cpu_overlay` first: it is the list of what is replaced.

* `fast_conv` chooses for every convolution between `winograd` and `chunked` (im2col in pieces).
* `fused` is everything else that walks through large arrays.
* `memory` gives out arrays in memory that was used before.
* `pool` runs a whole network on several cores where it only draws or judges. Training has ranks for that
  (`minigan.ranks`).
"""
