"""The client's end of a connection. It may hang up while its sentence is being made."""

from __future__ import annotations

import os
import select
import ssl
import time
from concurrent.futures import Future
from socket import MSG_DONTWAIT, MSG_PEEK, socket
from threading import Lock
from types import TracebackType
from typing import Any

from monica.errors import HungUp
from monica.synthesis.take import block


class Client:
    """The client of a request.

    connection: the socket of the request; None if there is none to watch (Flask's test client).
    """

    def __init__(self, connection: socket | None) -> None:
        # TLS data cannot be peeked at without consuming it, so such a client is not watched.
        self._connection = None if isinstance(connection, ssl.SSLSocket) else connection

    @classmethod
    def of(cls, environ: dict[str, Any]) -> Client:
        """Return the client of a WSGI request."""
        return cls(environ.get("gunicorn.socket"))

    def wait(self, sound: Future[bytes], seconds: float) -> None:
        """Return once the sound is there or the seconds have passed. A WaitFor.

        Raises HungUp as soon as the client has closed its connection, or only its sending half.
        """
        if self._connection is None:
            block(sound, seconds)
        elif not sound.done():
            with Bell() as bell:
                sound.add_done_callback(bell.ring)
                self._watch(self._connection, bell, sound, time.monotonic() + seconds)

    def _watch(self, connection: socket, bell: Bell, sound: Future[bytes], until: float) -> None:
        events = select.poll()
        events.register(bell, select.POLLIN)
        events.register(connection, select.POLLIN)
        while not sound.done() and (left := until - time.monotonic()) > 0:
            happened = dict(events.poll(1000 * left))
            if connection.fileno() in happened and not sound.done() and _has_more(connection):
                # The client has sent its next request early. Those bytes hide a later hang-up, so stop watching.
                events.unregister(connection)


def _has_more(connection: socket) -> bool:
    """Whether the client has sent more than its request. Raises HungUp if it has gone."""
    try:
        more = connection.recv(1, MSG_PEEK | MSG_DONTWAIT)
    except BlockingIOError:  # a spurious wake-up
        return False
    except OSError as error:
        raise HungUp("The client's connection broke.") from error
    if not more:
        raise HungUp("The client hung up.")
    return True


class Bell:
    """Wakes a thread that polls it. May be rung from any thread at any time, even after it was closed."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._closed = False
        self._lock = Lock()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the bell is rung."""
        return self._reader

    def ring(self, _sound: object) -> None:
        # The future may complete after the client left. By then its descriptor may belong to another connection.
        with self._lock:
            if not self._closed:
                os.write(self._writer, b"\a")

    def __enter__(self) -> Bell:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            os.close(self._reader)
            os.close(self._writer)
