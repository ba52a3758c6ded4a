"""Fast on a GPU: one launch where the readable code makes ten, and matrix products straight from cuBLAS."""
