"""Those who lay siege: each comes again until it is over. Every answer is judged, if there was a server to answer."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from random import Random

from benchmarks.siege.cases import build, damage
from benchmarks.siege.fortress import Fortress
from benchmarks.siege.tally import EXPLAINED, Tally
from benchmarks.visitors import Visitor

PATIENCE_S = 45
"""A request without an answer by then hangs. Above the deadline of a take, 30 s."""
DAMAGED = 0.05
SLOW_S = 12
"""How long a slow writer takes for its request."""
FLOOD = 60
ERROR_FIELDS = {"code", "message", "param"}


class Attackers:
    """Threads that send requests. token: the header for requests that change something."""

    def __init__(self, fortress: Fortress, tally: Tally, cases: list[bytes], token: str, seeded: int) -> None:
        self._fortress, self._tally, self._cases = fortress, tally, cases
        self._token = f"Authorization: Bearer {token}\r\n".encode()
        self._over = threading.Event()
        numbers = {self._send_cases: 8, self._visit: 4, self._write_slowly: 4, self._tear: 2, self._flood: 1}
        kinds = [kind for kind, number in numbers.items() for _ in range(number)]
        self._threads = [
            threading.Thread(target=self._come_again, args=(kind, Random(f"{seeded} {number}")), daemon=True)
            for number, kind in enumerate(kinds)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until the last one has left."""
        self._over.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)
            if thread.is_alive():
                self._tally.fault("an attacker never came back")

    def _come_again(self, kind: Callable[[Random], None], chance: Random) -> None:
        while not self._over.is_set():
            if self._fortress.down:
                time.sleep(0.05)
                continue
            try:
                kind(chance)
            except Exception as error:
                self._tally.fault(f"{kind.__name__} failed: {type(error).__name__}: {error}")
                time.sleep(1)

    def _excused(self, began: float) -> bool:
        """Whether the server was killed since then, or is down."""
        return self._fortress.down or self._fortress.changed > began - 1

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._fortress.port), timeout=PATIENCE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _send_cases(self, chance: Random) -> None:
        """Send requests over one connection until it closes."""
        try:
            connection = self._connect()
        except OSError:
            time.sleep(0.05)
            return
        with connection:
            for _ in range(200):
                case = chance.choice(self._cases)
                torn = chance.random() < DAMAGED
                if torn:
                    case = damage(case, chance)
                elif chance.random() < 0.5:
                    line, _, rest = case.partition(b"\r\n")
                    case = line + b"\r\n" + self._token + rest
                if not self._exchange(connection, case, torn=torn) or self._over.is_set():
                    return

    def _exchange(self, connection: socket.socket, case: bytes, *, torn: bool) -> bool:
        """Send a request and judge the answer. Returns whether the connection stays open."""
        began = time.monotonic()
        asked = "a damaged request" if torn else case[:80].decode("latin-1").partition("\r\n")[0] or "one of a flood"
        try:
            connection.sendall(case)
            if torn:
                connection.shutdown(socket.SHUT_WR)
            response = http.client.HTTPResponse(connection, method=case.split(b" ", 1)[0].decode("latin-1"))
            response.begin()
            if response.headers.get_content_type() == "text/event-stream":  # it does not end
                self._tally.note(str(response.status))
                return False
            content = response.read()
        except TimeoutError:
            fault = "" if torn or self._excused(began) else f"no answer in {PATIENCE_S} s: {case[:300]!r}"
            self._tally.note("no answer", fault=fault)
            return False
        except (OSError, http.client.HTTPException, ValueError):
            # A connection that the server closes between two requests is no fault, and neither is one that a damaged
            # request has broken: what counts is that it was not left open.
            closed = "closed on a damaged request" if torn else "closed"
            self._tally.note("killed" if self._excused(began) else closed)
            return False
        took, status = time.monotonic() - began, response.status
        fault = ""
        if status >= 500 and status not in EXPLAINED:
            fault = f"{status} {content[:200]!r} to {case[:1000]!r}"
        elif status >= 400 and content and not self._is_error(content):
            fault = f"{status} not in the API's shape {content[:200]!r} to {case[:300]!r}"
        self._tally.note(str(status), 0 if self._excused(began) else took, fault, asked)
        return not (torn or response.will_close)

    @staticmethod
    def _is_error(content: bytes) -> bool:
        if content.startswith(b"<!doctype html>") and b'name="cle"' in content:
            return True  # a page for people, which asks for the key
        try:
            found = json.loads(content)
            # /health answers 503 with its own shape while the model is loading.
            return {"status", "reason", "model_loaded"} <= set(found) or set(found["error"]) == ERROR_FIELDS
        except (ValueError, TypeError, KeyError):
            return False

    def _visit(self, chance: Random) -> None:
        """Speak, well-behaved or not, and listen to what is said."""
        visitor = Visitor(self._fortress.port, f"{chance.random()}", PATIENCE_S)
        for _ in range(20):
            if self._fortress.down or self._over.is_set():
                return
            began = time.monotonic()
            visit = visitor.visit()
            excused = self._excused(began)
            outcome = visit.outcome.split(" ")[0] if visit.outcome[:1].isdigit() else visit.outcome
            fault = f"{visit.kind}: {visit.wrong}" if visit.wrong and not excused else ""
            if visit.outcome == "no answer" and excused:
                outcome = "killed"
            self._tally.note(outcome, 0 if excused else visit.seconds, fault, f"a visitor ({visit.kind})")

    def _write_slowly(self, chance: Random) -> None:
        """Send a request a few bytes at a time, and hang up before its end."""
        began = time.monotonic()
        case = build("POST", "/blabla", {"Content-Type": "application/json"}, b'{"text": "' + b"a" * 200 + b'"}')
        try:
            with self._connect() as connection:
                while time.monotonic() - began < SLOW_S and case and not self._over.is_set():
                    some, case = case[:3], case[3:]
                    connection.sendall(some)
                    time.sleep(chance.random())
        except OSError:
            pass
        self._tally.note("hung up")

    def _flood(self, chance: Random) -> None:
        """Send many requests at the same moment."""
        with_sockets = []
        case = build("GET", chance.choice(("/health", "/v1/audio/voices", "/metrics", "/nowhere")), {}, b"")
        for _ in range(FLOOD):
            try:
                connection = self._connect()
                connection.sendall(case)
                with_sockets.append(connection)
            except OSError:
                self._tally.note("killed" if self._fortress.down else "refused")
        for connection in with_sockets:
            with connection:
                self._exchange(connection, b"", torn=False)
        time.sleep(1 + chance.random())

    def _tear(self, chance: Random) -> None:
        """Ask for a stream, hear some of it, and reset the connection."""
        text = " ".join(f"Annonce {chance.randrange(10**6)}." for _ in range(12))
        body = json.dumps({"text": text}).encode()
        case = build("POST", "/blabla?stream=1", {"Content-Type": "application/json"}, body)
        try:
            with self._connect() as connection:
                connection.sendall(case)
                for _ in range(chance.randrange(4)):
                    connection.recv(4096)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        except OSError:
            pass
        self._tally.note("hung up")
        time.sleep(chance.random() / 2)
