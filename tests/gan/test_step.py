"""The training step: every cell of the phase table, what is drawn for a step, and that a step is a pure function."""

from dataclasses import replace

import numpy as np
import pytest

from minigan.fast.cpu import cpu_overlay
from minigan.gan.step import (
    D_LEARNING_RATE,
    METRICS,
    Phase,
    StepInputs,
    build_gan,
    discriminator_step,
    draw_inputs,
    generator_step,
    train_step,
)
from minigan.nn import ops
from minigan.nn.gradients import Gradients
from minigan.nn.layers import BatchNormalization
from minigan.nn.losses import bce_with_logits_forward
from minigan.nn.ops import register_overlay
from minigan.nn.ops.table import NAMES
from minigan.nn.optimizers import Adam
from minigan.nn.rng import PURPOSES, stream
from minigan.system.workers import using_workers

B = 4


def small_gan(**options):
    return build_gan(image_size=32, width=4, **options)


def some_inputs(step=0, seed=5):
    real = np.random.default_rng(step).uniform(-1, 1, (B, 32, 32, 3)).astype(np.float32)
    return draw_inputs(real, seed, step)


def copy_of(gan):
    """Everything that training can change, by part and name."""
    parts = {"G params": gan.generator.params(), "D params": gan.discriminator.params(),
             "G moving": gan.generator.buffers(), "D moving": gan.discriminator.buffers(),
             "G adam": gan.g_optimizer.state(), "D adam": gan.d_optimizer.state()}  # fmt: skip
    return {part: {name: a.copy() for name, a in arrays.items()} for part, arrays in parts.items()}


def changed(before, after):
    """Parts in which any array changed."""
    return {part for part in before if any(not np.array_equal(before[part][n], after[part][n]) for n in before[part])}


def wholly_changed(before, after, part):
    return all(not np.array_equal(before[part][n], after[part][n]) for n in before[part])


@pytest.fixture
def gan():
    """A GAN after two steps, so that moving statistics differ from every batch's."""
    made = small_gan()
    for step in range(2):
        train_step(made, some_inputs(step))
    return made


def output_when_normalised_with(statistics, network, x):
    """The network's output, computed layer by layer; batch normalization is written out here, and changes nothing.

    statistics : "moving" for the layers' buffers, "batch" for the mean and variance of what comes in.
    """
    for layer in network.layers:
        if isinstance(layer, BatchNormalization):
            rows = x.reshape(-1, x.shape[-1])
            if statistics == "moving":
                mean, variance = layer.buffers["moving_mean"], layer.buffers["moving_variance"]
            else:
                mean, variance = rows.mean(axis=0), rows.var(axis=0)
            x = layer.params["gamma"] * (x - mean) / np.sqrt(variance + 1e-3) + layer.params["beta"]
        else:
            x, _ = layer.forward(x, training=True)
    return x


def assert_nearest(output, expected, *others):
    """The output is the expected one up to rounding, and clearly none of the others."""
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-3)
    for other in others:
        assert np.abs(output - other).max() > 0.02


# ------------------------------------------------------------------------------------------------ phase "make fakes"
def test_fakes_are_normalised_with_moving_statistics(gan):
    inputs = some_inputs(2)
    moving, batch = (output_when_normalised_with(kind, gan.generator, inputs.noise) for kind in ("moving", "batch"))
    assert_nearest(train_step(gan, inputs).fakes, moving, batch)


def test_a_fake_depends_on_its_own_noise_only(gan):
    noise = some_inputs(2).noise
    alone = gan.generator.predict(noise[:1])
    np.testing.assert_allclose(gan.generator.predict(noise)[:1], alone, rtol=0, atol=1e-5)


def test_fakes_change_nothing(gan):
    before = copy_of(gan)
    gan.generator.predict(some_inputs(2).noise)
    assert changed(before, copy_of(gan)) == set()


# ---------------------------------------------------------------------------------------------- phase "D on real, fake"
def test_discriminator_step_normalises_with_the_batch(gan):
    inputs = some_inputs(2)
    moving, batch = (output_when_normalised_with(kind, gan.discriminator, inputs.real) for kind in ("moving", "batch"))
    phase = discriminator_step(gan.discriminator, gan.d_optimizer, inputs.real, inputs.real_labels)
    assert_nearest(phase.logits, batch, moving)


def test_discriminator_step_moves_its_statistics_towards_those_of_the_batch(gan):
    """Seen in the first batch normalization: its input does not depend on any other."""
    first, activation, second, norm = gan.discriminator.layers[:4]
    inputs = some_inputs(2)
    before = norm.buffers["biased_mean"].copy()
    x = inputs.real
    for layer in (first, activation, second):
        x, _ = layer.forward(x, training=True)
    discriminator_step(gan.discriminator, gan.d_optimizer, inputs.real, inputs.real_labels)
    expected = 0.5 * before + 0.5 * x.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(norm.buffers["biased_mean"], expected, rtol=1e-4, atol=1e-6)


def test_discriminator_step_starts_from_fresh_gradients(gan):
    inputs = some_inputs(2)
    for g in gan.discriminator.grads().values():
        g.fill(1e3)
    discriminator_step(gan.discriminator, gan.d_optimizer, inputs.real, inputs.real_labels)
    assert max(np.abs(g).max() for g in gan.discriminator.grads().values()) < 1e2


def test_discriminator_step_updates_d_and_its_moving_statistics_only(gan):
    before = copy_of(gan)
    inputs = some_inputs(2)
    discriminator_step(gan.discriminator, gan.d_optimizer, inputs.real, inputs.real_labels)
    after = copy_of(gan)
    assert changed(before, after) == {"D params", "D moving", "D adam"}
    assert wholly_changed(before, after, "D params")
    assert wholly_changed(before, after, "D moving")


def test_reals_and_fakes_are_normalised_apart(gan):
    """D's answer to the reals does not depend on the fakes of the step: two batches, not one of both."""
    inputs = some_inputs(2)
    loss, _ = discriminator_step(gan.discriminator, gan.d_optimizer, inputs.real, inputs.real_labels)
    twin = small_gan()
    for step in range(2):
        train_step(twin, some_inputs(step))
    result = train_step(twin, inputs._replace(noise=inputs.noise * 3))
    assert result.metrics[0] == loss


def test_discriminator_takes_two_steps_and_generator_one(gan):
    assert (gan.d_optimizer.t, gan.g_optimizer.t) == (4, 2)
    for layer in gan.discriminator.layers:
        if isinstance(layer, BatchNormalization):
            assert layer.buffers["updates"] == 4
    for layer in gan.generator.layers:
        if isinstance(layer, BatchNormalization):
            assert layer.buffers["updates"] == 2


# ----------------------------------------------------------------------------------------------------- phase "G step"
def test_generator_step_normalises_both_networks_with_the_batch(gan):
    """D's logits are those of fakes that G made with its batch's statistics, and D normalised with theirs."""
    inputs = some_inputs(2)
    logits = {}
    for of_g in ("batch", "moving"):
        fakes = output_when_normalised_with(of_g, gan.generator, inputs.generator_noise)
        for of_d in ("batch", "moving"):
            logits[of_g, of_d] = output_when_normalised_with(of_d, gan.discriminator, fakes)
    phase = generator_step(
        gan.generator, gan.discriminator, gan.g_optimizer, inputs.generator_noise, inputs.real_labels
    )
    assert_nearest(phase.logits, logits.pop(("batch", "batch")), *logits.values())


def test_generator_step_updates_g_and_its_moving_statistics_only(gan):
    before = copy_of(gan)
    inputs = some_inputs(2)
    gradients = {path: g.copy() for path, g in gan.discriminator.grads().items()}
    generator_step(gan.generator, gan.discriminator, gan.g_optimizer, inputs.generator_noise, inputs.real_labels)
    after = copy_of(gan)
    assert changed(before, after) == {"G params", "G moving", "G adam"}
    assert wholly_changed(before, after, "G params")
    assert wholly_changed(before, after, "G moving")
    for path, g in gan.discriminator.grads().items():
        np.testing.assert_array_equal(g, gradients[path], err_msg="D's gradients were computed for nothing")


def test_generator_is_trained_towards_the_real_labels(gan):
    """The reported loss is the cross-entropy of D's answers against the labels given, and steps make it smaller."""
    inputs = some_inputs(2)
    phases = [
        generator_step(gan.generator, gan.discriminator, gan.g_optimizer, inputs.generator_noise, inputs.real_labels)
        for _ in range(5)
    ]
    for phase in phases:
        assert phase.loss == bce_with_logits_forward(phase.logits, inputs.real_labels)[0]
    assert phases[-1].loss < phases[0].loss
    assert (phases[-1].logits > phases[0].logits).all()


# --------------------------------------------------------------------------------------------------------- whole step
def test_order_of_the_phases():
    """A step is exactly: fakes first, D on reals, D on fakes, G; done by hand it gives the same bits."""
    whole, by_hand, inputs = small_gan(), small_gan(), some_inputs()
    result = train_step(whole, inputs)
    D, G = by_hand.discriminator, by_hand.generator
    with using_workers(1):
        fakes = G.predict(inputs.noise)
        real = discriminator_step(D, by_hand.d_optimizer, inputs.real, inputs.real_labels)
        fake = discriminator_step(D, by_hand.d_optimizer, fakes, inputs.fake_labels)
        g = generator_step(G, D, by_hand.g_optimizer, inputs.generator_noise, inputs.real_labels)
    np.testing.assert_array_equal(result.fakes, fakes)
    np.testing.assert_array_equal(result.metrics[:3], [real.loss, fake.loss, g.loss])
    assert changed(copy_of(whole), copy_of(by_hand)) == set()


def test_metrics_are_what_their_names_say():
    gan, inputs = small_gan(), some_inputs()
    twin = small_gan()
    metrics = dict(zip(METRICS, train_step(gan, inputs).metrics, strict=True))
    logits, _ = twin.discriminator.forward(inputs.real, training=True)
    assert metrics["d_x"] == pytest.approx(np.mean(1 / (1 + np.exp(-logits))), rel=1e-5)
    real = discriminator_step(twin.discriminator, twin.d_optimizer, inputs.real, inputs.real_labels)
    fakes = twin.generator.predict(inputs.noise)
    fake = discriminator_step(twin.discriminator, twin.d_optimizer, fakes, inputs.fake_labels)
    assert metrics["d_g_z"] == pytest.approx(np.mean(1 / (1 + np.exp(-fake.logits))), rel=1e-5)
    right = np.mean([*(real.logits > 0), *(fake.logits < 0)])
    assert metrics["accuracy"] == pytest.approx(right)
    assert 0 < right < 1


def test_steps_repeat_bit_for_bit():
    first, second = small_gan(), small_gan()
    for step in range(3):
        a, b = (train_step(gan, some_inputs(step)) for gan in (first, second))
        np.testing.assert_array_equal(a.metrics, b.metrics)
    assert changed(copy_of(first), copy_of(second)) == set()


def test_no_float64_creeps_in(gan):
    result = train_step(gan, some_inputs(2))
    arrays = [result.metrics, result.fakes, *some_inputs()]
    for part in copy_of(gan).values():
        arrays += part.values()
    arrays += [*gan.generator.grads().values(), *gan.discriminator.grads().values()]
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}


def test_inputs_are_functions_of_seed_and_step():
    real = np.zeros((B, 32, 32, 3), np.float32)
    a, b = draw_inputs(real, 1, 7), draw_inputs(real, 1, 7)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
    assert not np.array_equal(a.noise, draw_inputs(real, 1, 8).noise)
    assert not np.array_equal(a.noise, draw_inputs(real, 2, 7).noise)
    assert not np.array_equal(a.noise, a.generator_noise)


def test_labels_and_noise_have_the_right_distributions():
    real = np.zeros((4000, 1, 1, 3), np.float32)
    inputs = draw_inputs(real, 0, 0)
    assert inputs.real_labels.shape == inputs.fake_labels.shape == (4000, 1)
    assert 0.8 < inputs.real_labels.min() < 0.801
    assert 0.999 < inputs.real_labels.max() <= 1
    assert 0 <= inputs.fake_labels.min() < 0.001
    assert 0.199 < inputs.fake_labels.max() < 0.2
    assert abs(inputs.real_labels.mean() - 0.9) < 0.003
    assert abs(inputs.noise.mean()) < 0.01
    assert abs(inputs.noise.std() - 1) < 0.01


def test_discriminator_learns_to_tell_a_fixed_pair_of_batches_apart():
    gan, inputs = small_gan(), some_inputs()
    fakes = gan.generator.predict(inputs.noise)
    for _ in range(30):
        real = discriminator_step(gan.discriminator, gan.d_optimizer, inputs.real, inputs.real_labels)
        fake = discriminator_step(gan.discriminator, gan.d_optimizer, fakes, inputs.fake_labels)
    assert (real.logits > 0).all()
    assert (fake.logits < 0).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 2e-3)])
def test_the_plain_functions_train_as_the_fast_ones_do(dtype, tolerance):
    """Three steps, with enough images for every fast algorithm: same losses, weights and moving statistics."""
    states, metrics = [], []
    for plain in (False, True):
        made = build_gan(image_size=32, width=16, plain=plain)
        for network in (made.generator, made.discriminator):
            for layer in network.layers:
                layer.params = {name: p.astype(dtype) for name, p in layer.params.items()}
                layer.grads = Gradients(layer.params)
                layer.buffers = {name: b.astype(dtype) for name, b in layer.buffers.items()}
        made.g_optimizer, made.d_optimizer = (
            Adam(network.params(), learning_rate=2e-4, ops=network.ops)
            for network in (made.generator, made.discriminator)
        )
        for step in range(3):
            real = np.random.default_rng(step).uniform(-1, 1, (16, 32, 32, 3)).astype(np.float32)
            inputs = StepInputs(*(a.astype(dtype) for a in draw_inputs(real, 5, step)))
            metrics.append(train_step(made, inputs).metrics)
        states.append({**made.generator.state(), **{f"D.{k}": a for k, a in made.discriminator.state().items()}})
    np.testing.assert_allclose(metrics[3:], metrics[:3], rtol=0, atol=tolerance)
    for name, array in states[0].items():
        assert array.dtype == dtype
        np.testing.assert_allclose(states[1][name], array, rtol=0, atol=tolerance, err_msg=name)


def test_plain_networks_run_no_fast_version(monkeypatch):
    def never(*arguments, **settings):
        pytest.fail("a fast version ran")

    register_overlay("numpy", lambda backend, dtype: dict.fromkeys(NAMES, never))
    try:
        train_step(small_gan(plain=True, ema=0.5), some_inputs())
        with pytest.raises(pytest.fail.Exception):
            train_step(small_gan(), some_inputs())
    finally:
        register_overlay("numpy", cpu_overlay.overlay)


def test_a_students_op_runs_in_the_training_step():
    count = {"leaky": 0}

    def leaky_relu_forward(x, alpha=0.2):
        count["leaky"] += 1
        return ops.leaky_relu_forward(x, alpha)

    mine = replace(ops.LIBRARY, leaky_relu_forward=leaky_relu_forward)
    result = train_step(small_gan(ops=mine), some_inputs())
    np.testing.assert_allclose(result.metrics, train_step(small_gan(), some_inputs()).metrics, rtol=1e-5)
    # D has 3 and G 4 at 32 pixels: fakes G, two D steps, and the G step through both.
    assert count["leaky"] == 4 + 2 * 3 + (4 + 3)


def test_the_loss_is_that_of_each_networks_table_and_the_metrics_that_of_the_generators():
    made, called = small_gan(), []

    def counted(network, name):
        function = getattr(ops.LIBRARY, name)
        return lambda *arguments: (called.append(f"{network}: {name}"), function(*arguments))[1]

    names = ("bce_with_logits_forward", "bce_with_logits_backward", "step_metrics", "translate_forward")
    for network in (made.generator, made.discriminator):
        network.ops = replace(ops.LIBRARY, **{name: counted(network.name, name) for name in names})
    twin, moves = small_gan(), np.zeros((3, B, 2), np.int64)
    np.testing.assert_array_equal(
        train_step(made, some_inputs(), moves).metrics, train_step(twin, some_inputs(), moves).metrics
    )
    assert changed(copy_of(made), copy_of(twin)) == set()
    assert called == [
        "generator: translate_forward",
        "generator: translate_forward",
        "discriminator: bce_with_logits_forward",
        "discriminator: bce_with_logits_backward",
        "discriminator: bce_with_logits_forward",
        "discriminator: bce_with_logits_backward",
        "generator: translate_forward",
        "generator: bce_with_logits_forward",
        "generator: bce_with_logits_backward",
        "generator: step_metrics",
    ]


def test_params_are_those_of_both_networks():
    made = small_gan()
    own = [*made.generator.params().values(), *made.discriminator.params().values()]
    assert [id(p) for p in made.params()] == [id(p) for p in own]


def test_the_learning_rate_given_is_the_generators():
    networks = small_gan(g_learning_rate=0.0003)
    assert networks.g_optimizer.learning_rate == 0.0003
    assert networks.d_optimizer.learning_rate == D_LEARNING_RATE


DRAWN_BEFORE = [-0.8371216654777527, 0.04356728121638298, 0.9619138240814209, 0.052861537784338, 850074]


def test_draws_are_those_of_earlier_versions():
    """The numbers that earlier versions drew for a step. A new purpose must have a new code."""
    assert {name: PURPOSES[name] for name in ("data", "noise", "labels")} == {"data": 2, "noise": 3, "labels": 4}
    assert len(set(PURPOSES.values())) == len(PURPOSES)
    inputs = draw_inputs(np.zeros((2, 1, 1, 3), np.float32), 1337, 7)
    found = [float(a.ravel()[0]) for a in inputs[1:]] + [int(stream(1337, "data", 7).integers(0, 10**6))]
    assert found == pytest.approx(DRAWN_BEFORE, rel=1e-6)


def test_a_step_takes_the_steps_that_the_gan_has():
    """A step of one's own in the place of minigan's; the other, and what is reported, stay minigan's."""
    gan, inputs = small_gan(), some_inputs()
    seen = []

    def my_discriminator_step(D, optimizer, x, labels):
        seen.append((D, optimizer, labels))
        return Phase(np.float32(len(seen)), np.ones_like(labels))

    gan.discriminator_step = my_discriminator_step
    before = {name: p.copy() for name, p in gan.discriminator.params().items()}
    d_real, d_fake, g, d_x, _, _ = train_step(gan, inputs).metrics
    assert (d_real, d_fake) == (1, 2)
    assert d_x == pytest.approx(1 / (1 + np.exp(-1)))
    assert g > 0.1
    assert [labels is wanted for (_, _, labels), wanted in zip(seen, inputs[3:], strict=True)] == [True, True]
    assert all(np.array_equal(p, before[name]) for name, p in gan.discriminator.params().items())
