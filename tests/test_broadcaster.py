"""The one thread that serves all listeners: slow ones hold up no one, those that go are signed off."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from monica.antenna.events import Events, Listener, Subscription
from monica.serving import broadcaster
from monica.serving.broadcaster import MAX_UNSENT_BYTES, Broadcaster
from tests.support.wire import until


class Studio:
    """A broadcaster, its events, and the clients' ends of its connections."""

    def __init__(self) -> None:
        self.events = Events()
        self.broadcaster = Broadcaster()
        self.clients: list[socket.socket] = []

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.settimeout(10)
        self.clients.append(theirs)
        self.broadcaster.add(ours, Subscription(self._listen))
        return theirs

    def _listen(self, listener: Listener) -> Callable[[], None]:
        return self.events.listen(listener, dict)


@pytest.fixture
def studio() -> Iterator[Studio]:
    studio = Studio()
    yield studio
    for client in studio.clients:
        client.close()


def hear(client: socket.socket, what: bytes) -> bytes:
    heard = b""
    while what not in heard:
        part = client.recv(2**16)
        assert part, heard
        heard += part
    return heard


def test_everyone_hears_everything_in_order(studio: Studio) -> None:
    clients = [studio.connect() for _ in range(5)]
    for number in range(100):
        studio.events.publish("number", {"n": number})
    for client in clients:
        heard = hear(client, b'"n": 99}')
        assert [heard.index(f'"n": {n}}}'.encode()) for n in range(100)] == sorted(
            heard.index(f'"n": {n}}}'.encode()) for n in range(100)
        )


def test_a_listener_that_does_not_read_is_let_go_and_holds_up_no_one(studio: Studio) -> None:
    deaf, other = studio.connect(), studio.connect()
    large = "x" * (MAX_UNSENT_BYTES // 4)
    for number in range(8):
        studio.events.publish("large", {"n": number, "x": large})
        hear(other, f'"n": {number}'.encode())
        hear(other, b"\n\n")
    until(lambda: len(studio.events) == 1)
    with suppress(ConnectionResetError):
        while deaf.recv(2**20):
            pass
    studio.events.publish("small", {})
    hear(other, b"event: small")


def test_a_listener_that_goes_is_signed_off(studio: Studio) -> None:
    client, other = studio.connect(), studio.connect()
    assert len(studio.events) == 2
    client.close()
    until(lambda: len(studio.events) == 1)
    studio.events.publish("still", {})
    hear(other, b"event: still")


def test_one_that_cannot_be_signed_off_spoils_nothing(studio: Studio, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("no")

    ours, theirs = socket.socketpair()
    studio.broadcaster.add(ours, Subscription(lambda listener: fail))
    theirs.close()
    until(lambda: "could not be signed off" in caplog.text)
    other = studio.connect()
    hear(other, b"event: state")


def test_silence_is_broken_by_heartbeats(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcaster, "HEARTBEAT_S", 0.05)
    client = studio.connect()
    hear(client, b": still here\n\n: still here\n\n")
