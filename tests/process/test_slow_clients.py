"""Clients that send slowly, nothing, or too much: the others are answered, and the next request is never lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests

from tests.support.server import Server
from tests.support.wire import connect, listen

CLIENTS = 120  # more than the server has threads
TEXT = {"text": "Pablo vient de se faire éliminer par Rusmir !"}
HEADS = {
    "nothing": b"",
    "half a head": b"POST /blabla HTTP/1.1\r\nHost: monica\r\nX-Slow: ",
    "half a body": b"POST /blabla HTTP/1.1\r\nHost: monica\r\nContent-Type: application/json\r\n"
    b'Content-Length: 40\r\n\r\n{"text": "',
    "half a chunk": b"POST /blabla HTTP/1.1\r\nHost: monica\r\nContent-Type: application/json\r\n"
    b'Transfer-Encoding: chunked\r\n\r\nff\r\n{"text": "',
}


@contextmanager
def slow_clients(server: Server, sent: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(CLIENTS)]
        for client in clients:
            client.sendall(sent)
        yield clients


@pytest.mark.parametrize("sent", HEADS.values(), ids=HEADS)
def test_slow_clients_silence_no_one(server: Server, sent: bytes) -> None:
    with slow_clients(server, sent) as clients:
        for turn in range(3):
            for client in clients if sent else []:
                client.sendall(b"x")
            assert requests.get(f"{server.url}/health/live", timeout=20).status_code == 200, turn
            assert requests.post(f"{server.url}/blabla", json=TEXT, timeout=20).status_code == 200, turn


def test_request_that_takes_too_long_is_told_so(server: Server) -> None:
    with connect(server) as client:
        client.settimeout(60)
        client.sendall(HEADS["half a body"])
        answer = listen(client)
    assert answer.status == 408
    assert answer.headers["Connection"] == "close"


REFUSED = {
    "too large": ("POST", "/blabla", {"Content-Type": "application/json"}, 413),
    "not JSON": ("POST", "/blabla", {"Content-Type": "text/plain"}, 422),
    "unknown path": ("POST", "/nothing", {"Content-Type": "application/json"}, 404),
    "wrong method": ("PUT", "/blabla", {"Content-Type": "application/json"}, 405),
    "uploads are off": ("POST", "/v1/audio/voices", {"Content-Type": "multipart/form-data; boundary=b"}, 403),
}


@pytest.mark.parametrize(("method", "path", "headers", "status"), REFUSED.values(), ids=REFUSED)
def test_next_request_on_a_kept_connection_is_answered(
    server: Server, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """A refusal before the body was read either keeps the connection usable or says that it closes."""
    with requests.Session() as session:
        for _ in range(20):
            refused = session.request(method, f"{server.url}{path}", data=b"x" * 70_000, headers=headers, timeout=30)
            assert refused.status_code == status
            assert session.post(f"{server.url}/blabla", json=TEXT, timeout=30).status_code == 200


@pytest.mark.parametrize("path", ["/blabla", "/v1/text", "/v1/audio/speech"])
def test_chunked_body_over_the_limit_is_too_large(server: Server, path: str) -> None:
    body = b'{"text": "Bonjour."' + b" " * 100_000 + b"}"
    chunks = (body[start : start + 1000] for start in range(0, len(body), 1000))
    answer = requests.post(f"{server.url}{path}", data=chunks, headers={"Content-Type": "application/json"}, timeout=30)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"
