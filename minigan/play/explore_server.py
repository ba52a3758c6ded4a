"""A web server for one page: it shows `minigan.play.explore_page` and draws the faces that the page wants.

Other programs, and pages of other sites in the same browser, can send requests to it, too. So

* it listens on 127.0.0.1 only, which other machines cannot reach;
* every address begins with a secret word, made anew at each start, which pages of other sites do not know;
* a request that names another host (as after a trick with names, "DNS rebinding") or comes from a page of another
  origin is refused;
* files are looked up in a fixed table, so that no path leads anywhere else;
* a request is small, arrives within some seconds (`_Incoming`), and says exactly what `_faces_wanted` expects; a
  connection that says nothing for a while is closed.

Whatever is refused gets an answer of one line, and the server goes on.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import io
import json
import re
import secrets
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

import numpy as np
import numpy.typing as npt

from minigan.gan.models import NOISE_SIZE
from minigan.pages.plots import to_uint8
from minigan.play.explore_page import MAX_FACES, Explorable, page, scripts
from minigan.play.face_text import STEPS_PER_UNIT
from minigan.runs.saved_generator import BROKEN_GENERATOR
from minigan.system.console import one_line, warn
from minigan.system.errors import UserError
from minigan.system.workers import using_workers

HOST = "127.0.0.1"
USUAL_PORT = 8164
"""Taken if it is free. A browser keeps favourites by address, so they are there again if the port is the same."""

MAX_BODY = 32_768
"""Bytes of a request; 16 faces in JSON need 9,000."""

MAX_HEAD = 131_072
"""Bytes of a request before its body; browsers send some hundred."""

PATIENCE = 20.0
"""Seconds that a connection may say nothing, and that a request may take to arrive."""

LINGER = 0.5
"""Seconds to wait for the rest of a request that has been refused."""

MAX_CONNECTIONS = 64

_POLICY = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the secret word
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class _RefusedError(Exception):
    """A request that gets no answer but a status and one line."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


def names_of(port: int) -> set[str]:
    """What browsers call a server on this machine.

    >>> sorted(names_of(8164))
    ['127.0.0.1:8164', 'localhost:8164']
    >>> "localhost" in names_of(80)
    True
    """
    names = (HOST, "localhost")
    usual = set(names) if port == http.client.HTTP_PORT else set()  # browsers leave the usual port out
    return usual | {f"{name}:{port}" for name in names}


class ExploreServer(ThreadingHTTPServer):
    """The server, bound to its port.

    Parameters
    ----------
    subject : Explorable
    port : int, optional
        By default 8164 or, if that is in use, any free one.

    Attributes
    ----------
    address : str
        Where the page is; with the secret word.

    Raises
    ------
    UserError
        If the port is in use or not allowed, or the generator draws NaN.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32
    allow_reuse_address = sys.platform != "win32"  # there it would let two servers share a port

    def __init__(self, subject: Explorable, port: int | None = None) -> None:
        self._subject, self._one_at_a_time = subject, threading.Lock()
        self.draw(np.zeros((1, NOISE_SIZE), np.int8))
        self._connections = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._bind(port)
        self.hosts = names_of(self.server_port)
        self.secret = secrets.token_urlsafe(16)
        self.address = f"http://{HOST}:{self.server_port}/{self.secret}/"
        self.files = {name: ("text/javascript; charset=utf-8", data) for name, data in scripts().items()}
        self.files[""] = ("text/html; charset=utf-8", page(subject, engine="server").encode())

    def _bind(self, port: int | None) -> None:
        try:
            super().__init__((HOST, USUAL_PORT if port is None else port), _Handler)
        except OSError as error:
            if port is None:
                super().__init__((HOST, 0), _Handler)
            elif error.errno == errno.EADDRINUSE or getattr(error, "winerror", None) in (10013, 10048):
                raise UserError(f"--port: must be a free port, but {port} is in use") from None
            else:
                raise UserError(f"--port: {port} cannot be used: {error.strerror or error}") from None

    def draw(self, steps: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
        """Faces in inference mode, one request after the other.

        Parameters
        ----------
        steps : numpy.ndarray of shape (N, 100), int8
            Noise in steps of 1/32 (`minigan.play.face_text`).

        Returns
        -------
        numpy.ndarray of shape (N, S, S, 3), uint8

        Raises
        ------
        UserError
            If a pixel is NaN or infinite.
        """
        noise = (steps.astype(np.float32) / STEPS_PER_UNIT).reshape(-1, 1, 1, NOISE_SIZE)
        with self._one_at_a_time, using_workers(1), np.errstate(all="ignore"):  # few faces: sharing out would cost more
            images = self._subject.generator.predict(noise)
        if not np.isfinite(images).all():
            raise UserError(BROKEN_GENERATOR)
        return to_uint8(images)

    # ---- What the standard library calls ----

    def server_bind(self) -> None:
        """Bind without asking a name server who 127.0.0.1 is, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection a thread, or close it if there are too many."""
        if not self._connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._connections.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """All of a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong in one line, unless it is only that a browser has gone away."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            warn(f"a connection has failed: {one_line(error) or type(error).__name__}")


class _Incoming(io.RawIOBase):
    """What a client sends, with limits: one that sends without end, or a byte now and then, is not read for ever.

    Parameters
    ----------
    connection : socket.socket
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection

    def allow(self, seconds: float, size: int) -> None:
        """From the next byte on, allow so many seconds and so many bytes; and as many seconds until it comes."""
        self._seconds, self._left = seconds, size
        self._ends: float | None = None

    def readable(self) -> bool:
        """For `io.BufferedReader`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, or wait for it. Raises TimeoutError or HTTPException beyond the limits."""
        if self._left <= 0:
            raise http.client.HTTPException("Too many bytes")
        patience = self._seconds if self._ends is None else self._ends - time.monotonic()
        if patience <= 0:
            raise TimeoutError
        self._connection.settimeout(patience)
        count = self._connection.recv_into(buffer)
        self._left -= count
        self._ends = self._ends or time.monotonic() + self._seconds
        return count


class _Handler(BaseHTTPRequestHandler):
    """One connection, and the requests that come over it one after the other."""

    server: ExploreServer
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Put limits on what is read."""
        super().setup()
        self.rfile.close()
        self._incoming = _Incoming(self.connection)
        self.rfile = io.BufferedReader(self._incoming)

    def handle_one_request(self) -> None:
        """Each request has the limits anew."""
        self._incoming.allow(self.timeout, MAX_HEAD)
        super().handle_one_request()

    def version_string(self) -> str:
        """Of the header Server."""
        return "minigan"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Print nothing."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in one line; the standard library calls this for what is no HTTP."""
        self.close_connection = True  # what else was sent would be taken for another request
        status = HTTPStatus(code)
        with contextlib.suppress(OSError):
            self._answer(status, "text/plain; charset=utf-8", f"{one_line(message or status.phrase)[:300]}\n".encode())
            self._let_it_be_read()

    def _let_it_be_read(self) -> None:
        """Read for a moment what else comes: if a connection is closed with unread bytes, its answer may get lost."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self._incoming.allow(LINGER, 4_194_304)
        with contextlib.suppress(http.client.HTTPException):
            while self.rfile.read1(65_536):
                pass

    def do_GET(self) -> None:
        """The page and its scripts."""
        self._obey(self._file)

    def do_POST(self) -> None:
        """Faces."""
        self._obey(self._faces)

    def _obey(self, request: Any) -> None:
        try:
            name = self._name_asked_for()
            request(name)
        except _RefusedError as refusal:
            self.send_error(refusal.status, str(refusal))
        except OSError:  # the browser has gone away, or says nothing
            raise
        except Exception as error:
            warn(f"a request could not be answered: {one_line(error) or type(error).__name__}")
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _name_asked_for(self) -> str:
        """What follows the secret word in the address, if the request may come from the page at all."""
        if self.headers.defects:  # what stands behind a line that is no header would not be looked at
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "a line of the head is no header")
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].strip().lower() not in self.server.hosts:
            raise _RefusedError(HTTPStatus.FORBIDDEN, f"the host must be {HOST}:{self.server.server_port}")
        for origin in self.headers.get_all("Origin") or []:
            if origin.strip().lower() not in {f"http://{host}" for host in self.server.hosts}:
                raise _RefusedError(HTTPStatus.FORBIDDEN, "pages of other origins are refused")
        match = re.fullmatch(r"/([^/]*)/([^/]*)", self.path)
        if match is None or not secrets.compare_digest(match[1].encode(), self.server.secret.encode()):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "open the address that minigan.explore has printed this time")
        return match[2]

    def _file(self, name: str) -> None:
        if self.headers.get_all("Content-Length", ["0"]) != ["0"] or "Transfer-Encoding" in self.headers:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "a GET must have no body")
        if name not in self.server.files:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such file")
        self._answer(HTTPStatus.OK, *self.server.files[name])

    def _faces(self, name: str) -> None:
        if name != "draw":
            raise _RefusedError(HTTPStatus.NOT_FOUND, "only draw takes a POST")
        faces = self.server.draw(_faces_wanted(self._body()))
        self._answer(HTTPStatus.OK, "application/octet-stream", faces.tobytes())

    def _body(self) -> bytes:
        lengths = self.headers.get_all("Content-Length") or []
        if "Transfer-Encoding" in self.headers or len(lengths) != 1:
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "a POST must say its length")
        if not re.fullmatch("[0-9]{1,9}", lengths[0].strip(), re.ASCII):
            raise _RefusedError(
                HTTPStatus.BAD_REQUEST, f"Content-Length must be a number of 1 to 9 digits, got {lengths[0][:20]!r}"
            )
        length = int(lengths[0])
        if length > MAX_BODY:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body must have at most {MAX_BODY} bytes, got {length}"
            )
        self._incoming.allow(self.timeout, MAX_BODY)
        body = self.rfile.read(length)
        if len(body) < length:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"the body must have {length} bytes, got {len(body)}")
        return body

    def _answer(self, status: HTTPStatus, kind: str, data: bytes) -> None:
        self.connection.settimeout(self.timeout)
        self.send_response(status)
        for header, value in _POLICY.items():
            self.send_header(header, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _faces_wanted(body: bytes) -> npt.NDArray[np.int8]:
    """The noise in a request: ``{"faces": [[100 whole numbers from -128 to 127], ...]}``, with 1 to 16 faces."""
    try:
        wanted = json.loads(body.decode("utf-8"))
    except (
        ValueError,
        RecursionError,
    ):  # of ValueError are wrong UTF-8, wrong JSON, and numbers of thousands of digits
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "the body must be JSON in UTF-8") from None
    if not isinstance(wanted, dict) or wanted.keys() != {"faces"}:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, 'the body must be an object with the one entry "faces"')
    faces = wanted["faces"]
    if not isinstance(faces, list) or not 1 <= len(faces) <= MAX_FACES:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, f"faces must be a list of 1 to {MAX_FACES} faces")
    for face in faces:
        if not isinstance(face, list) or len(face) != NOISE_SIZE:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"a face must be a list of {NOISE_SIZE} numbers")
        for number in face:
            if type(number) is not int or not -128 <= number <= 127:  # True is an int, too, but no number here
                told = repr(number)[:20]
                raise _RefusedError(
                    HTTPStatus.BAD_REQUEST, f"a face's numbers must be whole and from -128 to 127, got {told}"
                )
    return np.array(faces, np.int8)
