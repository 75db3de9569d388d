"""The connections that no thread serves: idle, receiving a request, or being closed."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gunicorn.workers import gthread

from monica.serving.gunicorn_patches import refuse
from monica.serving.incoming import Headers, IncomingRequest

RECEIVE_BYTES = 2**16
SILENCE_S = 1
"""Lingering close: how long the client may be silent."""
LINGER_S = 10
"""Lingering close: how long it may take altogether."""
LINGER_BYTES = 2**25
"""Lingering close: how many bytes of the client are read and dropped."""
SWEEP_S = 0.25
"""How often connections are looked through for those whose time is up."""


class Connection(gthread.TConn):  # type: ignore[misc]
    """A client's connection, with the request that arrives on it."""

    request: IncomingRequest
    since: float
    """When it became idle, or began to be closed."""
    heard: float
    """Lingering close: when the client last sent anything."""
    dropped: int
    """Lingering close: bytes read and dropped so far."""
    polled: bool = False
    """Whether the poller watches it. It stays there while a thread answers: to leave and come back is two system calls,
    after each of which the main thread has to wait for the interpreter again."""


class Receiver:
    """Receives requests in the main thread, so that slow clients hold no thread of those that answer.

    Use it in the main thread alone. Nothing here blocks.

    poller: the worker's.
    dispatch: is given each connection whose request has arrived; it comes back with `await_request` or `linger`.
    is_welcome: whether a request's body is worth waiting for, by its headers.
    idle_s: how long a connection may stay without a request.
    """

    def __init__(
        self,
        poller: selectors.BaseSelector,
        dispatch: Callable[[Connection], None],
        is_welcome: Callable[[Headers], bool],
        idle_s: float,
    ) -> None:
        self._poller = poller
        self._dispatch = dispatch
        self._is_welcome = is_welcome
        self._idle_s = idle_s
        # Each in the order in which its connections came to it.
        self._idle: dict[Connection, None] = {}
        self._lingering: dict[Connection, None] = {}
        self._receiving: dict[Connection, None] = {}
        self._swept = 0.0
        self.closed = 0
        """Connections closed so far."""

    def await_request(self, connection: Connection, data: bytes = b"") -> None:
        """Wait for the next request of a connection. data: what has arrived of it."""
        connection.request = IncomingRequest(self._is_welcome)
        connection.since = time.monotonic()
        if data:
            connection.request.feed(data, connection.since)
        if self._is_settled(connection):
            return
        (self._receiving if data else self._idle)[connection] = None
        self._poll(connection)

    def linger(self, connection: Connection) -> None:
        """Close a connection after its answer.

        What the client still sends is read and dropped. Otherwise the close resets the connection, and the answer is
        lost on its way.
        """
        connection.since = connection.heard = time.monotonic()
        connection.dropped = 0
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
            return
        self._lingering[connection] = None
        self._poll(connection)

    def release(self, connection: Connection) -> None:
        """Forget a connection that someone else goes on with, through a descriptor of their own."""
        self._close(connection)

    def sweep(self, idle_until: float | None = None) -> None:
        """Close the connections whose time is up. idle_until: when none may be idle or linger any longer."""
        now = time.monotonic()
        if now - self._swept < SWEEP_S:
            return
        self._swept = now
        ends = idle_until is not None and now >= idle_until
        for connection in [c for c in self._idle if ends or now - c.since > self._idle_s]:
            self._close(connection)
        for connection in [c for c in self._lingering if ends or now - c.heard > SILENCE_S or now - c.since > LINGER_S]:
            self._close(connection)
        for connection in [c for c in self._receiving if c.request.is_late(now)]:
            self._refuse(connection, 408, "request_timeout", "Request Timeout", "The request did not arrive in time.")

    def close_oldest(self) -> bool:
        """Close the oldest idle connection, or else one that is being closed, or else one that is sending.

        Returns whether there was one.
        """
        for connections in (self._idle, self._lingering, self._receiving):
            if connections:
                self._close(next(iter(connections)))
                return True
        return False

    def close(self) -> None:
        """Close all connections."""
        while self.close_oldest():
            pass

    def _poll(self, connection: Connection) -> None:
        if not connection.polled:
            connection.polled = True
            self._poller.register(connection.sock, selectors.EVENT_READ, partial(self._handle_event, connection))

    def _unpoll(self, connection: Connection) -> None:
        if connection.polled:
            connection.polled = False
            self._poller.unregister(connection.sock)

    def _handle_event(self, connection: Connection, _sock: object) -> None:
        if connection in self._lingering:
            self._drop_rest(connection)
        elif connection in self._idle or connection in self._receiving:
            self._receive(connection)
        else:  # it sends more, or hangs up, while a thread answers it: that can wait
            self._unpoll(connection)

    def _receive(self, connection: Connection) -> None:
        if (data := self._read(connection)) is None:
            return
        request = connection.request
        if data:
            request.feed(data, time.monotonic())
            if connection in self._idle:
                del self._idle[connection]
                self._receiving[connection] = None
            self._is_settled(connection)
        elif request.has_head:  # the application tells the client that the body broke off
            self._forget(connection)
            self._dispatch(connection)
        else:
            self._close(connection)

    def _is_settled(self, connection: Connection) -> bool:
        """Hand a request over or refuse it, if it is time for either. Whether it was."""
        request = connection.request
        if request.ready:
            self._forget(connection)
            self._dispatch(connection)
        elif request.too_long:
            reason = "Request Header Fields Too Large"
            self._refuse(connection, 431, "http_invalid", reason, f"This is not a request Monica can read: {reason}.")
        else:
            if request.wants_continue:
                request.wants_continue = False
                with suppress(OSError):
                    connection.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n", socket.MSG_DONTWAIT)
            return False
        return True

    def _refuse(self, connection: Connection, status: int, code: str, reason: str, message: str) -> None:
        self._forget(connection)
        with suppress(OSError):
            refuse(connection.sock, status, code, reason, message)
        self.linger(connection)

    def _drop_rest(self, connection: Connection) -> None:
        if (data := self._read(connection)) is None:
            return
        connection.dropped += len(data)
        if data and connection.dropped < LINGER_BYTES:
            connection.heard = time.monotonic()
        else:
            self._close(connection)

    def _read(self, connection: Connection) -> bytes | None:
        """Return what has arrived, nothing if the client is gone; None if this was a false alarm."""
        if connection.sock.fileno() < 0:  # closed after the poller had seen it, for the sake of another connection
            return None
        try:
            data: bytes = connection.sock.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        return data

    def _close(self, connection: Connection) -> None:
        self._forget(connection)
        self._unpoll(connection)
        connection.close()
        self.closed += 1

    def _forget(self, connection: Connection) -> None:
        for connections in (self._idle, self._lingering, self._receiving):
            connections.pop(connection, None)
