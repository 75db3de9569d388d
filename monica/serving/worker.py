"""The gunicorn worker: gthread with a graceful shutdown. After SIGTERM it keeps answering until its takes are done."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any

from gunicorn.workers import base, gthread

from monica.serving.gunicorn_patches import BACK_TO_POLLER

FIRST_BYTE_S = 0.05
"""How long a new connection may be silent before it goes back to the poller."""
STALL_S = 10
"""Receive timeout of a request that has begun."""
UNREAD_S = 60
"""Send timeout of an answer that the client does not read."""
LINGER_S = 1
"""Lingering close: how long the client may be silent."""
MAX_LINGER_S = 10
"""Lingering close: how long it may take altogether."""
MAX_LINGER_BYTES = 32 * 2**20
"""Lingering close: how many bytes of the client are read and dropped."""


class DrainingWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """A gthread worker that lets running takes finish after SIGTERM.

    gthread closes its listener at once, so the kernel refuses later clients without an explanation. While takes are
    running, this worker goes on accepting connections, so that new requests are answered `shutting_down`.
    """

    def handle(self, conn: gthread.TConn) -> object:
        """Serve a connection. A silent one goes back to the poller at once; gthread would block on it for 5 seconds."""
        if not conn.initialized:
            if not conn.wait_for_data(FIRST_BYTE_S):
                return BACK_TO_POLLER
            # A client that stalls in the middle of its request, or does not read its answer, must free its thread
            # again. Not settimeout: it makes the socket non-blocking, and the answer would leave it in fragments.
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(STALL_S))
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(UNREAD_S))
        stays_open = super().handle(conn)
        if not stays_open:
            _linger(conn.sock)
        return stays_open

    def handle_exit(self, sig: int, frame: Any) -> None:
        # In a thread: a signal handler must not wait, nor take a lock that the interrupted thread may hold.
        threading.Thread(target=self._drain, args=(sig, frame), name="drain", daemon=True).start()

    def handle_quit(self, sig: int, frame: Any) -> None:
        app = getattr(self, "wsgi", None)
        if app is not None:
            app.extensions["monica"].warmer.close()  # takes no lock that the interrupted main thread may hold
        # Not gthread's own handler, which shuts its thread pool down. The main thread, which this signal interrupts,
        # may be submitting to that pool and hold its lock.
        base.Worker.handle_quit(self, sig, frame)

    def _drain(self, sig: int, frame: Any) -> None:
        app = getattr(self, "wsgi", None)  # missing if the signal comes during the start
        if app is not None:
            app.extensions["monica"].warmer.close()
            app.extensions["monica"].drain(self.cfg.graceful_timeout)
        super().handle_exit(sig, frame)


def _linger(connection: socket.socket) -> None:
    """Read what the client still sends before closing. Otherwise the close resets the connection and loses the answer.

    gunicorn does this in its main thread, which accepts no one else meanwhile. After this it has nothing left to read.
    """
    deadline, left = time.monotonic() + MAX_LINGER_S, MAX_LINGER_BYTES
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(LINGER_S)
        while left > 0 and time.monotonic() < deadline and (data := connection.recv(2**16)):
            left -= len(data)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _timeval(seconds: int) -> bytes:
    return struct.pack("ll", seconds, 0)
