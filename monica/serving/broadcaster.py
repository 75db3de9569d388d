"""Sends events to listeners that stay connected for hours, all of them from one thread."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from monica.antenna.events import Subscription

HEARTBEAT_S = 15.0
"""How often a listener hears something, so that it, and every proxy, knows that the connection is alive."""
HEARTBEAT = b": still here\n\n"
MAX_UNSENT_BYTES = 2**20
"""A listener that is so far behind is disconnected. It comes back, and catches up."""
RECEIVE_BYTES = 2**12

logger = logging.getLogger(__name__)


class _Client:
    """A connected listener. Only the broadcaster's thread uses its socket."""

    def __init__(self, connection: socket.socket, wake: Callable[[], None]) -> None:
        self.connection = connection
        self._wake = wake
        self._lock = threading.Lock()
        self._unsent: deque[bytes] = deque()
        self._size = 0
        self.too_slow = False
        self.leave: Callable[[], None] = lambda: None

    def hear(self, event: bytes) -> None:
        """Queue an event. Called by any thread, and never blocks."""
        with self._lock:
            self.too_slow = self.too_slow or self._size + len(event) > MAX_UNSENT_BYTES
            if not self.too_slow and event:
                self._unsent.append(event)
                self._size += len(event)
        self._wake()

    def send(self) -> bool:
        """Send what the connection takes. Returns whether anything is left. Raises OSError if the client is gone."""
        while True:
            with self._lock:
                if not self._unsent:
                    return False
                data = self._unsent.popleft()
                self._size -= len(data)
            try:
                sent = self.connection.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            if sent < len(data):
                with self._lock:
                    self._unsent.appendleft(data[sent:])
                    self._size += len(data) - sent
                return True


class Broadcaster:
    """Owns the connections of listeners, and the thread that serves them. It starts with the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._clients: set[_Client] = set()
        self._new: deque[_Client] = deque()
        self._started = False

    def add(self, connection: socket.socket, subscription: Subscription) -> None:
        """Take a connection over, whose header has been sent. It is closed when the client goes or falls behind."""
        client = _Client(connection, self._wake)
        client.leave = subscription.listen(client.hear)
        with self._lock:
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="events", daemon=True).start()
            self._new.append(client)
        self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # it has been rung often enough
            self._ringer.send(b"\a")

    def _run(self) -> None:
        beat = time.monotonic() + HEARTBEAT_S
        while True:
            for key, _ in self._selector.select(max(0.0, beat - time.monotonic())):
                if key.data is None:
                    with suppress(BlockingIOError):
                        while self._bell.recv(RECEIVE_BYTES):
                            pass
                else:
                    self._receive(key.data)
            with self._lock:
                while self._new:
                    client = self._new.popleft()
                    self._clients.add(client)
                    self._selector.register(client.connection, selectors.EVENT_READ, client)
            if time.monotonic() >= beat:
                beat = time.monotonic() + HEARTBEAT_S
                for client in list(self._clients):
                    client.hear(HEARTBEAT)
            for client in list(self._clients):
                self._send(client)

    def _send(self, client: _Client) -> None:
        if client.too_slow:
            self._close(client)
            return
        try:
            waits = client.send()
        except OSError:
            self._close(client)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0)
        if self._selector.get_key(client.connection).events != events:
            self._selector.modify(client.connection, events, client)

    def _receive(self, client: _Client) -> None:
        """See whether the client is gone. It has nothing to say, and what it says is dropped."""
        try:
            gone = client in self._clients and not client.connection.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            self._close(client)

    def _close(self, client: _Client) -> None:
        self._clients.discard(client)
        self._selector.unregister(client.connection)
        with suppress(OSError):
            client.connection.shutdown(socket.SHUT_RDWR)
        client.connection.close()
        try:
            client.leave()
        except Exception:
            # The guard of this thread: the other listeners are still there.
            logger.exception("a listener could not be signed off")
