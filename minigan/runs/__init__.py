"""A training run on disk: its settings, its folder, its checkpoints, and numbers about its health."""
