"""A record of what the engine thread does, written to a file as it happens, and read from there."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from monica.engine import Engine, SynthesisParams, Utterance


@dataclass(frozen=True, slots=True)
class Event:
    """Something the engine thread did."""

    when: float
    """Monotonic seconds."""
    name: str
    """submit, begin or drop of a take; or step, at its end."""
    text: str
    """The take's text; empty for a step."""


class Watch:
    """Writes events, from any thread."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, name: str, text: str = "") -> None:
        os.write(self._file, f"{time.monotonic():.6f} {name} {text}\n".encode())


class WatchedEngine:
    """An engine whose calls are reported to a watch."""

    def __init__(self, engine: Engine, watch: Watch) -> None:
        self._engine, self._watch = engine, watch
        self._texts: dict[Utterance, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        self._watch.note("begin", text)
        utterance = self._engine.begin(text, voice=voice, params=params, seed=seed, stream=stream)
        self._texts[utterance] = text
        return utterance

    def step(self) -> None:
        self._engine.step()
        self._watch.note("step")

    def drop(self, utterance: Utterance) -> None:
        self._engine.drop(utterance)
        self._watch.note("drop", self._texts.pop(utterance))


def install(watch: Watch) -> None:
    """Watch the engine that will be chosen, and the takes that are submitted to it."""
    from monica.config import Settings
    from monica.synthesis import loader
    from monica.synthesis.scheduler import Scheduler
    from monica.synthesis.take import Take

    choose, submit = loader.choose_engine, Scheduler.submit  # type: ignore[attr-defined]

    def choose_watched(settings: Settings) -> Engine:
        return cast(Engine, WatchedEngine(choose(settings), watch))

    def submit_watched(self: Scheduler, takes: list[Take]) -> None:
        for take in takes:
            watch.note("submit", take.text)
        submit(self, takes)

    loader.choose_engine = choose_watched  # type: ignore[attr-defined]
    Scheduler.submit = submit_watched  # type: ignore[method-assign]


def read(path: Path) -> list[Event]:
    """Return the events so far, in order."""
    whole = path.read_text().rpartition("\n")[0]
    events = [Event(float(line[0]), line[1], line[2]) for line in (line.split(" ", 2) for line in whole.splitlines())]
    return sorted(events, key=lambda event: event.when)
