"""Clients of the antenna for the benchmarks: listeners, and a speaker that plays as fast as it is told."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.servers import Server

Heard = Callable[[str, dict[str, Any], float], None]
"""Is given the kind of an event, its data, and when it was heard."""


def send(server: Server, method: str, path: str, body: object = None) -> Any:
    """Send a request with the token of this machine. Returns the JSON of the answer. Raises RuntimeError."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        headers = server.token() | {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status}: {answer[:300]!r}")
        return json.loads(answer) if response.headers.get_content_type() == "application/json" else answer
    finally:
        connection.close()


class Listener:
    """Follows the events from a thread of its own until it is closed, or the connection ends."""

    def __init__(self, server: Server, heard: Heard | None = None, speaker: str | None = None) -> None:
        self._heard = heard
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        query = f"?speaker={speaker}" if speaker else ""
        self._connection.request("GET", f"/v1/events{query}", headers=server.token())
        self._socket = self._connection.sock  # http.client forgets it once it has the head of an endless answer
        self._response = self._connection.getresponse()
        if self._response.status != 200:
            raise RuntimeError(f"a listener is refused: {self._response.status}")
        self.events = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()

    def _run(self) -> None:
        kind = ""
        with suppress(OSError, ValueError, http.client.HTTPException, AttributeError):
            while line := self._response.readline():
                if line.startswith(b"event: "):
                    kind = line[7:].strip().decode()
                elif line.startswith(b"data: "):
                    self.events += 1
                    if self._heard is not None:
                        self._heard(kind, json.loads(line[6:]), time.perf_counter())


class Room(Listener):
    """A speaker. Whatever is on air through it is soon over, and is counted.

    plays_s: how long it plays. survived: whether it was there before the server was killed, and has played to its end
    what was on air then.
    """

    def __init__(self, server: Server, name: str = "salle", plays_s: float = 0.0, survived: bool = False) -> None:
        self._server, self._name = server, name
        self._plays_s, self._survived = plays_s, survived
        self.heard: list[str] = []
        super().__init__(server, self._play, name)
        self.report("ready")

    def report(self, event: str, **fields: object) -> None:
        send(self._server, "POST", f"/v1/speakers/{self._name}/reports", {"event": event} | fields)

    def _play(self, kind: str, data: dict[str, Any], _: float) -> None:
        on_air = data["on_air"] if kind in ("state", "antenna") else None
        if on_air is not None and kind == "state" and self._survived:
            self.report("ended", announcement=on_air["id"])
        elif on_air is not None and data["speaker"] == self._name and on_air["id"] not in self.heard[-1:]:
            self.heard.append(on_air["id"])
            with suppress(OSError, RuntimeError, http.client.HTTPException):
                self.report("playing", announcement=on_air["id"])
                time.sleep(self._plays_s)
                self.report("ended", announcement=on_air["id"])
