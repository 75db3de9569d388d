"""Everything that Monica takes from gunicorn's private parts or replaces in it, so that an upgrade checks one file."""

from __future__ import annotations

import json
import socket
import uuid

import gunicorn.util
from gunicorn.workers import gthread

BACK_TO_POLLER: object = gthread._DEFER
"""What a gthread worker's `handle` returns to wait for a connection's first byte without holding a thread."""


def install() -> None:
    """Have gunicorn answer the requests that it refuses itself in Monica's error shape."""
    gunicorn.util.write_error = _write_error


def _write_error(sock: socket.socket, status: int, reason: str, _message: str) -> None:
    """Answer with Monica's JSON error. gunicorn's own answer is HTML."""
    code = "http_invalid" if status < 500 else "internal"
    message = f"This is not a request Monica can read: {reason}."
    body = json.dumps({"error": {"code": code, "message": message, "param": None}})
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nX-Request-Id: {uuid.uuid4().hex}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    gunicorn.util.write_nonblock(sock, (head + body).encode("latin-1"))
