"""Lesson 11's own exercises and pictures."""

import io
import math

import numpy as np
import pytest

import minigan
from lessons import figures
from lessons.exercises import lesson11
from lessons.exercises.lesson11 import D_MAPS, G_MAPS, Parts, Sequential, discriminator_layers, generator_layers
from lessons.judging import judge

EXERCISES = {exercise.name: exercise for exercise in lesson11.EXERCISES}


def verdict(name, *given):
    return judge(EXERCISES[name], given)


def told(name, *given):
    """Everything a student reads about a wrong answer."""
    found = verdict(name, *given)
    assert not found.passed
    assert found.finding is not None
    return " ".join([found.finding.title, *found.finding.evidence, found.finding.cause])


# ---------------------------------------------------------------------------------------------------- shapes and counts
def test_the_plans_are_the_networks():
    for plan, maps, build in (
        (lesson11.D_PLAN, D_MAPS, minigan.discriminator),
        (lesson11.G_PLAN, G_MAPS, minigan.generator),
    ):
        network = build()
        counts = [lesson11.count_parameters(*layer) for layer in plan]
        assert tuple(map(sum, zip(*counts, strict=True))) == network.count()
        shape, shapes = network.input_shape, []
        for layer in network.layers:
            shape = layer.output_shape(shape)
            if type(layer).__name__.startswith("Conv2D"):
                shapes.append(shape)
        assert shapes == maps


def test_feature_maps():
    assert verdict("feature_maps", D_MAPS, G_MAPS).passed
    assert verdict("feature_maps", [list(m) for m in D_MAPS], tuple(G_MAPS)).passed
    assert verdict("feature_maps", None, None).status == "not implemented"


@pytest.mark.parametrize(
    ("d_maps", "g_maps", "word"),
    [
        ([(31, 31, 64), *D_MAPS[1:]], G_MAPS, "without padding"),
        ([(64, 32, 32), *D_MAPS[1:]], G_MAPS, "channels come last"),
        ([(32, 32, 32), *D_MAPS[1:]], G_MAPS, "64 filters"),
        (D_MAPS[:3], G_MAPS, "4 shapes"),
        (D_MAPS, [(2, 2, 512), *G_MAPS[1:]], "'valid' crops nothing"),
        (D_MAPS, [G_MAPS[0], (10, 10, 256), *G_MAPS[2:]], "full scatter"),
        (D_MAPS, [*G_MAPS[:4], (64, 64, 64), G_MAPS[5]], "keeps the size"),
        (D_MAPS, [32, 16], "a list of shapes"),
        ([(30, 30, 64), *D_MAPS[1:]], G_MAPS, "kernel 4, stride 2"),
    ],
)
def test_wrong_shapes_are_told_why(d_maps, g_maps, word):
    assert word in told("feature_maps", d_maps, g_maps)


def test_counting_by_hand():
    assert verdict("count_by_hand", 3136, 131_200, 512, 8193).passed
    assert "64 biases" in told("count_by_hand", 3072, 131_200, 512, 8193)
    assert "*output*" in told("count_by_hand", 3136, 131_136, 512, 8193)
    assert "moving" in told("count_by_hand", 3136, 131_200, 256, 8193)
    assert "Flatten" in told("count_by_hand", 3136, 131_200, 512, 513)
    assert "2 of 4" in told("count_by_hand", 3136, 131_200, 1, 2)
    assert "a number" in told("count_by_hand", 3136, "many", 512, 8193)


@pytest.mark.parametrize("name", ["count_parameters", "glorot_limit", "receptive_fields"])
def test_the_reference_passes_and_known_mistakes_are_named(name):
    exercise = EXERCISES[name]
    assert verdict(name, exercise.reference).passed
    assert len(exercise.mistakes) >= 4
    for mistake in exercise.mistakes:
        assert mistake.why in told(name, mistake.function)


def test_glorot_keeps_the_deviation_that_the_text_promises():
    """Var(y) = n_in * Var(w) * mean of x^2, and the deviation of the uniform distribution is l / sqrt(3)."""
    rng = np.random.default_rng(0)
    C, O = 300, 300
    limit = lesson11.glorot_limit((C, O))
    x = rng.standard_normal((50, C))
    y = x @ rng.uniform(-limit, limit, (C, O))
    assert y.std() == pytest.approx(1, rel=0.05)
    assert limit == pytest.approx(math.sqrt(3 * 2 / (C + O)))


# ----------------------------------------------------------------------------------------------------------- sequential
class OnlyOutput(Sequential):
    def forward(self, x, *, training, update_stats=True):
        return super().forward(x, training=training, update_stats=update_stats)[0]


class DeafToStatistics(Sequential):
    def forward(self, x, *, training, update_stats=True):
        return super().forward(x, training=training)


class DeafToTraining(Sequential):
    def forward(self, x, *, training, update_stats=True):
        return super().forward(x, training=True, update_stats=update_stats and training)


class DeafToParamGrads(Sequential):
    def backward(self, dy, caches, *, input_grad=False, param_grads=True):
        return super().backward(dy, caches, input_grad=input_grad)


class AlwaysInputGrad(Sequential):
    def backward(self, dy, caches, *, input_grad=False, param_grads=True):
        return super().backward(dy, caches, input_grad=True, param_grads=param_grads)


class StartsAfresh(Sequential):
    def backward(self, dy, caches, *, input_grad=False, param_grads=True):
        if param_grads:
            for layer in self.layers:
                for g in layer.grads.values():
                    g.fill(0)
        return super().backward(dy, caches, input_grad=input_grad, param_grads=param_grads)


class SkipsTheLast(Sequential):
    def forward(self, x, *, training, update_stats=True):
        whole, self.layers = self.layers, self.layers[:-1]
        try:
            return super().forward(x, training=training, update_stats=update_stats)
        finally:
            self.layers = whole


class ReturnsNothing(Sequential):
    def backward(self, dy, caches, *, input_grad=False, param_grads=True):
        super().backward(dy, caches, input_grad=input_grad, param_grads=param_grads)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (OnlyOutput, "two things"),
        (SkipsTheLast, "shape"),
        (DeafToStatistics, "update_stats=False still moves"),
        (DeafToTraining, "training=False"),
        (DeafToParamGrads, "param_grads=False"),
        (AlwaysInputGrad, "only the first layer is spared"),
        (StartsAfresh, "does not add"),
        (ReturnsNothing, "yours returns None"),
        (lesson11.Forgetful, "kept on self"),
        (lesson11._HalfForgetful, "kept on self"),
        (lambda layers: Sequential(layers), "a class is wanted"),
    ],
)
def test_wrong_sequentials_are_told_why(kind, word):
    assert word in told("sequential", kind)


class Backwards(Sequential):
    """The right forward, and a backward along other numbers of layers, each with the cache of another number."""

    route = ()

    def backward(self, dy, caches, *, input_grad=False, param_grads=True):
        last = len(self.layers) - 1
        for layer, cache in self.route(last):
            dy = self.layers[layer].backward(dy, caches[cache], input_grad=input_grad or layer > 0)
        return dy


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (lambda last: [(k, k) for k in range(last + 1)], "begins with the first layer"),
        (lambda last: [(k, k) for k in range(last, 0, -1)], "backward calls 2, 1; it should be 2, 1, 0"),
        (lambda last: [(k, k) for k in range(last - 1, -1, -1)], "backward calls 1, 0; it should be 2, 1, 0"),
        (lambda last: [(k, last - k) for k in range(last, -1, -1)], "another layer's cache"),
        (lambda last: [], "backward calls none"),
    ],
)
def test_the_way_back_is_followed(route, words):
    kind = type("Other", (Backwards,), {"route": staticmethod(route)})
    assert words in told("sequential", kind)


def test_sequential():
    assert verdict("sequential", Sequential).passed

    class WithList(Sequential):
        def forward(self, x, *, training, update_stats=True):
            return list(super().forward(x, training=training, update_stats=update_stats))

    assert verdict("sequential", WithList).passed

    class NotYet(Sequential):
        def backward(self, dy, caches, *, input_grad=False, param_grads=True):
            raise NotImplementedError

    assert verdict("sequential", NotYet).status == "not implemented"


# ------------------------------------------------------------------------------------------------------------- networks
def test_networks():
    assert verdict("networks", discriminator_layers, generator_layers).passed


def changed(build, edit):
    """The right layers, edited."""

    def wrong(width, parts):
        layers = build(width, parts)
        return edit(layers, width, parts)

    return wrong


def swap(layers, i, j):
    layers[i], layers[j] = layers[j], layers[i]
    return layers


@pytest.mark.parametrize(
    ("d_edit", "g_edit", "word"),
    [
        (lambda l, w, p: [l[0], p.batch_norm(w), *l[1:]], None, "next to the image"),
        (lambda l, w, p: swap(l, 3, 4), None, "between the convolution and its LeakyReLU"),
        (lambda l, w, p: [*l[:-2], l[-1]], None, "Flatten comes first"),
        (lambda l, w, p: l[:-1], None, "nothing"),
        (lambda l, w, p: [p.conv(3, w, 4), *l[1:]], None, "strides"),
        (lambda l, w, p: [p.conv(3, w, 4, strides=2), *l[1:]], None, "other kernels"),
        (lambda l, w, p: [*l[:4], l[1], *l[5:]], None, "two places"),
        (lambda l, w, p: None, None, "a list of layers"),
        (None, lambda l, w, p: [p.conv_transpose(100, 8 * w, 4), *l[1:]], "'valid'"),
        (None, lambda l, w, p: [*l[:12], p.conv_transpose(w, w, 3), *l[13:]], "plain convolution"),
        (None, lambda l, w, p: [*l[:-1], p.batch_norm(3), l[-1]], "makes the pixels"),
        (None, lambda l, w, p: [*l[:12], p.conv(w, w, 5), *l[13:]], "kernels' sides"),
        (lambda l, w, p: [p.conv_transpose(3, w, 4, strides=2), *l[1:]], None, "the discriminator's convolutions are"),
    ],
)
def test_wrong_networks_are_told_why(d_edit, g_edit, word):
    d = changed(discriminator_layers, d_edit) if d_edit else discriminator_layers
    g = changed(generator_layers, g_edit) if g_edit else generator_layers
    assert word in told("networks", d, g)


# -------------------------------------------------------------------------------------------------------------- L2 step
def l2_like(factor=1.0, *, zero=True, after=False, loss=None, training=True):
    def l2_step(G, optimizer, noise, images):
        y, caches = G.forward(noise, training=training)
        difference = y - images
        if zero:
            G.zero_grads()
        G.backward(factor * 2 * difference / difference.size, caches)
        optimizer.step(G.grads())
        if after:
            difference = G.forward(noise, training=True, update_stats=False)[0] - images
        return float((difference**2).mean()) if loss is None else loss(difference)

    return l2_step


def test_l2_step():
    assert verdict("l2_step", lesson11.l2_step).passed
    assert verdict("l2_step", l2_like()).passed


@pytest.mark.parametrize(
    ("step", "word"),
    [
        (l2_like(-1), "sign"),
        (l2_like(0.5), "the 2 of the square"),
        (l2_like(3 * 32 * 32 * 3), "divide by the number of all elements"),
        (l2_like(32 * 32 * 3), "not over the batch alone"),
        (l2_like(zero=False), "still in there"),
        (l2_like(after=True), "after the update"),
        (l2_like(loss=lambda d: (d**2).sum()), "another loss"),
        (l2_like(loss=lambda d: None), "one number"),
        (l2_like(training=False), "not only by a factor"),
        (lambda G, optimizer, noise, images: 0.0, "called it 0 times"),
        (lambda G, optimizer, noise, images: optimizer.step(G.grads()), "all zero"),
    ],
)
def test_wrong_l2_steps_are_told_why(step, word):
    assert word in told("l2_step", step)


# ------------------------------------------------------------------------------------------------------ receptive field
def test_measured_receptive_fields_are_those_of_the_formula():
    for blocks, side in enumerate(lesson11.receptive_fields([(4, 2)] * 4), start=1):
        own, other = lesson11.seen_by_a_unit(blocks, training=False)
        rows, columns = np.nonzero(own)
        assert rows.max() - rows.min() + 1 == side
        assert columns.max() - columns.min() + 1 == side
        assert not other.any()
    own, other = lesson11.seen_by_a_unit(3, training=True)
    assert own.all()
    assert other.all()


# ------------------------------------------------------------------------------------------------------------ break it
def test_charts():
    right = lesson11._DIAGNOSES
    assert verdict("charts", right).passed
    assert verdict("charts", dict.fromkeys(right)).status == "not implemented"
    assert "grow" in told("charts", {**right, "d": "large kernels"})
    assert "around 1/2" in told("charts", {**right, "c": "sigmoid"})
    assert "every answer" in told("charts", {**right, "c": "measles"})
    assert "a to e" in told("charts", "sigmoid")


def test_the_charts_show_what_the_answers_say():
    rows = {lesson11._DIAGNOSES[name]: chart for name, chart in lesson11.patients().items()}
    assert all(len(chart) == 4 for chart in rows.values())
    stds = {illness: [row["std"] for row in chart] for illness, chart in rows.items()}
    assert all(b < 0.3 * a for a, b in zip(stds["small kernels"], stds["small kernels"][1:], strict=False))
    assert all(b > 1.5 * a for a, b in zip(stds["large kernels"], stds["large kernels"][1:], strict=False))
    last = {illness: chart[-1] for illness, chart in rows.items()}
    assert last["healthy"]["mean"] == pytest.approx(0.319, abs=0.02)
    assert last["healthy"]["std"] == pytest.approx(0.647, abs=0.02)
    assert last["norm after activation"]["mean"] == pytest.approx(0, abs=1e-3)
    assert last["sigmoid"]["mean"] == pytest.approx(0.5, abs=0.05)
    assert rows["sigmoid"][0]["gradient"] < 0.01 * last["sigmoid"]["gradient"]


def test_overwrites():
    assert verdict("overwrites", lesson11.overwrites).passed
    assert "a network that keeps" in told("overwrites", lambda network, x1, x2, dy: False)
    assert "a network that returns" in told("overwrites", lambda network, x1, x2, dy: True)
    assert "True or False" in told("overwrites", lambda network, x1, x2, dy: None)


@pytest.mark.parametrize("differ", [lambda a, b: abs(a - b).max() > 0, lambda a, b: not np.array_equal(a, b)])
def test_a_gradient_that_was_not_asked_for(differ):
    def overwrites(network, x1, x2, dy):
        _, caches = network.forward(x1, training=True)
        before = network.backward(dy, caches)
        network.forward(x2, training=True)
        return bool(differ(before, network.backward(dy, caches)))

    assert "input_grad=True" in told("overwrites", overwrites)


def test_comparing_parameter_gradients_is_a_false_alarm_that_is_explained():
    def overwrites(network, x1, x2, dy):
        def grads():
            return np.concatenate([g.ravel() for layer in network.layers for g in layer.grads.values()])

        _, caches = network.forward(x1, training=True)
        network.backward(dy, caches)
        before = grads()
        network.forward(x2, training=True)
        network.backward(dy, caches)
        return not np.allclose(before, grads())

    assert "add into their grads" in told("overwrites", overwrites)


# ------------------------------------------------------------------------------------------------------------- pictures
def pictures():
    rng = np.random.default_rng(0)
    draw = figures.dcgan
    flow = lesson11.examine(discriminator_layers(1, Parts()), lesson11.faces(2, 64))
    small = rng.uniform(-1, 1, (3, 8, 8, 3))
    seen = [lesson11.seen_by_a_unit(k, training=False, width=1)[0] for k in (1, 2, 3, 4)]
    return {
        "feature_maps": draw.feature_maps(D_MAPS, G_MAPS),
        "parameters": draw.parameters({"discriminator": [("a", 3), ("b", 1)], "generator": [("c", 5)]}),
        "kernels": draw.kernels({"one": (rng.uniform(-1, 1, (3, 4)), 1.0), "two": (rng.uniform(-1, 1, 9), 1.0)}),
        "statistics": draw.statistics({"discriminator": flow, "again": flow}),
        "gradient_errors": draw.gradient_errors({"D": {"input": 1e-9, "0.kernel": 0.0}, "G": {"input": 1e-3}}),
        "memorised": draw.memorised([0.7, 0.1], rng.random((2, 4)), np.array([1, 0, 0, 1])),
        "film": draw.film([1.0, 0.5], {0: small, 1: small}, small),
        "receptive_fields": draw.receptive_fields(seen, [4, 10, 22, 46], np.stack([seen[0], seen[1]]) + 1e-9),
        "patients": draw.patients(lesson11.patients()),
    }


def test_pictures_are_drawn_and_labelled():
    for name, figure in pictures().items():
        figure.savefig(io.BytesIO(), format="png", dpi=20)
        shown = [ax for ax in figure.axes if ax.axison and len(ax.get_xticks())]
        assert all(ax.get_xlabel() for ax in shown if ax.get_label() != "<colorbar>"), name
        assert name == "feature_maps" or any(ax.get_ylabel() or ax.get_yticklabels() for ax in shown)


def test_one_batch_can_be_learned_by_heart():
    """The promise of the lesson, at the smallest width that keeps it."""
    batch = lesson11.one_batch(8)
    assert sorted(batch.labels.ravel()) == [0] * 4 + [1] * 4
    D = minigan.discriminator(image_size=32, width=4)
    optimizer = minigan.Adam(D.params(), learning_rate=1e-3)
    losses = [float(minigan.discriminator_step(D, optimizer, batch.images, batch.labels).loss) for _ in range(40)]
    assert losses[-1] < 0.1 * losses[0]
    G = minigan.generator(image_size=32, width=4)
    optimizer = minigan.Adam(G.params(), learning_rate=5e-3)
    errors = [lesson11.l2_step(G, optimizer, batch.noise, batch.images) for _ in range(40)]
    assert errors[-1] < 0.4 * errors[0]


def test_a_step_that_leaves_the_moving_statistics_is_told():
    def still(G, optimizer, noise, images):
        y, caches = G.forward(noise, training=True, update_stats=False)
        difference = y - images
        G.zero_grads()
        G.backward(2 * difference / difference.size, caches)
        optimizer.step(G.grads())
        return float((difference**2).mean())

    assert "moving statistics" in told("l2_step", still)


def test_a_loss_is_explained_only_if_it_is_the_same_in_both_steps():
    def after_or_half():
        calls = []

        def step(G, optimizer, noise, images):
            calls.append(lesson11.l2_step(G, optimizer, noise, images))
            return calls[-1] / 2 if len(calls) == 1 else calls[-1] / 3

        return step

    verdict = judge(EXERCISES["l2_step"], [after_or_half()])
    assert verdict.finding.title == "right gradients, but another loss is returned"
    assert verdict.finding.cause == ""
