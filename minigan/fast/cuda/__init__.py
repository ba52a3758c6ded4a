"""Fast on a GPU: one launch where the plain code makes ten (`kernels`), and matrix products from cuBLAS (`cublas`).

Read `cuda_overlay` first: it is the list of what is replaced. `recording` repeats a whole step with one launch, and
`loading` finds CuPy and a GPU.
"""
