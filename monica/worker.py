"""The gunicorn worker: gthread, with an end that drains. After SIGTERM it still answers, until its takes have ended."""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import sys
import threading
import time
import uuid
from contextlib import suppress
from typing import Any, NoReturn

import gunicorn.util
from gunicorn import glogging
from gunicorn.arbiter import Arbiter
from gunicorn.workers import base, gthread

from monica.errors import ConfigError

logger = logging.getLogger(__name__)

FIRST_BYTE_S = 0.05
STALL_S = 10
UNREAD_S = 60
LINGER_S, MOST_LINGER_S, MOST_LINGER_BYTES = 1, 10, 32 * 2**20
"""How long a client who has his answer may send nothing before his connection is closed, or anything, and how much."""
LOST = 70  # EX_SOFTWARE; neither of the two that make gunicorn's master stop


class DrainingWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """A gthread worker whose SIGTERM first lets the announcer finish.

    gthread closes its listener at once; a client that comes then is refused by the kernel, without a word.
    While takes are under way this worker goes on accepting, so that newcomers hear `shutting_down`.
    """

    def handle(self, conn: gthread.TConn) -> object:
        """Serve a connection. One that is silent goes back to the poller at once; gthread waits five seconds for it."""
        if not conn.initialized:
            if not conn.wait_for_data(FIRST_BYTE_S):
                return gthread._DEFER
            # A client that stalls in the middle of its request, or reads nothing of its answer, frees its thread
            # again. Not settimeout: that makes the socket non-blocking, and the answer leaves it in pieces.
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(STALL_S))
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(UNREAD_S))
        goes_on = super().handle(conn)
        if not goes_on:
            _linger(conn.sock)
        return goes_on

    def handle_exit(self, sig: int, frame: Any) -> None:
        # In a thread: a signal handler must not wait, nor take a lock that its own thread may hold.
        threading.Thread(target=self._drain, args=(sig, frame), name="drain", daemon=True).start()

    def handle_quit(self, sig: int, frame: Any) -> None:
        app = getattr(self, "wsgi", None)
        if app is not None:
            app.extensions["monica"].warmer.close()  # no thread that signals interrupt has any of its locks
        # Not gthread's own, which shuts its pool of threads down: the main thread, which this signal interrupts, may be
        # in the middle of submitting to that, with its lock.
        base.Worker.handle_quit(self, sig, frame)

    def _drain(self, sig: int, frame: Any) -> None:
        app = getattr(self, "wsgi", None)  # not there yet where the signal comes while starting
        if app is not None:
            app.extensions["monica"].warmer.close()
            app.extensions["monica"].drain(self.cfg.graceful_timeout)
        super().handle_exit(sig, frame)


def _linger(connection: socket.socket) -> None:
    """Let a client come to the end of what he sends, and hear the answer: closed before, his connection is reset.

    gunicorn does so in its main thread, where nobody else is accepted meanwhile; after this it has nothing to wait for.
    """
    until, left = time.monotonic() + MOST_LINGER_S, MOST_LINGER_BYTES
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(LINGER_S)
        while left > 0 and time.monotonic() < until and (data := connection.recv(2**16)):
            left -= len(data)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _timeval(seconds: int) -> bytes:
    return struct.pack("ll", seconds, 0)


class Logger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's own log without its access log, which is costly: the application tells of its requests itself."""

    access_log_enabled = False

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        if isinstance(sys.exc_info()[1], BlockingIOError):  # what a receive timeout that has passed looks like
            self.debug("A client stalled in the middle of its request.")
        else:
            super().exception(msg, *args, **kwargs)


def write_error(sock: socket.socket, status: int, reason: str, _message: str) -> None:
    """Answer what gunicorn itself refuses in Monica's error shape; gunicorn's own answer is HTML."""
    code = "http_invalid" if status < 500 else "internal"
    message = f"This is not a request Monica can read: {reason}."
    body = json.dumps({"error": {"code": code, "message": message, "param": None}})
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nX-Request-Id: {uuid.uuid4().hex}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    gunicorn.util.write_nonblock(sock, (head + body).encode("latin-1"))


gunicorn.util.write_error = write_error


def end(_reason: str) -> NoReturn:
    """End the worker at once; gunicorn's master starts another, in a process with no past. From any thread."""
    sys.stderr.flush()
    os._exit(LOST)


def halt(error: ConfigError) -> NoReturn:
    """End the worker in a way that makes gunicorn stop instead of starting another one. From any thread."""
    logger.critical("Monica cannot start: %s", error)
    sys.stderr.flush()
    os._exit(Arbiter.APP_LOAD_ERROR)
