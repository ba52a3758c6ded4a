"""Specimens of the two training steps, on minigan's own networks and optimizers.

The loss is minigan's. What can go wrong here is which network learns, from which gradient, and in which mode.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.check.zoo.specimen import Shelf
from minigan.nn.losses import bce_with_logits_backward, bce_with_logits_forward
from minigan.nn.ops import sigmoid_forward


def _bce(logits: Any, labels: Any) -> Any:
    """The loss and its gradient for the logits."""
    loss, cache = bce_with_logits_forward(logits, labels)
    return loss, bce_with_logits_backward(1.0, cache)


# --------------------------------------------------------------------------------------------------- discriminator step
def _discriminator_step(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    D.backward(dlogits, caches)
    optimizer.step(D.grads())
    return loss


discriminator = Shelf("discriminator_step", _discriminator_step)


@discriminator.step("the labels are turned round", "E83")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """``1 - labels``: D learns to call fakes real."""
    return _discriminator_step(D, optimizer, x, 1 - labels)


@discriminator.step("the labels are all ones", "E83")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """Written for the real batch, and called for the fakes too."""
    return _discriminator_step(D, optimizer, x, np.ones_like(labels))


@discriminator.step("the labels are rounded", "E83")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """Soft labels become hard ones."""
    return _discriminator_step(D, optimizer, x, np.round(labels))


@discriminator.step("zero_grads is forgotten", "E85")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """``backward`` adds to what is there: the gradients of all earlier steps."""
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(logits, labels)
    D.backward(dlogits, caches)
    optimizer.step(D.grads())
    return loss


@discriminator.step("zero_grads between backward and the update", "E81")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """The gradients are gone before they are used."""
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(logits, labels)
    D.backward(dlogits, caches)
    D.zero_grads()
    optimizer.step(D.grads())
    return loss


@discriminator.step("the update is forgotten", "E81")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """No ``optimizer.step``."""
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    D.backward(dlogits, caches)
    return loss


@discriminator.step("the update comes before backward", "E81", "E85")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """Right after ``zero_grads`` there is nothing to learn from."""
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    optimizer.step(D.grads())
    D.backward(dlogits, caches)
    return loss


@discriminator.step("the update uses the last step's gradients", "E85", "E81")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """The update comes first, with the gradients of the step before."""
    optimizer.step(D.grads())
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    D.backward(dlogits, caches)
    return loss


@discriminator.step("D in inference mode", "E86", "E84")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """``training=False``: moving statistics instead of the batch's."""
    logits, caches = D.forward(x, training=False)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    D.backward(dlogits, caches)
    optimizer.step(D.grads())
    return loss


@discriminator.step("the moving statistics stand still", "E84")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """``update_stats=False`` belongs in the generator's step."""
    logits, caches = D.forward(x, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    D.backward(dlogits, caches)
    optimizer.step(D.grads())
    return loss


@discriminator.step("D runs twice", "E84")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """Forward runs once for the logits and once to learn: the moving statistics move twice."""
    D.forward(x, training=True)
    return _discriminator_step(D, optimizer, x, labels)


@discriminator.step("the loss after the update", "E87", "E84")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """The loss after the update is smaller than the loss that was learnt from."""
    _discriminator_step(D, optimizer, x, labels)
    logits, _caches = D.forward(x, training=True, update_stats=False)
    return _bce(logits, labels)[0]


@discriminator.step("the gradient points uphill", "E88")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """The minus of gradient descent, twice."""
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    D.backward(-dlogits, caches)
    optimizer.step(D.grads())
    return loss


@discriminator.step("the gradient of the summed loss", "E88")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """B times too large; Adam hides it almost entirely."""
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    D.backward(dlogits * len(x), caches)
    optimizer.step(D.grads())
    return loss


@discriminator.step("the summed loss", "E87", "E88")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """Loss and gradient of the sum over the batch."""
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    D.backward(dlogits * len(x), caches)
    optimizer.step(D.grads())
    return loss * len(x)


@discriminator.step("backward runs twice", "E88")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """The second one adds to the first."""
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    D.backward(dlogits, caches)
    D.backward(dlogits, caches, input_grad=True)
    optimizer.step(D.grads())
    return loss


@discriminator.step("two updates from one gradient", "E88", "E80")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """``optimizer.step`` stands there twice."""
    loss = _discriminator_step(D, optimizer, x, labels)
    optimizer.step(D.grads())
    return loss


@discriminator.step("a sigmoid before the loss", "E80", "E87", "E88")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """The loss takes logits, and is given probabilities."""
    logits, caches = D.forward(x, training=True)
    loss, dlogits = _bce(sigmoid_forward(logits)[0], labels)
    D.zero_grads()
    D.backward(dlogits, caches)
    optimizer.step(D.grads())
    return loss


@discriminator.step("nothing is returned", "E11")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    """No ``return``."""
    _discriminator_step(D, optimizer, x, labels)


@discriminator.step("zero_grads first, a Python float")
def _(D: Any, optimizer: Any, x: Any, labels: Any, clip: Any = None) -> Any:
    D.zero_grads()
    logits, caches = D.forward(x, training=True, update_stats=True)
    loss, cache = bce_with_logits_forward(logits, labels)
    D.backward(bce_with_logits_backward(1, cache), caches, input_grad=False, param_grads=True)
    optimizer.step(D.grads())
    return float(loss)


@discriminator.step("the loss by hand, the gradients tidied up afterwards")
def _(D: Any, optimizer: Any, x: Any, labels: Any) -> Any:
    for gradient in D.grads().values():
        gradient[...] = 0
    z, caches = D.forward(x, training=True)
    p = 0.5 * (1 + np.tanh(0.5 * z))
    D.backward((p - labels) / z.dtype.type(len(z)), caches)
    optimizer.step({name: gradient.copy() for name, gradient in D.grads().items()})
    return np.mean(np.logaddexp(0, z) - z * labels)


# ------------------------------------------------------------------------------------------------------- generator step
def _generator_step(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


generator = Shelf("generator_step", _generator_step)


@generator.step("the labels of fakes", "E83")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """``1 - labels``: G learns to make images that D calls fake."""
    return _generator_step(G, D, optimizer, noise, 1 - labels)


@generator.step("the labels are all ones", "E83")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """The soft labels are an argument and never used."""
    return _generator_step(G, D, optimizer, noise, np.ones_like(labels))


@generator.step("the minimax loss, which saturates", "E83", "E88", "E87")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """G maximises the loss of D with the labels of fakes: the gradient is tiny while D is sure."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, 1 - labels)
    dfakes = D.backward(-dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return -loss


@generator.step("the gradient points uphill", "E88")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """The paper's generator maximises, but another loss than this one."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(-dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("the gradient is divided by B once more", "E88")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """The loss is a mean already; Adam hides it almost entirely."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes / len(noise), g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("D in inference mode", "E86")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """D judges with its moving statistics, a different D from the one that was trained."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("G in inference mode", "E86", "E84")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """As in D's step, where G makes the fakes; but here G has to learn."""
    fakes, g_caches = G.forward(noise, training=False)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("D's moving statistics move", "E84")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """``update_stats=False`` is forgotten."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("G's moving statistics stand still", "E84")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """``update_stats=False`` belongs to D."""
    fakes, g_caches = G.forward(noise, training=True, update_stats=False)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("G runs twice", "E84")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """Forward runs once for the images and once for the caches: the moving statistics move twice."""
    G.forward(noise, training=True)
    return _generator_step(G, D, optimizer, noise, labels)


@generator.step("images of one mode, caches of another", "E86")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """D gets the images of ``predict``, but backward runs with the caches of another forward."""
    _fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(G.predict(noise), training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("zero_grads is forgotten", "E85")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """``backward`` adds to what is there."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("zero_grads of the wrong network", "E85", "E82")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """D's gradients are set to 0, G's add up."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("D collects gradients too, which D's own step clears")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """Without ``param_grads=False`` D's gradients are computed but not used; the result is the same."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("D learns too", "E82")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """D learns to help G."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    dfakes = D.backward(dlogits, d_caches, input_grad=True)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    for name, p in D.params().items():
        p -= 1e-3 * D.grads()[name]
    D.zero_grads()
    return loss


@generator.step("the update with D's gradients", "E10", "E81")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """G's optimizer gets D's gradients, whose names and shapes do not fit."""
    fakes, _g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    D.zero_grads()
    D.backward(dlogits, d_caches)
    optimizer.step(D.grads())
    return loss


@generator.step("D's input gradient is not asked for", "E10")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """``input_grad=True`` is forgotten: G.backward gets None."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


@generator.step("G collects no gradients", "E81")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """``param_grads=False`` is at the wrong network."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches, param_grads=False)
    optimizer.step(G.grads())
    return loss


@generator.step("the update is forgotten", "E81")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """No ``optimizer.step``."""
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, dlogits = _bce(logits, labels)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    return loss


@generator.step("the loss after the update", "E87")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """The loss after the update is smaller than the loss that was learnt from."""
    _generator_step(G, D, optimizer, noise, labels)
    fakes, _ = G.forward(noise, training=True, update_stats=False)
    logits, _ = D.forward(fakes, training=True, update_stats=False)
    return _bce(logits, labels)[0]


@generator.step("the images are returned", "E11", "E13")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any) -> Any:
    """The exercise asks for the loss."""
    loss = _generator_step(G, D, optimizer, noise, labels)
    return loss, G.predict(noise)


@generator.step("in small steps, zero_grads first")
def _(G: Any, D: Any, optimizer: Any, noise: Any, labels: Any, verbose: bool = False) -> Any:
    G.zero_grads()
    fakes, path_through_g = G.forward(noise, training=True, update_stats=True)
    z, path_through_d = D.forward(fakes, training=True, update_stats=False)
    p = sigmoid_forward(z)[0]
    dz = (p - labels) / len(z)
    dfakes = D.backward(dz.astype(z.dtype), path_through_d, input_grad=True, param_grads=False)
    G.backward(dfakes, path_through_g, input_grad=True)
    optimizer.step(G.grads())
    return float(bce_with_logits_forward(z, labels)[0])


SHELVES = (discriminator, generator)
