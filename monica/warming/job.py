"""A warming job: what to make, and the progress so far."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from monica.errors import MonicaError
from monica.warming.book import PhraseBook

MAX_FAILURES = 20
"""Number of failed phrases that a job lists."""
COUNTERS = ("cached", "made", "failed", "left")
"""Attributes of a Job that count its phrases by what became of them. They label the metric monica_warm_phrases too."""


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    """Every phrase was tried; some may have failed."""
    STOPPED = "stopped"
    FAILED = "failed"
    """The job could not go on."""

    @property
    def ended(self) -> bool:
        return self in (State.DONE, State.STOPPED, State.FAILED)


@dataclass(frozen=True, slots=True)
class JobSource:
    """What a job makes: the phrases of a book, or a plain list of phrases."""

    name: str
    """The name of the book, as shown to people."""
    book: str | None = None
    """The TOML of a phrase book; None if the phrases are listed."""
    phrases: tuple[str, ...] = ()

    def parse_book(self, max_text_length: int) -> PhraseBook:
        """Return the phrases as a book. Raises BookError."""
        if self.book is not None:
            return PhraseBook.parse(self.book, self.name, max_text_length)
        return PhraseBook.from_texts(self.phrases, "phrases", max_text_length)


@dataclass(frozen=True, slots=True)
class Failure:
    """A phrase that could not be made, and why."""

    text: str
    code: str
    message: str


@dataclass(eq=False)
class Job:
    """What to make, and the progress so far. Times are seconds since the epoch."""

    id: str
    source: JobSource
    total: int
    """Number of phrases. Until the job runs, duplicates are counted too."""
    created: float
    listen: bool = False
    """Whether the phrases are listened to."""
    state: State = State.WAITING
    cached: int = 0
    """Phrases that were kept already."""
    made: int = 0
    """Phrases made by the current run of the job."""
    failed: int = 0
    """Phrases that failed in the current run of the job."""
    heard: int = 0
    """Phrases that have been listened to, in earlier runs too."""
    remade: int = 0
    """Phrases of which the current run made more than one take, because of what was heard."""
    doubtful: int = 0
    """Phrases that were listened to and need a person."""
    failures: list[Failure] = field(default_factory=list)
    """The first MAX_FAILURES of the failed phrases."""
    reason: str | None = None
    """Why the job failed, or what it is waiting for."""
    reason_code: str | None = None
    """The code of that error."""
    warning: str | None = None
    """What will go wrong if the job goes on."""
    rate: float | None = None
    """Phrases made per second recently."""
    started: float | None = None
    ended: float | None = None
    crashes: int = 0
    """How often Monica ended in the middle of the job."""

    @property
    def left(self) -> int:
        return max(0, self.total - self.cached - self.made - self.failed)

    def start(self) -> None:
        """Mark it as running, from the first phrase. What an interrupted run made is kept, and is found there."""
        self.state, self.started = State.RUNNING, self.started or time.time()
        self.cached = self.made = self.failed = 0
        self.heard = self.remade = self.doubtful = 0
        self.failures, self.warning, self.rate = [], None, None
        self.explain(None)

    def end(self, state: State, reason: MonicaError | None = None) -> None:
        self.state, self.ended = state, time.time()
        self.explain(reason)

    def explain(self, reason: MonicaError | None) -> None:
        """Say why the job failed or what it is waiting for; None: nothing is wrong."""
        self.reason, self.reason_code = (reason.message, reason.code) if reason else (None, None)

    def as_dict(self) -> dict[str, Any]:
        """Return what the HTTP API shows of it."""
        shown = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("source", "crashes")}
        time_left = self.left / self.rate if self.rate and not self.state.ended else None
        failures = [asdict(failure) for failure in self.failures]
        return shown | {"name": self.source.name, "left": self.left, "left_s": time_left, "failures": failures}

    def to_json(self) -> str:
        """Return the content of the job's file. The source is stored as "script", as in the first version."""
        stored = asdict(self)
        return json.dumps({"script" if name == "source" else name: value for name, value in stored.items()})

    @classmethod
    def from_json(cls, content: str) -> Job:
        """Read the content of a job's file. Raises one of jobs.UNREADABLE if it is not a job's.

        The file may be another version's: unknown fields are ignored, and missing ones get their defaults.
        """
        stored = json.loads(content)
        source = _known_fields(JobSource, stored["script"])
        source["phrases"] = tuple(source.get("phrases", ()))
        found = _known_fields(cls, stored)
        found["source"] = JobSource(**source)
        found["failures"] = [Failure(**_known_fields(Failure, failure)) for failure in found.get("failures", ())]
        found["state"] = State(found.get("state", State.WAITING))
        job = cls(**found)
        listened = (job.heard, job.remade, job.doubtful)
        numbers = (job.total, job.cached, job.made, job.failed, job.crashes, job.created, *listened)
        optional = (number for number in (job.started, job.ended, job.rate) if number is not None)
        if not all(isinstance(number, int | float) for number in (*numbers, *optional)):
            raise TypeError("a field that should hold a number holds something else")
        return job


def _known_fields(kind: type, stored: dict[str, Any]) -> dict[str, Any]:
    return {f.name: stored[f.name] for f in fields(kind) if f.name in stored}
