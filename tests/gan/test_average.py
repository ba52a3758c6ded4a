"""The average of the generator's weights: the formula, its measured statistics, and what it leaves alone."""

import numpy as np
import pytest
from device_double import COUNTER
from small_gans import SMALL, assert_same, inputs_of, state_of

from minigan.gan import average
from minigan.gan.average import GeneratorAverage
from minigan.gan.models import generator
from minigan.gan.step import build_gan, train_step
from minigan.nn.layers import BatchNormalization
from minigan.nn.rng import stream
from minigan.runs import checkpoint

DEVICES = pytest.mark.parametrize("kind", ["double", "kernels", pytest.param("gpu", marks=pytest.mark.gpu)])


def trained(steps, **options):
    """A GAN after some steps, and the generator's weights before each of them and after the last."""
    networks = build_gan(**SMALL, **options)
    seen = [{name: p.astype(np.float64) for name, p in networks.generator.params().items()}]
    for step in range(steps):
        train_step(networks, inputs_of(step))
        seen.append({name: p.astype(np.float64) for name, p in networks.generator.params().items()})
    return networks, seen


@pytest.mark.parametrize("decay", [0.999, 0.15])  # the second is reached in the third step
def test_average_is_what_the_formula_says(decay):
    networks, seen = trained(5, ema=decay)
    expected = seen[0]
    for t, weights in enumerate(seen[1:]):
        kept = min(decay, (1 + t) / (10 + t))
        expected = {name: kept * a + (1 - kept) * weights[name] for name, a in expected.items()}
    for name, a in networks.average.network.params().items():
        np.testing.assert_allclose(a, expected[name], rtol=1e-5, atol=1e-7, err_msg=name)
        assert a.dtype == np.float32


def test_average_changes_nothing_about_the_training():
    with_, without = (trained(4, **options)[0] for options in ({"ema": 0.99}, {}))
    with_.painter()
    train_step(with_, inputs_of(4))
    train_step(without, inputs_of(4))
    both = state_of(with_)
    assert_same({name: a for name, a in both.items() if not name.startswith("average.")}, state_of(without))


def test_without_an_average_the_generator_draws():
    networks = build_gan(**SMALL)
    assert networks.average is None
    assert networks.painter() is networks.generator


def test_statistics_are_those_of_the_average():
    """The moving statistics are those of numbers that flow through the average, not through the generator."""
    networks, _ = trained(4, ema=0.9)
    network = networks.painter()
    outputs = []
    first, norm = network.layers[:2]
    for noise in stream(0, "average").standard_normal((average.SETTLING_BATCHES, average.SETTLING_BATCH, 1, 1, 100)):
        outputs.append(first.forward(noise.astype(np.float32), training=True)[0].astype(np.float64))
    assert isinstance(norm, BatchNormalization)
    values = np.concatenate(outputs).reshape(-1, outputs[0].shape[-1])
    np.testing.assert_allclose(norm.buffers["moving_mean"], values.mean(axis=0), atol=0.02 * values.std())
    np.testing.assert_allclose(norm.buffers["moving_variance"], values.var(axis=0), rtol=0.02)
    assert np.abs(norm.buffers["moving_mean"] - networks.generator.layers[1].buffers["moving_mean"]).max() > 0


def test_fresh_statistics_are_those_of_many_batches():
    """They are the means and variances of what flows through the generator, of any noise, and change nothing else."""
    networks, _ = trained(4)
    network, momentum = networks.generator, 0.5
    weights = {name: p.copy() for name, p in network.params().items()}
    assert average.fresh_statistics(network, 20) is network
    first, norm = network.layers[:2]
    noise = np.random.default_rng(5).standard_normal((4000, 1, 1, 100), np.float32)
    values = first.forward(noise, training=True)[0].astype(np.float64)
    values = values.reshape(-1, values.shape[-1])
    np.testing.assert_allclose(norm.buffers["moving_mean"], values.mean(axis=0), atol=0.1 * values.std())
    np.testing.assert_allclose(norm.buffers["moving_variance"], values.var(axis=0), rtol=0.1)
    assert_same(network.params(), weights)
    assert {layer.momentum for layer in network.layers if isinstance(layer, BatchNormalization)} == {momentum}


def test_fresh_statistics_depend_on_weights_count_and_seed_alone():
    network = trained(3)[0].generator

    def statistics(count, seed=0):
        return {name: a.copy() for name, a in average.fresh_statistics(network, count, seed=seed).buffers().items()}

    first = statistics(3)
    assert np.abs(statistics(3, 1)["1.moving_mean"] - first["1.moving_mean"]).max() > 0
    assert np.abs(statistics(2)["1.moving_mean"] - first["1.moving_mean"]).max() > 0
    assert_same(statistics(3), first)
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        average.fresh_statistics(network, 0)


def test_the_more_batches_the_less_the_statistics_depend_on_their_noise():
    network = trained(3)[0].generator

    def spread(count):
        means = [average.fresh_statistics(network, count, seed=s).buffers()["1.moving_mean"].copy() for s in range(4)]
        return np.std(means, axis=0).mean()

    assert spread(16) < 0.5 * spread(1)


def test_settling_depends_on_the_weights_alone():
    networks, _ = trained(3, ema=0.9)
    first = {name: a.copy() for name, a in networks.painter().state().items()}
    train_step(networks, inputs_of(3))
    networks.painter()
    networks.average.network.load_state(
        {**networks.average.network.state(), **{n: first[n] for n in networks.average.network.params()}}
    )
    assert_same(networks.average.settle().state(), first)


def test_faces_of_the_average_change_less_than_the_generators():
    """From step to step its faces change less than the generator's."""
    networks, _ = trained(30, ema=0.95)
    noise = inputs_of(0).noise

    def faces():
        return networks.generator.predict(noise).copy(), networks.painter().predict(noise).copy()

    before = faces()
    train_step(networks, inputs_of(30))
    raw, averaged = (np.abs(a - b).mean() for a, b in zip(before, faces(), strict=True))
    assert averaged < 0.5 * raw


@pytest.mark.parametrize("decay", [0, 1, -0.5, 1.5])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match="decay must be above 0 and below 1"):
        GeneratorAverage(generator(**SMALL), decay)


def test_average_is_saved_and_loaded(tmp_path):
    networks, _ = trained(3, ema=0.9)
    networks.painter()
    path = checkpoint.save_checkpoint(tmp_path, networks, step=3, **SMALL)
    other = build_gan(**SMALL, seed=9, ema=0.9)
    assert checkpoint.load_checkpoint(path, other, **SMALL) == 3
    assert_same(state_of(other), state_of(networks))
    train_step(networks, inputs_of(3))
    train_step(other, inputs_of(3))
    assert_same(state_of(other), state_of(networks))


@pytest.mark.parametrize("has", [True, False])
def test_a_checkpoint_with_an_average_does_not_fit_a_gan_without_one_nor_the_reverse(tmp_path, has):
    path = checkpoint.save_checkpoint(tmp_path, build_gan(**SMALL, ema=0.9 if has else 0.0), step=0, **SMALL)
    other = build_gan(**SMALL, ema=0.0 if has else 0.9)
    with pytest.raises(checkpoint.DamagedFileError, match="does not fit together"):
        checkpoint.load_checkpoint(path, other, **SMALL)


# ------------------------------------------------------------------------------------------------------- on a device
@DEVICES
def test_average_on_a_device_equals_numpys(request, kind):
    device = request.getfixturevalue(kind)
    host, there = build_gan(**SMALL, ema=0.15), build_gan(**SMALL, ema=0.15, backend=device)
    for step in range(4):
        # The same weights on both sides, so that only the averaging is compared.
        train_step(host, inputs_of(step))
        there.generator.load_state(host.generator.state())
        there.average.update(there.generator)
    host.painter(), there.painter()
    expected = state_of(host)
    for name, a in state_of(there, device).items():
        if name.startswith("average."):
            np.testing.assert_allclose(a, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_average_reads_nothing_from_the_gpu(kernels):
    networks = build_gan(**SMALL, ema=0.99, backend=kernels)
    plain = build_gan(**SMALL, backend=kernels)
    for step in range(2):
        inputs = inputs_of(step, kernels)
        COUNTER.reset()
        train_step(networks, inputs)
        networks.painter()
        assert COUNTER.syncs == 0
        assert COUNTER.uploads == 0 or step == 0  # in the first step, the table of addresses
        train_step(plain, inputs)
    both = state_of(networks, kernels)
    assert_same({name: a for name, a in both.items() if not name.startswith("average.")}, state_of(plain, kernels))
