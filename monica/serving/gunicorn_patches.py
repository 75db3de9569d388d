"""Everything that Monica takes from gunicorn's private parts or replaces in it, so that an upgrade checks one file."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable
from typing import Any

import gunicorn.util
from gunicorn.http.message import Request
from gunicorn.http.wsgi import Response


def install() -> None:
    """Have gunicorn answer the requests that it refuses itself in Monica's error shape."""
    gunicorn.util.write_error = _write_error


def refuse(connection: socket.socket, status: int, code: str, reason: str, message: str) -> None:
    """Answer a request that cannot be read with Monica's JSON error, and announce the close. Never blocks.

    Raises OSError if the client is gone.
    """
    body = json.dumps({"error": {"code": code, "message": message, "param": None}})
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nX-Request-Id: {uuid.uuid4().hex}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    gunicorn.util.write_nonblock(connection, (head + body).encode("latin-1"))


def take_expectation(request: Request) -> bool:
    """Whether the client waits for `100 Continue`. gunicorn, which sends it before it is known whether the body is
    wanted, is kept from sending it."""
    expected = bool(request._expected_100_continue)
    request._expected_100_continue = False
    return expected


def response_of(start_response: Callable[..., Any]) -> Response:
    """Return gunicorn's response, whose method is what a WSGI application is given as `start_response`."""
    return start_response.__self__  # type: ignore[attr-defined]


def head_of(response: Response) -> list[str]:
    """Return the lines of a response's head, as gunicorn sends them."""
    return [*response.default_headers(), *(f"{name}: {value}\r\n" for name, value in response.headers)]


def _write_error(sock: socket.socket, status: int, reason: str, _message: str) -> None:
    """Answer with Monica's JSON error. gunicorn's own answer is HTML."""
    code = "http_invalid" if status < 500 else "internal"
    refuse(sock, status, code, reason, f"This is not a request Monica can read: {reason}.")
