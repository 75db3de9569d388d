"""What happens on the antenna, as server-sent events: numbered, remembered for a while, sent to every listener."""

from __future__ import annotations

import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

MAX_REMEMBERED = 1000
"""How many events are kept for listeners that reconnect. One that missed more gets the whole state again."""

Listener = Callable[[bytes], None]
"""Is given each event, encoded. It must not block."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    id: str
    """The run of the server, and a number that grows by one: `3fa9-17`."""
    kind: str
    data: dict[str, Any]

    def encode(self) -> bytes:
        """Return it as the HTML standard writes a server-sent event."""
        return f"id: {self.id}\nevent: {self.kind}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n".encode()


class Events:
    """The events of this run of the server. Thread-safe.

    A listener gets the whole state first, or what it has missed since its `Last-Event-ID`, and then each event in
    order.
    """

    def __init__(self) -> None:
        self._run = secrets.token_hex(4)
        self._lock = threading.RLock()
        self._count = 0
        self._remembered: deque[Event] = deque(maxlen=MAX_REMEMBERED)
        self._listeners: dict[int, Listener] = {}
        self._next_listener = 0
        self._followers: list[Callable[[Event], None]] = []
        self._sources: dict[str, Callable[[], Any]] = {}

    def show(self, name: str, source: Callable[[], Any]) -> None:
        """Add something to the whole state, beside what `listen` is given.

        source: returns it as JSON. It must not wait for a lock that is held while something is published.
        """
        self._sources[name] = source

    def follow(self, follower: Callable[[Event], None]) -> None:
        """Have each event from now on given to a function, which must not block."""
        with self._lock:
            self._followers.append(follower)

    def publish(self, kind: str, data: dict[str, Any]) -> Event:
        """Tell every listener."""
        with self._lock:
            self._count += 1
            event = Event(f"{self._run}-{self._count}", kind, data)
            self._remembered.append(event)
            encoded = event.encode() if self._listeners else b""
            for listener in list(self._listeners.values()):
                listener(encoded)
            for follower in self._followers:
                follower(event)
        return event

    def listen(
        self, listener: Listener, state: Callable[[], dict[str, Any]], last_id: str | None = None
    ) -> Callable[[], None]:
        """Add a listener, and give it what it needs to begin. Returns what removes it.

        state: returns the whole state. last_id: the id of the last event it has had.
        """
        with self._lock:
            missed = self._since(last_id)
            if missed is None:
                listener(Event(f"{self._run}-{self._count}", "state", state() | self._shown()).encode())
            else:
                listener(b"".join(event.encode() for event in missed))
            number = self._next_listener
            self._next_listener += 1
            self._listeners[number] = listener

        def leave() -> None:
            with self._lock:
                self._listeners.pop(number, None)

        return leave

    def __len__(self) -> int:
        """Return the number of listeners."""
        return len(self._listeners)

    def _shown(self) -> dict[str, Any]:
        return {name: source() for name, source in self._sources.items()}

    def _since(self, last_id: str | None) -> Iterable[Event] | None:
        """Return the events after one; None if they are not all remembered."""
        run, _, number = (last_id or "").rpartition("-")
        if run != self._run or not number.isdecimal() or int(number) > self._count:
            return None
        missed = self._count - int(number)
        if missed > len(self._remembered):
            return None
        return list(self._remembered)[len(self._remembered) - missed :]


@dataclass(frozen=True, slots=True)
class Subscription:
    """How a client begins to listen."""

    listen: Callable[[Listener], Callable[[], None]]
    """Adds a listener, and returns what removes it."""
