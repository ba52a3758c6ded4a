"""The checker's page in a real browser: it fits the screen, whatever the files are called."""

from dataclasses import replace

import pytest
from browser import Browser, find_chromium
from test_class_report import many, one, render

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(find_chromium(), tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


def named(reports, *paths):
    return [replace(report, path=path) for report, path in zip(reports, paths, strict=False)] + reports[len(paths) :]


@pytest.mark.parametrize("width", [390, 768, 1300])
@pytest.mark.parametrize(
    "reports",
    [one(), many(), named(one(), "x" * 2000), named(many(), "x" * 180, "/" + "longfolder/" * 300 + "m.py")],
    ids=["one", "many", "one-long", "many-long"],
)
def test_it_fits_the_screen(browser, tmp_path, reports, width):
    (tmp_path / "out.html").write_text(render(reports), encoding="utf-8")
    browser.emulate(width=width)
    browser.open(tmp_path / "out.html")
    assert browser.sticking_out(scrolling=["scroll"] if width < 1300 else []) == []  # the table of files and exercises
    assert browser.complaints() == []
