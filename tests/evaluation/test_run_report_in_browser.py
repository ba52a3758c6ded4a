"""report.html in a real browser, from the disk, as its reader opens it; skipped where there is no Chromium."""

import re
import time

import pytest
from browser import Browser, find_chromium
from test_run_report import EVIL, data_of, evil_run, make_run, write

from minigan.evaluation import run_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]

LEFT, RIGHT, HOME, END = ("ArrowLeft", 37), ("ArrowRight", 39), ("Home", 36), ("End", 35)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(find_chromium(), tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of 400 steps with a film of 21 images."""
    return make_run(tmp_path_factory.mktemp("runs") / "my run", steps=400, done=400)


@pytest.fixture(scope="module")
def page(run):
    return data_of(write(run)[0])


@pytest.fixture
def opened(browser, run, page):
    """The report, freshly opened; afterwards it must have asked for nothing and complained of nothing."""
    browser.emulate()
    browser.open(run / "report.html")
    yield browser
    assert browser.complaints() == []
    assert browser.requests() == [(run / "report.html").as_uri()]


def shown(browser):
    """Which image of the film is shown, by its source, and what the page says of it."""
    return browser.evaluate("[find('frame').src, find('shown').textContent]".replace("find", "document.getElementById"))


def chip(browser):
    return browser.evaluate("document.querySelector('.chip').textContent.trim()")


def until(browser, expression, seconds=30):
    """Wait until something is true in the page."""
    deadline = time.monotonic() + seconds
    while not browser.evaluate(expression):
        assert time.monotonic() < deadline, f"never true: {expression}"
        time.sleep(0.05)


def box(browser, selector):
    """Left, top, width and height of an element, scrolled into view."""
    return browser.evaluate(
        f"(() => {{ const e = document.querySelector({selector!r});"
        "e.scrollIntoView({block: 'center', behavior: 'instant'});"
        "const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
    )


def click(browser, selector):
    left, top, width, height = box(browser, selector)
    browser.move(left + width / 2, top + height / 2, click=True)


def test_the_slider_moves_the_film(opened, page):
    images, steps = page["pictures"], page["steps"]
    assert shown(opened) == [images[-1], "after 400 steps"]
    opened.evaluate("document.getElementById('slider').focus()")
    opened.press(*LEFT)
    assert shown(opened) == [images[-2], f"after {steps[-2]} steps"]
    opened.press(*HOME)
    assert shown(opened) == [images[0], "after 0 steps"]
    opened.press(*RIGHT)
    assert shown(opened) == [images[1], f"after {steps[1]} steps"]
    assert opened.evaluate("document.getElementById('slider').getAttribute('aria-valuetext')") == "after 20 steps"
    until(opened, "location.hash === '#step=20'")
    opened.press(*END)
    until(opened, "location.hash === ''")  # the newest one is not held on to
    marks = opened.evaluate("[...document.querySelectorAll('path.film')].map((p) => p.getAttribute('transform'))")
    assert set(marks) == {"translate(1000.0 0)"}


@pytest.mark.parametrize(("fragment", "step"), [("#step=120", 120), ("#step=131", 140), ("#step=99999", 400)])
def test_an_address_opens_its_image(browser, run, page, fragment, step):
    browser.open(run / "report.html", fragment)
    assert shown(browser) == [page["pictures"][page["steps"].index(step)], f"after {step} steps"]


@pytest.mark.parametrize("fragment", ["#step=", "#step=x", "#<img src=x onerror=alert(1)>", "#curves", "#%zz"])
def test_an_address_that_says_nothing(browser, run, page, fragment):
    browser.open(run / "report.html", fragment)
    assert shown(browser)[0] == page["pictures"][-1]
    assert browser.complaints() == []


def test_play_and_pause(opened, page):
    click(opened, "#play")  # from the end it begins again
    until(opened, "document.getElementById('shown').textContent === 'after 40 steps'")
    assert "Pause" in opened.evaluate("document.getElementById('play').textContent")
    click(opened, "#play")
    assert "Play" in opened.evaluate("document.getElementById('play').textContent")
    here = shown(opened)
    time.sleep(0.6)  # more than an image's time
    assert shown(opened) == here
    opened.evaluate("document.getElementById('slider').focus()")
    for key in (END, LEFT, LEFT, LEFT):
        opened.press(*key)
    opened.evaluate("document.getElementById('play').focus()")
    opened.call("Input.dispatchKeyEvent", type="keyDown", key=" ", code="Space", windowsVirtualKeyCode=32, text=" ")
    opened.call("Input.dispatchKeyEvent", type="keyUp", key=" ", code="Space", windowsVirtualKeyCode=32)
    until(opened, "document.getElementById('shown').textContent === 'after 400 steps'")
    until(opened, "document.getElementById('play').textContent.includes('Play')")


def test_the_curves_are_read_out(opened, page):
    left, top, width, height = box(opened, "figure.curves .plot")
    opened.move(left + width / 4, top + height / 2)
    first = page["charts"][0]
    place = max(k for k, step in enumerate(first["first"]) if step <= 399 / 4)
    span = [first["first"][place], first["last"][place]]
    words = f"step {span[0]}" if span[0] == span[1] else f"steps {span[0]} to {span[1]}"
    assert opened.evaluate("[...document.querySelectorAll('.at')].slice(0, 3).map((e) => e.textContent)") == [words] * 3
    read = opened.evaluate("[...document.querySelectorAll('.legend b')].map((e) => e.textContent)")
    medians = [series[place] for chart in page["charts"][:3] for series in chart["median"]]
    assert [float(re.match("[0-9.]+", told)[0]) for told in read[:5]] == pytest.approx(medians, abs=6e-4)
    opened.move(2, 2)
    assert opened.evaluate("document.querySelector('.at').textContent") == "newest"


def test_a_click_on_a_curve_leads_to_its_image(opened, page):
    left, top, width, height = box(opened, "figure.curves .plot")
    opened.move(left + width / 2, top + height / 2, click=True)
    assert shown(opened) == [page["pictures"][page["steps"].index(200)], "after 200 steps"]


def test_the_curves_are_read_out_by_keyboard(opened, page):
    opened.evaluate("document.querySelector('figure.curves .chart').focus()")
    opened.press(*HOME)
    opened.press(*RIGHT)
    element = "document.querySelector('figure.curves .chart')"
    assert opened.evaluate(f"{element}.getAttribute('role')") == "slider"
    words = opened.evaluate(f"{element}.getAttribute('aria-valuetext')")
    first, last = page["charts"][0]["first"][1], page["charts"][0]["last"][1]
    assert words.startswith(f"steps {first} to {last}: generator " if first < last else f"step {first}: generator ")


def test_light_and_dark(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = opened.evaluate(ground)
    opened.emulate(dark=True)
    dark = opened.evaluate(ground)
    assert light != dark
    click(opened, "#theme")  # the reader's choice goes before the system's, and outlives the page
    assert opened.evaluate(ground) == light
    opened.call("Page.reload")
    opened.wait_for("Page.loadEventFired")
    assert opened.evaluate(ground) == light
    opened.emulate(dark=True, media="print")
    assert opened.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper')") == "#ffffff"
    opened.emulate()
    opened.evaluate("localStorage.clear()")
    opened.events.clear()
    opened.call("Page.reload")
    opened.wait_for("Page.loadEventFired")


@pytest.mark.parametrize("width", [320, 390, 768, 1300, 1600])
def test_it_fits_the_screen(opened, width):
    opened.emulate(width=width)
    # On the narrowest screens, the table of numbers is wider than the screen, and scrolls in its own box.
    assert opened.sticking_out(scrolling=["scroll"] if width < 390 else []) == []
    height = "Math.min(...[...document.querySelectorAll('.chart text')].map((e) => e.getBoundingClientRect().height))"
    assert opened.evaluate(height) >= 11  # the numbers do not shrink with the drawing


@pytest.mark.parametrize("width", [390, 768, 1300])
def test_long_names_and_words_fit_the_screen(browser, tmp_path, width):
    run = make_run(tmp_path / ("r" * 200), data="/" + "longfolder/" * 300)
    write(run, run_report.FAILED, "x" * 500)
    browser.emulate(width=width)
    browser.open(run / "report.html")
    assert browser.sticking_out() == []


def test_commands_can_be_copied(opened):
    opened.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    click(opened, "button.copy")
    until(opened, "['Copied', 'Selected'].includes(document.querySelector('button.copy').textContent)")
    command = opened.evaluate("document.getElementById('command-0').textContent")
    assert command.startswith("python -m minigan.train --resume '")


def test_without_script(browser, run, page):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(run / "report.html")
        document = browser.call("DOM.getDocument", depth=-1)["root"]["nodeId"]

        def visible(selector):
            node = browser.call("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
            style = browser.call("CSS.getComputedStyleForNode", nodeId=node)["computedStyle"]
            return {entry["name"]: entry["value"] for entry in style}["display"] != "none"

        browser.call("DOM.enable")
        browser.call("CSS.enable")
        assert visible("#frame")
        assert visible(".plot")
        assert not visible(".controls")
        assert not visible("button.copy")
        assert not visible("#theme")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_names_do_nothing(browser, tmp_path):
    run = evil_run(tmp_path / EVIL.replace("/", "|"))
    write(run, run_report.FAILED, EVIL)
    browser.open(run / "report.html")
    assert browser.complaints() == []
    assert not [event for event in browser.events if event["method"] == "Page.javascriptDialogOpening"]
    assert browser.evaluate("document.querySelector('h1').textContent") == EVIL.replace("/", "|")
    assert browser.evaluate("document.images.length") == 2


def test_an_injected_script_would_not_run(browser, run, page, tmp_path):
    """The policy holds by itself: without the escaping, a script would still be refused, and so would an image."""
    words = (run / "report.html").read_text(encoding="utf-8")
    evil = "<script>document.title = 'run'</script><img src='file:///x.png' onerror=\"document.title = 'run'\">"
    (tmp_path / "evil.html").write_text(words.replace("<main>", f"<main>{evil}"), encoding="utf-8")
    browser.open(tmp_path / "evil.html")
    assert browser.evaluate("document.title") == "my run · minigan"
    assert len(browser.complaints()) >= 2


def test_a_running_page_looks_again_by_itself(browser, tmp_path, monkeypatch):
    """The new page is there, at the image that was looked at, and a finished run is not looked at again."""
    monkeypatch.setattr(run_report, "_refresh_seconds", lambda facts: 1)
    run, later = (make_run(tmp_path / name, steps=400, done=done) for name, done in (("run", 200), ("later", 400)))
    write(run, run_report.RUNNING)
    write(later, run_report.FINISHED)
    browser.emulate()
    browser.open(run / "report.html", "#step=60")
    assert chip(browser).endswith("Running")
    browser.evaluate("document.querySelector('details').open = true; document.getElementById('slider').focus()")
    (later / "report.html").replace(run / "report.html")
    browser.wait_for("Page.loadEventFired")
    assert chip(browser).endswith("Finished")
    assert shown(browser)[1] == "after 60 steps"
    assert browser.evaluate("document.getElementById('follow')") is None
    assert browser.complaints() == []


def test_the_reader_can_stop_it(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(run_report, "_refresh_seconds", lambda facts: 1)
    run = make_run(tmp_path / "run", steps=400, done=200)
    write(run, run_report.RUNNING)
    browser.open(run / "report.html")
    browser.evaluate("document.getElementById('follow').click()")  # no mouse: it would wait while that is moving
    assert not browser.evaluate("document.getElementById('follow').checked")
    browser.evaluate("window.same = true")
    time.sleep(2.5)
    assert browser.evaluate("window.same")
    browser.events.clear()
    browser.evaluate("document.getElementById('follow').click()")
    browser.wait_for("Page.loadEventFired")
