"""minigan: a DCGAN for anime faces whose every layer is written by hand."""

__version__ = "0.1.0"
