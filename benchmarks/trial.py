"""A load whose every answer is judged while things are killed: it is the right sound, a wrong one, or a refusal."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks import standin
from monica.config import Settings
from monica.service import Service
from monica.speech import SpeechRequest
from tests.deployment.nginx.load import Load

PATIENCE_S = 300
"""Without replicas, each answer takes as long as the server goes on trying."""
UNCLEAR = "without a reason"


class Reference:
    """The stand-in engine in this process, which does not sleep here: what each phrase must sound like."""

    def __init__(self, folder: Path) -> None:
        standin.install()
        standin.STEP_S = 0.0
        self._service = Service(Settings(engine="standin", cache_dir=folder / "reference"))
        self._service.start_and_wait()

    def sound(self, phrase: str) -> bytes:
        return self._service.announcer.announce(SpeechRequest(phrase)).wav

    def close(self) -> None:
        self._service.close()


@dataclass(frozen=True)
class Outcome:
    """What became of some requests. refused: how many, by reason."""

    right: int
    wrong: int
    refused: Counter[str]

    def cells(self) -> list[str]:
        """Return the number of answers, those that are right, wrong, a clear 503, and all others."""
        is_clear = {reason: reason.startswith("503 ") and not reason.endswith(UNCLEAR) for reason in self.refused}
        unavailable = sum(number for reason, number in self.refused.items() if is_clear[reason])
        others = [f"{number} {reason}" for reason, number in self.refused.items() if not is_clear[reason]]
        total = self.right + self.wrong + self.refused.total()
        return [str(total), str(self.right), str(self.wrong), str(unavailable), ", ".join(others) or "0"]


class Trial(Load):
    """A load that remembers what each phrase was answered with."""

    def __init__(self, url: str, session: Callable[[], requests.Session], reference: Reference) -> None:
        super().__init__(url, session)
        self._reference = reference
        self._heard: list[tuple[str, bytes]] = []

    def hear(self, phrase: str, answer: requests.Response) -> None:
        if answer.content[:4] == b"RIFF":
            self._heard.append((phrase, hashlib.sha256(answer.content).digest()))

    def during(self, number: int, event: Callable[[], object]) -> Outcome:
        """Let something happen, and judge the answers until `number` more have come after it."""
        heard, failures = len(self._heard), len(self.failures)
        event()
        self.wait_for_more(number, PATIENCE_S)
        return self._judge(self._heard[heard:], self.failures[failures:])

    def _judge(self, heard: list[tuple[str, bytes]], failures: list[str]) -> Outcome:
        right = sum(hashlib.sha256(self._reference.sound(phrase)).digest() == digest for phrase, digest in heard)
        return Outcome(right, len(heard) - right, Counter(map(_reason, failures)))


def _reason(failure: str) -> str:
    """Return the status and the code of a refusal. failure: as `Load` tells it."""
    status, _, body = failure.partition(" ")
    if not status.isdigit():
        return "broken off"
    try:
        return f"{status} {json.loads(body)['error']['code']}"
    except (ValueError, LookupError, TypeError):
        return f"{status} {UNCLEAR}"
