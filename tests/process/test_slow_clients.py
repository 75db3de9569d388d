"""Clients that send slowly or not at all: they hold no thread, and no other client waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from monica.admission import MAX_BODY_BYTES
from monica.serving import incoming
from monica.serving.incoming import IncomingRequest
from tests.support.server import Server
from tests.support.wire import HEAD, connect, listen, request_for

KEY = "une-clef"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Monica with few threads, and with a key."""
    folder = tmp_path_factory.mktemp("slow")
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(folder / "cache"), "MONICA_API_KEY": KEY}
    with Server(folder, settings | {"MONICA_THREADS": "2", "MONICA_QUEUE_SIZE": "2"}) as server:
        yield server.wait_ready()
        assert "Traceback" not in server.log()


AUTHORIZED = HEAD + f"Authorization: Bearer {KEY}\r\n".encode()


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /blabla HTTP/1.1\r\nHo", AUTHORIZED + b"Content-Length: 500\r\n\r\n{"],
    ids=["mute", "head", "body"],
)
def test_slow_clients_do_not_silence_the_server(small: Server, sent: bytes) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(small)) for _ in range(100)]
        for again in (False, True):
            for connection in slow:
                connection.sendall(sent[-1:] if again else sent)
            assert requests.get(f"{small.url}/health/live", timeout=5).status_code == 200
            assert small.say("Malgré eux.", headers={"Authorization": f"Bearer {KEY}"}, timeout=5).status_code == 200


def test_oldest_idle_connections_are_closed_first(small: Server) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(small)) for _ in range(1200)]
        assert requests.get(f"{small.url}/health/live", timeout=20).status_code == 200
        assert idle[0].recv(1) == b""
        idle[-1].sendall(request_for("Bonsoir.", Authorization=f"Bearer {KEY}"))
        assert listen(idle[-1]).status == 200


@pytest.mark.parametrize("body", [b"Content-Length: 500\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"])
def test_key_is_checked_before_the_body_has_arrived(small: Server, body: bytes) -> None:
    with connect(small) as connection:
        connection.sendall(HEAD + body)
        heard = listen(connection)
        assert (heard.status, heard.code, heard.headers["Connection"]) == (401, "unauthorized", "close")


def test_continue_is_sent_if_the_body_is_wanted(small: Server) -> None:
    request = request_for("Bonsoir.", Authorization=f"Bearer {KEY}", Expect="100-continue")
    head, body = request.split(b"\r\n\r\n")
    with connect(small) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert listen(connection).status == 200
    with connect(small) as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 20\r\n\r\n")
        assert listen(connection).status == 401


def arriving(*pieces: bytes, welcome: bool = True) -> IncomingRequest:
    request = IncomingRequest(lambda headers: welcome)
    for piece in pieces:
        request.feed(piece, 0)
    return request


@pytest.mark.parametrize(
    "whole",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        HEAD + b"Content-Length: 5\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel\r\n\r\n0\r\nA: b\r\n\r\n",
    ],
)
def test_end_of_a_request_is_found_however_it_is_cut(whole: bytes) -> None:
    for cut in range(1, len(whole)):
        assert not arriving(whole[:cut]).ready
        assert arriving(whole[:cut], whole[cut:]).ready
    assert arriving(*(whole[n : n + 1] for n in range(len(whole)))).ready


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\nHost: a",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
    ],
)
def test_malformed_and_large_requests_are_not_waited_for(sent: bytes) -> None:
    assert arriving(sent).ready


def test_time_of_a_request_is_limited() -> None:
    request = arriving(HEAD)
    assert not request.is_late(incoming.GRACE_S)
    assert request.is_late(incoming.GRACE_S + 1)
    fast = arriving(HEAD + b"Content-Length: 60000\r\n\r\n" + bytes(50_000))
    assert not fast.is_late(incoming.MAX_S)
    assert fast.is_late(incoming.MAX_S + 1)
    assert arriving(b"A" * (incoming.MAX_HEAD_BYTES + 1)).too_long
