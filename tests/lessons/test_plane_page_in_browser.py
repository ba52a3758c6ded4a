"""Lesson 6's page to play with, in a real browser: its numbers are minigan's, it works, and it fits the screen."""

import json
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, find_chromium

from lessons import plane_gan
from lessons.exercises import lesson06
from minigan.nn.optimizers import Adam

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]

PAGE = Path(plane_gan.PAGE)

TRAIN = """(() => {
    const given = GIVEN, [reals, noises] = [given.reals.slice(), given.noises.slice()];
    const filled = (widths, layers) => {
        const net = planeGan.network(widths);
        layers.forEach(([w, b], k) => { net.layers[k].w.p.set(w); net.layers[k].b.p.set(b); });
        return net;
    };
    const game = {
        D: filled([2, 64, 64, 1], given.D), G: filled([8, 64, 64, 2], given.G),
        drawReal: () => Float64Array.from(reals.shift()), drawNoise: () => Float64Array.from(noises.shift()),
    };
    const losses = given.rounds.map((settings) => planeGan.round(game, settings));
    const places = Float64Array.from(given.places);
    return {
        losses: losses.map(({ real, fake, g }) => [real, fake, g]), left: [reals.length, noises.length],
        logits: Array.from(planeGan.forward(game.D, places, places.length / 2).y),
        fakes: Array.from(planeGan.forward(game.G, Float64Array.from(given.watched), given.watched.length / 8).y),
    };
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(find_chromium(), tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


def layers_of(network):
    return [[layer.params[name].ravel().tolist() for name in ("kernel", "bias")] for layer in network.layers[::2]]


def test_it_trains_as_the_lesson_does(browser):
    rng = np.random.default_rng(6)
    G, D = plane_gan.networks(seed=3)
    rounds = [(1, 1, 2e-3, 2e-3)] * 6 + [(2, 1, 1e-3, 4e-3)] * 3 + [(1, 3, 2e-3, 2e-3)] * 3
    given = {"D": layers_of(D), "G": layers_of(G), "reals": [], "noises": []}
    optimizers = [Adam(network.params(), learning_rate=1.0, beta_1=0.5) for network in (D, G)]

    def drawn(kind, draw):
        given[kind].append(draw(rng, plane_gan.BATCH))
        return given[kind][-1]

    losses = []
    for d_steps, g_steps, *rates in rounds:
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.learning_rate = rate
        of_round = lesson06.gan_round(
            lambda x, labels: plane_gan.discriminator_step(D, optimizers[0], x, labels),
            lambda z, labels: plane_gan.generator_step(G, D, optimizers[1], z, labels),
            G,
            lambda: drawn("reals", plane_gan.draw_ring),
            lambda: drawn("noises", plane_gan.draw_noise),
            d_steps,
            g_steps,
        )
        losses.append([float(loss) for loss in of_round])
    places, watched = plane_gan.grid()[::50], plane_gan.draw_noise(rng, 50)
    given |= {kind: [a.ravel().tolist() for a in given[kind]] for kind in ("reals", "noises")}
    given |= {"places": places.ravel().tolist(), "watched": watched.ravel().tolist()}
    given["rounds"] = [dict(zip(("dSteps", "gSteps", "dRate", "gRate"), one, strict=True)) for one in rounds]

    browser.open(PAGE)
    found = browser.evaluate(TRAIN.replace("GIVEN", json.dumps(given)))
    assert found["left"] == [0, 0]  # it drew as often as the lesson
    np.testing.assert_allclose(found["losses"], losses, rtol=2e-4)
    np.testing.assert_allclose(found["logits"], D.predict(places).ravel(), atol=2e-3)
    np.testing.assert_allclose(found["fakes"], G.predict(watched).ravel(), atol=2e-3)


def test_modes_are_counted_as_in_the_lesson(browser):
    rng = np.random.default_rng(1)
    many = plane_gan.draw_ring(rng, 400)
    browser.open(PAGE)
    for points in (many, many[many[:, 1] > 0], 0.8 * rng.standard_normal((250, 2))):
        told = browser.evaluate(f"planeGan.modesCovered({json.dumps(points.ravel().tolist())})")
        centres = plane_gan.ring_centres()
        assert told == lesson06.count_modes(points, centres, 3 * plane_gan.SIGMA, 0.02)


def test_it_plays(browser):
    browser.open(PAGE)

    def told(name):
        return browser.evaluate(f"document.getElementById('{name}').textContent")

    before = browser.evaluate("document.getElementById('plane').toDataURL()")
    browser.evaluate("document.getElementById('once').click()")
    assert told("rounds") == "1"
    assert float(told("g-loss")) > 0
    assert browser.evaluate("document.getElementById('plane').toDataURL()") != before
    browser.evaluate(
        "(s => { s.value = '10'; s.dispatchEvent(new Event('input')); })(document.getElementById('g-steps'))"
    )
    assert told("g-steps-told") == "10"
    browser.evaluate(
        "(s => { s.value = '0'; s.dispatchEvent(new Event('input')); })(document.getElementById('d-steps'))"
    )
    browser.evaluate("document.getElementById('once').click()")
    assert told("d-loss") == "-, -"  # D takes no step
    browser.evaluate("document.getElementById('restart').click()")
    assert (told("rounds"), told("seed")) == ("0", "2")
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [360, 768, 1300])
def test_it_fits_the_screen(browser, width):
    browser.emulate(width=width)
    browser.open(PAGE)
    assert browser.sticking_out() == []
    assert browser.requests() == [PAGE.absolute().as_uri()]  # nothing from elsewhere
    assert browser.complaints() == []
