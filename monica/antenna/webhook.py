"""Posts each event of the antenna to another program's address, signed as Standard Webhooks describes it.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from monica.antenna.events import Event, Events

MAX_QUEUED = 1000
"""Events that wait to be posted. Beyond it the oldest go."""
MAX_AGE_S = 300.0
"""An event that could not be posted for so long is no news."""
TIMEOUT_S = 5.0
FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 30.0
"""Between two attempts, doubled each time."""
TRY_AGAIN = (408, 425, 429)
"""Statuses below 500 after which the same event may be accepted later."""

Post = Callable[[bytes, dict[str, str]], int]
"""Posts a body with headers. Returns the status. Raises OSError or HTTPException if there is none."""

logger = logging.getLogger(__name__)


class Webhook:
    """Posts events one after the other from a thread of its own: whoever publishes them never waits.

    url: where to. secret: the key of the signature; None to sign nothing.
    """

    def __init__(
        self, url: str, secret: bytes | None, post: Post | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._host = urlsplit(url).hostname
        self._secret = secret
        self._post = post or poster(url)
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[tuple[float, Event]] = deque()
        self._lost = 0
        self._fails = False
        self._closing = False

    def start(self, events: Events) -> None:
        """Post what happens from now on."""
        events.follow(self.hear)
        threading.Thread(target=self._run, name="webhook", daemon=True).start()

    def close(self) -> None:
        """Post nothing more."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def hear(self, event: Event) -> None:
        """Queue an event. Never blocks."""
        with self._changed:
            self._queue.append((self._clock(), event))
            if len(self._queue) > MAX_QUEUED:
                self._queue.popleft()
                self._lost += 1
            self._changed.notify_all()

    def _run(self) -> None:
        pause_s = 0.0
        while self._wait(pause_s):
            pause_s = self.deliver(pause_s)

    def _wait(self, pause_s: float) -> bool:
        """Wait for the next attempt. Returns whether there is one."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing, pause_s)
            self._changed.wait_for(lambda: self._closing or self._queue)
            return not self._closing

    def deliver(self, pause_s: float = 0.0) -> float:
        """Post the oldest event. Returns how long to wait before the next attempt. pause_s: how long it was before."""
        with self._changed:
            while self._queue and self._clock() - self._queue[0][0] > MAX_AGE_S:
                self._queue.popleft()
                self._lost += 1
            if not self._queue:
                return 0.0
            first = self._queue[0]
        trouble, again = self._try(first[1])
        if trouble is not None and not self._fails:
            self._fails = True
            logger.warning("the webhook at %s fails: %s", self._host, trouble)
        if trouble is not None and again:
            return min(MAX_PAUSE_S, 2 * pause_s or FIRST_PAUSE_S)
        with self._changed:
            if self._queue and self._queue[0] is first:
                self._queue.popleft()
            self._lost += trouble is not None
            lost = self._lost
            self._lost = lost if trouble is not None else 0
        if trouble is None and (self._fails or lost):
            self._fails = False
            logger.info("the webhook at %s works again; %d events were lost", self._host, lost)
        return 0.0

    def _try(self, event: Event) -> tuple[str | None, bool]:
        """Return what went wrong, if anything did, and whether to try again."""
        now = time.time()
        told = {"type": event.kind, "timestamp": datetime.fromtimestamp(now, UTC).isoformat(), "data": event.data}
        body = json.dumps(told, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "monica",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now)),
        }
        if self._secret is not None:
            headers["webhook-signature"] = sign(self._secret, event.id, int(now), body)
        try:
            status = self._post(body, headers)
        except (OSError, HTTPException) as error:
            return f"{type(error).__name__}: {error}", True
        if 200 <= status < 300:
            return None, False
        return f"it answers {status}", status >= 500 or status in TRY_AGAIN


def sign(secret: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`."""
    digest = hmac.new(secret, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def poster(url: str) -> Post:
    """Return what posts to an address. It follows no redirect, and reads no more of an answer than its head."""
    where = urlsplit(url)
    kind = HTTPSConnection if where.scheme == "https" else HTTPConnection
    path = (where.path or "/") + (f"?{where.query}" if where.query else "")

    def post(body: bytes, headers: dict[str, str]) -> int:
        connection = kind(where.hostname or "", where.port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", path, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    return post
