"""The page on a prepared data set in a real browser: it fits the screen, whatever the files are called."""

import pytest
from browser import Browser, find_chromium
from test_preparation_report import pixels, report_page, tally_of

from minigan.data.prepare.tally import KINDS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]

PATH = "/" + "longfolder/" * 300
LONG = {
    "name": "n" * 250,
    "source": PATH,
    "command": f"python -m minigan.prepare {PATH} {'n' * 250}",
    "cascade": "c" * 200,
    "cascade_sha256": "0" * 64,
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(find_chromium(), tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.mark.parametrize("width", [390, 768, 1300])
@pytest.mark.parametrize(("folder", "changes"), [("", {}), ("z" * 200 + "/", LONG)], ids=["short", "long"])
def test_it_fits_the_screen(browser, tmp_path, folder, changes, width):
    tally = tally_of()
    for number, kind in enumerate(KINDS):
        tally.drop(f"{folder}{kind}.png", kind, f"because of {kind}", pixels(number), twin=1)
    (tmp_path / "report.html").write_text(report_page(tmp_path, tally, **changes), encoding="utf-8")
    browser.emulate(width=width)
    browser.open(tmp_path / "report.html")
    assert browser.sticking_out() == []
    assert browser.complaints() == []
