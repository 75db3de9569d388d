"""Jobs: phrases to be made ahead of time, and how far that has come. Each is a file, so that a restart loses none."""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from monica.errors import MonicaError
from monica.store.cache import CacheFault
from monica.warming.book import PhraseBook

MOST_WAITING = 8
MOST_ENDED = 16
"""How many jobs that have ended are remembered."""
MOST_TOLD = 20
"""How many of the phrases that failed a job tells of."""
MOST_CRASHES = 4
"""How often Monica may end in the middle of a job that she goes on with."""
MOST_BYTES = 8 * 2**20
"""Of a job's file; a book has 1 MiB."""

UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What reading a file throws that is not, or no more, a job's."""

logger = logging.getLogger(__name__)


class UnknownJob(MonicaError):
    """No job has this id."""

    status, code = 404, "job_unknown"


class TooManyJobs(MonicaError):
    """As many jobs as allowed are already waiting."""

    status, code = 429, "jobs_full"


class State(StrEnum):
    """done: every phrase was tried, though some may have failed. failed: it could not go on."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (State.DONE, State.STOPPED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be said: the source of a phrase book, or the phrases themselves. name: the book's, for people."""

    name: str
    book: str | None = None
    phrases: tuple[str, ...] = ()

    def read(self, max_text_length: int) -> PhraseBook:
        """Make the phrases of it. Raises BookError."""
        if self.book is not None:
            return PhraseBook.parse(self.book, self.name, max_text_length)
        return PhraseBook.of(self.phrases, "phrases", max_text_length)


@dataclass(frozen=True, slots=True)
class Failure:
    """A phrase that could not be made, and why."""

    text: str
    code: str
    message: str


@dataclass(eq=False)
class Job:
    """A script, and how far its making has come.

    total: phrases; until it runs, duplicates are counted. cached: that were kept already. made, failed: by this job.
    failures: the first of those that failed. reason: why it failed, or what it waits for.
    warning: what will go wrong. rate: phrases made in a second, of late. created, started, ended: seconds since the
    epoch. crashes: how often Monica ended in the middle of it.
    """

    id: str
    script: Script
    total: int
    created: float
    state: State = State.WAITING
    cached: int = 0
    made: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    reason: str | None = None
    warning: str | None = None
    rate: float | None = None
    started: float | None = None
    ended: float | None = None
    crashes: int = 0

    @property
    def left(self) -> int:
        return max(0, self.total - self.cached - self.made - self.failed)

    def begin(self) -> None:
        """Run, from the first phrase on: what was made before an interruption is kept, and found there."""
        self.state, self.started = State.RUNNING, self.started or time.time()
        self.cached = self.made = self.failed = 0
        self.failures, self.reason, self.warning, self.rate = [], None, None, None

    def end(self, state: State, reason: str | None = None) -> None:
        self.state, self.reason, self.ended = state, reason, time.time()

    def as_dict(self) -> dict[str, Any]:
        """Return all that is shown of it."""
        shown = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("script", "crashes")}
        time_left = self.left / self.rate if self.rate and not self.state.ended else None
        failures = [asdict(failure) for failure in self.failures]
        return shown | {"name": self.script.name, "left": self.left, "left_s": time_left, "failures": failures}

    def written(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, written: str) -> Job:
        """Read what `written` gave. Raises one of UNREADABLE where it is something else."""
        found = json.loads(written)
        script = found.pop("script")
        script["phrases"] = tuple(script["phrases"])
        failures = [Failure(**failure) for failure in found.pop("failures")]
        job = cls(**found | {"script": Script(**script), "failures": failures, "state": State(found["state"])})
        numbers = (job.total, job.cached, job.made, job.failed, job.crashes, job.created)
        maybe = (number for number in (job.started, job.ended, job.rate) if number is not None)
        if not all(isinstance(number, int | float) for number in (*numbers, *maybe)):
            raise TypeError("a number is no number")
        return job


class Jobs:
    """The jobs of this machine, a file each, in the order they came. Every method may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        """Read them back; a file that cannot be read is logged and set aside."""
        self._folder = folder
        self._lock = threading.RLock()
        self._jobs = {job.id: job for job in sorted(self._read(), key=lambda job: job.created)}

    def add(self, script: Script, total: int) -> Job:
        """Let a job wait its turn. Raises TooManyJobs, or CacheFault where its file cannot be written."""
        with self._lock:
            waiting = sum(job.state is State.WAITING for job in self._jobs.values())
            if waiting >= MOST_WAITING:
                raise TooManyJobs(f"{waiting} jobs already wait: stop one, or wait until one has ended.")
            job = Job(secrets.token_hex(8), script, total, time.time())
            try:
                self._write(job, durably=True)
            except OSError as error:
                raise CacheFault(f"The job cannot be kept ({error.strerror}).") from error
            self._jobs[job.id] = job
            self._forget()
            return job

    def get(self, job_id: str) -> Job:
        """Return a job. Raises UnknownJob."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise UnknownJob("There is no such job, or no more.", param="id")
        return job

    def all(self) -> list[Job]:
        """Return them all, the newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def next(self) -> Job | None:
        """Return the job whose turn it is."""
        with self._lock:
            return next((job for job in self._jobs.values() if job.state is State.WAITING), None)

    def save(self, job: Job, *, durably: bool = True) -> None:
        """Write how far a job has come; a failure is logged. durably: so that even a power cut does not lose it."""
        with self._lock:
            try:
                self._write(job, durably)
            except OSError as error:
                logger.warning("job %s cannot be saved (%s)", job.id, error)

    def _write(self, job: Job, durably: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{job.id}.part"
        try:
            with part.open("w", encoding="utf-8") as file:
                file.write(job.written())
                if durably:
                    file.flush()
                    os.fsync(file.fileno())
            part.replace(self._folder / f"{job.id}.json")
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)  # a full disk is not filled with halves of jobs
            raise

    def _forget(self) -> None:
        """Remove the oldest of those that have ended."""
        ended = [job for job in self._jobs.values() if job.state.ended]
        for job in ended[: max(0, len(ended) - MOST_ENDED)]:
            del self._jobs[job.id]
            with suppress(OSError):
                (self._folder / f"{job.id}.json").unlink()

    def _read(self) -> Iterator[Job]:
        for part in list(self._folder.glob("*.part")):
            part.unlink(missing_ok=True)
        for path in list(self._folder.glob("*.json")):
            try:
                job = _load(path)
            except UNREADABLE as error:
                logger.error("job %s cannot be read (%s: %s); set aside", path.name, type(error).__name__, error)
                with suppress(OSError):
                    path.rename(path.with_suffix(".corrupt"))
                continue
            if job.state is State.RUNNING:
                _interrupt(job)
            yield job


def _load(path: Path) -> Job:
    if path.stat().st_size > MOST_BYTES:
        raise ValueError("it is too large")
    job = Job.read(path.read_text(encoding="utf-8"))
    if job.id != path.stem:
        raise ValueError("it is another job's")
    return job


def _interrupt(job: Job) -> None:
    """Let a job that was running when Monica ended go on, unless it may be why she ended."""
    job.crashes += 1
    if job.crashes > MOST_CRASHES:
        job.end(State.FAILED, f"Monica has ended {job.crashes} times in the middle of it; her log says why.")
        logger.error("job %s is not taken up again: %s", job.id, job.reason)
    else:
        job.state = State.WAITING
