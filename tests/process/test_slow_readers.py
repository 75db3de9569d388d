"""Clients that read their answer slowly or not at all: the thread that sends it is not theirs forever."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator

import pytest

from monica.serving import answer_socket
from monica.serving.answer_socket import AnswerSocket

SIZE = 2**20
"""Bytes of an answer that no buffer here holds."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[AnswerSocket, socket.socket]]:
    """Yield both ends of a connection with small buffers and short times: the server's, and the client's."""
    monkeypatch.setattr(answer_socket, "STALL_S", 1)
    monkeypatch.setattr(answer_socket, "GRACE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        with AnswerSocket.of(listener.accept()[0]) as server:
            yield server, client


def read(client: socket.socket, size: int, pause_s: float, stop: threading.Event) -> threading.Thread:
    """Read in the background, `size` bytes and then a pause, until the end or `stop`."""

    def go_on() -> None:
        while not stop.is_set() and client.recv(size):
            time.sleep(pause_s)

    thread = threading.Thread(target=go_on)
    thread.start()
    return thread


def test_client_that_reads_nothing_is_given_up(ends: tuple[AnswerSocket, socket.socket]) -> None:
    with pytest.raises(BlockingIOError):
        ends[0].sendall(bytes(SIZE))


@pytest.mark.parametrize("limit", ["MIN_RATE", "MAX_S"])
@pytest.mark.parametrize("chunk", [SIZE, 2**12])
def test_client_that_reads_a_little_now_and_then_is_given_up(
    ends: tuple[AnswerSocket, socket.socket], chunk: int, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never stalls for as long as is allowed at once, but the answer would take a minute."""
    server, client = ends
    monkeypatch.setattr(answer_socket, limit, 2**20 if limit == "MIN_RATE" else 0.2)
    stop = threading.Event()
    reader = read(client, 2**10, 0.05, stop)
    chunks = iter([bytes(chunk)] * (SIZE // chunk))
    with pytest.raises(BlockingIOError):
        deque(map(server.sendall, chunks), maxlen=0)
    stop.set()
    server.close()
    reader.join()


def test_slow_client_at_the_least_rate_gets_everything(
    ends: tuple[AnswerSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = ends
    monkeypatch.setattr(answer_socket, "MIN_RATE", 2**10)
    heard = 0

    def take() -> None:
        nonlocal heard
        while part := client.recv(2**16):
            heard += len(part)
            time.sleep(0.01)

    reader = threading.Thread(target=take)
    reader.start()
    server.sendall(bytes(SIZE))
    server.shutdown(socket.SHUT_WR)
    reader.join()
    assert heard == SIZE


def test_time_in_which_there_is_nothing_to_send_does_not_count(
    ends: tuple[AnswerSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live stream: its listener waits for the sound, not the other way round. So does the next request."""
    server, client = ends
    monkeypatch.setattr(answer_socket, "GRACE_S", 0)
    monkeypatch.setattr(answer_socket, "MIN_RATE", 10**9)
    reader = read(client, 2**16, 0, threading.Event())
    for _ in range(5):
        server.begin_answer()
        server.sendall(b"a chunk of sound")
        time.sleep(0.05)
    server.shutdown(socket.SHUT_WR)
    reader.join()
