"""Better training: the average, mirrored and moved pictures, another learning rate, and what they leave alone."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from device_double import COUNTER
from equal_runs import assert_equal_runs, files_of
from numeric_gradients import directional_error
from PIL import Image
from places import ROOT

from minigan import evaluate, sample, train
from minigan.data.image_set import ImageSet, Prefetcher
from minigan.data.open import open_images
from minigan.evaluation import metrics, run_page
from minigan.fast.cpu.pool import using_workers
from minigan.gan import average
from minigan.gan import step as gan
from minigan.gan.augment import draw_moves, translate_backward, translate_forward
from minigan.gan.average import GeneratorAverage
from minigan.gan.models import generator
from minigan.gan.step import RecordedStep, build_gan, draw_inputs, train_step
from minigan.nn.backend import NUMPY
from minigan.nn.layers import BatchNormalization
from minigan.nn.rng import PURPOSES, stream
from minigan.pages import plots
from minigan.runs import checkpoint, config
from minigan.system.cli import run_command

SMALL = {"image_size": 32, "width": 4}
B = 4


def inputs_of(step, where=NUMPY):
    real = np.random.default_rng(step).uniform(-1, 1, (B, 32, 32, 3)).astype(np.float32)
    return draw_inputs(real, 5, step, where)


def state_of(networks, where=NUMPY):
    """Every saved number of a GAN, on the host."""
    return {
        f"{part}.{name}": where.to_host(a).copy()
        for part, own in checkpoint._parts(networks).items()
        for name, a in own.items()
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert [name for name in a if not np.array_equal(a[name], b[name])] == []


# --------------------------------------------------------------------------------------------------------- the average
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


def test_learning_rate_is_the_generators():
    networks = build_gan(**SMALL, g_learning_rate=0.0003)
    assert networks.g_optimizer.learning_rate == 0.0003
    assert networks.d_optimizer.learning_rate == gan.D_LEARNING_RATE


def test_without_an_average_the_generator_draws():
    networks = build_gan(**SMALL)
    assert networks.average is None
    assert networks.painter() is networks.generator


def test_statistics_are_those_of_the_average():
    """Of what flows through it, not through the generator; measured anew for whatever weights there are."""
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


def test_settling_depends_on_the_weights_alone():
    networks, _ = trained(3, ema=0.9)
    first = {name: a.copy() for name, a in networks.painter().state().items()}
    train_step(networks, inputs_of(3))
    networks.painter()
    networks.average.network.load_state(
        {**networks.average.network.state(), **{n: first[n] for n in networks.average.network.params()}}
    )
    assert_same(networks.average.settle().state(), first)


def test_average_draws_calmer_than_the_generator():
    """From step to step its faces change less: that is what it is for."""
    networks, _ = trained(30, ema=0.95)
    noise = inputs_of(0).noise

    def faces():
        return networks.generator.predict(noise).copy(), networks.painter().predict(noise).copy()

    before = faces()
    train_step(networks, inputs_of(30))
    raw, averaged = (np.abs(a - b).mean() for a, b in zip(before, faces(), strict=True))
    assert averaged < 0.5 * raw


@pytest.mark.parametrize("decay", [0, 1, -0.5, 1.5])
def test_decay_is_a_share(decay):
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
def test_checkpoint_with_and_without_an_average_are_not_confused(tmp_path, has):
    path = checkpoint.save_checkpoint(tmp_path, build_gan(**SMALL, ema=0.9 if has else 0.0), step=0, **SMALL)
    other = build_gan(**SMALL, ema=0.0 if has else 0.9)
    with pytest.raises(checkpoint.DamagedFileError, match="does not fit together"):
        checkpoint.load_checkpoint(path, other, **SMALL)


# ----------------------------------------------------------------------------------------------------- on the device
DEVICES = pytest.mark.parametrize("kind", ["double", "kernels", pytest.param("gpu", marks=pytest.mark.gpu)])


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


def test_nothing_waits_for_the_average(kernels):
    networks = build_gan(**SMALL, ema=0.99, backend=kernels)
    plain = build_gan(**SMALL, backend=kernels)
    for step in range(2):
        inputs = inputs_of(step, kernels)
        COUNTER.reset()
        train_step(networks, inputs)
        networks.painter()
        assert COUNTER.syncs == 0
        assert COUNTER.uploads == 0 or step == 0  # where the tensors lie, once
        train_step(plain, inputs)
    both = state_of(networks, kernels)
    assert_same({name: a for name, a in both.items() if not name.startswith("average.")}, state_of(plain, kernels))


# --------------------------------------------------------------------------------------------------- mirrored pictures
@pytest.fixture(scope="module")
def images():
    return ImageSet(np.random.default_rng(0).integers(0, 256, (50, 6, 6, 3), np.uint8), "example", "00")


def mirrored(images, seed, step):
    """Which pictures of a batch are mirrored; all are the same as without, or that."""
    plain, flipped = (images.batch(seed, step, 32, flip=flip) for flip in (False, True))
    found = [np.array_equal(a[:, ::-1], b) for a, b in zip(plain, flipped, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(plain, flipped, strict=True)]
    assert [not each for each in found] == same
    return found


def test_half_of_the_pictures_are_mirrored(images):
    assert 257 < sum(sum(mirrored(images, 3, step)) for step in range(20)) < 383  # of 640: five standard deviations


def test_mirroring_is_a_function_of_seed_and_step(images):
    assert mirrored(images, 3, 7) == mirrored(images, 3, 7)
    assert mirrored(images, 3, 7) != mirrored(images, 3, 8)
    assert mirrored(images, 3, 7) != mirrored(images, 4, 7)


def test_mirroring_leaves_the_data_set_alone(images):
    before = images.images.copy()
    images.batch(3, 0, 32, flip=True)
    np.testing.assert_array_equal(images.images, before)


def test_mirrored_batches_are_read_ahead(images):
    with Prefetcher(images, 3, 8, flip=True) as batches:
        for step in (0, 1, 2, 9):
            np.testing.assert_array_equal(batches.batch(step), images.batch(3, step, 8, flip=True))


# ------------------------------------------------------------------------------------------------------- moved pictures
def moved_by_hand(x, move):
    """One pixel at a time."""
    y = np.zeros_like(x)
    N, H, W, _ = x.shape
    for n in range(N):
        for h in range(H):
            for w in range(W):
                from_h, from_w = h - move[n, 0], w - move[n, 1]
                if 0 <= from_h < H and 0 <= from_w < W:
                    y[n, h, w] = x[n, from_h, from_w]
    return y


MOVES = np.array([[0, 0], [2, -1], [-3, 4], [1, 0], [0, -5], [4, 5], [-9, 0]])
"""The last two leave nothing of a picture of 4x5, or of its rows."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pictures_move_as_they_should(rng, dtype):
    x = rng.standard_normal((len(MOVES), 4, 5, 3)).astype(dtype)
    y, cache = translate_forward(x, MOVES)
    np.testing.assert_array_equal(y, moved_by_hand(x, MOVES))
    dx = translate_backward(y, cache)
    np.testing.assert_array_equal(dx, moved_by_hand(y, -MOVES))
    assert y.dtype == dx.dtype == dtype


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def gradient_error(rng, backward, forward=translate_forward):
    x = rng.standard_normal((len(MOVES), 6, 6, 2))
    y, cache = forward(x, MOVES)
    dy = rng.standard_normal(y.shape)
    return directional_error(lambda x: forward(x, MOVES)[0], [x], [backward(dy, cache)], dy, rng)


def test_gradient_of_the_move(rng):
    assert gradient_error(rng, translate_backward) < 1e-8


def clamped(dy, cache):
    """The edge repeated, where there is nothing."""
    at = np.arange(dy.shape[1])
    rows, columns = (np.clip(at + cache[:, axis, None], 0, len(at) - 1) for axis in (0, 1))
    return dy[np.arange(len(dy))[:, None, None], rows[:, :, None], columns[:, None]]


@pytest.mark.parametrize(
    "mutant",
    [
        lambda dy, cache: dy,
        lambda dy, cache: translate_forward(dy, cache)[0],  # onwards instead of back
        lambda dy, cache: translate_backward(dy, cache[:, ::-1]),
        lambda dy, cache: translate_backward(dy, cache[::-1]),
        lambda dy, cache: np.roll(translate_backward(dy, cache), 1, axis=2),
        lambda dy, cache: np.stack([np.roll(d, -m, (0, 1)) for d, m in zip(dy, cache, strict=True)]),
        clamped,
    ],
    ids=[
        "not moved",
        "onwards",
        "axes exchanged",
        "of other pictures",
        "off by one",
        "around the edge",
        "edge repeated",
    ],
)
def test_wrong_gradients_are_caught(rng, mutant):
    assert gradient_error(rng, mutant) > 1e-3


def test_moves_are_a_function_of_seed_and_step():
    a, b, c, d = (draw_moves(500, 64, seed, step) for seed, step in ((1, 2), (1, 2), (1, 3), (2, 2)))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert not np.array_equal(a, d)
    assert a.shape == (3, 500, 2)
    for part in (*a, a[..., 0], a[..., 1]):  # every move from an eighth to an eighth, for each of the three
        assert sorted(set(part.ravel().tolist())) == list(range(-8, 9))
    assert not np.array_equal(a[0], a[1])
    assert not np.array_equal(a[1], a[2])


@DEVICES
def test_moves_on_a_device(request, kind, rng):
    device = request.getfixturevalue(kind)
    x = rng.standard_normal((len(MOVES), 4, 5, 3)).astype(np.float32)
    on_device, move = device.asarray(x), device.asarray(MOVES)
    COUNTER.reset()
    y, cache = translate_forward(on_device, move)
    dx = translate_backward(y, cache)
    assert COUNTER.syncs == 0
    np.testing.assert_array_equal(device.to_host(y), moved_by_hand(x, MOVES))
    np.testing.assert_array_equal(device.to_host(dx), moved_by_hand(moved_by_hand(x, MOVES), -MOVES))


def moves_of(step, where=NUMPY):
    return draw_moves(B, 32, 5, step, where)


def test_step_with_moves_by_hand():
    """The reals, the fakes and those of G's step move each by their own; G learns through the move."""
    whole, by_hand = build_gan(**SMALL), build_gan(**SMALL)
    inputs, moves = inputs_of(0), moves_of(0)
    result = train_step(whole, inputs, moves)
    G, D = by_hand.generator, by_hand.discriminator
    with using_workers(1):
        fakes = G.predict(inputs.noise)
    real = gan.discriminator_step(D, by_hand.d_optimizer, moved_by_hand(inputs.real, moves[0]), inputs.real_labels)
    fake = gan.discriminator_step(D, by_hand.d_optimizer, moved_by_hand(fakes, moves[1]), inputs.fake_labels)
    drawn, g_caches = G.forward(inputs.generator_noise, training=True)
    logits, d_caches = D.forward(moved_by_hand(drawn, moves[2]), training=True, update_stats=False)
    loss, cache = gan.bce_with_logits_forward(logits, inputs.real_labels)
    dfakes = D.backward(gan.bce_with_logits_backward(1.0, cache), d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(moved_by_hand(dfakes, -moves[2]), g_caches)
    np.testing.assert_allclose(result.metrics[:3], [real.loss, fake.loss, loss], rtol=1e-5)
    np.testing.assert_allclose(result.fakes, fakes, atol=1e-5)  # the pictures of the run show faces where G drew them
    for name, gradient in whole.generator.grads().items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(gradient, G.grads()[name], rtol=0, atol=1e-3 * scale + 1e-7, err_msg=name)


def test_moves_of_nothing_change_nothing():
    with_, without = build_gan(**SMALL), build_gan(**SMALL)
    train_step(with_, inputs_of(0), np.zeros((3, B, 2), np.int64))
    train_step(without, inputs_of(0))
    assert_same(state_of(with_), state_of(without))


def test_step_with_moves_on_a_device_equals_numpys(double):
    host, there = build_gan(**SMALL), build_gan(**SMALL, backend=double)
    for step in range(2):
        expected = train_step(host, inputs_of(step), moves_of(step))
        inputs, moves = inputs_of(step, double), moves_of(step, double)
        COUNTER.reset()
        result = train_step(there, inputs, moves)
        assert (COUNTER.syncs, COUNTER.uploads) == (0, 0)
        np.testing.assert_allclose(double.to_host(result.metrics), expected.metrics, rtol=5e-3)


def test_recorded_step_counts_on_and_has_new_moves(kernels):
    """What the average keeps changes with the count of updates, which a replay has to know by itself."""
    eager, recorded = (build_gan(**SMALL, ema=0.3, backend=kernels) for _ in range(2))
    step_of = RecordedStep(recorded, pytest.fail)
    for step in range(5):
        expected = train_step(eager, inputs_of(step, kernels), moves_of(step, kernels))
        result = step_of(inputs_of(step, kernels), moves_of(step, kernels))
        np.testing.assert_array_equal(kernels.to_host(result.metrics), kernels.to_host(expected.metrics))
    recorded.painter(), eager.painter()
    assert_same(state_of(recorded, kernels), state_of(eager, kernels))


# ------------------------------------------------------------------------------------------------ from the command line
SIZES = ["--image-size", 32, "--width", 2, "--batch-size", 4, "--sample-every", 2, "--save-every", 3]
OPTIONS = ["--ema", 0.9, "--flip", "--translate", "--g-learning-rate", 0.0003]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for k in range(130):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k:03d}.png")
    return folder


def call(*arguments, main=train.main):
    return run_command(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def six(pictures, tmp_path_factory):
    """Six steps with all options."""
    out = tmp_path_factory.mktemp("runs") / "six"
    assert call("--data", pictures, *SIZES, *OPTIONS, "--steps", 6, "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def plain(pictures, tmp_path_factory):
    """Six steps with none."""
    out = tmp_path_factory.mktemp("runs") / "plain"
    assert call("--data", pictures, *SIZES, "--steps", 6, "--out", out) == 0
    return out


def test_run_is_what_its_options_say(pictures, six):
    """All of it again by hand: batches, moves, rate, and pictures drawn by the average."""
    networks = build_gan(image_size=32, width=2, seed=1337, ema=0.9, g_learning_rate=0.0003)
    images = open_images(pictures, image_size=32, progress=False)
    fixed = stream(1337, "pictures").standard_normal((64, 1, 1, 100), np.float32)
    rows = np.loadtxt(six / "log.csv", delimiter=",", skiprows=1)
    for step in range(6):
        inputs = draw_inputs(images.batch(1337, step, 4, flip=True), 1337, step)
        result = train_step(networks, inputs, draw_moves(4, 32, 1337, step))
        np.testing.assert_allclose(rows[step, 1:], result.metrics, rtol=1e-7)
    tensors, _ = checkpoint.load_tensors(six / "checkpoints" / "step-000006.safetensors")
    networks.painter()
    assert_same(tensors, state_of(networks))
    faces = np.repeat(np.repeat(plots.grid(networks.painter().predict(fixed[:16]), columns=4), 2, axis=0), 2, axis=1)
    with Image.open(six / "images" / "0005fixed_image.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), faces)
    saved, done = checkpoint.load_network(six / "models" / "5_GENERATOR_EMA_weights_and_arch.safetensors")
    assert done == 6
    assert_same(saved.state(), networks.average.network.state())
    raw, _ = checkpoint.load_network(six / "models" / "5_GENERATOR_weights_and_arch.safetensors")
    assert_same(raw.state(), networks.generator.state())


def test_options_are_off_by_default(pictures, plain, tmp_path):
    """And said to be off, they are the same run, byte for byte."""
    off = ["--ema", 0, "--no-flip", "--no-translate", "--g-learning-rate", 0.00015]
    assert call("--data", pictures, *SIZES, *off, "--steps", 6, "--out", tmp_path / "off") == 0
    assert_equal_runs(plain, tmp_path / "off")
    assert not list((plain / "models").glob("*EMA*"))


def test_average_alone_changes_its_pictures_only(pictures, plain, tmp_path):
    out = tmp_path / "ema"
    assert call("--data", pictures, *SIZES, "--ema", 0.9, "--steps", 6, "--out", out) == 0
    with_, without = files_of(out), files_of(plain)
    differ = {name for name in without if with_[name] != without[name]}
    drawn = {f"images/{step:04d}fixed_image.png" for step in (0, 2, 4, 5)} | {"faces.png", "faces.gif"}
    assert differ == drawn | {"config.json", *(f"checkpoints/step-00000{step}.safetensors" for step in (3, 6))}
    assert with_.keys() - without.keys() == {
        f"models/{step}_GENERATOR_EMA_weights_and_arch.safetensors" for step in (2, 5)
    }


BEFORE = [-0.8371216654777527, 0.04356728121638298, 0.9619138240814209, 0.052861537784338, 850074]


def test_draws_of_other_purposes_are_those_of_before():
    """What earlier versions drew for a step; new purposes have codes of their own."""
    assert {name: PURPOSES[name] for name in ("data", "noise", "labels")} == {"data": 2, "noise": 3, "labels": 4}
    assert len(set(PURPOSES.values())) == len(PURPOSES)
    inputs = draw_inputs(np.zeros((2, 1, 1, 3), np.float32), 1337, 7)
    found = [float(a.ravel()[0]) for a in inputs[1:]] + [int(stream(1337, "data", 7).integers(0, 10**6))]
    assert found == pytest.approx(BEFORE, rel=1e-6)


def test_resumed_run_equals_an_uninterrupted_one(pictures, six, tmp_path):
    """From between two saves; from a save: below."""
    out = tmp_path / "resumed"
    assert call("--data", pictures, *SIZES, *OPTIONS, "--steps", 4, "--out", out) == 0
    assert call("--resume", out, "--steps", 6) == 0
    assert_equal_runs(six, out, checkpoints_of="000006")


def test_what_is_beyond_the_checkpoint_is_cut(pictures, six, tmp_path):
    out = tmp_path / "cut"
    assert call("--data", pictures, *SIZES, *OPTIONS, "--steps", 3, "--out", out) == 0
    (out / "models" / "5_GENERATOR_EMA_weights_and_arch.safetensors").write_bytes(b"half")
    (out / "models" / "8_GENERATOR_EMA_weights_and_arch.safetensors").write_bytes(b"from a future")
    assert call("--resume", out, "--steps", 6) == 0
    assert_equal_runs(six, out)


@pytest.mark.parametrize(
    ("option", "own"),
    [
        (["--ema", "0.99"], "0.9, got 0.99"),
        (["--ema", "0"], "0.9, got 0.0"),
        (["--no-flip"], "True, got False"),
        (["--no-translate"], "True, got False"),
        (["--g-learning-rate", "1e-4"], "0.0003, got 0.0001"),
    ],
)
def test_resumed_run_keeps_its_options(six, capsys, option, own):
    assert call("--resume", six, "--steps", 7, *option) == 2
    error = capsys.readouterr().err
    name = option[0].replace("--no-", "--")
    assert error == f"minigan: error: {name}: a resumed run keeps its own value, {own}; start a new run for another\n"


def test_runs_of_earlier_versions_have_none(plain, tmp_path):
    about = json.loads((plain / "config.json").read_text(encoding="utf-8"))
    for name in ("ema", "flip", "translate", "g_learning_rate"):
        del about["settings"][name]
    (tmp_path / "config.json").write_text(json.dumps(about), encoding="utf-8")
    assert config.read_config(tmp_path / "config.json")[0] == config.read_config(plain / "config.json")[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ema", "1"], "--ema: must be between 0 and 0.99999, got 1.0"),
        (["--ema", "-0.1"], "--ema: must be between 0 and 0.99999, got -0.1"),
        (["--ema", "nan"], "argument --ema: must be a number, got 'nan'"),
        (["--ema", "much"], "argument --ema: must be a number, got 'much'"),
        (["--ema", "٠"], "argument --ema: must be a number, got '٠'"),
        (["--ema"], "argument --ema: expected one argument"),
        (["--flip", "yes"], "unrecognized arguments: yes"),
        (["--g-learning-rate", "0"], "--g-learning-rate: must be between 1e-06 and 0.01, got 0.0"),
        (["--g-learning-rate", "inf"], "argument --g-learning-rate: must be a number, got 'inf'"),
        (["--translate=8"], "argument --translate/--no-translate: ignored explicit argument '8'"),
    ],
)
def test_bad_values(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_dry_run_tells_them(capsys):
    assert call("--dry-run", *OPTIONS) == 0
    told = capsys.readouterr().out.split()
    for name, value in (("ema", "0.9"), ("flip", "True"), ("translate", "True"), ("g_learning_rate", "0.0003")):
        assert told[told.index(name) + 1] == value


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_sample_draws_with_the_average_or_without(six, tmp_path, capsys):
    models = {
        kind: six / "models" / f"5_{kind}_weights_and_arch.safetensors" for kind in ("GENERATOR", "GENERATOR_EMA")
    }
    sources = {
        "run": [six],
        "raw": [six, "--raw"],
        "file": [models["GENERATOR_EMA"]],
        "raw file": [models["GENERATOR"]],
    }
    drawn = {}
    for name, source in sources.items():
        assert call(*source, "--n", 4, "--out", tmp_path / f"{name}.png", main=sample.main) == 0
        drawn[name] = picture(tmp_path / f"{name}.png")
    np.testing.assert_array_equal(drawn["run"], drawn["file"])
    np.testing.assert_array_equal(drawn["raw"], drawn["raw file"])
    assert not np.array_equal(drawn["run"], drawn["raw"])
    capsys.readouterr()
    assert call(models["GENERATOR"], "--raw", main=sample.main) == 2
    assert "--raw: chooses between the generators of a run" in capsys.readouterr().err


def test_sample_of_a_plain_run_knows_no_difference(plain, tmp_path):
    for name, option in (("a", []), ("b", ["--raw"])):
        assert call(plain, "--n", 4, *option, "--out", tmp_path / f"{name}.png", main=sample.main) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_evaluation_and_report_say_whose_faces_they_are(six, tmp_path, capsys):
    values = {}
    for name, option in (("ema", []), ("raw", ["--raw"])):
        (tmp_path / name).mkdir()
        assert call(six, "--samples", 64, *option, "--out", tmp_path / name, main=evaluate.main) == 0
        told = capsys.readouterr().out
        assert ("64 samples of the generator's average beside" in told) == (name == "ema")
        result = json.loads((tmp_path / name / "evaluation.json").read_text(encoding="utf-8"))
        assert result["generator"] == name
        values[name] = result["measures"]["swd"]["value"]
    assert values["ema"] != values["raw"]


def page(run, tmp_path, evaluation=None):
    copy = shutil.copytree(run, tmp_path / "copy", dirs_exist_ok=True)
    if evaluation is not None:
        measures = {"swd": {"value": 9.0, "real": 1.0, "noise": 1.0}}
        row = {"step": 6, "samples": 64, "measures": measures, **evaluation}
        (copy / "evaluation.json").write_text(json.dumps(row), encoding="utf-8")
    run_page.renew(copy)
    return (copy / "report.html").read_text(encoding="utf-8")


def test_report_says_that_the_average_draws(six, plain, tmp_path):
    told = page(six, tmp_path, {"generator": "ema"})
    assert "drawn with the average of the generator’s weights (<code>--ema 0.9</code>)" in told
    assert "64 faces after 6 steps, drawn by the generator’s average" in told
    assert "64 samples of the generator’s average after 6 steps" in told
    assert "<code>--translate</code>" in told
    assert "64 samples of the generator itself after 6 steps" in page(six, tmp_path, {"generator": "raw"})
    assert "average of the generator" not in page(plain, tmp_path, {})


def test_metrics_are_of_the_average(pictures, tmp_path, monkeypatch):
    seen = []
    plain_draw = metrics.draw_samples
    monkeypatch.setattr(metrics, "draw_samples", lambda g, *rest: (seen.append(g), plain_draw(g, *rest))[1])
    out = tmp_path / "run"
    assert call("--data", pictures, *SIZES, "--ema", 0.9, "--steps", 2, "--metrics-every", 2, "--out", out) == 0
    (drawn_by,) = seen
    tensors, _ = checkpoint.load_tensors(out / "checkpoints" / "step-000002.safetensors")
    np.testing.assert_array_equal(drawn_by.params()["0.kernel"], tensors["average.0.kernel"])
    assert not np.array_equal(tensors["average.0.kernel"], tensors["generator.0.kernel"])


def test_whole_run_on_the_device_double(pictures, six, tmp_path, double):
    out = tmp_path / "device"
    schedule = ["--sample-every", 100, "--save-every", 100]
    assert call("--data", pictures, *SIZES, *OPTIONS, *schedule, "--backend", "cupy", "--steps", 6, "--out", out) == 0
    log, expected = (np.loadtxt(run / "log.csv", delimiter=",", skiprows=1) for run in (out, six))
    np.testing.assert_allclose(log[:3], expected[:3], rtol=5e-3)
    on_device, host = (
        checkpoint.load_tensors(run / "checkpoints" / "step-000006.safetensors")[0] for run in (out, six)
    )
    assert on_device.keys() == host.keys()
    assert float(on_device["average.updates"]) == 6


@pytest.mark.thorough
def test_benchmark_of_the_options(tmp_path):
    """The script behind the table: every arm is trained, measured both ways, and kept."""
    script = ROOT / "benchmarks" / "options.py"
    command = [sys.executable, str(script), "--quick", "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]
    for _ in range(2):  # the second time it finds all runs done
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    first, second = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(tmp_path.glob("options-*.json")))
    assert first["rows"] == second["rows"]
    assert [row["arm"] for row in first["rows"]] == list(first["arms"])
    for row in first["rows"]:
        assert row["measures"]["raw"]["swd"]["value"] != row["measures"]["ema"]["swd"]["value"]
