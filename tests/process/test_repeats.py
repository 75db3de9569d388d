"""A request that comes again byte for byte is answered as it was before, though without Flask."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
import requests

from tests.support.server import Server
from tests.support.wire import Heard, connect, listen, request_for, until

PASSING = {"Date", "X-Request-Id", "X-Generation-Time"}


@pytest.fixture
def connection(server: Server) -> Iterator[socket.socket]:
    with connect(server) as connection:
        yield connection


def say(connection: socket.socket, text: str, **headers: object) -> Heard:
    connection.sendall(request_for(text, **headers))
    return listen(connection)


def counts(server: Server) -> dict[str, float]:
    """Return the series that count something, without those of this request."""
    lines = requests.get(f"{server.url}/metrics", timeout=20).text.splitlines()
    series = (line.rpartition(" ") for line in lines if re.match(r"monica_\w+(_total|_count)\b", line))
    return {name: float(value) for name, _, value in series if "/metrics" not in name}


def difference(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}


def log_lines(server: Server) -> list[str]:
    """Return what the log says of answers of speech, without what passes."""
    lines = [line for line in server.log().splitlines() if " /blabla " in line]
    return [re.sub(r"^\S+ \S+|\[[0-9a-f]{32}\]|\d\.\d{3}s", "_", line) for line in lines]


def test_headers_metrics_and_log_are_those_of_flask(server: Server, connection: socket.socket) -> None:
    text = "Pablo mène toujours au tapis."
    say(connection, text)
    logged, counted = len(log_lines(server)), [counts(server)]
    heard = []
    for _ in range(2):
        heard.append(say(connection, text))
        counted.append(counts(server))
    by_flask, again = heard
    assert (again.status, again.body) == (by_flask.status, by_flask.body)
    assert list(again.headers) == list(by_flask.headers)
    assert {name for name, value in again.headers.items() if value != by_flask.headers[name]} <= PASSING
    assert again.headers["X-Request-Id"] != by_flask.headers["X-Request-Id"]
    assert again.headers["X-Generation-Time"] == "0.00s"
    moved = difference(counted[1], counted[0])
    assert difference(counted[2], counted[1]) == moved
    assert moved['monica_cache_lookups_total{cache="takes",result="hit"}'] == 1
    until(lambda: len(log_lines(server)) >= logged + 2)
    one, other = log_lines(server)[logged:]
    assert one == other
    assert "POST /blabla 200 _ hit" in one


def test_id_is_given_back_if_it_is_sane(server: Server, connection: socket.socket) -> None:
    text = "La finale approche."
    for sent in ("a-1", "b.2", "c_3", "d" * 128):
        assert say(connection, text, X_Request_Id=sent).headers["X-Request-Id"] == sent
    for sent in ("e" * 129, "f g", "é", ""):
        answer = say(connection, text, X_Request_Id=sent)
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])
    assert server.log().count("[b.2]") == 1


def test_other_bytes_are_another_request(connection: socket.socket) -> None:
    text = "La table sept se repose."
    plain = [say(connection, text) for _ in range(3)][-1]
    for _ in range(3):
        assert say(connection, text, Accept="audio/flac").headers["Content-Type"] == "audio/flac"
        assert say(connection, text, If_None_Match=plain.headers["ETag"]).status == 304
        fresh = say(connection, text, Cache_Control="no-cache")
        assert fresh.headers["X-Monica-Cache"] == "miss"
        assert say(connection, text, X_Deadline_Ms="soon").status == 422
        assert say(connection, text).body == fresh.body


def test_requests_that_arrive_together_are_all_answered(connection: socket.socket) -> None:
    text = "Trois à la suite."
    alone = [say(connection, text) for _ in range(3)][-1]
    connection.sendall(3 * request_for(text))
    with connection.makefile("rb") as answers:
        for _ in range(3):
            head = b"".join(iter(answers.readline, b"\r\n"))
            assert head.startswith(b"HTTP/1.1 200")
            assert answers.read(len(alone.body)) == alone.body


@pytest.mark.parametrize("headers", [{"Connection": "close"}, {"Connection": "Close"}])
def test_client_that_wants_no_more_is_believed_each_time(server: Server, headers: dict[str, str]) -> None:
    for _ in range(4):
        with connect(server) as connection:
            assert say(connection, "Une seule fois.", **headers).headers["Connection"] == "close"
            assert connection.recv(1) == b""
