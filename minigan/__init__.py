"""minigan: a DCGAN for anime faces whose every layer is written by hand."""

from minigan import startup as startup  # first: it sees to Ctrl-C while the others load
from minigan.backend import get_backend
from minigan.conv import conv_forward, conv_input_grad, conv_weight_grad
from minigan.gan import GAN, build_gan, discriminator_step, draw_inputs, generator_step, train_step
from minigan.models import discriminator, generator
from minigan.network import Sequential
from minigan.ops import LIBRARY, Ops
from minigan.optimizers import Adam

__version__ = "0.1.0"

__all__ = [
    "GAN",
    "LIBRARY",
    "Adam",
    "Ops",
    "Sequential",
    "build_gan",
    "conv_forward",
    "conv_input_grad",
    "conv_weight_grad",
    "discriminator",
    "discriminator_step",
    "draw_inputs",
    "generator",
    "generator_step",
    "get_backend",
    "train_step",
]
