"""Training steps of a GAN as people write them wrongly, to be run beside a student's step and compared with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.nn.backend import Array
from minigan.nn.losses import bce_with_logits_backward, bce_with_logits_forward
from minigan.nn.network import Sequential
from minigan.nn.ops import sigmoid_forward

Step = Callable[..., Any]


def wrong_steps(name: str, batch_size: int) -> Iterator[tuple[str, str, Step]]:
    """Wrong steps that people write: the code of each, its cause in words, and the step."""
    yield (
        "E85",
        "gradients are not set to 0 before backward, so those of the step before are still in them.",
        _changed(zero=False),
    )
    yield "E83", "labels and 1 - labels are exchanged.", _changed(labels=lambda t: 1 - t)
    yield "E83", "the labels are ignored: 1 is used for all.", _changed(labels=np.ones_like)
    yield "E83", "the labels are ignored: 0 is used for all.", _changed(labels=np.zeros_like)
    yield "E83", "the labels are rounded.", _changed(labels=np.round)
    yield "E88", "the gradient has the wrong sign: the step goes uphill.", _changed(scale=-1)
    yield "E88", "the gradient is that of the sum over the batch, not of the mean.", _changed(scale=batch_size)
    yield (
        "E88",
        "backward is given the loss; it is the end of the chain, and the derivative of the loss for itself is 1.",
        _changed(scale_is_loss=True),
    )
    yield "E87", "the loss is measured again after the update.", _changed(late=True)
    yield (
        "E87",
        "the loss is measured again after the update, in training mode: that moves the moving statistics once more.",
        _changed(late=True, late_update=True),
    )
    yield "E87", "the loss is the sum over the batch, not the mean.", _changed(loss_scale=batch_size)
    yield "E87", "the loss has the wrong sign.", _changed(loss_scale=-1)
    yield (
        "E86",
        "the network runs in inference mode: training=False uses the moving statistics.",
        _changed(training=False),
    )
    yield (
        "E84",
        "the moving statistics are not updated: update_stats=False belongs to the frozen network only.",
        _changed(update=False),
    )
    yield "E84", "forward is run twice, so the moving statistics are updated twice.", _changed(twice=True)
    yield (
        "E81",
        "nothing is updated: optimizer.step is not called, or all gradients are 0 when it is (zero_grads "
        "after backward?).",
        _changed(steps=0),
    )
    yield "E88", "optimizer.step is called twice.", _changed(steps=2)
    yield "E81", "backward is not called: the gradients are 0.", _changed(backwards=0)
    yield "E85", "gradients are set to 0 after backward: nothing is left for the optimizer.", _changed(zero_late=True)
    yield "E85", "the optimizer steps before backward: with the gradients of the step before.", _changed(early=True)
    yield "E85", "the optimizer steps first, with the gradients of the step before.", _changed(first=True)
    yield (
        "E80",
        "the sigmoid is taken twice: D gives logits, and the loss takes them as they are.",
        _changed(sigmoid=True),
    )
    yield "E88", "backward is run twice, and gradients add up.", _changed(backwards=2)
    yield (
        "E87",
        "loss and gradient are those of the sum over the batch, not of the mean.",
        _changed(scale=batch_size, loss_scale=batch_size),
    )
    if name == "generator_step":
        minimax = (
            "the loss is that of minimax, log(1 - D(G(z))), which saturates while D wins; "
            "use the given labels as they are."
        )
        for sign in (1, -1):
            yield "E83", minimax, _changed(labels=np.zeros_like, scale=-1, loss_scale=sign)
            yield "E83", minimax, _changed(labels=lambda t: 1 - t, scale=-1, loss_scale=sign)
        yield (
            "E86",
            "the images come from inference mode, the caches from training mode: they do not belong together.",
            _changed(mixed=True),
        )
        yield (
            "E86",
            "the images come from inference mode, the caches from training mode: they do not belong together.",
            _changed(mixed=True, predict_first=True),
        )
        yield (
            "E86",
            "D runs in inference mode. In this step D is not updated, but it still runs in training mode.",
            _changed(d_training=False),
        )
        yield "E84", "D's moving statistics are updated: D's forward needs update_stats=False.", _changed(d_update=True)
        yield (
            "E84",
            "D's moving statistics are updated and G's are not: update_stats=False is at the wrong forward.",
            _changed(d_update=True, update=False),
        )
        yield "E86", "both networks run in inference mode.", _changed(training=False, d_training=False)
        yield (
            "E86",
            "G runs in inference mode, and D's moving statistics are updated.",
            _changed(training=False, d_update=True),
        )
        yield (
            "E83",
            "labels and 1 - labels are exchanged, and D's moving statistics are updated.",
            _changed(labels=lambda t: 1 - t, d_update=True),
        )


@dataclass(frozen=True)
class Change:
    """What is different in a wrong step; by default nothing is.

    Parameters
    ----------
    first, early : bool
        The optimizer steps before everything, or before backward.
    twice, late, late_update : bool
        Forward is run twice; the loss is measured after the update, and moves the moving statistics once more.
    training, update : bool
        Mode of the learning network's forward, and whether its moving statistics move.
    labels : callable
        What is done to the labels.
    scale, loss_scale : float
        Factors of the gradient and of the loss that is returned.
    scale_is_loss : bool
        Whether the factor of the gradient is the loss itself.
    sigmoid : bool
        Whether the logits go through a sigmoid first.
    zero, zero_late : bool
        Whether gradients are set to 0 before backward, and after it.
    backwards, steps : int
        How often backward and the optimizer's step are run.
    mixed, predict_first : bool
        Whether G's images come from inference mode, and whether they are made before the forward in training mode.
    d_training, d_update : bool
        Mode of D's forward in G's step, and whether D's moving statistics move.
    """

    first: bool = False
    early: bool = False
    twice: bool = False
    late: bool = False
    late_update: bool = False
    training: bool = True
    update: bool = True
    labels: Callable[[Array], Array] = lambda target: target
    scale: float = 1
    loss_scale: float = 1
    scale_is_loss: bool = False
    sigmoid: bool = False
    zero: bool = True
    zero_late: bool = False
    backwards: int = 1
    steps: int = 1
    mixed: bool = False
    predict_first: bool = False
    d_training: bool = True
    d_update: bool = False


def _changed(**what: Any) -> Step:
    """D's or G's step, whichever the arguments are for, with something changed."""
    change = Change(**what)

    def wrong(*arguments: Any) -> Any:
        *networks, optimizer, x, target = arguments
        learner = networks[0]
        if change.first:
            optimizer.step(learner.grads())
        if change.twice:
            learner.forward(x, training=True)
        logits, go_back = _look(change, networks, x)
        logits = sigmoid_forward(logits)[0] if change.sigmoid else logits
        loss, cache = bce_with_logits_forward(logits, change.labels(target))
        if change.early:
            optimizer.step(learner.grads())
        if change.zero:
            learner.zero_grads()
        for _ in range(change.backwards):
            go_back(bce_with_logits_backward(float(loss) if change.scale_is_loss else change.scale, cache))
        if change.zero_late:
            learner.zero_grads()
        for _ in range(0 if change.first or change.early else change.steps):
            optimizer.step(learner.grads())
        if change.late:
            logits, _ = _look(Change(update=change.late_update), networks, x)
            loss, _ = bce_with_logits_forward(logits, change.labels(target))
        return change.loss_scale * loss

    return wrong


def _look(change: Change, networks: list[Sequential], x: Array) -> tuple[Array, Callable[[Array], Any]]:
    """D's logits, for images x or for G's images of noise x, and a function that runs backward to the learner."""
    early = networks[0].predict(x) if change.predict_first else None
    y, caches = networks[0].forward(x, training=change.training, update_stats=change.update)
    if len(networks) == 1:
        return y, lambda dlogits: networks[0].backward(dlogits, caches)
    G, D = networks
    fakes = y if not change.mixed else G.predict(x) if early is None else early
    logits, d_caches = D.forward(fakes, training=change.d_training, update_stats=change.d_update)

    def go_back(dlogits: Array) -> None:
        dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
        assert dfakes is not None
        G.backward(dfakes, caches)

    return logits, go_back
