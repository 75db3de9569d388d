"""The webhook: every event in order, signed, tried again, bounded, and never in the way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from monica.antenna.events import Events
from monica.antenna.webhook import MAX_AGE_S, MAX_PAUSE_S, MAX_QUEUED, Webhook
from tests.support.wire import until

SECRET = b"0123456789abcdef01234567"


class Receiver:
    """What the other program has been sent, and what it answers: statuses, or an error."""

    def __init__(self) -> None:
        self.answers: list[int | OSError] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.clock = 0.0

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, OSError):
            raise answer
        if answer < 300:
            self.got.append((headers, body))
        return answer

    def kinds(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]


@pytest.fixture(autouse=True)
def _log_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def webhook(receiver: Receiver) -> Webhook:
    return Webhook("http://board.example/hook", SECRET, receiver.post, lambda: receiver.clock)


@pytest.fixture
def events(webhook: Webhook) -> Events:
    events = Events()
    events.follow(webhook.hear)
    return events


def test_an_event_is_signed_as_standard_webhooks_has_it(receiver: Receiver, webhook: Webhook, events: Events) -> None:
    event = events.publish("announcement", {"text": "Été"})
    assert webhook.deliver() == 0
    ((headers, body),) = receiver.got
    assert json.loads(body) | {"timestamp": ""} == {"type": "announcement", "timestamp": "", "data": {"text": "Été"}}
    signed = f"{event.id}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(SECRET, signed, hashlib.sha256).digest()
    assert headers["webhook-id"] == event.id
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_what_fails_is_tried_again_later_and_later_in_its_order(
    receiver: Receiver, webhook: Webhook, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [ConnectionRefusedError("refused"), 503, 429]
    for kind in ("one", "two"):
        events.publish(kind, {})
    pauses = [webhook.deliver()]
    for _ in range(3):
        pauses.append(webhook.deliver(pauses[-1]))
    assert pauses == [1, 2, 4, 0]
    webhook.deliver()
    assert receiver.kinds() == ["one", "two"]
    assert caplog.text.count("fails") == 1  # an outage is told once, whatever its length
    assert "works again" in caplog.text


def test_pauses_are_bounded(receiver: Receiver, webhook: Webhook, events: Events) -> None:
    receiver.answers = [500]
    events.publish("one", {})
    assert webhook.deliver(MAX_PAUSE_S) == MAX_PAUSE_S


@pytest.mark.parametrize("status", [301, 400, 410])
def test_what_is_refused_is_not_tried_again(
    receiver: Receiver, webhook: Webhook, events: Events, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [status]
    for kind in ("one", "two"):
        events.publish(kind, {})
    assert [webhook.deliver(), webhook.deliver()] == [0, 0]
    assert receiver.kinds() == ["two"]
    assert f"it answers {status}" in caplog.text
    assert "1 events were lost" in caplog.text


def test_too_many_events_lose_the_oldest_and_it_is_told(
    receiver: Receiver, webhook: Webhook, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(MAX_QUEUED + 2):
        events.publish(str(number), {})
    webhook.deliver()
    assert receiver.kinds() == ["2"]
    assert "2 events were lost" in caplog.text


def test_an_event_that_is_too_old_is_no_news(receiver: Receiver, webhook: Webhook, events: Events) -> None:
    events.publish("old", {})
    receiver.clock = MAX_AGE_S + 1
    events.publish("new", {})
    webhook.deliver()
    assert receiver.kinds() == ["new"]


@pytest.fixture
def board() -> Iterator[tuple[str, list[str], threading.Event]]:
    """A real program that says nothing until it is told to."""
    got: list[str] = []
    awake = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.path + " " + json.loads(self.rfile.read(int(self.headers["Content-Length"])))["type"])
            awake.wait(30)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook?board=1", got, awake
        awake.set()
        server.shutdown()
        thread.join()


def test_a_program_that_hangs_keeps_no_one_waiting(board: tuple[str, list[str], threading.Event]) -> None:
    address, got, awake = board
    events, webhook = Events(), Webhook(address, None)
    webhook.start(events)
    try:
        events.publish("first", {})
        until(lambda: got == ["/hook?board=1 first"])
        for _ in range(100):
            events.publish("more", {})  # returns at once, or this test would take minutes
        awake.set()
        until(lambda: len(got) == 101)
    finally:
        webhook.close()
