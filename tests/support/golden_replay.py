"""Three steps of the original program, phase by phase, on any number of ranks (`tests/gan/test_golden.py`)."""

import numpy as np

from minigan.gan.division import divide
from minigan.gan.step import StepInputs, build_gan, discriminator_step, generator_step
from minigan.nn import share
from minigan.nn.ops import sigmoid_forward
from minigan.nn.original_weights import ORIGINAL_SEED
from minigan.system.workers import using_workers

B = 16


def golden_inputs() -> list[StepInputs]:
    """The three steps' inputs, drawn as the original drew them: reals apart, the rest from NumPy's global stream."""
    rs = np.random.RandomState(ORIGINAL_SEED)
    rs.randint(10**7, size=11)  # the 11 kernels' op seeds
    reals = np.random.RandomState(7)
    steps = []
    for _ in range(3):
        blocks = reals.uniform(-1, 1, (B, 8, 8, 3)).repeat(8, 1).repeat(8, 2)
        real = np.clip(blocks + 0.1 * reals.normal(size=(B, 64, 64, 3)), -1, 1)
        noise = rs.normal(0, 1, (B, 1, 1, 100))
        real_labels = 1 - 0.2 * rs.random_sample(B)
        fake_labels = 0.2 * rs.random_sample(B)
        generator_noise = rs.normal(0, 1, (B, 1, 1, 100))
        arrays = (real, noise, generator_noise, real_labels[:, None], fake_labels[:, None])
        steps.append(StepInputs(*(a.astype(np.float32) for a in arrays)))
    return steps


def replay(ranks):
    """Losses, fakes, and a snapshot of the trained network after each phase: (state, gradients) by path."""
    gan = build_gan(init="original")
    if ranks.size > 1:
        divide(gan, ranks, B)
    G, D = gan.generator, gan.discriminator
    here = ranks.share(B)
    record = {"losses": np.zeros((3, 3)), "fakes": [], "pred_real": []}

    def snapshot(network):
        state = {path: a.copy() for path, a in network.state().items()}
        return state, {path: _total(ranks, g) for path, g in network.grads().items()}

    with using_workers(1):
        for k, whole in enumerate(golden_inputs()):
            inputs = StepInputs(*(a[here] for a in whole))
            with share.having(gan.share, gan.params()):
                fakes = G.predict(inputs.noise)
                real = discriminator_step(D, gan.d_optimizer, inputs.real, inputs.real_labels)
                record[f"s{k}.real"] = snapshot(D)
                fake = discriminator_step(D, gan.d_optimizer, fakes, inputs.fake_labels)
                record[f"s{k}.fake"] = snapshot(D)
                g = generator_step(G, D, gan.g_optimizer, inputs.generator_noise, inputs.real_labels)
                record[f"s{k}.gan"] = snapshot(G)
            record["losses"][k] = _total(ranks, np.array([real.loss, fake.loss, g.loss]))
            record["fakes"].append(gan.share.gather_fakes(fakes))
            record["pred_real"].append(record_of_reals(D, whole.real))
    return record


def record_of_reals(D, real):
    """What D in inference mode says of all reals, as a probability."""
    return sigmoid_forward(D.predict(real))[0][:, 0]


def _total(ranks, a):
    """The sum of all ranks' arrays, a small part at a time."""
    flat = a.reshape(-1)
    parts = [ranks.stack(flat[i : i + 8192]).sum(axis=0) for i in range(0, flat.size, 8192)]
    return np.concatenate(parts).reshape(a.shape)
