"""The page in a real browser, with both engines; skipped where there is no Chromium."""

import base64
import io
import json
import time

import numpy as np
import pytest
from browser import Browser, find_chromium
from explored import explorable, exploring, serving_files, trained
from PIL import Image

from minigan.pages.plots import to_uint8
from minigan.play import explore_server
from minigan.play.explore_page import Explorable
from minigan.play.face_text import face_text, noise_of_text, rounded_noise, weights_hash
from minigan.play.static_page import write_folder

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]

LEFT, UP, RIGHT, DOWN = ("ArrowLeft", 37), ("ArrowUp", 38), ("ArrowRight", 39), ("ArrowDown", 40)
PANELS = ("wall", "variations", "mix", "path", "favourites")
DRAWN = (
    "[...document.querySelectorAll('canvas')].every((c) => !c.offsetParent || c.id === 'film' || 'drawn' in c.dataset)"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(find_chromium(), tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def subject():
    return explorable()


@pytest.fixture(scope="module")
def server(subject):
    with exploring(subject) as made:
        yield made


@pytest.fixture
def opened(browser, server):
    """The page from the server, freshly opened, with nothing kept; afterwards it has complained of nothing."""
    browser.emulate()
    origin = f"http://127.0.0.1:{server.server_port}"
    browser.call("Storage.clearDataForOrigin", origin=origin, storageTypes="local_storage")
    open_page(browser, server.address)
    yield browser
    assert browser.complaints() == []
    assert all(url.startswith(server.address) for url in browser.requests() if not url.startswith("blob:"))


def open_page(browser, address, fragment=""):
    browser.open(address, fragment)
    browser.evaluate("document.documentElement.style.scrollBehavior = 'auto'")  # nothing moves while a click is aimed
    until(browser, DRAWN)


def until(browser, expression, seconds=60):
    """Wait until something is true in the page."""
    deadline = time.monotonic() + seconds
    while not browser.evaluate(expression):
        assert time.monotonic() < deadline, f"never true: {expression}"
        time.sleep(0.02)


def click(browser, selector):
    browser.evaluate(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
    left, top, width, height = box(browser, selector)
    browser.move(left + width / 2, top + height / 2, click=True)
    until(browser, DRAWN)


def box(browser, selector):
    return browser.evaluate(
        f"(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect();"
        "return [b.left, b.top, b.width, b.height]; })()"
    )


def text(browser):
    return browser.evaluate("document.getElementById('text').value")


def noise(browser, subject):
    return noise_of_text(text(browser), weights_hash(subject.generator))


def pixels(browser, selector):
    """The red, green and blue bytes of a canvas."""
    told = browser.evaluate(
        f"(() => {{ const c = document.querySelector({selector!r});"
        "return [c.width, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]; })()"
    )
    return np.array(told[1], np.uint8).reshape(told[0], told[0], 4)[:, :, :3]


def press(browser, key, code=0):
    """A key; letters need no code."""
    if len(key) == 1:
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")
    else:
        browser.press(key, code)


def saved_file(browser, selector):
    """What a button offers to save."""
    browser.evaluate(
        "window.offered = null; URL.createObjectURL = (blob) => { window.offered = blob; return 'data:,'; };"
        "HTMLAnchorElement.prototype.click = () => {}"
    )
    click(browser, selector)
    until(browser, "window.offered !== null")
    return base64.b64decode(
        browser.evaluate(
            "new Promise((give) => { const r = new FileReader(); r.onload = () => give(r.result.split(',')[1]);"
            "r.readAsDataURL(window.offered); })"
        )
    )


def wall(browser):
    """Every face on the wall, as an image's address."""
    return browser.evaluate("[...document.querySelectorAll('#wall-tiles canvas')].map((c) => c.toDataURL())")


# ---- The parent ----


def test_a_click_makes_a_face_the_parent_and_its_text_the_address(opened, subject):
    before = text(opened)
    click(opened, "#wall-tiles .tile:nth-child(3) .face")
    assert text(opened) != before
    assert opened.evaluate("location.hash") == f"#{text(opened)}"
    z = noise(opened, subject)
    expected = to_uint8(subject.generator.predict(z)[0])
    np.testing.assert_array_equal(pixels(opened, "#portrait"), expected)
    np.testing.assert_array_equal(pixels(opened, "#wall-tiles .tile:nth-child(3) canvas"), expected)
    assert opened.evaluate("document.querySelectorAll('.is-parent').length") == 1
    assert "the parent" in opened.evaluate("document.querySelector('.is-parent .face').getAttribute('aria-label')")


def test_random_faces_are_standard_normal_noise(opened, subject):
    numbers = []
    for k in range(8):
        click(opened, f"#wall-tiles .tile:nth-child({k + 1}) .face")
        numbers.append(noise(opened, subject).ravel())
    numbers = np.concatenate(numbers)
    assert abs(numbers.mean()) < 5 / np.sqrt(800)
    assert abs(numbers.std() - 1) < 5 / np.sqrt(1600)


def test_an_address_is_a_face(browser, server, subject):
    z = rounded_noise(np.random.default_rng(4).standard_normal(100))
    wanted = face_text(z, weights_hash(subject.generator))
    open_page(browser, server.address, f"#{wanted}")
    assert text(browser) == wanted
    np.testing.assert_array_equal(noise(browser, subject).ravel(), z)
    assert browser.complaints() == []


def test_undo_redo_and_history(opened):
    texts = [text(opened)]
    for k in (1, 2):
        click(opened, f"#wall-tiles .tile:nth-child({k}) .face")
        texts.append(text(opened))
    press(opened, "u")
    assert text(opened) == texts[1]
    click(opened, "#undo")
    assert text(opened) == texts[0]
    assert opened.evaluate("document.getElementById('undo').disabled")
    press(opened, "r")
    assert text(opened) == texts[1]
    click(opened, "#history-box summary")
    until(opened, "document.querySelectorAll('#history .tile').length === 1")
    click(opened, "#history .tile .face")
    assert text(opened) == texts[0]
    assert opened.evaluate("document.getElementById('redo').disabled")  # another way has been taken


def test_the_history_is_there_again(opened, server):
    click(opened, "#wall-tiles .tile:nth-child(2) .face")
    parent = text(opened)
    open_page(opened, server.address)
    assert text(opened) == parent
    assert not opened.evaluate("document.getElementById('undo').disabled")


@pytest.mark.parametrize("case", ["cut", "other weights", "words"])
def test_a_wrong_text_is_told_in_one_line(opened, case):
    right = text(opened)
    wrong, words = {
        "cut": (right[:90], "it has been cut"),
        "other weights": (right[:4] + "00000000" + right[12:], "of other weights"),
        "words": ("hello", "begins with mg1-"),
    }[case]
    opened.evaluate(f"document.getElementById('text').value = {wrong!r}")
    click(opened, "#text-form button")
    assert words in opened.evaluate("document.getElementById('text-error').textContent")
    assert opened.evaluate("location.hash") == f"#{right}"
    opened.evaluate(f"location.hash = {wrong!r}")
    until(opened, f"document.getElementById('text').value === {wrong!r}")
    opened.evaluate(f"location.hash = {right!r}")
    until(opened, "document.getElementById('text-error').textContent === ''")
    assert text(opened) == right


def test_a_link_with_a_wrong_text_is_told_beside_another_face(opened, server):
    before = text(opened)
    open_page(opened, server.address, f"#{before[:90]}")
    assert "it has been cut" in opened.evaluate("document.getElementById('text-error').innerText")
    assert text(opened) == before[:90]
    assert opened.evaluate("location.hash") == f"#{before}"
    top, height = box(opened, "#text-error")[1::2]
    assert 0 <= top < top + height <= opened.evaluate("innerHeight")
    click(opened, "#wall-tiles .tile:nth-child(2) .face")
    assert opened.evaluate("document.getElementById('text-error').innerText") == ""


def test_where_the_address_cannot_be_changed_the_page_works(opened):
    before = text(opened)
    opened.evaluate("history.replaceState = () => { throw new DOMException('too often', 'SecurityError'); }")
    click(opened, "#wall-tiles .tile:nth-child(2) .face")
    assert text(opened) != before
    assert opened.evaluate("document.querySelectorAll('.is-parent').length") == 1


def test_sliders_turn_the_noise_at_constant_length(opened, subject):
    before = noise(opened, subject).ravel()
    opened.evaluate("document.getElementById('slider-1').focus()")
    for _ in range(20):
        opened.press(*RIGHT)
    until(opened, DRAWN)
    after = noise(opened, subject).ravel()
    v = subject.directions[1].vector
    expected = before + 0.5 * np.linalg.norm(before) * v
    expected *= np.linalg.norm(before) / np.linalg.norm(expected)
    assert np.abs(after - np.clip(expected, -4, 4)).max() <= 1 / 60
    assert opened.evaluate("document.getElementById('slider-1').getAttribute('aria-valuetext')") == "100 percent more"
    press(opened, "u")  # all of it at once, while the slider has the focus
    np.testing.assert_array_equal(noise(opened, subject).ravel(), before)
    assert opened.evaluate("document.getElementById('undo').disabled")
    assert opened.evaluate("document.getElementById('slider-1').value") == "0"
    press(opened, "r")
    np.testing.assert_array_equal(noise(opened, subject).ravel(), after)


def test_a_face_as_a_file(opened, subject):
    with Image.open(io.BytesIO(saved_file(opened, "#save"))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (256, 256))
        assert image.text == {"Comment": text(opened)}
        shown = np.asarray(image)[::8, ::8]
    np.testing.assert_array_equal(shown, to_uint8(subject.generator.predict(noise(opened, subject))[0]))


# ---- The wall, by keyboard ----


def test_keys_move_lock_and_keep(opened):
    opened.evaluate("document.querySelector('#wall-tiles .face').focus()")
    columns = opened.evaluate(
        "getComputedStyle(document.getElementById('wall-tiles')).gridTemplateColumns.split(' ').length"
    )
    index = "[...document.querySelectorAll('#wall-tiles .face')].indexOf(document.activeElement)"
    for key, at in (
        (RIGHT, 1),
        (DOWN, 1 + columns),
        (LEFT, columns),
        (UP, 0),
        (UP, 0),
        (("End", 35), -1),
        (("Home", 36), 0),
    ):
        opened.press(*key)
        count = opened.evaluate("document.querySelectorAll('#wall-tiles .face').length")
        assert opened.evaluate(index) == at % count
    assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert opened.evaluate("document.querySelectorAll('#wall-tiles [tabindex=\"0\"]').length") == 1
    before = wall(opened)
    press(opened, "l")
    press(opened, "f")
    assert opened.evaluate("document.activeElement.getAttribute('aria-label')").endswith(", locked, kept")
    assert opened.evaluate("document.getElementById('count').textContent") == "(1)"
    click(opened, "#wall-new")
    after = wall(opened)
    assert [k for k, (a, b) in enumerate(zip(before, after, strict=True)) if a == b] == [0]


def test_letters_for_the_whole_page_can_be_turned_off(opened, server):
    shortcut = "document.getElementById('undo').getAttribute('aria-keyshortcuts')"
    first = text(opened)
    click(opened, "#wall-tiles .tile:nth-child(2) .face")
    assert opened.evaluate(shortcut) == "U"
    click(opened, "#letters")
    assert opened.evaluate(shortcut) is None
    for again in range(2):
        second = text(opened)
        assert second != first
        opened.evaluate("document.body.focus()")
        for letter in "urf":
            press(opened, letter)
        assert (text(opened), opened.evaluate("document.getElementById('count').textContent")) == (second, "")
        opened.evaluate("document.querySelector('#wall-tiles .face').focus()")
        press(opened, "f")  # on a face that has the focus, the letter is still a key
        assert opened.evaluate("document.getElementById('count').textContent") == "(1)"
        press(opened, "f")
        if not again:
            open_page(opened, server.address)
    click(opened, "#letters")
    assert opened.evaluate(shortcut) == "U"
    press(opened, "f")  # the switch itself has the focus
    assert opened.evaluate("document.getElementById('count').textContent") == "(1)"


def test_tabs_by_keyboard(opened):
    opened.evaluate("document.getElementById('tab-wall').focus()")
    for panel in (*PANELS[1:], PANELS[0]):
        opened.press(*RIGHT)
        assert opened.evaluate("document.activeElement.id") == f"tab-{panel}"
        visible = "[...document.querySelectorAll('.panel')].filter((p) => !p.hidden).map((p) => p.id)"
        assert opened.evaluate(visible) == [panel]
    until(opened, DRAWN)


# ---- Variations ----


def test_variations_are_at_their_distances(opened, subject):
    parent = text(opened)
    before = noise(opened, subject).ravel()
    for row, angle in (("near", 0.3), ("further", 0.65), ("far", 1.05)):
        click(opened, "#tab-variations")
        click(opened, f"#{row} .tile:nth-child(2) .face")
        after = noise(opened, subject).ravel()
        cosine = after @ before / np.linalg.norm(after) / np.linalg.norm(before)
        assert abs(np.arccos(cosine) - angle) < 0.02
        assert abs(np.linalg.norm(after) / np.linalg.norm(before) - 1) < 0.02
        press(opened, "u")
        assert text(opened) == parent


# ---- Mixing ----


def corner(browser, subject, k):
    click(browser, f"#corners .corner:nth-child({k}) .face")
    return noise(browser, subject).ravel()


def slerp(a, b, t):
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


@pytest.mark.parametrize("way", ["mouse", "touch"])
def test_dragging_over_the_plane_mixes_four(opened, subject, way):
    click(opened, "#tab-mix")
    a, b, c, d = (corner(opened, subject, k) for k in (1, 2, 3, 4))
    opened.evaluate("document.getElementById('plane').scrollIntoView({block: 'center', behavior: 'instant'})")
    left, top, width, height = box(opened, "#mosaic")
    places = [(left + width * x, top + height * y) for x, y in ((0.5, 0.5), (0.4, 0.6), (0.3, 0.9))]
    if way == "mouse":
        opened.move(*places[0])
        opened.call(
            "Input.dispatchMouseEvent", type="mousePressed", x=places[0][0], y=places[0][1], button="left", clickCount=1
        )
        for x, y in places[1:]:
            opened.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        opened.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)
    else:
        for kind, (x, y) in zip(("touchStart", "touchMove", "touchMove"), places, strict=True):
            opened.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        opened.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    until(opened, DRAWN)
    x, y = 0.25, 1.0  # 0.3 and 0.9 of the width; the middles of the corner faces, at 0.1 and 0.9, are 0 and 1
    expected = slerp(slerp(a, b, x), slerp(c, d, x), y)
    assert np.abs(noise(opened, subject).ravel() - expected).max() < 0.05
    assert opened.evaluate("document.getElementById('handle').getAttribute('aria-valuetext')") == (
        "25 percent from left to right, 100 percent from top to bottom"
    )


def test_keys_mix_two(opened, subject):
    click(opened, "#tab-mix")
    click(opened, "#mix-two")
    a, b = (corner(opened, subject, k) for k in (1, 2))
    opened.evaluate("document.getElementById('handle').focus()")
    for _ in range(3):
        opened.press(*RIGHT)
    expected, deadline = slerp(a, b, 0.65), time.monotonic() + 60
    while np.abs(noise(opened, subject).ravel() - expected).max() >= 0.02:  # until the page has answered the last key
        assert time.monotonic() < deadline
        time.sleep(0.02)
    until(opened, DRAWN)
    parent = text(opened)
    click(opened, "#corners .corner:nth-child(2) > button")
    click(opened, "#corners .corner:nth-child(2) .face")
    assert text(opened) == parent


# ---- Favourites ----


def test_favourites_stay_and_make_a_sheet(opened, server, subject):
    texts = []
    for k in (1, 2, 3):
        click(opened, f"#wall-tiles .tile:nth-child({k}) .face")
        press(opened, "f")
        texts.append(text(opened))
    open_page(opened, server.address)
    click(opened, "#tab-favourites")
    assert opened.evaluate("document.querySelectorAll('#kept-tiles .tile').length") == 3
    with Image.open(io.BytesIO(saved_file(opened, "#sheet-save"))) as image:
        assert image.size == (2 * (64 + 4) + 4, 2 * (64 + 4) + 4)
        assert image.text["Comment"].split("\n") == texts
        shown = np.asarray(image)
    face = to_uint8(subject.generator.predict(noise_of_text(texts[1], weights_hash(subject.generator)))[0])
    np.testing.assert_array_equal(shown[4:68:2, 72:136:2], face)
    assert (shown[:4] == 255).all()
    click(opened, "#kept-tiles .tile:nth-child(1) .heart")
    assert opened.evaluate("document.querySelectorAll('#kept-tiles .tile').length") == 2


def test_what_another_tab_keeps_is_not_lost(opened, subject):
    key = f"minigan-explore-favourites-{weights_hash(subject.generator)}"
    other = face_text(np.arange(100) / 32, weights_hash(subject.generator))
    opened.evaluate(f"localStorage.setItem({key!r}, {json.dumps([other])!r})")
    opened.evaluate(f"dispatchEvent(new StorageEvent('storage', {{key: {key!r}}}))")
    assert opened.evaluate("document.getElementById('count').textContent") == "(1)"
    press(opened, "f")
    assert json.loads(opened.evaluate(f"localStorage.getItem({key!r})")) == [other, text(opened)]


def test_when_a_face_is_no_longer_kept_the_keyboard_stays_beside_it(opened):
    for k in (1, 2):
        click(opened, f"#wall-tiles .tile:nth-child({k}) .face")
        press(opened, "f")
    click(opened, "#tab-favourites")
    opened.evaluate("document.querySelector('#kept-tiles .tile:last-child .face').focus()")
    press(opened, "f")
    assert opened.evaluate("document.activeElement === document.querySelector('#kept-tiles .tile .face')")
    press(opened, "f")
    assert opened.evaluate("document.activeElement.id") == "favourites"


def test_what_others_have_written_into_the_store_does_no_harm(opened, server, subject):
    key = f"minigan-explore-favourites-{weights_hash(subject.generator)}"
    for value in ("{", '[1, null, "mg1-", {}]'):
        opened.evaluate(f"localStorage.setItem({key!r}, {value!r})")
        open_page(opened, server.address)
        assert opened.evaluate("document.getElementById('count').textContent") == ""


def test_paper_has_the_faces_only(opened):
    press_visible = "[...document.querySelectorAll('body *')].filter((e) => e.offsetParent && !e.matches('svg *'))"
    opened.emulate(media="print")
    seen = set(opened.evaluate(press_visible + ".map((e) => e.id || e.tagName + '.' + e.className)"))
    assert "wall-tiles" in seen  # nothing is kept
    assert not seen & {"wall-new", "tab-wall", "portrait", "theme", "BUTTON.mark lock"}
    opened.emulate()
    press(opened, "f")
    opened.emulate(media="print")
    seen = set(opened.evaluate(press_visible + ".map((e) => e.id || e.tagName + '.' + e.className)"))
    assert "kept-tiles" in seen
    assert "wall-tiles" not in seen
    opened.emulate()


# ---- A film ----


def test_a_film_of_the_way(opened, subject):
    click(opened, "#tab-path")
    assert opened.evaluate("document.querySelectorAll('#stations .tile').length") == 3
    click(opened, "#stations .tile:nth-child(3) .face")
    opened.evaluate(
        "(() => { const s = document.getElementById('path-seconds'); s.value = 0.5;"
        "s.dispatchEvent(new Event('input')); })()"
    )
    with Image.open(io.BytesIO(saved_file(opened, "#path-save"))) as film:
        assert (film.format, film.size, film.n_frames) == ("PNG", (128, 128), 12)
        texts = film.text["Comment"].split("\n")
        a, b = (noise_of_text(t, weights_hash(subject.generator)).ravel().astype(float) for t in texts)
        for frame, t in ((0, 0), (3, 0.5), (6, 1), (9, 0.5)):
            film.seek(frame)
            assert abs(film.info["duration"] - 1000 / 12) < 1
            z = rounded_noise(slerp(a, b, t)).reshape(1, 1, 1, 100)
            expected = to_uint8(subject.generator.predict(z)[0]).astype(int)
            assert np.abs(np.asarray(film.convert("RGB"))[::4, ::4] - expected).max() <= 3  # where a half is rounded
    click(opened, "#path-play")
    until(opened, "document.getElementById('path-play').textContent === 'Stop'")
    click(opened, "#tab-wall")
    assert opened.evaluate("document.getElementById('path-play').textContent") == "Play"


# ---- Looks ----


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_sticks_out(opened, width):
    opened.emulate(width=width, height=800)
    for panel in PANELS:
        click(opened, f"#tab-{panel}")
        out = [told for told in opened.sticking_out(scrolling=["tabs"]) if not told.startswith("INPUT")]
        assert out == [], panel


def test_on_a_phone_a_small_portrait_floats(opened):
    opened.emulate(width=390, height=800)
    opened.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    until(opened, "!document.getElementById('floating').hidden")
    opened.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
    until(opened, "document.getElementById('floating').hidden")


def test_everything_that_can_be_pressed_has_a_name(opened):
    for panel in PANELS:
        click(opened, f"#tab-{panel}")
    nameless = opened.evaluate(
        "[...document.querySelectorAll('button, input, [role=img], [role=slider]')].filter((e) =>"
        "!(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML)"
    )
    assert nameless == []


# ---- When the server has gone ----


def test_a_server_that_has_ended_is_told(browser, subject, monkeypatch):
    monkeypatch.setattr(explore_server._Handler, "protocol_version", "HTTP/1.0")  # no connection stays open
    with exploring(subject) as server:
        open_page(browser, server.address)
    browser.evaluate("document.getElementById('wall-new').click()")
    until(browser, "!document.getElementById('trouble').hidden")
    assert "has ended. Start it again." in browser.evaluate("document.getElementById('trouble').textContent")


# ---- The folder ----


@pytest.mark.parametrize(("image_size", "width"), [(32, 1), (32, 6), (64, 3), (128, 2), (64, 64)])
def test_the_browser_draws_what_numpy_draws(browser, tmp_path, image_size, width):
    network = trained(image_size, width)
    write_folder(tmp_path / "site", Explorable(network, "a run", 5, []))
    steps = np.random.default_rng(width).integers(-70, 70, (3, 100))
    with serving_files(tmp_path / "site") as server:
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        drawn = browser.evaluate(
            "(async () => { const { engineFor } = await import('./engines.js');"
            "const data = JSON.parse(document.getElementById('data').textContent);"
            f"const faces = {json.dumps(steps.tolist())}.map((face) => Int8Array.from(face));"
            "return (await engineFor(data).draw(faces)).map((pixels) => Array.from(pixels)); })()"
        )
        assert browser.complaints() == []
    drawn = np.array(drawn).reshape(3, image_size, image_size, 4)
    expected = to_uint8(network.predict((steps / 32).astype(np.float32).reshape(3, 1, 1, 100))).astype(int)
    assert np.abs(drawn[..., :3] - expected).max() <= 1
    assert (drawn[..., 3] == 255).all()
    assert expected.std() > 5


def test_the_folder_is_the_same_page(browser, subject, tmp_path):
    write_folder(tmp_path / "site", subject)
    with serving_files(tmp_path / "site") as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        open_page(browser, address)
        click(browser, "#wall-tiles .tile:nth-child(3) .face")
        expected = to_uint8(subject.generator.predict(noise(browser, subject))[0]).astype(int)
        assert np.abs(pixels(browser, "#portrait") - expected).max() <= 1
        assert all(url.startswith(address) for url in browser.requests())
        assert browser.complaints() == []


def test_a_missing_generator_is_told(browser, subject, tmp_path):
    write_folder(tmp_path / "site", subject)
    (file,) = (tmp_path / "site").glob("*.bin")
    file.write_bytes(file.read_bytes()[:-2])
    with serving_files(tmp_path / "site") as server:
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        until(browser, "document.getElementById('trouble').textContent.startsWith('The generator\\'s file must have')")
        file.unlink()
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        until(browser, "document.getElementById('trouble').textContent.includes('cannot be loaded (404)')")


def test_opened_from_the_disk_it_says_what_it_needs(browser, subject, tmp_path):
    write_folder(tmp_path / "site", subject)
    browser.open(tmp_path / "site" / "index.html")
    words = browser.evaluate("document.getElementById('as-file').innerText")
    assert words.startswith("This page needs a file server")
    assert browser.evaluate("document.getElementById('app').offsetParent === null")
