"""A client that speaks HTTP on a bare socket and may stop at any point, and conditions to wait for."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPResponse

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import Server

HEAD = b"POST /blabla HTTP/1.1\r\nHost: monica\r\nContent-Type: application/json\r\n"


def connect(server: Server) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request_for(text: str, **headers: object) -> bytes:
    """Return a complete request for speech. headers: names with _ instead of -."""
    body = json.dumps({"text": text}).encode()
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return HEAD + "".join(lines).encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def ask(server: Server, text: str, **headers: object) -> socket.socket:
    """Send a request for speech without waiting for the answer."""
    connection = connect(server)
    connection.sendall(request_for(text, **headers))
    return connection


@dataclass(frozen=True)
class Heard:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        """The error code, or None if this is not an error."""
        return json.loads(self.body)["error"]["code"] if self.status >= 400 else None


def listen(connection: socket.socket) -> Heard:
    """Read one answer from the connection."""
    response = HTTPResponse(connection)
    response.begin()
    return Heard(response.status, dict(response.headers), response.read())


def hang_up(connection: socket.socket) -> None:
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def metric(server: Server, name: str, **labels: str) -> float:
    """Return the value of a series in /metrics, or 0 if it does not exist yet."""
    text = requests.get(f"{server.url}/metrics", timeout=20).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == name and sample.labels == labels)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until the condition is true. Raises AssertionError if that takes longer than `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition was not met within {seconds:g} s"
        time.sleep(0.01)
