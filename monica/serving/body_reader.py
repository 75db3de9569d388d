"""How gunicorn reads a request: what has arrived of it, and the socket only if the application wants a large body."""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import Any

from gunicorn.http.unreader import SocketUnreader

from monica.errors import Overloaded, RequestTimeout
from monica.serving import incoming

MIN_RATE = 4096
"""Bytes per second below which a large body is given up, after the time that any request has."""
STALL_S = 10
"""Seconds after which a large body is given up if nothing of it arrives."""
MAX_S = 1800
"""Upper bound on the seconds for which a thread reads one large body."""
BUSY_RETRY_S = 10


class BodyReader(SocketUnreader):  # type: ignore[misc]
    """The source that gunicorn's parser reads a connection from.

    The receiver hands requests over whole, so that none of them makes a thread wait. Only large bodies (books,
    recordings, bundles) come through the socket. They have a limit of time, and as they hold threads, of number.

    places: how many threads may read large bodies at once.
    """

    def __init__(self, connection: socket.socket, places: threading.Semaphore) -> None:
        super().__init__(connection)
        self._places = places
        self._began: float | None = None
        self._count = 0
        self._given_up = False
        self.whole = b""
        """The request, if all of it arrived, and nothing of the next one."""
        self.expects_continue = False
        """Whether the client waits for `100 Continue` before it sends the body."""

    def start(self, data: bytes, whole: bool) -> None:
        """Begin a request. data: what has arrived of it, and of those behind it. whole: whether it is just this one."""
        self.whole = data if whole else b""
        self._given_up = False
        self.expects_continue = False
        self.unread(data)

    def finish(self) -> bytes:
        """End the request, and return what has arrived of the next one."""
        if self._began is not None:
            self._places.release()
        self._began, self._count = None, 0
        return bytes(self.take_buffered())

    def discard(self, body: Any) -> bool:
        """Skip what is left of a body. Whether all of it was here; if not, no other request can follow it.

        Nothing is read from the socket any more: that might take as long as the client likes.
        """
        self._given_up = True
        try:
            while body.read(2**16):
                pass
        except Exception:  # whatever is wrong with the rest of the body, its end is not known
            return False
        return not body.failed

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Read from the socket. Raises RequestTimeout, or Overloaded if too many threads read large bodies already."""
        if self._given_up:
            raise RequestTimeout("The rest of the body is not awaited.")
        now = time.monotonic()
        if self._began is None:
            if not self._places.acquire(blocking=False):
                raise Overloaded("Too many large bodies are being received.", retry_after=BUSY_RETRY_S)
            self._began = now
        if self.expects_continue:
            self.expects_continue = False
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = self._began + min(incoming.GRACE_S + self._count / MIN_RATE, MAX_S) - now
        if left <= 0 or not _is_readable(self.sock, min(left, STALL_S)):
            raise RequestTimeout("The body did not arrive in time.")
        data: bytes = super().chunk(size_hint)
        self._count += len(data)
        return data


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    events = select.poll()  # not select.select, which knows no descriptor above 1023
    events.register(connection, select.POLLIN)
    return bool(events.poll(1000 * seconds))
