"""The engine room: what `minigan.nn` computes, computed fast. `cpu` is for NumPy, `cuda` for a GPU."""
