"""Phrases for warming jobs, and what a test waits for and counts."""

from __future__ import annotations

from monica.warming.job import Job, JobSource
from tests.support.wire import until

NAMES = ("Ana", "Bo", "Chloé", "Denis", "Elsa", "Farid", "Gina", "Hugo", "Inès", "Jo")
PAIRS = tuple(f"{a} élimine {b}." for a in NAMES for b in NAMES if a != b)


def texts(*phrases: str) -> JobSource:
    return JobSource("une liste", phrases=phrases)


def ended(job: Job) -> Job:
    """Wait until a job has ended, and return it."""
    until(lambda: job.state.ended, 120)
    return job


def counts(job: Job) -> tuple[int, int, int, int]:
    return job.cached, job.made, job.failed, job.left
