"""Fast on a processor: fewer multiplications, fewer walks through memory, memory that is used again, all cores at work.

* `im2col` and `winograd` are convolution; `fused` is everything else that walks through large arrays.
* `memory` gives out arrays in memory that was used before.
* `thread_pool` shares work among threads. `process_pool` shares it among processes, and sends them functions that
  `function_bytes` has turned into bytes.
"""
