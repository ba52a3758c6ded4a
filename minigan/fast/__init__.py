"""What `minigan.nn` computes, computed faster: `cpu` for NumPy arrays, `cuda` for arrays on a GPU.

The results are those of the plain functions, up to rounding. docs/performance.md says what each part is worth.
"""
