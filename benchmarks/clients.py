"""Clients of a server under load: each keeps its connection, and notes when it asked and when it was answered."""

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
"""How many numbers of each kind five names can tell apart."""
POPULAR = 8
"""Phrases that are asked for over and over."""
CONNECTIONS = 16
"""Of those who ask at a steady rate."""


def phrase(run: int, client: int, serial: int) -> str:
    """Make a sentence that no other numbers give, of about 35 characters, every word of it said as it is written."""
    number = (run * CLIENTS + client) * SERIALS + serial
    a, b, c, d, e = (NAMES[number // len(NAMES) ** place % len(NAMES)] for place in range(5))
    return f"{a}, {b}, {c}, {d} contre {e}."


def popular(number: int) -> str:
    """Make one of the phrases that are asked for over and over."""
    return f"La table {NAMES[number % POPULAR]} va commencer, à vos places."


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request; times are monotonic seconds, the same in every process.

    first: when its first byte was there. sound_s: how long it sounds. cache: as Monica tells it.
    """

    sent: float
    first: float
    ended: float
    sound_s: float
    cache: str

    @property
    def latency(self) -> float:
        return self.ended - self.sent


class Client:
    """A connection that is kept. fields: what every body holds beside the text."""

    def __init__(self, port: int, **fields: Any) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self._fields = fields

    def ask(self, text: str, *, due: float | None = None) -> Answer:
        """Have a text said. due: when it should have been asked for. Raises RuntimeError where it is not said."""
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
    """Clients each of which asks for its next phrase as soon as it has an answer. Use as a context manager.

    run: no two crowds of one server have the same. cached: the share of popular phrases in what they ask for.
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
        """Wait until each has had one answer more. Returns when that was."""
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
            with self._changed:  # or everyone would wait for what never comes
                self._over = True
                self._changed.notify_all()
            raise
        finally:
            client.close()


def drip(port: int, rate: float, seconds: float) -> list[Answer]:
    """Ask for popular phrases, so many a second, however long the answers take.

    A request that is late because every connection still waits counts from when it was due.
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
    """Have the popular phrases made, if they are not kept yet."""
    client = Client(port)
    for number in range(POPULAR):
        client.ask(popular(number))
    client.close()


def ended_within(answers: Iterable[Answer], began: float, until: float) -> list[Answer]:
    """Choose the answers of a span of time, in their order."""
    return sorted((a for a in answers if began < a.ended <= until), key=lambda answer: answer.ended)


def sound_rate(answers: Iterable[Answer], began: float, until: float) -> float:
    """Return the seconds of sound made in a second of a span; of a take that laps over an end of it, its share."""
    shares = ((a, min(a.ended, until) - max(a.sent, began)) for a in answers)
    return sum(a.sound_s * share / a.latency for a, share in shares if share > 0) / (until - began)


def percentile(seconds: Iterable[float], share: float) -> float:
    """Return the least value that so much of them does not exceed; nan where there is none."""
    ordered = sorted(seconds)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
