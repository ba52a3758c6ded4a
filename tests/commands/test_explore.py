"""`python -m minigan.explore`: the server as a process, the folder, and calls that are refused."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
import warnings

import pytest
from conftest import hear_ctrl_c
from explored import trained

from minigan import explore
from minigan.runs.checkpoint import save_network
from minigan.runs.saved_generator import BROKEN_GENERATOR
from minigan.system.cli import run_command


def call(*arguments):
    return run_command(explore.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved generator."""
    path = tmp_path_factory.mktemp("explore") / "9_GENERATOR_weights_and_arch.safetensors"
    save_network(path, trained(32, 2), image_size=32, width=2, step=10)
    return path


@contextlib.contextmanager
def process(*arguments):
    with subprocess.Popen(
        [sys.executable, "-m", "minigan.explore", *map(str, arguments), "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c if os.name == "posix" else None,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent Ctrl-C here")
def test_it_serves_until_ctrl_c(saved):
    with process(saved) as started:
        address = started.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", address)
        assert "after 10 training steps; Ctrl-C ends it" in started.stdout.readline()
        with urllib.request.urlopen(address, timeout=30) as page:
            assert b"9_GENERATOR_weights_and_arch" in page.read()
        with socket.create_connection(("127.0.0.1", int(address.split(":")[2].split("/")[0]))):  # and says nothing
            started.send_signal(signal.SIGINT)
            assert started.wait(30) == 130
        assert started.stderr.read() == "minigan: stopped\n"


def test_the_browser_is_opened_at_the_address(saved, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(explore.webbrowser, "open", opened.append)
    monkeypatch.setattr(explore.ExploreServer, "serve_forever", lambda self, poll_interval: None)
    assert call(saved) == 0
    address = capsys.readouterr().out.splitlines()[0]
    assert opened == [address]
    assert call(saved, "--no-browser") == 0
    assert opened == [address]


def test_a_folder(saved, tmp_path, capsys):
    assert call(saved, "--static", tmp_path / "my site") == 0
    out = capsys.readouterr().out
    assert out.startswith(str(tmp_path / "my site") + ": 0.")
    assert " MB for any file server; to look at it: python -m http.server --bind 127.0.0.1 --directory " in out
    assert (tmp_path / "my site" / "index.html").is_file()


def test_a_port_in_use_is_told_in_one_line(saved, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert call(saved, "--port", port, "--no-browser") == 2
    assert capsys.readouterr().err == f"minigan: error: --port: must be a free port, but {port} is in use\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "0"], "--port: must be between 1 and 65535, got 0"),
        (["--port", "65536"], "--port: must be between 1 and 65535, got 65536"),
        (["--port", "web"], "must be a whole number, got 'web'"),
        (["--static", "site", "--port", "8000"], "--static: writes a folder and serves nothing"),
        (["--static", "site", "--no-browser"], "--static: writes a folder and serves nothing"),
        (["--static", "/"], "--static: must end in the name of a folder, got "),
    ],
)
def test_wrong_options_are_told_in_one_line(saved, capsys, arguments, words):
    assert call(saved, *arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("layer", "part", "name", "number"),
    [
        (0, "params", "kernel", 3e38),
        (1, "params", "gamma", 3e38),
        (1, "buffers", "moving_variance", -1.0),
        (4, "params", "gamma", 3e38),
        (4, "buffers", "moving_variance", -1.0),
    ],
)
@pytest.mark.parametrize("options", [["--no-browser"], ["--static", "site"]], ids=["served", "static"])
def test_a_generator_that_draws_nan_is_told_in_one_line(
    tmp_path, monkeypatch, capsys, layer, part, name, number, options
):
    monkeypatch.chdir(tmp_path)
    network = trained(32, 2)
    getattr(network.layers[layer], part)[name].fill(number)
    path = tmp_path / "9_GENERATOR_weights_and_arch.safetensors"
    save_network(path, network, image_size=32, width=2, step=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert call(path, *options) == 2
    assert capsys.readouterr().err == f"minigan: error: {BROKEN_GENERATOR}\n"
    assert not (tmp_path / "site").exists()


def test_what_is_no_run_is_told_in_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.safetensors").write_text("hello")
    for source in ("none", "empty", "text.safetensors"):
        assert call(tmp_path / source, "--no-browser") == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("minigan: error: ")
        assert err.count("\n") == 1
