"""Fast on a GPU: one launch where the plain code makes ten (`kernels`), and matrix products from cuBLAS (`cublas`)."""
