"""Visitors of a server, well-behaved and not. Each makes a request, and judges whether the answer was a proper one."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from benchmarks.clients import NAMES, popular

TIRED = {(503, "overloaded"), (504, "deadline_exceeded"), (500, "synthesis_failed")}
"""Errors that a valid request may get: Monica is busy, it took too long, or the engine failed on it."""
MALFORMED: tuple[tuple[bytes, int, str], ...] = (
    (b'{"text": "Pablo', 422, "json_invalid"),
    (b'["Pablo"]', 422, "json_invalid"),
    (b'{"text": 7}', 422, "request_invalid"),
    (b'{"text": "Pablo", "sped": 2}', 422, "request_invalid"),
    (b'{"text": "Pablo", "priority": "royal"}', 422, "request_invalid"),
    (b'{"text": " "}', 400, "text_empty"),
    (b'{"text": "?!"}', 400, "text_empty"),
    (b'{"text": "Pablo", "voice": "nobody"}', 404, "voice_unknown"),
    (json.dumps({"text": "Pablo " * 200}).encode(), 400, "text_too_long"),
)
SIP, SIP_S = 32 * 1024, 0.05
"""Bytes that a slow reader takes at once, and its pause after them in seconds."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit and its outcome."""

    kind: str
    """The kind of visitor."""
    outcome: str
    """The status and error code, for counting."""
    seconds: float
    """Time until the whole answer had arrived."""
    wrong: str = ""
    """What is wrong with the answer; empty if it is a proper one."""


class Visitor:
    """Makes one visit after the other, each of a random kind. patience_s: without an answer by then, there is none."""

    def __init__(self, port: int, name: str, patience_s: float) -> None:
        self._port, self._patience_s = port, patience_s
        self._chance = Random(name)
        self._kinds: dict[Callable[[], Visit], float] = {
            self.distinct: 28,
            self.repeated: 30,
            self.long: 6,
            self.background: 10,
            self.hurried: 8,
            self.gone: 8,
            self.slow: 3,
            self.streamed: 10,
            self.malformed: 7,
        }

    def visit(self) -> Visit:
        (kind,) = self._chance.choices(list(self._kinds), list(self._kinds.values()))
        return kind()

    def distinct(self) -> Visit:
        return self._speak("distinct", self._sentence())

    def repeated(self) -> Visit:
        return self._speak("repeated", popular(self._chance.randrange(50)))

    def long(self) -> Visit:
        return self._speak("long", " ".join(self._sentence() for _ in range(9)))

    def background(self) -> Visit:
        return self._speak("background", self._sentence(), priority="background")

    def hurried(self) -> Visit:
        """Allow only a few milliseconds."""
        headers = {"X-Deadline-Ms": str(self._chance.randint(1, 60))}
        return self._ask("hurried", json.dumps({"text": self._sentence()}).encode(), headers=headers)

    def gone(self) -> Visit:
        """Hang up before the answer, or while it arrives."""
        began = time.monotonic()
        connection = self._request(json.dumps({"text": self._sentence()}).encode(), {})
        time.sleep(self._chance.expovariate(50))
        connection.close()
        return Visit("gone", "hung up", time.monotonic() - began)

    def slow(self) -> Visit:
        """Read the answer slowly, in sips."""
        return self._ask("slow", json.dumps({"text": " ".join(self._sentence() for _ in range(9))}).encode(), slow=True)

    def streamed(self) -> Visit:
        """Ask for a stream. If the engine fails in the middle, the connection must break off."""
        began, body = time.monotonic(), json.dumps({"text": self._sentence()}).encode()
        connection = self._request(body, {"Accept": "audio/pcm"}, "/blabla?stream=1")
        try:
            response = connection.getresponse()
            content = response.read()
        except http.client.IncompleteRead as broken:
            return Visit("streamed", "broken off", time.monotonic() - began, "" if broken.partial else "nothing came")
        except (OSError, http.client.HTTPException) as error:
            return Visit("streamed", "no answer", time.monotonic() - began, f"{type(error).__name__}: {error}")
        finally:
            connection.close()
        took = time.monotonic() - began
        if response.status == 200:
            return Visit("streamed", "200", took, "" if len(content) > 10_000 else f"{len(content)} bytes")
        outcome, wrong = judge_error(response.status, content, TIRED)
        return Visit("streamed", outcome, took, wrong)

    def malformed(self) -> Visit:
        body, status, code = self._chance.choice(MALFORMED)
        return self._ask("malformed", body, {(status, code)})

    def _sentence(self) -> str:
        return f"{', '.join(self._chance.choices(NAMES, k=7))}."

    def _speak(self, kind: str, text: str, **fields: Any) -> Visit:
        return self._ask(kind, json.dumps({"text": text} | fields).encode())

    def _request(self, body: bytes, headers: dict[str, str], path: str = "/blabla") -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._patience_s)
        connection.request("POST", path, body, {"Content-Type": "application/json"} | headers)
        return connection

    def _ask(
        self,
        kind: str,
        body: bytes,
        expected: set[tuple[int, str]] = TIRED,
        *,
        headers: dict[str, str] | None = None,
        slow: bool = False,
    ) -> Visit:
        began = time.monotonic()
        try:
            connection = self._request(body, headers or {})
            if slow:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SIP)
            response = connection.getresponse()
            content = b"".join(iter(lambda: _sip(response, slow), b""))
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            return Visit(kind, "no answer", time.monotonic() - began, f"{type(error).__name__}: {error}")
        took = time.monotonic() - began
        if response.status == 200:
            wrong = "a 200" if expected is not TIRED else judge_wav(content, len(json.loads(body)["text"]))
            return Visit(kind, "200", took, wrong)
        outcome, wrong = judge_error(response.status, content, expected)
        if response.status == 503 and "Retry-After" not in response.headers:
            wrong = "503 without Retry-After"
        return Visit(kind, outcome, took, wrong)


def _sip(response: http.client.HTTPResponse, slow: bool) -> bytes:
    if slow:
        time.sleep(SIP_S)
    return response.read(SIP)


def judge_error(status: int, content: bytes, expected: set[tuple[int, str]]) -> tuple[str, str]:
    """Return an error's outcome, and what is wrong with it."""
    try:
        error = json.loads(content)["error"]
        code, message, _ = error["code"], error["message"], error["param"]
    except (ValueError, TypeError, KeyError):
        return f"{status}", f"not an error in the API's shape: {content[:200]!r}"
    outcome = f"{status} {code}"
    return outcome, "" if (status, code) in expected and message else f"{outcome} {message!r} is not expected"


def judge_wav(content: bytes, characters: int) -> str:
    """Return what is wrong with the sound of a text, or an empty string."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            shape = file.getnchannels(), file.getsampwidth()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            seconds = len(samples) / file.getframerate()
    except (wave.Error, EOFError) as error:
        return f"not a WAV: {error}"
    if shape != (1, 2) or len(content) != 44 + 2 * len(samples):
        return f"not mono, 16 bits, whole: {shape}, {len(samples)} samples in {len(content)} bytes"
    if not characters / 60 <= seconds <= characters / 4 + 3:
        return f"{seconds:.1f} s for {characters} characters"
    return "" if np.abs(samples, dtype=np.int32).max() > 33 else "silence"
