"""Lesson 12's own exercises: soft labels, the whole training step, gauges, four suspects, six runs to diagnose.

The suspects are training steps to be watched, not read: each has one thing wrong with it, and three of the four
train without a complaint. The runs are `lessons.recorded_runs`'s.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from lessons.judging import Exercise, Mistake, Verdict, among, judge
from lessons.recorded_runs import LETTERS, runs
from minigan.evaluation.diagnosis import ACCURACY, D_MOVE, DEAD_MOVE, G_MOVE, SPREAD
from minigan.gan.step import GAN, Phase, StepInputs, build_gan, discriminator_step, draw_inputs, generator_step
from minigan.nn.losses import bce_with_logits_backward, bce_with_logits_forward
from minigan.runs import health

Step = Callable[[GAN, StepInputs], tuple[Phase, Phase, Phase, Any]]


# ---------------------------------------------------------------------------------------------------------- soft labels
def soft_labels(u: Any) -> tuple[Any, Any]:
    """Labels of the reals and of the fakes from uniform numbers (2, B, 1)."""
    return 1 - 0.2 * u[0], 0.2 * u[1]


def _label_cases(rng: np.random.Generator) -> list[tuple[Any]]:
    return [(rng.random((2, B, 1)),) for B in (1, 3, 16)] + [(np.zeros((2, 2, 1)),)]


_LABELS = Exercise(
    name="soft_labels",
    lesson=12,
    reference=soft_labels,
    cases=_label_cases,
    mistakes=(
        Mistake(lambda u: (0.2 * u[0], 1 - 0.2 * u[1]), "Real and fake are exchanged: reals are told to be near 1."),
        Mistake(
            lambda u: (1 - 0.2 * u[0], 0.2 * u[0]),
            "Both kinds of label are made from u[0]. Then a low real label always goes with a high fake one.",
        ),
        Mistake(
            lambda u: (0.8 + 0.2 * u[0], 0.2 * u[1]),
            "The same range, 0.8 to 1, but counted from its other end: the article subtracts from 1. The "
            "distribution is "
            "the same; the numbers are not, and a run could not be compared with another's.",
        ),
        Mistake(
            lambda u: (1 + 0.2 * u[0], 0.2 * u[1]),
            "Labels above 1. Cross-entropy has no meaning there: no probability can reach such a label.",
        ),
        Mistake(
            lambda u: (1 - 0.2 * u[0], -0.2 * u[1]),
            "Labels below 0. Cross-entropy has no meaning there: no probability can reach such a label.",
        ),
        Mistake(
            lambda u: (np.ones_like(u[0]), np.zeros_like(u[1])), "These are hard labels: nothing is taken off the 1."
        ),
        Mistake(
            lambda u: (0.2 * u[1], 1 - 0.2 * u[0]),
            "The two results are exchanged: the labels of the reals come first.",
        ),
        Mistake(
            lambda u: (1 - 0.2 * u[1], 0.2 * u[0]),
            "u[0] and u[1] are exchanged: u[0] belongs to the reals, u[1] to the fakes.",
        ),
        Mistake(
            lambda u: (1 - 0.2 * u[1], 0.2 * u[1]),
            "Both kinds of label are made from u[1]. Then a low real label always goes with a high fake one.",
        ),
        Mistake(
            lambda u: (1 - 0.2 * u[0], 1 - 0.2 * u[1]),
            "Fakes get labels near 1, like reals. They get a fifth of their number, near 0.",
        ),
        Mistake(
            lambda u: (1 - 0.2 * u[0], np.zeros_like(u[1])), "The labels of the fakes are hard. They are softened too."
        ),
        Mistake(lambda u: (np.ones_like(u[0]), 0.2 * u[1]), "The labels of the reals are hard. They are softened too."),
        Mistake(lambda u: (1 - 0.1 * u[0], 0.1 * u[1]), "A tenth is taken off at most; a fifth is asked for."),
        Mistake(lambda u: (1 - u[0], u[1]), "The whole number is taken off; a fifth of it is asked for."),
        Mistake(lambda u: (1 - u[0] / 0.2, u[1] / 0.2), "A fifth is 0.2 times the number, or the number divided by 5."),
        Mistake(
            lambda u: (np.full_like(u[0], 0.8), np.full_like(u[1], 0.2)),
            "A fifth for every image, whatever u says. Take a fifth of the image's own number.",
        ),
        Mistake(
            lambda u: (np.full_like(u[0], 0.9), np.full_like(u[1], 0.1)),
            "The averages, 0.9 and 0.1. The article wants a new random number for every image.",
        ),
    ),
    hints=(
        "u[0] has one number for every real image, u[1] one for every fake, all of them from 0 to 1.",
        "Take a fifth of them: that is how far a label may be from the hard one.",
        "real = 1 - 0.2 * u[0], and fake = 0.2 * u[1]: two lines, one return.",
    ),
    doc="Labels near 1 for reals and near 0 for fakes.",
)


# ------------------------------------------------------------------------------------------------------------- the step
def train_step(gan: GAN, inputs: StepInputs) -> tuple[Phase, Phase, Phase, Any]:
    """One training step in the article's order."""
    fakes = gan.generator.predict(inputs.noise)
    on_real = gan.discriminator_step(gan.discriminator, gan.d_optimizer, inputs.real, inputs.real_labels)
    on_fake = gan.discriminator_step(gan.discriminator, gan.d_optimizer, fakes, inputs.fake_labels)
    on_generator = gan.generator_step(
        gan.generator, gan.discriminator, gan.g_optimizer, inputs.generator_noise, inputs.real_labels
    )
    return on_real, on_fake, on_generator, fakes


def _loss(logits: Any, labels: Any) -> Any:
    return bce_with_logits_forward(logits, labels)[0]


def _d(gan: GAN, x: Any, labels: Any) -> Phase:
    return discriminator_step(gan.discriminator, gan.d_optimizer, x, labels)


def _g(gan: GAN, noise: Any, labels: Any) -> Phase:
    return generator_step(gan.generator, gan.discriminator, gan.g_optimizer, noise, labels)


def _fakes(gan: GAN, inputs: StepInputs) -> Any:
    return gan.generator.predict(inputs.noise)


def _looked_at(gan: GAN, x: Any, labels: Any) -> Phase:
    """D's answer without a step."""
    logits, _ = gan.discriminator.forward(x, training=True, update_stats=False)
    return Phase(_loss(logits, labels), logits)


def _in_training_mode(gan: GAN, i: StepInputs) -> Any:
    fakes, _ = gan.generator.forward(i.noise, training=True)
    return (
        _d(gan, i.real, i.real_labels),
        _d(gan, fakes, i.fake_labels),
        _g(gan, i.generator_noise, i.real_labels),
        fakes,
    )


def _in_training_mode_frozen(gan: GAN, i: StepInputs) -> Any:
    fakes, _ = gan.generator.forward(i.noise, training=True, update_stats=False)
    return (
        _d(gan, i.real, i.real_labels),
        _d(gan, fakes, i.fake_labels),
        _g(gan, i.generator_noise, i.real_labels),
        fakes,
    )


def _same_noise(gan: GAN, i: StepInputs) -> Any:
    fakes = _fakes(gan, i)
    return _d(gan, i.real, i.real_labels), _d(gan, fakes, i.fake_labels), _g(gan, i.noise, i.real_labels), fakes


def _noises_exchanged(gan: GAN, i: StepInputs) -> Any:
    fakes = gan.generator.predict(i.generator_noise)
    return _d(gan, i.real, i.real_labels), _d(gan, fakes, i.fake_labels), _g(gan, i.noise, i.real_labels), fakes


def _fake_labels_for_g(gan: GAN, i: StepInputs) -> Any:
    fakes = _fakes(gan, i)
    return (
        _d(gan, i.real, i.real_labels),
        _d(gan, fakes, i.fake_labels),
        _g(gan, i.generator_noise, i.fake_labels),
        fakes,
    )


def _hard_labels_for_g(gan: GAN, i: StepInputs) -> Any:
    fakes, ones = _fakes(gan, i), np.ones_like(i.real_labels)
    return _d(gan, i.real, i.real_labels), _d(gan, fakes, i.fake_labels), _g(gan, i.generator_noise, ones), fakes


def _one_batch(gan: GAN, i: StepInputs) -> Any:
    fakes, B = _fakes(gan, i), len(i.real)
    both = _d(gan, np.concatenate([i.real, fakes]), np.concatenate([i.real_labels, i.fake_labels]))
    on_real = Phase(_loss(both.logits[:B], i.real_labels), both.logits[:B])
    on_fake = Phase(_loss(both.logits[B:], i.fake_labels), both.logits[B:])
    return on_real, on_fake, _g(gan, i.generator_noise, i.real_labels), fakes


def _fakes_first(gan: GAN, i: StepInputs) -> Any:
    fakes = _fakes(gan, i)
    on_fake = _d(gan, fakes, i.fake_labels)
    return _d(gan, i.real, i.real_labels), on_fake, _g(gan, i.generator_noise, i.real_labels), fakes


def _generator_first(gan: GAN, i: StepInputs) -> Any:
    on_generator, fakes = _g(gan, i.generator_noise, i.real_labels), _fakes(gan, i)
    return _d(gan, i.real, i.real_labels), _d(gan, fakes, i.fake_labels), on_generator, fakes


def _fakes_of_the_other_noise(gan: GAN, i: StepInputs) -> Any:
    fakes = gan.generator.predict(i.generator_noise)
    on_real = _d(gan, i.real, i.real_labels)
    return on_real, _d(gan, fakes, i.fake_labels), _g(gan, i.generator_noise, i.real_labels), fakes


def _reals_called_fake(gan: GAN, i: StepInputs) -> Any:
    fakes, on_real = _fakes(gan, i), _d(gan, i.real, i.fake_labels)
    return on_real, _d(gan, fakes, i.fake_labels), _g(gan, i.generator_noise, i.real_labels), fakes


def _reals_for_fakes(gan: GAN, i: StepInputs) -> Any:
    fakes, on_real = _fakes(gan, i), _d(gan, i.real, i.real_labels)
    return on_real, _d(gan, i.real, i.fake_labels), _g(gan, i.generator_noise, i.real_labels), fakes


def _hard_labels_for_reals(gan: GAN, i: StepInputs) -> Any:
    fakes, on_real = _fakes(gan, i), _d(gan, i.real, np.ones_like(i.real_labels))
    return on_real, _d(gan, fakes, i.fake_labels), _g(gan, i.generator_noise, i.real_labels), fakes


def _hard_labels_for_d(gan: GAN, i: StepInputs) -> Any:
    fakes, on_real = _fakes(gan, i), _d(gan, i.real, np.ones_like(i.real_labels))
    return on_real, _d(gan, fakes, np.zeros_like(i.fake_labels)), _g(gan, i.generator_noise, i.real_labels), fakes


def _fakes_anew(gan: GAN, i: StepInputs) -> Any:
    return *train_step(gan, i)[:3], _fakes(gan, i)


def _fakes_before_generator_first(gan: GAN, i: StepInputs) -> Any:
    fakes = _fakes(gan, i)
    on_generator = _g(gan, i.generator_noise, i.real_labels)
    return _d(gan, i.real, i.real_labels), _d(gan, fakes, i.fake_labels), on_generator, fakes


def _labels_exchanged(gan: GAN, i: StepInputs) -> Any:
    fakes = _fakes(gan, i)
    return (
        _d(gan, i.real, i.fake_labels),
        _d(gan, fakes, i.real_labels),
        _g(gan, i.generator_noise, i.real_labels),
        fakes,
    )


def _fakes_called_real(gan: GAN, i: StepInputs) -> Any:
    fakes = _fakes(gan, i)
    return (
        _d(gan, i.real, i.real_labels),
        _d(gan, fakes, i.real_labels),
        _g(gan, i.generator_noise, i.real_labels),
        fakes,
    )


def _no_step_on_fakes(gan: GAN, i: StepInputs) -> Any:
    fakes = _fakes(gan, i)
    on_real = _d(gan, i.real, i.real_labels)
    return on_real, _looked_at(gan, fakes, i.fake_labels), _g(gan, i.generator_noise, i.real_labels), fakes


def _not_zeroed(gan: GAN, i: StepInputs) -> Any:
    def step(x: Any, labels: Any) -> Phase:
        logits, caches = gan.discriminator.forward(x, training=True)
        loss, cache = bce_with_logits_forward(logits, labels)
        gan.discriminator.backward(bce_with_logits_backward(1.0, cache), caches)
        gan.d_optimizer.step(gan.discriminator.grads())
        return Phase(loss, logits)

    fakes = _fakes(gan, i)
    return step(i.real, i.real_labels), step(fakes, i.fake_labels), _g(gan, i.generator_noise, i.real_labels), fakes


_WRONG_STEPS: tuple[tuple[Step, str], ...] = (
    (
        _in_training_mode,
        "The fakes for D are made in training mode: that moves G's moving statistics a second time, and gives each "
        "fake "
        "statistics that depend on its neighbours. The first phase of the table is inference: G.predict(noise).",
    ),
    (
        _in_training_mode_frozen,
        "The fakes for D are normalised with the batch's statistics. The first phase of the table is inference, with "
        "the "
        "moving ones: G.predict(noise).",
    ),
    (
        _same_noise,
        "G's step uses the noise whose fakes D has just been trained on. The article draws fresh noise for it: "
        "inputs.generator_noise.",
    ),
    (
        _noises_exchanged,
        "The two noises are exchanged: inputs.noise makes the fakes for D, generator_noise is for G's step.",
    ),
    (
        _fake_labels_for_g,
        "G's step uses the labels of fakes. So G learns to be recognised: its loss falls nicely, and its images "
        "stay bad. "
        "Give it the labels of real images.",
    ),
    (
        _hard_labels_for_g,
        "G's step uses labels of exactly 1. The article gives it the soft labels of this step's real images.",
    ),
    (
        _one_batch,
        "Reals and fakes go through D in one batch. Batch normalisation then sees both kinds at once, and in G's step, "
        "where there are only fakes, D answers quite differently. Two steps, each on one kind.",
    ),
    (
        _fakes_of_the_other_noise,
        "The fakes for D are made of generator_noise, which is for G's step. Those for D are made of inputs.noise.",
    ),
    (_reals_called_fake, "D is told that the reals are fake. Its first step needs inputs.real_labels."),
    (_reals_for_fakes, "D's second step is shown the reals again, as fakes. It needs the fakes that you have made."),
    (
        _hard_labels_for_reals,
        "D's step on reals uses labels of exactly 1. The article gives it soft ones: inputs.real_labels.",
    ),
    (
        _hard_labels_for_d,
        "D's steps use labels of exactly 1 and 0. The article gives it soft ones: inputs.real_labels, "
        "inputs.fake_labels.",
    ),
    (_fakes_anew, "The step is right, but the fakes that are returned are made anew, by G after its step."),
    (_fakes_first, "D is trained on the fakes first and on the reals after. The article's order is reals, then fakes."),
    (
        _generator_first,
        "G takes its step before D does, so D is shown fakes of the new G. The order is: make fakes, D on reals, D on "
        "fakes, G.",
    ),
    (
        _fakes_before_generator_first,
        "G takes its step before D does. The order is: make fakes, D on reals, D on fakes, G.",
    ),
    (_labels_exchanged, "D is told that reals are fake and fakes real: the labels of the two steps are exchanged."),
    (_fakes_called_real, "D is told that the fakes are real. Its second step needs inputs.fake_labels."),
    (_no_step_on_fakes, "D takes no step on the fakes: it learns to say yes to everything."),
    (_not_zeroed, "D's gradients of earlier steps are still there: D.zero_grads() before each D.backward."),
)


def _trial(step: Step) -> tuple[list[Any], GAN, bool]:
    """Two steps on tiny networks: what was returned, the networks after it, and whether the inputs are as they were."""
    gan = build_gan(image_size=32, width=2, seed=12)
    rng = np.random.default_rng(12)
    returned, untouched = [], True
    for number in range(2):
        inputs = draw_inputs(rng.uniform(-1, 1, (5, 32, 32, 3)).astype(np.float32), 12, number)
        kept = copy.deepcopy(inputs)
        returned.append(step(gan, inputs))
        untouched &= all(map(np.array_equal, kept, inputs))
    return returned, gan, untouched


def _numbers(returned: list[Any], gan: GAN) -> dict[str, Any]:
    """The numbers that two equal training steps have in common.

    Biases before a batch normalisation are left out: their gradient is 0 except for rounding errors, and Adam makes
    full steps of these.
    """
    found: dict[str, Any] = {}
    for (on_real, on_fake, on_generator, fakes), when in zip(returned, ("", ", second time"), strict=True):
        found[f"the fakes{when}"] = np.asarray(fakes)
        for name, phase in (("D's step on reals", on_real), ("D's step on fakes", on_fake), ("G's step", on_generator)):
            found[name + when] = np.append(np.asarray(phase.loss), np.asarray(phase.logits))
    for network, label in ((gan.discriminator, "D"), (gan.generator, "G")):
        for path, array in network.state().items():
            if not path.endswith(".bias"):
                found[f"{label}'s {path}"] = array
    found["the number of D's updates"] = np.asarray(gan.d_optimizer.t)
    found["the number of G's updates"] = np.asarray(gan.g_optimizer.t)
    return found


@cache
def _expected(step: Step) -> dict[str, Any]:
    """The numbers of a step that is known."""
    returned, gan, _ = _trial(step)
    return _numbers(returned, gan)


def _differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return [
        name
        for name in b
        if np.shape(a[name]) != np.shape(b[name]) or not np.allclose(a[name], b[name], rtol=1e-3, atol=2e-5)
    ]


def _judge_step(step: Any) -> Verdict:
    name = getattr(step, "__name__", "train_step")
    returned, gan, untouched = _trial(_checked(step))
    if not untouched:
        return Verdict.wrong(f"{name} modifies its inputs", code="E20", where=name)
    right, mine = _expected(train_step), _numbers(returned, gan)
    wrong = _differences(mine, right)
    if not wrong:
        return Verdict.ok("two steps on small networks: losses, fakes, weights, moving statistics")
    cause = next((why for bad, why in _WRONG_STEPS if not _differences(mine, _expected(bad))), "")
    return Verdict.wrong(f"{name}: {_first_sign(wrong, mine)}", *_signs(wrong), cause=cause, code="E80", where=name)


def _checked(step: Any) -> Step:
    """The step, but for a result of another form, which is told in plain words."""

    def checked(gan: GAN, inputs: StepInputs) -> Any:
        result = step(gan, inputs)
        if (
            not isinstance(result, tuple | list)
            or len(result) != 4
            or not all(hasattr(phase, "logits") for phase in result[:3])
        ):
            raise _FormError(
                "return (on_real, on_fake, on_generator, fakes): what the three steps returned, and the fakes that D "
                "saw"
            )
        if np.shape(result[3]) != inputs.real.shape:
            raise _FormError(f"the fakes must have the shape {inputs.real.shape}, got {np.shape(result[3])}")
        return result

    return checked


class _FormError(Exception):
    """A training step returns something else than it should."""


def _judge_train_step(step: Any) -> Verdict:
    try:
        return _judge_step(step)
    except _FormError as error:
        return Verdict.wrong(f"{getattr(step, '__name__', 'train_step')} returns something else: {error}", code="E11")


def _first_sign(wrong: list[str], mine: dict[str, Any]) -> str:
    updates = {name: int(mine[f"the number of {name}'s updates"]) for name in "DG"}
    for name, expected in (("D", 4), ("G", 2)):
        if updates[name] != expected:
            return f"in two training steps {name} is updated {updates[name]} times, expected {expected}"
    if wrong[0].startswith("the fakes"):
        return "the fakes are not those of the article's step"
    return (
        f"{wrong[0]} is not as in the article" if "step" in wrong[0] else "the weights after it are not the article's"
    )


def _signs(wrong: list[str]) -> list[str]:
    phases = [name for name in ("the fakes", "D's step on reals", "D's step on fakes", "G's step") if name in wrong]
    told = [
        f"loss or logits differ, in the first step, in: {', '.join(phases)}" if phases else "the first losses are right"
    ]
    for network in "DG":
        own = [name for name in wrong if name.startswith(f"{network}'s ") and "step" not in name]
        moving = [name for name in own if ".moving_" in name]
        if own:
            told.append(
                f"after two steps {len(own)} arrays of {network} differ, {len(moving)} of them moving statistics"
            )
    return told


_STEP = Exercise(
    name="train_step",
    lesson=12,
    judge=_judge_train_step,
    hints=(
        "Follow the table from the top. Each row is one line of code.",
        "Fakes: gan.generator.predict(inputs.noise). Then gan.discriminator_step twice, on one kind of image each, and "
        "gan.generator_step with generator_noise and the labels of reals.",
        "on_fake = gan.discriminator_step(gan.discriminator, gan.d_optimizer, fakes, inputs.fake_labels); the one for "
        "reals is alike. on_generator = gan.generator_step(gan.generator, gan.discriminator, gan.g_optimizer, "
        "inputs.generator_noise, inputs.real_labels).",
    ),
    doc="One training step of minigan, in the article's order.",
)


# --------------------------------------------------------------------------------------------------------------- gauges
def read_logits(real_logits: Any, fake_logits: Any) -> tuple[float, float, float]:
    """Mean D(x), mean D(G(z)), and the share of images on the right side of 0.5."""
    d_x, d_g_z = (float(_sigmoid(z).mean()) for z in (real_logits, fake_logits))
    right = np.concatenate([real_logits.ravel() > 0, fake_logits.ravel() < 0])
    return d_x, d_g_z, float(right.mean())


def _sigmoid(z: Any) -> Any:
    return 0.5 * np.tanh(0.5 * z) + 0.5


def _logit_cases(rng: np.random.Generator) -> list[tuple[Any, Any]]:
    cases = [(rng.normal(1, 2, (B, 1)), rng.normal(-1, 2, (B, 1))) for B in (16, 7, 3)]
    return [*cases, (np.array([[900.0], [-900.0], [1.0]]), np.array([[-900.0], [900.0], [0.5]]))]


_LOGITS_ON_CASES = Exercise(
    name="read_logits",
    lesson=12,
    reference=read_logits,
    cases=_logit_cases,
    tolerance=1e-6,
    mistakes=(
        Mistake(
            lambda r, f: (_sigmoid(r.mean()), _sigmoid(f.mean()), read_logits(r, f)[2]),
            "The sigmoid of the mean logit is not the mean of the sigmoids: a bent curve does not keep averages.",
        ),
        Mistake(
            lambda r, f: (_sigmoid(r.mean()), *read_logits(r, f)[1:]),
            "D(x) is the sigmoid of the mean logit, which is not the mean of the sigmoids: a bent curve does not keep "
            "averages.",
        ),
        Mistake(
            lambda r, f: (read_logits(r, f)[0], _sigmoid(f.mean()), read_logits(r, f)[2]),
            "D(G(z)) is the sigmoid of the mean logit, which is not the mean of the sigmoids: a bent curve does "
            "not keep "
            "averages.",
        ),
        Mistake(
            lambda r, f: (r.mean(), f.mean(), read_logits(r, f)[2]), "These are mean logits. D(x) is a probability."
        ),
        Mistake(
            lambda r, f: (np.tanh(r).mean(), np.tanh(f).mean(), read_logits(r, f)[2]),
            "tanh goes from -1 to 1. The sigmoid is 0.5 * tanh(z / 2) + 0.5.",
        ),
        Mistake(
            lambda r, f: (_sigmoid(-r).mean(), _sigmoid(-f).mean(), read_logits(r, f)[2]),
            "The sign of the logits is turned: these are the probabilities of fake.",
        ),
        Mistake(
            lambda r, f: [read_logits(r, f)[k] for k in (1, 0, 2)],
            "The first two are exchanged: D(x), of the reals, comes first.",
        ),
        Mistake(
            lambda r, f: [read_logits(r, f)[k] for k in (2, 0, 1)],
            "The accuracy stands first. Asked for are D(x), D(G(z)), accuracy, in this order.",
        ),
        Mistake(
            lambda r, f: (*read_logits(r, f)[:2], read_logits(r, f)[2] * (r.size + f.size)),
            "The accuracy is a count. A share is asked for: divide by the number of all images.",
        ),
        Mistake(
            lambda r, f: (*read_logits(r, f)[:2], 100 * read_logits(r, f)[2]),
            "The accuracy is in percent. A share is asked for, from 0 to 1.",
        ),
        Mistake(
            lambda r, f: (*read_logits(r, f)[:2], (f < 0).mean()),
            "The accuracy counts the fakes only. A D that says no to everything would have 100 %.",
        ),
        Mistake(
            lambda r, f: (*read_logits(r, f)[:2], (r > 0).mean()),
            "The accuracy counts the reals only. A D that says yes to everything would have 100 %.",
        ),
        Mistake(
            lambda r, f: (*read_logits(r, f)[:2], 0.5 * ((r > 0).mean() + (f > 0).mean())),
            "For a fake, right means *below* 0.5. You count the fakes that fool D.",
        ),
        Mistake(
            lambda r, f: (*read_logits(r, f)[:2], 0.5 * ((r > 0.5).mean() + (f < 0.5).mean())),
            "Logits are compared with 0.5. A probability of 0.5 is a logit of 0.",
        ),
        Mistake(
            lambda r, f: (_sigmoid(r).mean(), 1 - _sigmoid(f).mean(), read_logits(r, f)[2]),
            "That is how sure D is of the fakes, 1 - D(G(z)). The gauge is D(G(z)) itself: near 0 when D sees "
            "through them.",
        ),
    ),
    hints=(
        "Three numbers. The first two are means of probabilities, so the sigmoid comes before the mean.",
        "sigmoid(z) = 1 / (1 + exp(-z)) overflows for z = -900; 0.5 * tanh(z / 2) + 0.5 is the same and does not.",
        "d_x = (0.5 * np.tanh(real_logits / 2) + 0.5).mean(), d_g_z alike; "
        "accuracy = 0.5 * ((real_logits > 0).mean() + (fake_logits < 0).mean()).",
    ),
    doc="Mean D(x), mean D(G(z)), accuracy.",
)


def _judge_logits(function: Any) -> Verdict:
    """The numbers first; then whether they come about without an overflow, which the numbers do not show."""
    verdict = judge(_LOGITS_ON_CASES, [function])
    if not verdict.passed:
        return verdict
    name = getattr(function, "__name__", "read_logits")
    try:
        with np.errstate(over="raise", invalid="raise"):
            function(np.array([[-900.0], [900.0]]), np.array([[-900.0], [900.0]]))
    except FloatingPointError as error:
        return Verdict.wrong(
            f"{name}: the numbers are right, but a logit of -900 or 900 overflows on the way",
            f"NumPy says: {error}",
            cause="exp(900) is infinite. The result is right only because 1 / infinity is 0; infinity / infinity, "
            "in another way of writing it, is NaN. 0.5 * tanh(z / 2) + 0.5 is the same function and never overflows.",
            code="E30",
            where=name,
        )
    return verdict


_LOGITS = replace(_LOGITS_ON_CASES, reference=None, cases=None, judge=_judge_logits)


def spread(images: Any) -> float:
    """How far apart two images of a batch are, by minigan's vitals."""
    return float(health.spread(images))


def _pairs(images: Any) -> Iterator[float]:
    for i in range(len(images)):
        for j in range(i):
            yield float(((images[i] - images[j]) ** 2).mean())


def _spread_cases(rng: np.random.Generator) -> list[tuple[Any]]:
    cases = [(rng.normal(0.3, s, (N, H, W, 3)),) for N, H, W, s in ((2, 2, 3, 1.0), (5, 4, 3, 0.3), (3, 5, 2, 2.0))]
    level = rng.normal(0, 1, (4, 1, 1, 3)) + np.zeros((4, 3, 2, 3))
    return [*cases, (level,), (np.ones((3, 2, 4, 3)),)]


_SPREAD = Exercise(
    name="spread",
    lesson=12,
    reference=spread,
    cases=_spread_cases,
    tolerance=1e-6,
    mistakes=(
        Mistake(
            lambda x: math.sqrt(2 * x.var(axis=0).mean()),
            "The variance divides by N, but an image has only N - 1 others: pairs of an image with itself, which are "
            "always 0 apart, are in your mean. ddof=1 leaves them out.",
        ),
        Mistake(
            lambda x: math.sqrt(x.var(axis=0, ddof=1).mean()),
            "The factor 2 is missing: two independent images differ twice as much (squared) as one does from the mean.",
        ),
        Mistake(
            lambda x: x.std(axis=0, ddof=1).mean() * math.sqrt(2),
            "The root is taken pixel by pixel, and then the mean. The mean of the squares comes first, one root at "
            "the end.",
        ),
        Mistake(
            lambda x: float(np.mean([math.sqrt(d) for d in _pairs(x)])),
            "The root is taken for every pair, and then the mean. The mean of the squares comes first, one root at "
            "the end.",
        ),
        Mistake(
            lambda x: math.sqrt(2 * x.var(ddof=1)),
            "That is the variance over all pixels of all images together: bright and dark places inside one image "
            "count as differences between images. Compare pixel by pixel: axis=0.",
        ),
        Mistake(
            lambda x: math.sqrt(2 * len(x) / (len(x) - 1) * x.var()),
            "That is the variance over all pixels of all images together: bright and dark places inside one image "
            "count as differences between images. Compare pixel by pixel: axis=0.",
        ),
        Mistake(
            lambda x: math.sqrt(x.var(axis=0).mean()),
            "This is the distance of an image from the mean image. Two images are farther apart: twice the variance, "
            "with N - 1 below (ddof=1).",
        ),
        Mistake(lambda x: 2 * x.var(axis=0, ddof=1).mean(), "The root is missing: this is in squared units."),
        Mistake(
            lambda x: math.sqrt(((x[1:] - x[:-1]) ** 2).mean()),
            "Only neighbours in the batch are compared. Every image is to be compared with every other.",
        ),
        Mistake(
            lambda x: math.sqrt(((x[1:] - x[0]) ** 2).mean()),
            "Only the first image is compared with the others. Every image is to be compared with every other.",
        ),
        Mistake(
            lambda x: math.sqrt(2 * x.var(axis=0, ddof=1).sum()),
            "The squares are added up over the pixels. Their mean is asked for, or large images would have "
            "large spreads.",
        ),
        Mistake(
            lambda x: x.std(axis=0).mean(),
            "That is the mean deviation from the mean image. The mean square over pairs is twice a variance "
            "with N - 1, and "
            "the root comes last.",
        ),
        Mistake(
            lambda x: float(np.mean([abs(x[i] - x[j]).mean() for i in range(len(x)) for j in range(i)])),
            "That is the mean *absolute* difference; asked for is the root of the mean square.",
        ),
    ),
    hints=(
        "Two loops over pairs are right, and slow. The derivation above turns the mean over all pairs into a variance.",
        "Pixel by pixel: the variance over the images, axis=0, with N - 1 below (ddof=1). Twice its mean, then the "
        "root.",
        "return np.sqrt(2 * images.var(axis=0, ddof=1).mean())",
    ),
    doc="Root of the mean squared difference of two images.",
)


def move(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """How far a step moved a weight: the root of the mean square over all weights of a network."""
    squares = sum(float(((after[name] - a) ** 2).sum()) for name, a in before.items())
    return math.sqrt(squares / sum(a.size for a in before.values()))


def _move_cases(rng: np.random.Generator) -> list[tuple[Any, Any]]:
    def network(scale: float) -> dict[str, Any]:
        return {
            "0.kernel": rng.normal(0, scale, (4, 4, 3, 2)),
            "0.bias": rng.normal(0, scale, 2),
            "1.gamma": rng.normal(0, scale, 7),
        }

    cases = []
    for scale in (1e-4, 1.0, 0.0):
        before, step = network(0.05), network(scale)
        cases.append((before, {name: a + step[name] for name, a in before.items()}))
    return cases


def _root(x: Any) -> float:
    return float(np.sqrt(x))


_MOVE = Exercise(
    name="move",
    lesson=12,
    reference=move,
    cases=_move_cases,
    tolerance=1e-6,
    mistakes=(
        Mistake(
            lambda b, a: float(np.mean([_root(((a[k] - b[k]) ** 2).mean()) for k in b])),
            "Every array counts the same here, a bias of two numbers as much as a kernel of a million. Every *weight* "
            "should count the same: add up all squares, then divide by the number of all weights.",
        ),
        Mistake(
            lambda b, a: _root(np.mean([((a[k] - b[k]) ** 2).mean() for k in b])),
            "Every array counts the same here, a bias of two numbers as much as a kernel of a million. Every *weight* "
            "should count the same: add up all squares, then divide by the number of all weights.",
        ),
        Mistake(lambda b, a: move(b, a) ** 2, "The root is missing: this is in squared units."),
        Mistake(
            lambda b, a: abs(sum((a[k] - b[k]).sum() for k in b)) / sum(v.size for v in b.values()),
            "Steps up and steps down cancel in a plain mean: square them first.",
        ),
        Mistake(
            lambda b, a: sum(abs(a[k] - b[k]).sum() for k in b) / sum(v.size for v in b.values()),
            "That is the mean absolute step; asked for is the root of the mean square.",
        ),
        Mistake(
            lambda b, a: _root(sum(((a[k] - b[k]) ** 2).sum() for k in b) / len(b)),
            "The squares are divided by the number of arrays. Divide by the number of all weights.",
        ),
        Mistake(
            lambda b, a: _root(sum(((a[k] - b[k]) ** 2).sum() for k in b)) / sum(v.size for v in b.values()),
            "The root is taken before the division. Divide first: the root of a mean of squares is asked for.",
        ),
        Mistake(
            lambda b, a: _root(sum(((a[k] - b[k]) ** 2).sum() for k in b) / sum(len(v) for v in b.values())),
            "len of a kernel is its first axis only. The number of its weights is kernel.size.",
        ),
        Mistake(
            lambda b, a: max(np.abs(a[k] - b[k]).max() for k in b),
            "That is the largest step of any weight. Asked for is the root of the mean square over all.",
        ),
        Mistake(
            lambda b, a: _root(sum((a[k] ** 2 - b[k] ** 2).sum() for k in b) / sum(v.size for v in b.values())),
            "That is the difference of the squares. The square of the difference is asked for.",
        ),
        Mistake(
            lambda b, a: _root(sum((((a[k] - b[k]) / b[k]) ** 2).sum() for k in b) / sum(v.size for v in b.values())),
            "Each step is divided by its weight. The steps themselves are asked for.",
        ),
        Mistake(
            lambda b, a: _root(sum(((a[k] - b[k]) ** 2).sum() for k in b)),
            "The length of the whole step. It grows with the number of weights, so networks could not be compared: "
            "divide "
            "by the number of weights before the root.",
        ),
    ),
    hints=(
        "Two sums over all arrays: one of squared differences, one of sizes.",
        "sum(((after[name] - before[name]) ** 2).sum() for name in before) is the first.",
        "return np.sqrt(squares / sum(a.size for a in before.values()))",
    ),
    doc="Root of the mean squared change of a weight.",
)


# ------------------------------------------------------------------------------------------------------------- suspects
SUSPECTS: dict[str, Step] = {
    "one": _one_batch,
    "two": _not_zeroed,
    "three": _fake_labels_for_g,
    "four": _no_step_on_fakes,
}
"""Training steps with one thing wrong: call them, do not read them."""

_GUILTY = {
    "one": "reals and fakes in one batch",
    "two": "gradients not zeroed",
    "three": "G gets the labels of fakes",
    "four": "D takes no step on fakes",
}
SUSPECT_CAUSES = (
    *sorted(_GUILTY.values()),
    "D gets the labels exchanged",
    "G takes no step",
    "the same noise in every step",
)

_GAUGE_OF_SUSPECT = {
    "one": "compare two readings of the same thing: D(G(z)) in D's own step and D(G(z)) in G's step. Why would D "
    "know a "
    "fake in one and not in the other? What is different about the batch?",
    "two": "the losses are nearly normal. Look at how far D's weights move, beside the first row.",
    "three": "look at G's loss. A G that wants to be taken for real, and is not, has a loss near 2.1. Whose loss is at "
    "the floor of 0.325?",
    "four": "look at D fake and at the accuracy: 50 % with D(x) near 0.9 means that D says yes to everything.",
}


def _judge_suspects(answers: Any) -> Verdict:
    return answers_verdict(
        answers,
        _GUILTY,
        SUSPECT_CAUSES,
        lambda name, claim: f"{name} is not “{claim}”: {_GAUGE_OF_SUSPECT[name]}",
        "all four, by their gauges alone",
    )


def answers_verdict(
    answers: Any,
    truth: Mapping[str, str],
    choices: tuple[str, ...],
    objection: Callable[[str, str], str],
    done: str,
    more: Callable[[Mapping[str, str | None]], list[str]] = lambda answers: [],
) -> Verdict:
    """Judge names given to suspects: count the right ones, and point at the evidence against a wrong one.

    Parameters
    ----------
    answers : dict of str to str or None
        By suspect; None is not answered yet.
    truth : mapping of str to str
    choices : tuple of str
        All answers there are to choose from.
    objection : callable
        Suspect and wrong answer to a line that says why not.
    done : str
        What to say when all is right.
    more : callable
        Further lines of evidence where something is wrong.

    Returns
    -------
    Verdict
    """
    problem = _form(answers, truth, choices)
    if problem:
        return problem
    wrong = [name for name in truth if answers.get(name) is not None and answers[name] != truth[name]]
    missing = [name for name in truth if answers.get(name) is None]
    if wrong:
        evidence = [objection(name, answers[name]) for name in wrong]
        return Verdict.wrong(_score(len(truth), wrong, missing), *evidence, *more(answers))
    if missing:
        return Verdict.not_yet(f"right so far; not answered yet: {', '.join(missing)}")
    return Verdict.ok(done)


def _form(answers: Any, known: Mapping[str, Any], choices: tuple[str, ...]) -> Verdict | None:
    """What is wrong with the form of an answer; not_yet if there is none at all."""
    if not isinstance(answers, dict):
        return Verdict.wrong(
            f"the answer must be a dict, such as {{{next(iter(known))!r}: {choices[0]!r}}}", code="E12"
        )
    unknown = [name for name in answers if name not in known]
    if unknown:
        return Verdict.wrong(f"{unknown[0]!r} is not one of {', '.join(known)}", code="E12")
    odd = [one for one in answers.values() if one is not None and not among(one, choices)]
    if odd:
        return Verdict.wrong(
            f"{odd[0]!r} is no answer to choose from", f"choose from: {'; '.join(choices)}", code="E12"
        )
    if all(one is None for one in answers.values()):
        return Verdict.not_yet("not answered yet")
    return None


def _score(count: int, wrong: list[str], missing: list[str]) -> str:
    open_ = f", {len(missing)} not answered" if missing else ""
    return f"{count - len(wrong) - len(missing)} of {count} are right, {len(wrong)} not{open_}"


_SUSPECTS = Exercise(
    name="suspects",
    lesson=12,
    judge=_judge_suspects,
    hints=(
        "Go along each row and compare it with the first, the right step. One number stands out in each.",
        "Ask which network is content. One with a loss at the floor of 0.325 has reached what it was told to reach.",
        "Stands out: in one, G's reading of D(G(z)); in two, D's move; in three, G's loss; in four, the accuracy.",
    ),
    doc="What is wrong with four training steps, by their gauges.",
)


# ------------------------------------------------------------------------------------------------------------- diagnose
CAUSES = ("normal", "discriminator-too-strong", "generator-dead", "mode-collapse", "exploding", "data-range")
"""What the six recorded runs are, one each; all but the first are `minigan.evaluation.diagnosis.CODES`."""

_TRUTH = dict(
    zip(
        LETTERS,
        ("generator-dead", "mode-collapse", "normal", "data-range", "discriminator-too-strong", "exploding"),
        strict=True,
    )
)


def is_right(letter: str, name: str | None) -> bool:
    """Whether a recorded run has this name."""
    return name is not None and _TRUTH.get(letter) == name


def _judge_diagnosis(answers: Any) -> Verdict:
    return answers_verdict(
        answers,
        _TRUTH,
        CAUSES,
        lambda letter, claim: f"{letter} is not {claim}: {_against(letter, claim)}",
        "all six",
        _given_twice,
    )


def _given_twice(answers: Mapping[str, str | None]) -> list[str]:
    given = [name for name in answers.values() if name is not None]
    twice = sorted({name for name in given if given.count(name) > 1})
    return [f"every name fits one run only, and {', '.join(twice)} is given more than once"] if twice else []


def _against(letter: str, claim: str) -> str:
    """Why a run is not what somebody took it for, and which gauge tells what it is."""
    g = runs()[letter].gauges()
    share = 100 * g["fake_spread"] / g["real_spread"]
    g_moves, d_moves = (f"{name}'s weights move {g[f'{name.lower()}_move']:.1e} a step" for name in "GD")
    objections = {
        "normal": "one gauge is far out of its band.",
        "discriminator-too-strong": f"{d_moves} (normal {_band(D_MOVE)}): D is no faster than it should be.",
        "generator-dead": f"{g_moves}: it does change. Bad faces are no proof of a dead G.",
        "mode-collapse": f"two fakes are {share:.0f} % as far apart as two real images: no collapse (below "
        f"{100 * SPREAD:.0f} %).",
        "exploding": f"{g_moves} (normal {_band(G_MOVE)}), {d_moves} (normal {_band(D_MOVE)}): not both are too large, "
        "and neither of them has taken a leap that ended all learning.",
        "data-range": f"its real pixels lie between {g['real_low']:.2f} and {g['real_high']:.2f}, as they should.",
    }
    if claim == "generator-dead" and g["g_move"] < DEAD_MOVE:
        objections[claim] = "G does not move, true, but neither does D, which once took a leap. What explains both?"
    return f"{objections[claim]} {_POINTER[_TRUTH[letter]]}"


_POINTER = {
    "normal": "Go through the gauges one by one: which is out of its band at all?",
    "discriminator-too-strong": "The gauge that tells: the moves of the two networks, one beside the other.",
    "generator-dead": "The gauge that tells: G's move. Its losses look better than a healthy run's; why might they?",
    "mode-collapse": "The gauge that tells: the spread of the fakes, beside that of the real images.",
    "exploding": "The gauges that tell: the losses themselves, and the largest move of D.",
    "data-range": "The gauge that tells: the smallest and the largest pixel that D is shown as real.",
}


def _band(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.0e} to {limits[1]:.0e}"


_DIAGNOSE = Exercise(
    name="diagnose",
    lesson=12,
    judge=_judge_diagnosis,
    hints=(
        "Do not start with the losses: four of the six look healthy. Start with the table, and cross out.",
        f"In this order: are the pixels in -1 to 1? Does each network move (below {DEAD_MOVE:.0e} it is dead), and "
        f"has one "
        f"ever leapt? Does one move too far? Are the fakes as varied as the reals? Is D right about more than "
        f"{100 * ACCURACY:.0f} %?",
        "One run shows D pixels from 0 to 1. In one G does not move and D does. In one neither moves, after a leap. "
        "In one "
        "D alone moves too far. One has fakes with hardly any spread. The last one has nothing.",
    ),
    doc="Which of six recorded runs suffers from what.",
)

EXERCISES = (_LABELS, _STEP, _LOGITS, _SPREAD, _MOVE, _SUSPECTS, _DIAGNOSE)
