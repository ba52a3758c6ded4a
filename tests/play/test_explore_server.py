"""The local server: what it serves, and that whatever else is asked of it gets one line and does it no harm."""

import contextlib
import http.client
import json
import random
import re
import socket
import threading
import time

import numpy as np
import pytest
from explored import explorable, exploring, running, trained

from minigan.pages.plots import to_uint8
from minigan.play import explore_server
from minigan.play.explore_page import MAX_FACES, Explorable
from minigan.play.explore_server import MAX_BODY, ExploreServer
from minigan.play.face_text import weights_hash
from minigan.system.errors import UserError

FACE = [0] * 100


@pytest.fixture(scope="module")
def subject():
    return explorable()


@pytest.fixture(scope="module")
def server(subject):
    with exploring(subject) as made:
        yield made


@pytest.fixture(autouse=True)
def still_serving(server, subject, capfd):
    """After every test the server draws, and has printed nothing."""
    yield
    status, _, body = ask(server, faces=[FACE])
    assert (status, len(body)) == (200, 32 * 32 * 3)
    assert capfd.readouterr() == ("", "")


def ask(server, name="draw", *, faces=None, body=None, method=None, headers=None, path=None):
    """Status, headers and body of one request."""
    if faces is not None:
        body = json.dumps({"faces": faces})
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    path = f"/{server.secret}/{name}" if path is None else path
    with contextlib.closing(connection):
        connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def raw(server, data, *, patience=10):
    """All that comes back for some bytes."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=patience) as connection:
        got = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                got += piece
        return got


def refused(answer, status, words):
    """Check that an answer is a refusal in one line."""
    assert answer[0] == status, answer
    assert answer[1]["Content-Type"] == "text/plain; charset=utf-8"
    assert answer[2].count(b"\n") == 1
    assert words in answer[2].decode()
    assert len(answer[2]) < 400


# ---- What it serves ----


def test_the_page_and_its_scripts(server, subject):
    status, headers, body = ask(server, "")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    page = body.decode()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert (data["engine"], data["size"], data["network"]) == ("server", 32, None)
    assert data["weights"] == weights_hash(subject.generator)
    assert len(data["directions"]) == len(subject.directions) > 0
    assert "my run" in page
    scripts = [name for name in server.files if name]
    assert "explore.js" in scripts
    for name in scripts:
        status, headers, _ = ask(server, name)
        assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")


def test_faces_are_those_of_the_generator(server, subject):
    steps = np.random.default_rng(0).integers(-128, 128, (3, 100))
    status, _, body = ask(server, faces=steps.tolist())
    assert status == 200
    expected = subject.generator.predict((steps / 32).astype(np.float32).reshape(3, 1, 1, 100))
    np.testing.assert_array_equal(np.frombuffer(body, np.uint8).reshape(3, 32, 32, 3), to_uint8(expected))


def test_one_connection_asks_again_and_again(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    with contextlib.closing(connection):
        for _ in range(5):
            connection.request("POST", f"/{server.secret}/draw", json.dumps({"faces": [FACE]}))
            assert len(connection.getresponse().read()) == 32 * 32 * 3


def test_many_at_once(server):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(len(ask(server, faces=[FACE] * MAX_FACES)[2]))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [MAX_FACES * 32 * 32 * 3] * 8


def test_it_listens_on_this_machine_only(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/{server.secret}/"
    assert len(server.secret) >= 20


def test_every_start_has_another_secret(server, subject):
    with exploring(subject) as other:
        assert other.secret != server.secret
        assert ask(other, "", path=f"/{server.secret}/")[0] == 403


# ---- Who may ask ----


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", ""]
)
def test_other_hosts_are_refused(server, host):
    for name, body in (("", None), ("draw", json.dumps({"faces": [FACE]}))):
        answer = ask(server, name, body=body, headers={"Host": host.format(port=server.server_port)})
        refused(answer, 403, "the host must be 127.0.0.1")


def test_the_name_localhost_will_do(server):
    assert ask(server, "", headers={"Host": f"localhost:{server.server_port}"})[0] == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", ""]
)
def test_pages_of_other_origins_are_refused(server, origin):
    headers = {"Origin": origin.format(port=server.server_port)}
    refused(ask(server, faces=[FACE], headers=headers), 403, "other origins")
    refused(ask(server, "", headers=headers), 403, "other origins")


def test_the_page_itself_may_ask(server):
    assert ask(server, faces=[FACE], headers={"Origin": f"http://127.0.0.1:{server.server_port}"})[0] == 200


@pytest.mark.parametrize("path", ["/", "/draw", "/x/", "/{part}/", "/{secret}", "//{secret}/", "/{secret}é/", "*"])
def test_without_the_secret_there_is_nothing(server, path):
    path = path.format(secret=server.secret, part=server.secret[:-1])
    answer = raw(server, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode())
    if path == f"//{server.secret}/":  # the standard library reads // as /
        assert answer.startswith(b"HTTP/1.1 200 ")
    else:
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert answer.endswith(b"\r\n\r\nopen the address that minigan.explore has printed this time\n")


OTHER_FILES = (
    *("x.js", "explore_server.py", "..", "..%2fexplore.js", "%2e%2e", "explore.js?x", "explore.js%00", ".", "draw"),
    *("..\\explore.js", "EXPLORE.JS", "explore.html"),
)


@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_files_are_not_there(server, name):
    refused(ask(server, name), 404, "no such file")


@pytest.mark.parametrize("name", ["../explore.js", "../../etc/passwd", "a/b", "/etc/passwd"])
def test_paths_lead_nowhere(server, name):
    refused(ask(server, name), 403, "open the address")


# ---- What may be asked ----

FACES_WRONG = {
    "no JSON": ("x", "must be JSON"),
    "empty": ("", "must be JSON"),
    "no UTF-8": (b"\xff\xfe", "must be JSON"),
    "deep": ("[" * 20_000, "must be JSON"),
    "a list": ("[]", "must be an object"),
    "a number": ("7", "must be an object"),
    "null": ("null", "must be an object"),
    "nothing in it": ("{}", "must be an object"),
    "another entry": ('{"faces": [], "more": 1}', "must be an object"),
    "another name": ('{"z": []}', "must be an object"),
    "no list": ('{"faces": 3}', "1 to 16 faces"),
    "none": ('{"faces": []}', "1 to 16 faces"),
    "too many": (json.dumps({"faces": [FACE] * (MAX_FACES + 1)}), "1 to 16 faces"),
    "a face alone": (json.dumps({"faces": FACE[:16]}), "list of 100 numbers"),
    "short": (json.dumps({"faces": [FACE[1:]]}), "list of 100 numbers"),
    "long": (json.dumps({"faces": [[*FACE, 0]]}), "list of 100 numbers"),
    "text": (json.dumps({"faces": ["0" * 100]}), "list of 100 numbers"),
    "NaN": (json.dumps({"faces": [[float("nan"), *FACE[1:]]]}), "whole and from -128 to 127, got nan"),
    "infinity": (json.dumps({"faces": [[float("-inf"), *FACE[1:]]]}), "got -inf"),
    "1e999": (json.dumps({"faces": [FACE]}).replace("[0,", "[1e999,"), "got inf"),
    "a fraction": (json.dumps({"faces": [[0.5, *FACE[1:]]]}), "got 0.5"),
    "a whole fraction": (json.dumps({"faces": [[1.0, *FACE[1:]]]}), "got 1.0"),
    "128": (json.dumps({"faces": [[128, *FACE[1:]]]}), "got 128"),
    "-129": (json.dumps({"faces": [[-129, *FACE[1:]]]}), "got -129"),
    "huge": (json.dumps({"faces": [[10**300, *FACE[1:]]]}), "got 1000000000"),
    "thousands of digits": (json.dumps({"faces": [FACE]}).replace("[0,", f"[{'9' * 6000},"), "must be JSON"),
    "true": (json.dumps({"faces": [[True, *FACE[1:]]]}), "got True"),
    "null in it": (json.dumps({"faces": [[None, *FACE[1:]]]}), "got None"),
    "a list in it": (json.dumps({"faces": [[[], *FACE[1:]]]}), "got []"),
}


@pytest.mark.parametrize("case", FACES_WRONG)
def test_wrong_faces_are_refused(server, case):
    body, words = FACES_WRONG[case]
    refused(ask(server, body=body), 400, words)


def test_a_huge_body_is_not_read(server):
    refused(ask(server, body=b"x" * (MAX_BODY + 1)), 413, f"at most {MAX_BODY} bytes, got {MAX_BODY + 1}")
    head = f"POST /{server.secret}/draw HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Length: {10**11}"
    assert b"Content-Length must be a number" in raw(server, f"{head}\r\n\r\n".encode())


LENGTHS = {
    "none": ([], 411, "must say its length"),
    "two": (["Content-Length: 3", "Content-Length: 4"], 411, "must say its length"),
    "in pieces": (["Transfer-Encoding: chunked"], 411, "must say its length"),
    "both": (["Transfer-Encoding: chunked", "Content-Length: 3"], 411, "must say its length"),
    "negative": (["Content-Length: -1"], 400, "must be a number of 1 to 9 digits, got '-1'"),
    "word": (["Content-Length: many"], 400, "must be a number of 1 to 9 digits, got 'many'"),
    "hexadecimal": (["Content-Length: 0x10"], 400, "must be a number"),
    "other digits": (["Content-Length: \u0663"], 400, "must be a number"),
    "cut": (["Content-Length: 50"], 400, "must have 50 bytes, got 3"),
}


@pytest.mark.parametrize("case", LENGTHS)
def test_wrong_lengths_are_refused(server, case):
    lines, status, words = LENGTHS[case]
    head = "\r\n".join([f"POST /{server.secret}/draw HTTP/1.1", f"Host: 127.0.0.1:{server.server_port}", *lines])
    answer = raw(server, f"{head}\r\n\r\n{{}}x".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert words in answer.decode()
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "CONNECT", "TRACE", "get", "X"])
def test_other_methods_are_refused(server, method):
    assert ask(server, "", method=method)[0] == 501


def test_a_get_has_no_body_and_no_other_post_is_there(server):
    refused(ask(server, "", body="x", method="GET"), 400, "a GET must have no body")
    refused(ask(server, "", body="{}"), 404, "only draw takes a POST")
    refused(ask(server, "explore.js", body="{}"), 404, "only draw takes a POST")


@pytest.mark.parametrize("line", ["no header", "\x0bX: 1", "Content-Length: 0\r\nContent-Length: 7"])
def test_a_head_that_hides_something_is_refused(server, line):
    head = f"GET /{server.secret}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n{line}\r\n\r\n"
    assert raw(server, head.encode()).startswith(b"HTTP/1.1 400 ")


def test_a_second_request_behind_a_refused_one_is_not_answered(server):
    first = f"POST /{server.secret}/draw HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Length: 1\r\n\r\nx"
    second = f"GET /{server.secret}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
    answer = raw(server, (first + second).encode())
    assert answer.count(b"HTTP/1.1 ") == 1


# ---- What is no request at all ----

NO_HTTP = {
    "nothing": b"",
    "line ends": b"\r\n\r\n\r\n",
    "zeros": b"\0" * 1000,
    "TLS": bytes.fromhex("16030100f8010000f40303") + b"x" * 240,
    "old": b"GET /\r\n\r\n",
    "version": b"GET / HTTP/9.9\r\n\r\n",
    "version of words": b"GET / HTTP/a.b\r\n\r\n",
    "long line": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    "header of bytes": b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
    "line break in the path": b"GET /\x0b\x85 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no end": b"GET / HTTP/1.1\r\nHost: x",
    "words": b"hello, is anybody there?\r\n",
}


@pytest.mark.parametrize("case", NO_HTTP)
def test_what_is_no_request_is_refused(server, case):
    answer = raw(server, NO_HTTP[case])
    assert b" 200 " not in answer[:20]
    if answer:
        assert answer.partition(b"\r\n\r\n")[2].count(b"\n") <= 1


def test_whatever_the_bytes(server):
    """Requests cut, doubled and with changed bytes, from a seed; each gets a refusal, faces, or nothing."""
    good = (
        f"POST /{server.secret}/draw HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Length: 213\r\n\r\n"
        + json.dumps({"faces": [[1] * 67]})
    ).encode()
    chance = random.Random(5)
    for _ in range(150):
        data = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randint(1, 30)]
                case 2:
                    data[at:at] = data[: chance.randint(1, 60)]
                case 3:
                    data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 9)))
        answer = raw(server, bytes(data))
        assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) or b"HTTP" not in answer[:4]


def test_a_silent_connection_is_closed_and_too_many_are_refused(subject, monkeypatch):
    monkeypatch.setattr(explore_server, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(explore_server._Handler, "timeout", 1.0)
    with exploring(subject) as server, contextlib.ExitStack() as stack:
        address = "127.0.0.1", server.server_port
        silent = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(3)]
        time.sleep(0.3)
        with socket.create_connection(address, timeout=20) as one_more:
            assert one_more.recv(1) == b""  # at once
        for connection in silent:
            assert connection.recv(1) == b""  # after its time
        deadline = time.monotonic() + 20
        while True:  # the threads have gone a moment later
            with contextlib.suppress(OSError, http.client.HTTPException):
                if ask(server, faces=[FACE])[0] == 200:
                    break
            assert time.monotonic() < deadline


@pytest.mark.parametrize("head", ["", "GET / HTTP/1.1\r\n", "body"])
def test_a_request_that_comes_drop_by_drop_is_not_waited_for(subject, monkeypatch, head):
    monkeypatch.setattr(explore_server._Handler, "timeout", 0.4)
    with exploring(subject) as server:
        if head == "body":
            host = f"127.0.0.1:{server.server_port}"
            head = f"POST /{server.secret}/draw HTTP/1.1\r\nHost: {host}\r\nContent-Length: 30000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
            connection.sendall(head.encode())
            assert _drops_taken(connection) < 1000  # it is closed, although it is never silent for long


def _drops_taken(connection):
    for count in range(1000):
        try:
            connection.sendall(b"X")
        except ConnectionError:
            return count
        time.sleep(0.02)
    return 1000


def test_a_head_without_end_is_refused(server):
    line = b"X-Much: " + b"x" * 60_000 + b"\r\n"
    assert raw(server, b"GET / HTTP/1.1\r\n" + 50 * line).startswith(b"HTTP/1.1 431 ")


def test_a_client_that_goes_away_is_not_waited_for(server):
    for data in (b"GET ", f"GET /{server.secret}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode()):
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset, not closed
                connection.sendall(data)


def test_a_mistake_of_ours_is_told_in_one_line(server, monkeypatch, capfd):
    monkeypatch.setattr(server, "draw", lambda steps: 1 / 0)
    refused(ask(server, faces=[FACE]), 500, "division by zero")
    monkeypatch.undo()
    assert capfd.readouterr().err == "minigan: warning: a request could not be answered: division by zero\n"


# ---- Starting ----


def test_a_port_in_use_is_told(subject):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"^--port: must be a free port, but {port} is in use$"):
            ExploreServer(subject, port)


def test_without_a_port_the_usual_one_or_another(subject, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    monkeypatch.setattr(explore_server, "USUAL_PORT", free)
    with running(ExploreServer(subject)) as first, running(ExploreServer(subject)) as second:
        assert first.server_port == free
        assert second.server_port not in (0, free)
        assert ask(second, "")[0] == 200


def test_a_broken_generator_is_refused():
    network = trained(32, 4)
    network.params()["9.kernel"].fill(np.nan)
    with pytest.raises(UserError, match="draws NaN"):
        ExploreServer(Explorable(network, "broken", 1, []), 0)
