"""Health numbers, against plain arithmetic."""

import numpy as np
import pytest

from minigan.gan.step import build_gan, draw_inputs, train_step
from minigan.runs import health


def test_health_numbers_against_plain_arithmetic():
    gan = build_gan(image_size=32, width=2)
    real = np.random.default_rng(0).uniform(-1, 1, (5, 32, 32, 3)).astype(np.float32)
    before = health.weights_of(gan)
    kept = [{k: a.copy() for k, a in part.items()} for part in before]
    result = train_step(gan, draw_inputs(real, 1, 0))
    found = health.measure(real, result.fakes, before, gan)
    for name, old, network in zip(("g_move", "d_move"), kept, (gan.generator, gan.discriminator), strict=True):
        changes = np.concatenate([(network.params()[k] - a).ravel() for k, a in old.items()])
        assert found[name] == pytest.approx(np.sqrt(np.mean(changes.astype(np.float64) ** 2)), rel=1e-4)
    pairs = [np.mean((real[i] - real[j]) ** 2) for i in range(5) for j in range(i)]
    assert found["real_spread"] == pytest.approx(np.sqrt(np.mean(pairs)), rel=1e-5)
    assert (found["real_low"], found["real_high"]) == (real.min(), real.max())
    assert float(health.spread(real[:1])) == 0


def test_they_are_due_from_the_first_step_on():
    assert [step for step in range(60) if health.is_due(step)] == [0, health.HEALTH_EVERY, 2 * health.HEALTH_EVERY]


def test_a_run_that_goes_wrong_still_has_numbers():
    gan = build_gan(image_size=32, width=1)
    before = health.weights_of(gan)
    gan.generator.params()["0.kernel"][...] = np.nan
    images = np.zeros((2, 32, 32, 3), np.float32)
    found = health.measure(images, images + np.float32(np.nan), before, gan)
    assert np.isnan(found["g_move"])
    assert np.isnan(found["fake_spread"])
    assert found["d_move"] == found["real_spread"] == 0
