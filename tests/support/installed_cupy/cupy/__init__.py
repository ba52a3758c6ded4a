"""CuPy on a machine without a GPU, for tests and `make gpu ARGS=--double`: the device double (`fake_cupy`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import fake_cupy

fake_cupy.install()
