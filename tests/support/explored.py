"""Generators to explore, and servers that show them, for a test."""

import contextlib
import functools
import http.server
import threading

import numpy as np

from minigan.gan.models import generator
from minigan.play.directions import directions_of
from minigan.play.explore_page import Explorable
from minigan.play.explore_server import ExploreServer


def trained(image_size, width, seed=3):
    """A generator whose every number is as if it had been trained, none of them 0 or 1."""
    network = generator(image_size=image_size, width=width, seed=seed)
    rng = np.random.default_rng(7)
    for name, array in network.state().items():
        if name.endswith(("gamma", "moving_variance")):
            array[...] = rng.uniform(0.5, 1.5, array.shape)
        elif name.endswith(("beta", "bias", "moving_mean")):
            array[...] = rng.normal(0, 0.1, array.shape)
    network.layers[-2].params["kernel"] *= 4  # as much contrast as a trained generator has
    return network


def explorable(image_size=32, width=4, name="my run"):
    network = trained(image_size, width)
    return Explorable(network, name, 1234, directions_of(network))


@contextlib.contextmanager
def running(server):
    """A server that answers in a thread of its own, until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def exploring(subject=None):
    """An `ExploreServer` on a free port."""
    return running(ExploreServer(subject or explorable(), port=0))


class _QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def serving_files(folder):
    """A plain file server on a free port."""
    handler = functools.partial(_QuietFiles, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    return running(server)
