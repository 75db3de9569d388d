"""How takes, hits and clients disturb each other on one server: five figures, each with a target."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks import watch
from benchmarks.clients import Client, Crowd, drip, percentile, phrase, sound_rate, warm

SATURATING = 4
"""Number of clients that request distinct phrases all the time."""
PROBE_RATE, LOAD_RATE = 50.0, 200.0
"""Hits per second: of those that are timed, and of those that are a load."""
BACKGROUND = 10
PAUSE_S = 0.2
"""Pause between two live sentences, in which background ones continue."""


@dataclass(frozen=True, slots=True)
class Contention:
    """Hits against decoding."""

    idle_p99: float
    """Seconds of a hit while the engine is idle, 99th percentile."""
    busy_p99: float
    """The same while the engine is saturated."""
    alone: float
    """Seconds of sound made per second without hits."""
    loaded: float
    """The same under a load of hits."""

    @property
    def hits(self) -> float:
        """How many times slower a hit is while the engine is saturated."""
        return self.busy_p99 / self.idle_p99

    @property
    def decoding(self) -> float:
        """The share of its pace that the engine keeps under the load of hits."""
        return self.loaded / self.alone


@contextmanager
def another_process() -> Iterator[Executor]:
    """Run what is submitted in a process of its own, so that it does not share this one's interpreter lock."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def contend(apart: Executor, port: int, run: int, seconds: float) -> Contention:
    """Measure hits and takes, each alone and both together, for the given seconds each."""

    def hit_p99() -> float:
        return percentile((hit.latency for hit in apart.submit(drip, port, PROBE_RATE, seconds).result()), 0.99)

    warm(port)
    idle = hit_p99()
    with Crowd(port, SATURATING, run) as crowd:
        began = crowd.settle()
        time.sleep(seconds)
        until = time.monotonic()
        busy = hit_p99()
        loading = time.monotonic()
        apart.submit(drip, port, LOAD_RATE, seconds).result()
        loaded = time.monotonic()
        crowd.settle()
    alone, under_load = sound_rate(crowd.answers, began, until), sound_rate(crowd.answers, loading, loaded)
    return Contention(idle, busy, alone, under_load)


@dataclass(frozen=True, slots=True)
class Overtaking:
    """Live sentences against background ones."""

    alone: list[float]
    """Seconds of each live sentence, with no other client."""
    behind: list[float]
    """Seconds of each live sentence behind ten background ones."""
    steps: list[int]
    """Steps of the engine until each of the latter was begun."""


def overtake(port: int, run: int, count: int, events: Path | None = None) -> Overtaking:
    """Request live sentences, first without other clients. events: the file of the server's watch, if it has one."""
    client = Client(port)
    texts = [phrase(run, BACKGROUND, serial) for serial in range(2 * count)]
    alone = [client.ask(text).latency for text in texts[:count]]
    behind = []
    with Crowd(port, BACKGROUND, run, priority="background") as crowd:
        crowd.settle()
        for text in texts[count:]:
            time.sleep(PAUSE_S)
            behind.append(client.ask(text).latency)
    client.close()
    steps = [_steps_between(events, text, "submit", "begin") for text in texts[count:]] if events else []
    return Overtaking(alone, behind, steps)


def hang_up(port: int, run: int, count: int, events: Path) -> list[int]:
    """Hang up on takes that have begun. Returns the steps until the engine dropped each."""
    steps = []
    for serial in range(count):
        text = phrase(run, 0, serial)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/blabla", json.dumps({"text": text}), {"Content-Type": "application/json"})
        _wait_for(events, "begin", text)
        gone = time.monotonic()
        connection.close()
        _wait_for(events, "drop", text)
        steps.append(_steps_between(events, text, gone, "drop"))
    return steps


def _wait_for(events: Path, name: str, text: str, patience_s: float = 120) -> None:
    until = time.monotonic() + patience_s
    while not any((event.name, event.text) == (name, text) for event in watch.read(events)):
        if time.monotonic() > until:
            raise RuntimeError(f"no {name} of {text!r} within {patience_s:g} s")
        time.sleep(0.002)


def _steps_between(events: Path, text: str, began: float | str, ended: str) -> int:
    """Count the steps that ended between two events of a text. began: an event, or a time."""
    story = watch.read(events)
    when = {event.name: event.when for event in reversed(story) if event.text == text}
    since = when[began] if isinstance(began, str) else began
    return sum(event.name == "step" and since < event.when < when[ended] for event in story)
