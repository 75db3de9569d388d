"""The warming jobs of this machine. Each is a file, so that it survives a restart."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from monica.errors import MonicaError
from monica.store.cache import CacheError
from monica.warming.job import Job, JobSource, State

MAX_WAITING = 8
MAX_ENDED = 16
"""Number of ended jobs that are remembered."""
MAX_CRASHES = 4
"""How often Monica may end in the middle of a job and still resume it."""
MAX_FILE_BYTES = 8 * 2**20
"""Upper bound on the size of a job's file. A phrase book has at most 1 MiB."""

UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""Exceptions from reading a file that does not hold a job, or holds a damaged one."""

logger = logging.getLogger(__name__)


class UnknownJob(MonicaError):
    """No job has this id."""

    status, code = 404, "job_unknown"


class TooManyJobs(MonicaError):
    """As many jobs as allowed are already waiting."""

    status, code = 429, "jobs_full"


class Jobs:
    """The jobs of this machine, one file each, in the order they were submitted. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Read the jobs back. A file that cannot be read is renamed to *.corrupt, with one line in the log."""
        self._folder = folder
        self._lock = threading.RLock()
        self._jobs = {job.id: job for job in sorted(self._read_files(), key=lambda job: job.created)}

    def add(self, source: JobSource, total: int, *, listen: bool = False) -> Job:
        """Add a job that waits its turn. Raises TooManyJobs, or CacheError if its file cannot be written."""
        with self._lock:
            waiting = sum(job.state is State.WAITING for job in self._jobs.values())
            if waiting >= MAX_WAITING:
                raise TooManyJobs(f"{waiting} jobs already wait: stop one, or wait until one has ended.")
            job = Job(secrets.token_hex(8), source, total, time.time(), listen)
            try:
                self._write_file(job, durably=True)
            except OSError as error:
                raise CacheError(f"The job cannot be kept ({error.strerror}).") from error
            self._jobs[job.id] = job
            self._forget_oldest()
            return job

    def get(self, job_id: str) -> Job:
        """Return a job. Raises UnknownJob."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise UnknownJob("There is no such job, or it has been forgotten.", param="id")
        return job

    def all(self) -> list[Job]:
        """Return all jobs, the newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def books(self) -> list[Job]:
        """Return the jobs that have a phrase book, the newest first, and of those with one name only the newest."""
        found: dict[str, Job] = {}
        for job in self.all():
            if job.source.book is not None:
                found.setdefault(job.source.name, job)
        return list(found.values())

    def next_waiting(self) -> Job | None:
        """Return the job whose turn it is, or None if none waits."""
        with self._lock:
            return next((job for job in self._jobs.values() if job.state is State.WAITING), None)

    def save(self, job: Job, *, durably: bool = True) -> None:
        """Write a job's progress to its file; a failure is logged. durably: so that it survives a power cut."""
        with self._lock:
            try:
                self._write_file(job, durably)
            except OSError as error:
                logger.warning("job %s cannot be saved (%s)", job.id, error)

    def _write_file(self, job: Job, durably: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{job.id}.part"
        try:
            with part.open("w", encoding="utf-8") as file:
                file.write(job.to_json())
                if durably:
                    file.flush()
                    os.fsync(file.fileno())
            part.replace(self._folder / f"{job.id}.json")
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)  # so that partial files do not fill up a full disk
            raise

    def _forget_oldest(self) -> None:
        """Remove the oldest ended jobs beyond MAX_ENDED, and their files."""
        ended = [job for job in self._jobs.values() if job.state.ended]
        for job in ended[: max(0, len(ended) - MAX_ENDED)]:
            del self._jobs[job.id]
            with suppress(OSError):
                (self._folder / f"{job.id}.json").unlink()

    def _read_files(self) -> Iterator[Job]:
        for part in list(self._folder.glob("*.part")):
            part.unlink(missing_ok=True)
        for path in list(self._folder.glob("*.json")):
            try:
                job = _read_file(path)
            except UNREADABLE as error:
                logger.error("job %s cannot be read (%s: %s); set aside", path.name, type(error).__name__, error)
                with suppress(OSError):
                    path.rename(path.with_suffix(".corrupt"))
                continue
            if job.state is State.RUNNING:
                _resume_or_fail(job)
            yield job


def _read_file(path: Path) -> Job:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError("it is too large")
    job = Job.from_json(path.read_text(encoding="utf-8"))
    if job.id != path.stem:
        raise ValueError("it belongs to another job")
    return job


def _resume_or_fail(job: Job) -> None:
    """Let a job that was running when Monica ended wait again, unless the job itself may be why she ended."""
    job.crashes += 1
    if job.crashes > MAX_CRASHES:
        message = f"Monica has ended {job.crashes} times in the middle of it; her log says why."
        job.end(State.FAILED, MonicaError(message))
        logger.error("job %s is not resumed: %s", job.id, job.reason)
    else:
        job.state = State.WAITING
