"""A headless Chromium for tests: DevTools commands through a pipe, without a driver program or a library.

``--remote-debugging-pipe`` makes the browser read JSON commands from file descriptor 3 and answer on 4, each message
ended by a zero byte. This is enough to open a page, press keys, take a screenshot and read its error messages.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0
"""Seconds for one answer; a browser starts slowly on a busy machine."""


def find_chromium():
    """Path of a Chromium, or None; the environment variable CHROMIUM goes before the usual names."""
    if sys.platform == "win32":  # where no process inherits descriptors 3 and 4
        return None
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


STICKING_OUT = """(() => {
    document.querySelectorAll('details').forEach((e) => { e.open = true; });
    const page = document.documentElement, found = [];
    if (page.scrollWidth > page.clientWidth) found.push(`page: ${page.scrollWidth} of ${page.clientWidth}`);
    for (const e of document.querySelectorAll('body :not(svg *)')) {
        if (SCROLLING.some((name) => e.classList.contains(name)) || e.classList.contains('hidden')) continue;
        const inline = getComputedStyle(e).display === 'inline';
        if (!inline && e.clientWidth && e.scrollWidth > e.clientWidth + 1)
            found.push(`${e.tagName} ${e.getAttribute('class') || ''}: ${e.scrollWidth} of ${e.clientWidth}`);
    }
    return found;
})()"""


class Browser:
    """A browser with one page."""

    def __init__(self, program, profile):
        down_read, self._down = os.pipe()
        self._up, up_write = os.pipe()
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
        ]
        options += ["--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]

        def place():
            # By way of high numbers: one pipe's end may itself be 3 or 4.
            high = os.dup2(down_read, 103), os.dup2(up_write, 104)
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([program, *options], pass_fds=(3, 4), preexec_fn=place, **quiet)
        os.close(down_read)
        os.close(up_write)
        self._buffer, self._number, self._session = b"", 0, None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._down)
            os.close(self._up)

    # -------------------------------------------------------------------------------------------------------- messages
    def call(self, method, **params):
        """Send one command and return its result; events that arrive in between are added to `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._down, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(PATIENCE)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def wait_for(self, method):
        """The next event of this kind, whether it has arrived already or not."""
        deadline = time.monotonic() + PATIENCE
        while not (found := [event for event in self.events if event["method"] == method]):
            self._next(deadline - time.monotonic())
        self.events.remove(found[0])
        return found[0]["params"]

    def _next(self, patience):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._up], [], [], max(0.0, patience))
            assert ready, "the browser does not answer"
            piece = os.read(self._up, 1 << 20)
            assert piece, "the browser has ended"
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(line)
        if "method" in message:
            self.events.append(message)
        return message

    # ---------------------------------------------------------------------------------------------------------- a page
    def open(self, path, fragment=""):
        """Load a file, or an address that begins with http, anew; returns when it is complete."""
        self.call("Page.navigate", url="about:blank")
        self.wait_for("Page.loadEventFired")
        self.events.clear()
        address = path if str(path).startswith("http") else Path(path).absolute().as_uri()
        self.call("Page.navigate", url=address + fragment)
        self.wait_for("Page.loadEventFired")

    def evaluate(self, expression):
        """Value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def press(self, key, code):
        """Press and release a key that is not a letter."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def move(self, x, y, *, click=False):
        """The mouse, perhaps with a click."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        if click:
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def complaints(self):
        """Errors and warnings on the console, and exceptions nobody caught."""
        self.evaluate("0")  # whatever was said before this has then been heard
        told = [e["params"]["entry"]["text"] for e in self.events if e["method"] == "Log.entryAdded"]
        told += [
            json.dumps(e["params"])
            for e in self.events
            if e["method"] == "Runtime.exceptionThrown"
            or (e["method"] == "Runtime.consoleAPICalled" and e["params"]["type"] in ("error", "warning", "assert"))
        ]
        return told

    def requests(self):
        """Addresses that the page has asked for, itself included; pictures in it do not count."""
        urls = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith("data:")]

    def look(self, path, *, width=1200, height=None, dark=False, media=""):
        """Take a picture of the page, all of it unless a height is given."""
        self.emulate(width=width, height=height or 800, dark=dark, media=media)
        if height is None:
            height = self.evaluate("document.documentElement.scrollHeight")
            self.emulate(width=width, height=height, dark=dark, media=media)
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=False)
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def sticking_out(self, *, scrolling=()):
        """What is wider than its place, on the page or in a box: nothing should have to be scrolled sideways.

        Boxes of the classes `scrolling` may be, such as a large table. Words for screen readers are left out.
        """
        return self.evaluate(STICKING_OUT.replace("SCROLLING", json.dumps(list(scrolling))))

    def emulate(self, *, width=1200, height=800, dark=False, media="", reduced_motion=False):
        """A screen of some size, a taste, or paper."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        features += [{"name": "prefers-reduced-motion", "value": "reduce" if reduced_motion else "no-preference"}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
