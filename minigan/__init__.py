"""minigan: a DCGAN for anime faces whose every layer is written by hand."""

# isort: off
from minigan.system import working_folder as working_folder  # first: then nothing there is taken for one of the others
from minigan.system import interrupts as interrupts  # second: it sees to Ctrl-C while the others load
from minigan.system import startup as startup  # third: it loads NumPy

# isort: on
from minigan import fast as fast  # it registers the fast versions of what minigan.nn computes
from minigan.gan.models import discriminator, generator
from minigan.gan.step import GAN, build_gan, discriminator_step, draw_inputs, generator_step, train_step
from minigan.nn.backend import get_backend
from minigan.nn.conv import conv_forward, conv_input_grad, conv_weight_grad
from minigan.nn.network import Sequential
from minigan.nn.ops import LIBRARY, Ops
from minigan.nn.optimizers import Adam

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
