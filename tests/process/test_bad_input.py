"""Bad input on a real socket gets a clear error or no answer, and the next request is served."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.server import Server
from tests.support.wire import HEAD, ask, connect, listen, request_for, reset, until


def exchange(server: Server, data: bytes) -> bytes:
    with connect(server) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture(autouse=True)
def _next_request_is_served(server: Server) -> Iterator[None]:
    yield
    assert server.say("Et la suite ?").status_code == 200
    assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET /health HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"X-A: b\r\n" * 200 + b"\r\n",
        HEAD + b"Content-Length: many\r\n\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_not_http(server: Server, request_: bytes) -> None:
    answer = exchange(server, request_)
    assert b"<html" not in answer.lower()
    if answer:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.split()[1].startswith(b"4")
        assert b"X-Request-Id: " in head
        assert set(json.loads(body)["error"]) == {"code", "message", "param"}


def test_body_ends_early(server: Server) -> None:
    answer = exchange(server, HEAD + b'Content-Length: 500\r\n\r\n{"text": "Bonj')
    assert answer == b"" or answer.split()[1].startswith(b"4")


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/blabla", (422, "json_invalid")),  # without a Content-Type
        ("/v1/phrases/bundle", (403, "forbidden")),
        ("/v1/audio/voices", (403, "forbidden")),
        ("/nowhere", (404, "not_found")),
    ],
)
def test_client_learns_that_its_large_body_was_refused_unread(
    server: Server, path: str, refused: tuple[int, str]
) -> None:
    """The answer is sent before the body has arrived. A client that sends the whole body first must still get it."""
    size = 5 * 2**20
    with connect(server) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: monica\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(5):
            connection.sendall(bytes(2**20))
            time.sleep(0.05)
        heard = listen(connection)
    assert (heard.status, heard.code) == refused


def test_client_hangs_up_in_the_middle_of_its_request(server: Server) -> None:
    for sent in (
        HEAD,
        HEAD + b'Content-Length: 500\r\n\r\n{"text": ',
        HEAD + b"Content-Length: 20\r\n\r\n" + b" " * 20,
    ):
        connection = connect(server)
        connection.sendall(sent)
        reset(connection)  # abruptly
    assert requests.get(f"{server.url}/health", timeout=10).json()["failures_in_a_row"] == 0


def test_client_hangs_up_before_the_answer(server: Server) -> None:
    for _ in range(20):
        reset(ask(server, "Je pars avant la réponse. " * 15))
    until(lambda: requests.get(f"{server.url}/health", timeout=10).json()["queue_depth"] == 0)
    assert requests.get(f"{server.url}/health", timeout=10).json()["failures_in_a_row"] == 0


def test_slow_body_is_read(server: Server) -> None:
    body = json.dumps({"text": "Tout doucement."}).encode()
    with connect(server) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        for n in range(0, len(body), 4):
            connection.sendall(body[n : n + 4])
            time.sleep(0.05)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_stalled_bodies_free_their_threads(tmp_path: Path) -> None:
    threads = {"MONICA_THREADS": "3", "MONICA_QUEUE_SIZE": "1"}  # four in all: waiting requests have their own
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")} | threads
    with Server(tmp_path, settings) as server:
        server.wait_ready()
        mute = [connect(server) for _ in range(2)]
        for connection in mute:
            connection.sendall(HEAD)
        stalled = [connect(server) for _ in range(2)]
        for connection in stalled:
            connection.sendall(HEAD + b'Content-Length: 500\r\n\r\n{"text": ')
        assert server.say("Après eux.").status_code == 200
        for connection in mute:
            heard = listen(connection)
            assert (heard.status, heard.code) == (408, "request_timeout")
            connection.close()
        for connection in stalled:
            heard = listen(connection)
            assert (heard.status, heard.code) == (408, "request_timeout")
            connection.close()
        assert "Traceback" not in server.log()


def test_idle_connections_do_not_block_the_server(server: Server) -> None:
    idle = [connect(server) for _ in range(100)]
    assert server.say("Malgré les muets.", timeout=4).status_code == 200
    for connection in idle:
        connection.close()


def test_connections_left_open_do_not_block_the_server(server: Server) -> None:
    leaving = [ask(server, "Et je reste là.", Connection="close") for _ in range(6)]
    for connection in leaving:
        assert listen(connection).status == 200
    assert server.say("Malgré ceux qui restent.", timeout=4).status_code == 200
    for connection in leaving:
        connection.close()


def test_pipelined_requests(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(request_for("Deux fois.") + request_for("Deux fois.", Connection="close"))
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 200") == 2


def test_sixteen_clients_with_the_same_and_different_phrases(server: Server) -> None:
    def ask(n: int) -> tuple[str, bytes, str]:
        text = "La même pour tous." if n % 2 else f"Phrase numéro {n} du tournoi."
        answer = server.say(text)
        assert answer.status_code == 200, answer.text
        return text, answer.content, answer.headers["X-Monica-Cache"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(160)))
    sounds: dict[str, set[bytes]] = {}
    for text, sound, _ in answers:
        sounds.setdefault(text, set()).add(sound)
    assert len(sounds) == 81
    assert all(len(of_text) == 1 for of_text in sounds.values())
    assert sum(cache == "miss" for _, _, cache in answers) == 81
