"""The engine room: the same functions as in `minigan.nn`, in less time.

`cpu` is for NumPy, `cuda` for CuPy. Each has an overlay, a set of functions that `minigan.nn.ops.resolve` puts in the
place of the plain ones; `minigan` registers both when it is imported. nn never imports anything of this room, and works
without it (``plain=True``).
"""

from minigan.fast.cpu import chunked, cpu_overlay, fast_conv, winograd
from minigan.fast.cuda import cuda_conv, cuda_overlay
from minigan.fast.cuda.loading import load_cupy
from minigan.nn.backend import register_loader
from minigan.nn.conv import register_fastest, register_kernel
from minigan.nn.ops import register_overlay

register_overlay("numpy", cpu_overlay.overlay)
register_fastest("numpy", fast_conv)
register_kernel("chunked", chunked, only_on="numpy")
register_kernel("winograd", winograd, only_on="numpy")

register_loader("cupy", load_cupy)
register_overlay("cupy", cuda_overlay.overlay)
register_fastest("cupy", cuda_conv.Primitives)
