"""Asks replicas over HTTP. Connections are kept open, and another thread may cut off an answer."""

from __future__ import annotations

import socket
import weakref
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Lock
from urllib.parse import urlsplit

from monica.engine import wire
from monica.errors import ConfigError, ModelUnavailable, Overloaded

CONNECT_S = 5.0
"""How long a proxy may take to accept a connection."""
ANSWER_S = 50.0
"""How long an answer may say nothing: less than what counts as a hung step, because the engine thread waits for it."""
TAKE_S = 600.0
"""How long a take may make no sound. It is cut off at its deadline, which is sooner."""
MAX_IDLE = 128
"""Upper bound on the open connections that no one uses."""


class Lost(Exception):
    """There is no answer, or it was cut off. The same may be asked of another replica."""


class Unreachable(Lost):
    """Nothing accepts a connection at the replicas' address."""


class Foreign(Lost):
    """The replica that answered speaks with another engine or checkpoint."""


class Exchange:
    """A request and its answer, which any thread may cut off. Then the thread that reads it gets Lost."""

    def __init__(self, silence_s: float = TAKE_S) -> None:
        """silence_s: how long the other end may say nothing."""
        self._silence_s = silence_s
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._cut = False

    def cut_off(self) -> None:
        with self._lock:
            self._cut = True
            if self._socket is not None:
                # Not SSLSocket's own, which must not be called while another thread reads.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def use(self, connection: HTTPConnection) -> None:
        """Take note of what to cut. Raises Lost if it is to be cut already."""
        with self._lock:
            if self._cut:
                raise Lost("it is not wanted any more")
            connection.sock.settimeout(self._silence_s)
            self._socket = connection.sock

    def release(self) -> None:
        with self._lock:
            self._socket = None


class Replicas:
    """The replicas behind one address. May be used by any thread."""

    def __init__(self, address: str, token: str) -> None:
        """address: http://host:port, with a path or without one."""
        where = urlsplit(address)
        self.address = address
        self._host, self._port, self._path = where.hostname or "", where.port, where.path.rstrip("/")
        self._kind = HTTPSConnection if where.scheme == "https" else HTTPConnection
        self._headers = {"Authorization": wire.authorization(token), "Content-Type": "application/octet-stream"}
        self._idle: list[HTTPConnection] = []
        weakref.finalize(self, _close, self._idle)

    def identity(self) -> wire.Identity:
        """Ask any replica who it is.

        Raises ModelUnavailable if none answers, ConfigError if it does not know the token or is no replica.
        """
        try:
            written = self._read("GET", wire.IDENTITY)
        except (Lost, Overloaded) as error:
            raise ModelUnavailable(f"MONICA_RAY_ADDRESS={self.address}: {error}.") from error
        try:
            return wire.Identity.from_json(written)
        except ValueError as error:
            raise ConfigError(f"MONICA_RAY_ADDRESS={self.address}: no replica of Monica answers there.") from error

    def ask(self, path: str, body: bytes) -> bytes:
        """Return the whole answer. Raises as `frames` does, and ValueError if the replica refuses the body."""
        return self._read("POST", path, body)

    def frames(self, body: bytes, exchange: Exchange) -> Generator[tuple[bytes, bytes], None, None]:
        """Ask for a take. Yields the frames of the answer as they come.

        Raises Lost if there is no answer or it is cut off, Overloaded if too many requests wait already, ConfigError if
        the replicas have another token.
        """
        with self._answer("POST", wire.TAKE, body, exchange) as response:
            try:
                yield from wire.read_frames(response.read)
            except EOFError as error:
                raise Lost("the answer was cut off") from error
            response.read()  # to its end, so that the connection can be used again

    def _read(self, method: str, path: str, body: bytes = b"") -> bytes:
        with self._answer(method, path, body, Exchange(ANSWER_S)) as response:
            return response.read()

    @contextmanager
    def _answer(self, method: str, path: str, body: bytes, exchange: Exchange) -> Iterator[HTTPResponse]:
        try:
            connection, response = self._open(method, self._path + path, body, exchange)
            try:
                _check(response)
                yield response
            finally:
                exchange.release()
                if response.isclosed() and not response.will_close and len(self._idle) < MAX_IDLE:
                    self._idle.append(connection)
                else:
                    response.close()
                    connection.close()
        except (OSError, HTTPException) as error:
            raise Lost(getattr(error, "strerror", None) or str(error) or type(error).__name__) from error

    def _open(self, method: str, path: str, body: bytes, exchange: Exchange) -> tuple[HTTPConnection, HTTPResponse]:
        """Send the request and wait for the head of its answer."""
        with suppress(IndexError, ConnectionError):  # the other end may have closed it while it was idle
            return self._send(self._idle.pop(), method, path, body, exchange)
        connection = self._kind(self._host, self._port, timeout=CONNECT_S)
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable(error.strerror or str(error) or type(error).__name__) from error
        return self._send(connection, method, path, body, exchange)

    def _send(
        self, connection: HTTPConnection, method: str, path: str, body: bytes, exchange: Exchange
    ) -> tuple[HTTPConnection, HTTPResponse]:
        try:
            exchange.use(connection)
            connection.request(method, path, body, self._headers)
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise


def _close(connections: list[HTTPConnection]) -> None:
    for connection in connections:
        connection.close()


def _check(response: HTTPResponse) -> None:
    """Raise what a bad answer means."""
    if response.status == 200:
        return
    told = response.read().decode(errors="replace")[:300]
    if response.status == 503:  # Serve's own, if more than max_queued_requests wait
        raise Overloaded("The replicas have too much to do.", retry_after=2)
    if response.status == 401:
        raise ConfigError("The token in MONICA_RAY_TOKEN_FILE is not that of the replicas.")
    if response.status == 409:
        raise Foreign(told)
    if response.status == 400:
        raise ValueError(told)
    raise Lost(f"the answer is {response.status} {response.reason}")
