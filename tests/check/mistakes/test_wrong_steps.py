"""Training steps as people write them wrongly: each differs from the right one, and the unchanged one does not."""

import numpy as np
import pytest

from minigan.check.codes import CODES
from minigan.check.mistakes import wrong_steps
from minigan.gan import step as gan
from minigan.gan.models import discriminator, generator
from minigan.nn.optimizers import Adam

B = 4


def after(name, step):
    """The loss of a second step, and all arrays after it."""
    D = discriminator(image_size=32, width=1)
    rng = np.random.default_rng(0)
    networks = [D] if name == "discriminator_step" else [generator(image_size=32, width=1), D]
    optimizer = Adam(networks[0].params(), learning_rate=1e-3)
    for _ in range(2):
        x = rng.standard_normal((B, *networks[0].input_shape)).astype(np.float32)
        target = rng.uniform(0.1, 0.9, (B, 1)).astype(np.float32)
        loss = step(*networks, optimizer, x, target)
    return float(loss), np.concatenate([a.ravel() for network in networks for a in network.state().values()])


@pytest.mark.parametrize("name", ["discriminator_step", "generator_step"])
def test_every_wrong_step_is_wrong_in_its_own_way(name):
    right = after(name, lambda *arguments: getattr(gan, name)(*arguments).loss)
    loss, state = after(name, wrong_steps._changed())
    np.testing.assert_allclose(loss, right[0], rtol=1e-6)
    np.testing.assert_allclose(state, right[1], rtol=1e-5, atol=1e-7)
    for code, cause, step in wrong_steps.wrong_steps(name, B):
        assert code in CODES
        wrong_loss, wrong_state = after(name, step)
        assert abs(wrong_loss - loss) > 1e-4 or np.abs(wrong_state - state).max() > 1e-5, cause
