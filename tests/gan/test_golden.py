"""minigan against numbers recorded from Keras 2.2.4 on TensorFlow 1.8: three steps, 16 images a batch.

The file holds what the original computed (losses, norms and first values of gradients and weights, moving
statistics); its inputs are regenerated here. Tolerances are those a correct float32 implementation meets: Adam's
first step is +-lr whatever the size of the gradient, so a weight whose gradient is nearly 0 may move the other way,
and a LeakyReLU may flip.
"""

import golden_replay
import numpy as np
import pytest
from places import GOLDEN

from minigan.gan.division import memory_bytes
from minigan.gan.step import build_gan
from minigan.ranks import local

FILE = GOLDEN / "keras-2.2.4-tf1.8-b16.npz"
KERAS_NAMES = {
    "D": {0: "conv2d_1", 2: "conv2d_2", 3: "batch_normalization_1", 5: "conv2d_3", 6: "batch_normalization_2",
          8: "conv2d_4", 9: "batch_normalization_3", 12: "dense_1"},
    "G": {0: "conv2d_transpose_1", 1: "batch_normalization_4", 3: "conv2d_transpose_2", 4: "batch_normalization_5",
          6: "conv2d_transpose_3", 7: "batch_normalization_6", 9: "conv2d_transpose_4", 10: "batch_normalization_7",
          12: "conv2d_5", 13: "batch_normalization_8", 15: "conv2d_transpose_5"},
}  # fmt: skip
"""Our layer number to Keras's layer name."""

BEFORE_BN = {"conv2d_2", "conv2d_3", "conv2d_4", "conv2d_transpose_1", "conv2d_transpose_2", "conv2d_transpose_3",
             "conv2d_transpose_4", "conv2d_5"}  # fmt: skip
"""Layers whose bias the next batch normalization subtracts again: its true gradient is 0, the record is rounding."""


def by_keras_names(snapshot, which):
    """State ("w") and gradients ("g") under Keras's names."""
    arrays = {}
    for kind, values in zip("wg", snapshot, strict=True):
        for path, array in values.items():
            index, weight = path.split(".")
            arrays[kind, KERAS_NAMES[which][int(index)], weight] = array
    return arrays


@pytest.fixture(scope="module")
def golden():
    with np.load(FILE, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module", params=[1, 2, pytest.param(4, marks=pytest.mark.thorough)])
def replay(request):
    """Three steps of minigan on some ranks: losses, fakes, and a snapshot of the trained network after each phase."""
    room = memory_bytes(build_gan(), request.param, golden_replay.B)
    with local.start(golden_replay.replay, (), size=request.param, memory_bytes=room, warn=pytest.fail) as ranks:
        record = golden_replay.replay(ranks)
    for phase in record:
        if phase.startswith("s"):
            record[phase] = by_keras_names(record[phase], "G" if phase.endswith("gan") else "D")
    return record


def relative(a, b):
    """Relative L2 distance of a from the recorded b."""
    return np.linalg.norm(np.asarray(a, np.float64) - b) / np.linalg.norm(np.asarray(b, np.float64))


def test_losses_of_step_0(golden, replay):
    expected = golden["metrics"][0, :, 0]
    error = np.abs(replay["losses"][0] - expected) / expected
    assert error[0] < 1e-6, error  # nothing has been updated yet
    assert error[1] < 2e-4, error  # after one Adam update
    assert error[2] < 5e-4, error  # after two


@pytest.mark.parametrize("step", [1, 2])
def test_losses_of_later_steps(golden, replay, step):
    expected = golden["metrics"][step, :, 0]
    np.testing.assert_allclose(replay["losses"][step], expected, rtol=5e-3)


@pytest.mark.parametrize(("step", "tolerance"), [(0, 1e-6), (1, 3e-2), (2, 3e-2)])
def test_inference_fakes(golden, replay, step, tolerance):
    fakes = replay["fakes"][step]
    np.testing.assert_allclose(fakes[0], golden[f"s{step}.fake0"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(fakes.mean(axis=(1, 2, 3)), golden[f"s{step}.fakemean"], rtol=0, atol=tolerance)


def test_discriminator_in_inference_mode(golden, replay):
    """Moving statistics at work: D on the reals after both updates. Step 0 is saturated and says nothing."""
    expected = golden["s1.D.pred_real"].reshape(-1)
    assert relative(replay["pred_real"][1], expected) < 5e-3


def recorded(golden, phase, kind):
    """Names of layer and weight for which a phase has a record of this kind: "gnorm", "g16", "w16" or "wnorm"."""
    which = "G" if phase.endswith("gan") else "D"
    prefix = f"{phase}.{kind}." if kind[0] == "g" else f"{phase}.{which}.{kind}."
    return [(key, *key.removeprefix(prefix).split(".")) for key in golden if key.startswith(prefix)]


@pytest.mark.parametrize("phase", ["s0.real", "s0.fake", "s0.gan"])
def test_gradients_of_step_0(golden, replay, phase):
    names = recorded(golden, phase, "g16")
    assert len(names) == (22 if phase == "s0.gan" else 16)
    for key, layer, weight in names:
        if weight == "bias" and layer in BEFORE_BN:
            continue
        if layer in ("dense_1", "conv2d_4"):
            tolerance = 1e-5
        else:
            tolerance = 2e-2 if (layer, weight) == ("conv2d_transpose_5", "bias") else 5e-3
        gradient = replay[phase]["g", layer, weight]
        assert relative(gradient.reshape(-1)[:16], golden[key]) < tolerance, key
        norm = np.linalg.norm(gradient.astype(np.float64))
        assert relative(norm, golden[key.replace(".g16.", ".gnorm.")]) < tolerance, key


@pytest.mark.parametrize("phase", ["s0.real", "s0.fake", "s0.gan"])
def test_weights_after_the_first_updates(golden, replay, phase):
    names = recorded(golden, phase, "w16")
    assert len(names) == (22 if phase == "s0.gan" else 16)
    for key, layer, weight in names:
        if weight == "bias" and layer in BEFORE_BN:
            continue
        ours = replay[phase]["w", layer, weight].reshape(-1)[:16]
        np.testing.assert_allclose(ours, golden[key], rtol=0, atol=1e-6, err_msg=key)


@pytest.mark.parametrize(("phase", "tolerance"), [("s0.real", 1e-5), ("s0.fake", 1e-3), ("s0.gan", 1e-5)])
def test_moving_statistics_of_step_0(golden, replay, phase, tolerance):
    which = "G" if phase.endswith("gan") else "D"
    keys = [key for key in golden if key.startswith(f"{phase}.{which}.") and ".moving_" in key]
    assert len(keys) == (10 if which == "G" else 6)
    for key in keys:
        layer, weight = key.split(".")[-2:]
        assert relative(replay[phase]["w", layer, weight], golden[key]) < tolerance, key
