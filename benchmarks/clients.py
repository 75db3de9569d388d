"""Clients of a server under load. Each keeps its connection, and records when it asked and when it was answered."""

from __future__ import annotations

import http.client
import itertools
import json
import math
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

from monica.audio.wav import wav_duration

NAMES = (
    "Alice", "Anton", "Basile", "Bruno", "Carla", "Chloé", "David", "Denis", "Elsa", "Emma",
    "Fabien", "Franck", "Gilles", "Gina", "Hélène", "Hugo", "Igor", "Ivan", "Jeanne", "Julie",
    "Karim", "Kevin", "Laura", "Lise", "Marc", "Mona", "Nadia", "Noah", "Olga", "Oscar",
    "Pablo", "Rusmir", "Sonia", "Tino", "Ursula", "Victor", "Wanda", "Xavier", "Yann", "Zoé",
)  # fmt: skip
CLIENTS, SERIALS = 32, 8192
"""How many clients, and serial numbers of each, the five names of a phrase can tell apart."""
POPULAR = 8
"""Number of phrases that are requested repeatedly."""
CONNECTIONS = 16
"""Number of connections that share a steady rate of requests."""


def phrase(run: int, client: int, serial: int) -> str:
    """Make a sentence that belongs to these numbers alone: about 35 characters, every word said as it is written."""
    number = (run * CLIENTS + client) * SERIALS + serial
    a, b, c, d, e = (NAMES[number // len(NAMES) ** place % len(NAMES)] for place in range(5))
    return f"{a}, {b}, {c}, {d} contre {e}."


def popular(number: int) -> str:
    """Make one of the phrases that are requested repeatedly."""
    return f"La table {NAMES[number % POPULAR]} va commencer, à vos places."


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a request. Times are monotonic seconds, which are the same in every process."""

    sent: float
    """When the request was sent, or when it was due."""
    first: float
    """When the first byte of the answer arrived."""
    ended: float
    """When the last byte arrived."""
    sound_s: float
    """Duration of the sound in seconds."""
    cache: str
    """The header X-Monica-Cache."""

    @property
    def latency(self) -> float:
        return self.ended - self.sent


class Client:
    """A persistent connection. fields: what every request body has beside the text."""

    def __init__(self, port: int, **fields: Any) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self._fields = fields

    def ask(self, text: str, *, due: float | None = None) -> Answer:
        """Request a text. due: when it should have been requested. Raises RuntimeError if the answer is not a sound."""
        body = json.dumps({"text": text} | self._fields).encode()
        sent = time.monotonic() if due is None else due
        self._connection.request("POST", "/blabla", body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        first = time.monotonic()
        wav = response.read()
        ended = time.monotonic()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {wav[:500]!r}")
        return Answer(sent, first, ended, wav_duration(wav), response.headers.get("X-Monica-Cache", ""))

    def close(self) -> None:
        self._connection.close()


class Crowd:
    """Clients that each request their next phrase as soon as they have an answer. Use as a context manager.

    run: a number that no other crowd of the same server has. cached: the share of requests for popular phrases.
    """

    def __init__(self, port: int, clients: int, run: int, *, cached: float = 0.0, **fields: Any) -> None:
        self.answers: list[Answer] = []
        self._port, self._run, self._cached, self._fields = port, run, cached, fields
        self._changed = threading.Condition()
        self._counts = [0] * clients
        self._over = False
        self._pool = ThreadPoolExecutor(clients)
        self._talks: list[Future[None]] = []

    def settle(self) -> float:
        """Wait until each client has had one more answer, and return the time."""
        with self._changed:
            goals = [count + 1 for count in self._counts]
            self._changed.wait_for(
                lambda: self._over or all(count >= goal for count, goal in zip(self._counts, goals, strict=True))
            )
        return time.monotonic()

    def __enter__(self) -> Crowd:
        self._talks = [self._pool.submit(self._talk, number) for number in range(len(self._counts))]
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._pool.shutdown()
        for talk in self._talks:
            talk.result()

    def _talk(self, number: int) -> None:
        client, chance = Client(self._port, **self._fields), Random(number)
        try:
            while not self._over:
                known = chance.random() < self._cached
                text = popular(chance.randrange(POPULAR)) if known else phrase(self._run, number, self._counts[number])
                answer = client.ask(text)
                with self._changed:
                    self.answers.append(answer)
                    self._counts[number] += 1
                    self._changed.notify_all()
        except BaseException:
            with self._changed:  # or the others would wait forever
                self._over = True
                self._changed.notify_all()
            raise
        finally:
            client.close()


def drip(port: int, rate: float, seconds: float) -> list[Answer]:
    """Request popular phrases at a steady rate per second, however long the answers take.

    A request that is late because every connection is still waiting counts from when it was due.
    """
    began, tickets = time.monotonic(), itertools.count()

    def run() -> list[Answer]:
        client = Client(port)
        answers: list[Answer] = []
        while (due := began + next(tickets) / rate) < began + seconds:
            late = time.monotonic() > due
            time.sleep(max(0.0, due - time.monotonic()))
            answers.append(client.ask(popular(len(answers)), due=due if late else None))
        client.close()
        return answers

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        runs = [pool.submit(run) for _ in range(CONNECTIONS)]
    return [answer for run in runs for answer in run.result()]


def warm(port: int) -> None:
    """Have the popular phrases made, unless they are kept already."""
    client = Client(port)
    for number in range(POPULAR):
        client.ask(popular(number))
    client.close()


def ended_within(answers: Iterable[Answer], began: float, until: float) -> list[Answer]:
    """Select the answers that ended in a span of time, in order."""
    return sorted((a for a in answers if began < a.ended <= until), key=lambda answer: answer.ended)


def sound_rate(answers: Iterable[Answer], began: float, until: float) -> float:
    """Return the seconds of sound made per second of a span. A take that overlaps an end counts by its share."""
    shares = ((a, min(a.ended, until) - max(a.sent, began)) for a in answers)
    return sum(a.sound_s * share / a.latency for a, share in shares if share > 0) / (until - began)


def percentile(seconds: Iterable[float], share: float) -> float:
    """Return the smallest value that this share of them does not exceed; nan if there are none."""
    ordered = sorted(seconds)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
