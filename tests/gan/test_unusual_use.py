"""A GAN used in ways that nobody thought of: copied, shared, written to, moved, in threads, with odd functions."""

import copy
import pickle
import threading
import weakref
from dataclasses import dataclass, replace

import numpy as np
import pytest
from small_gans import SMALL, assert_same, inputs_of, state_of

from minigan.gan.step import StepInputs, build_gan, discriminator_step, draw_inputs, generator_step, train_step
from minigan.nn import share
from minigan.nn.backend import NUMPY
from minigan.nn.gradients import Gradients
from minigan.nn.layers import BatchNormalization, Conv2D, Layer, LeakyReLU
from minigan.nn.ops import LIBRARY, resolve
from minigan.nn.optimizers import Adam

MANY = 16  # images; with them and width 16, every fast algorithm has enough work


def in_float64(gan):
    for network in (gan.generator, gan.discriminator):
        for layer in network.layers:
            layer.params = {name: p.astype(np.float64) for name, p in layer.params.items()}
            layer.grads = Gradients(layer.params)
            layer.buffers = {name: b.astype(np.float64) for name, b in layer.buffers.items()}
    gan.g_optimizer, gan.d_optimizer = (
        Adam(network.params(), learning_rate=2e-4, ops=network.ops) for network in (gan.generator, gan.discriminator)
    )
    return gan


def many_inputs(step, count=MANY):
    real = np.random.default_rng(step).uniform(-1, 1, (count, 32, 32, 3)).astype(np.float32)
    return StepInputs(*(a.astype(np.float64) for a in draw_inputs(real, 5, step)))


def assert_fast_is_plain(use):
    """What `use` does to a GAN is the same with the fast and with the plain functions."""
    states = []
    for plain in (False, True):
        gan = in_float64(build_gan(image_size=32, width=16, plain=plain))
        use(gan)
        states.append(state_of(gan))
    for name, a in states[0].items():
        np.testing.assert_allclose(a, states[1][name], rtol=0, atol=1e-9, err_msg=name)


# ---- Layers and functions of one's own ----


class Normed(Conv2D):
    """Weight normalization: it computes its kernel anew in every pass, each time in the same array."""

    def forward(self, x, *, training, update_stats=True):
        kernel = self.params["kernel"]
        if not hasattr(self, "normed"):
            self.normed = np.empty_like(kernel)
        np.divide(kernel, np.sqrt((kernel * kernel).sum()), out=self.normed)
        return resolve(self.ops, x).conv2d_forward(x, self.normed, self.params["bias"], stride=self.strides, pad=1)


def test_a_kernel_that_a_layer_writes_to_is_never_stale():
    def use(gan):
        for layer in gan.discriminator.layers:
            if type(layer) is Conv2D:
                layer.__class__ = Normed
        for step in range(2):
            train_step(gan, many_inputs(step))

    assert_fast_is_plain(use)


def test_a_step_of_ones_own_may_go_on_after_each_phase():
    """What was prepared from the old weights is not used again."""
    gan, inputs = in_float64(build_gan(image_size=32, width=16)), many_inputs(0)
    G, D = gan.generator, gan.discriminator
    with share.having(gan.share, gan.params()):
        for _ in range(2):
            discriminator_step(D, gan.d_optimizer, inputs.real, inputs.real_labels)
            generator_step(G, D, gan.g_optimizer, inputs.generator_noise, inputs.real_labels)
        inside = [G.predict(inputs.noise, batch_size=MANY), D.predict(inputs.real, batch_size=MANY)]
    outside = [G.predict(inputs.noise, batch_size=MANY), D.predict(inputs.real, batch_size=MANY)]
    for a, b in zip(inside, outside, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


class Watching(Layer):
    """Passes everything on, and looks at what the generator would draw meanwhile."""

    def __init__(self, generator):
        super().__init__()
        self.generator, self.seen = generator, []

    def forward(self, x, *, training, update_stats=True):
        self.seen.append(self.generator.predict(np.ones((MANY, 1, 1, 100))))
        return x, None

    def backward(self, dy, cache, *, input_grad=True, param_grads=True):
        return dy

    def output_shape(self, input_shape):
        return input_shape


def test_a_layer_may_draw_in_the_middle_of_a_step():
    def use(gan):
        watching = Watching(gan.generator)
        gan.discriminator.layers.append(watching)
        for step in range(2):
            train_step(gan, many_inputs(step))
        seen.append(watching.seen)
        np.testing.assert_array_equal(watching.seen[0], watching.seen[1])  # D's steps do not change G
        assert not np.allclose(watching.seen[2], watching.seen[3])  # G's step does

    seen = []
    assert_fast_is_plain(use)
    np.testing.assert_allclose(*seen, rtol=0, atol=1e-9)


def frozen(a):
    a = np.array(a)
    a.flags.writeable = False
    return a


def test_functions_may_return_arrays_that_cannot_be_written_to():
    mine = {
        "dense_backward": lambda dy, cache: tuple(frozen(a) for a in LIBRARY.dense_backward(dy, cache)),
        "conv2d_backward": lambda dy, cache: tuple(frozen(a) for a in LIBRARY.conv2d_backward(dy, cache)),
        "leaky_relu_backward": lambda dy, cache: frozen(LIBRARY.leaky_relu_backward(dy, cache)),
        "tanh_forward": lambda x: (frozen(np.tanh(x)), frozen(np.tanh(x))),
    }
    plain, odd = build_gan(**SMALL, plain=True), build_gan(**SMALL, ops=replace(LIBRARY, **mine, plain=True))
    for step in range(2):
        for gan in (plain, odd):
            train_step(gan, inputs_of(step))
    assert_same(state_of(plain), state_of(odd))


def test_functions_may_return_views_of_arrays_that_they_use_again():
    room = {}

    def again(name, a):
        kept = room.setdefault((name, a.shape), np.empty((2, *a.shape), a.dtype))
        kept[1] = a
        return kept[1]

    def dense_backward(dy, cache):
        return tuple(again(i, a) for i, a in enumerate(LIBRARY.dense_backward(dy, cache)))

    plain = build_gan(**SMALL, plain=True)
    odd = build_gan(**SMALL, ops=replace(LIBRARY, dense_backward=dense_backward, plain=True))
    for step in range(2):
        for gan in (plain, odd):
            train_step(gan, inputs_of(step))
    assert_same(state_of(plain), state_of(odd))


@dataclass
class DenseBackward:
    """A function with a memory, which Python cannot hash."""

    calls: int = 0

    def __call__(self, dy, cache):
        self.calls += 1
        return LIBRARY.dense_backward(dy, cache)


def test_a_function_may_be_any_object_that_can_be_called():
    mine = DenseBackward()
    train_step(build_gan(**SMALL, ops=replace(LIBRARY, dense_backward=mine)), inputs_of(0))
    assert mine.calls == 3


def test_hooks_of_ones_own_are_called():
    called = []

    def steps(layers):
        called.append("steps")
        return tuple(layers)

    def in_batches(function, x, batch_size):
        called.append("in_batches")
        return function(x)

    plain = build_gan(**SMALL, plain=True)
    odd = build_gan(**SMALL, ops=replace(LIBRARY, steps=steps, in_batches=in_batches, plain=True))
    for gan in (plain, odd):
        train_step(gan, inputs_of(0))
    assert called == ["in_batches", *5 * ["steps"]]
    assert_same(state_of(plain), state_of(odd))
    called.clear()
    train_step(build_gan(**SMALL, ops=replace(LIBRARY, steps=steps, in_batches=in_batches)), inputs_of(0))
    assert called == ["in_batches", *5 * ["steps"]]


def test_settings_of_a_layer_may_be_changed():
    """Fast and plain functions read them at the same place: `alpha` and `momentum` count, not what they were first."""

    def use(gan):
        for layer in gan.discriminator.layers:
            if isinstance(layer, LeakyReLU):
                layer.alpha = 0.5
            if isinstance(layer, BatchNormalization):
                layer.momentum, layer.epsilon = 0.9, 0.1
        train_step(gan, many_inputs(0))

    assert_fast_is_plain(use)


def test_the_table_of_a_layer_may_be_changed_between_two_steps():
    states = []
    for switching in (False, True):
        gan = in_float64(build_gan(image_size=32, width=16))
        for step in range(4):
            for part in (gan.generator, gan.discriminator, gan.g_optimizer, gan.d_optimizer):
                for owner in (part, *getattr(part, "layers", ())):
                    owner.ops = replace(LIBRARY, plain=switching and step % 2 == 1)
            train_step(gan, many_inputs(step))
        states.append(state_of(gan))
    for name, a in states[0].items():
        np.testing.assert_allclose(a, states[1][name], rtol=0, atol=1e-9, err_msg=name)


class Remembering(Layer):
    """Passes everything on, and remembers its caches without keeping them alive."""

    def __init__(self):
        super().__init__()
        self.caches = []

    def forward(self, x, *, training, update_stats=True):
        cache = {"a set"}  # of a kind that can have a weak reference
        self.caches.append(weakref.ref(cache))
        return x, cache

    def backward(self, dy, cache, *, input_grad=True, param_grads=True):
        return dy


def test_caches_are_gone_when_the_weights_are_updated():
    """They are larger than anything else: memory stays that of one pass."""
    gan, alive = build_gan(**SMALL), []
    for network, adam in ((gan.generator, gan.g_optimizer), (gan.discriminator, gan.d_optimizer)):
        network.layers.append(Remembering())
        caches, step = network.layers[-1].caches, adam.step
        adam.step = lambda grads, caches=caches, step=step: (alive.append([c() for c in caches]), step(grads))
    train_step(gan, inputs_of(0))
    assert [len(each) for each in alive] == [1, 2, 2]
    assert not any(cache is not None for each in alive for cache in each)


# ---- Several GANs, and copies ----


def trained(steps, gan=None, **options):
    gan = build_gan(**SMALL, **options) if gan is None else gan
    for step in steps:
        train_step(gan, inputs_of(step))
    return gan


def by_pickle(gan):
    return pickle.loads(pickle.dumps(gan))


@pytest.mark.parametrize("copied", [copy.deepcopy, by_pickle])
def test_a_copy_goes_on_as_the_original_does_and_does_not_touch_it(copied):
    gan = trained([0], ema=0.9)
    before = state_of(gan)
    other = trained([1], copied(gan))
    assert_same(state_of(gan), before)
    assert_same(state_of(trained([1], gan)), state_of(other))


def test_a_copy_on_a_gpu_does_not_touch_the_original(kernels):
    """There, what was made for an optimizer remembers addresses."""
    gan = build_gan(**SMALL, ema=0.9, backend=kernels)
    for step in range(2):
        train_step(gan, inputs_of(step, kernels))
    before = state_of(gan, kernels)
    other = copy.deepcopy(gan)
    train_step(other, inputs_of(2, kernels))
    assert_same(state_of(gan, kernels), before)
    train_step(gan, inputs_of(2, kernels))
    assert_same(state_of(gan, kernels), state_of(other, kernels))


def test_a_copy_of_a_network_is_a_network_of_its_own():
    gan = trained([0])
    noise = inputs_of(0).noise
    other = copy.deepcopy(gan.generator)
    np.testing.assert_array_equal(other.predict(noise), gan.generator.predict(noise))
    for p in other.params().values():
        p *= 2
    trained([1], gan)
    assert not np.array_equal(other.predict(noise), gan.generator.predict(noise))
    other.zero_grads()
    assert any(g.any() for g in gan.generator.grads().values())


def test_two_gans_in_turn_are_two_gans():
    first, second = build_gan(**SMALL), build_gan(**SMALL, seed=2)
    for step in range(3):
        for gan in (first, second):
            train_step(gan, inputs_of(step))
    assert_same(state_of(first), state_of(trained(range(3))))
    assert_same(state_of(second), state_of(trained(range(3), seed=2)))


def test_two_gans_in_two_threads_are_two_gans():
    gans = [build_gan(**SMALL), build_gan(**SMALL, seed=2)]
    threads = [threading.Thread(target=trained, args=(range(3), gan)) for gan in gans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_same(state_of(gans[0]), state_of(trained(range(3))))
    assert_same(state_of(gans[1]), state_of(trained(range(3), seed=2)))


@pytest.mark.parametrize("in_a_thread", [False, True])
def test_two_steps_of_one_gan_at_a_time_are_refused(in_a_thread):
    """The first one is not disturbed."""
    gan, errors, tries = build_gan(**SMALL), [], []

    def try_to_train():
        tries.append(1)
        try:
            train_step(gan, inputs_of(1))
        except RuntimeError as error:
            errors.append(str(error))

    def dense_backward(dy, cache):
        if len(tries) == 3:
            pass
        elif in_a_thread:
            thread = threading.Thread(target=try_to_train)
            thread.start()
            thread.join()
        else:
            try_to_train()
        return LIBRARY.dense_backward(dy, cache)

    last = gan.discriminator.layers[-1]
    last.ops = replace(LIBRARY, dense_backward=dense_backward)
    train_step(gan, inputs_of(0))
    assert errors == 3 * ["a training step of this GAN is running already, beside this one or around it"]
    last.ops = LIBRARY
    twin = build_gan(**SMALL)
    twin.discriminator.layers[-1].ops = replace(LIBRARY, dense_backward=lambda *given: LIBRARY.dense_backward(*given))
    train_step(twin, inputs_of(0))
    twin.discriminator.layers[-1].ops = LIBRARY
    assert_same(state_of(trained([1], gan)), state_of(trained([1], twin)))


# ---- Between two steps, and steps that fail ----


def test_batches_of_changing_size():
    def use(gan):
        for step, count in enumerate((16, 8, 30, 2, 16)):
            train_step(gan, many_inputs(step, count))

    assert_fast_is_plain(use)


def test_weights_written_loaded_and_put_in_another_array_between_two_steps():
    def use(gan):
        train_step(gan, many_inputs(0))
        for p in (*gan.generator.params().values(), *gan.discriminator.params().values()):
            p *= 0.9
        train_step(gan, many_inputs(1))
        gan.generator.load_state({name: 0.9 * a for name, a in gan.generator.state().items()})
        train_step(gan, many_inputs(2))
        for layer in gan.discriminator.layers:
            layer.params.update({name: 0.9 * p for name, p in layer.params.items()})
        gan.d_optimizer.params = gan.discriminator.params()
        train_step(gan, many_inputs(3))

    assert_fast_is_plain(use)


def test_a_step_that_fails_and_then_a_good_one():
    def use(gan):
        for step in range(2):
            train_step(gan, many_inputs(step))
        D = gan.discriminator
        last, ops = D.layers[-1], D.layers[-1].ops
        last.ops = replace(ops, dense_backward=lambda dy, cache: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train_step(gan, many_inputs(2))
        last.ops = ops
        train_step(gan, many_inputs(3))

    assert_fast_is_plain(use)


def test_to_a_device_and_back_between_steps(double):
    gan, there = build_gan(**SMALL), False
    expected = build_gan(**SMALL)
    for step in range(4):
        there = not there
        where = double if there else NUMPY
        train_step(gan.to(where), inputs_of(step, where))
        train_step(expected, inputs_of(step))
    for name, a in state_of(gan.to(NUMPY)).items():
        np.testing.assert_allclose(a, state_of(expected)[name], rtol=0, atol=2e-3, err_msg=name)


def test_a_layer_with_parameters_stands_in_a_network_once():
    D = build_gan(**SMALL).discriminator
    with pytest.raises(ValueError, match="twice: layers must have every layer with parameters only once"):
        type(D)([*D.layers, D.layers[0]], input_shape=D.input_shape, name="twice")


def test_a_layer_in_two_networks_has_one_set_of_weights():
    gan, other = in_float64(build_gan(image_size=32, width=16)), build_gan(image_size=32, width=16, seed=3)
    in_float64(other)
    other.discriminator.layers[2] = shared = gan.discriminator.layers[2]
    other.d_optimizer = Adam(other.discriminator.params(), learning_rate=2e-4)
    for step in range(2):
        for each in (gan, other):
            train_step(each, many_inputs(step))
            x = np.random.default_rng(0).standard_normal((MANY, 16, 16, 16))
            y, _ = LIBRARY.conv2d_forward(x, shared.params["kernel"], shared.params["bias"], 2, 1)
            np.testing.assert_allclose(shared.forward(x, training=True)[0], y, rtol=0, atol=1e-9)
