"""Shows the progress of a job, on a terminal or in a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from monica.store.phrase import shown

BAR_WIDTH = 24  # characters
LOG_EVERY_S = 5.0
"""Time between two lines if standard error is not a terminal."""


class Progress:
    """Shows a job repeatedly on standard error: as a bar on a terminal, otherwise as a line every LOG_EVERY_S."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._logged = -LOG_EVERY_S
        self._drawn = False
        self._warning: str | None = None

    def show(self, job: dict[str, Any]) -> None:
        if job["warning"] and job["warning"] != self._warning:
            self._warning = job["warning"]
            self.say(f"warning: {shown(self._warning)}")
        if self._on_terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{_bar(job)} {_line(job)}"[: width + 4])
            sys.stderr.flush()
            self._drawn = True
        elif time.monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = time.monotonic()
            click.echo(_line(job), err=True)

    def say(self, message: str) -> None:
        """Print a message on a line of its own, between two states of the job."""
        self.end()
        click.echo(message, err=True)

    def end(self) -> None:
        """Leave the bar as it is, and start a new line."""
        if self._drawn:
            click.echo(err=True)
            self._drawn = False


def clock(seconds: float) -> str:
    """Format a duration: 1:02:03, 2:03, 0:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def summary_lines(job: dict[str, Any]) -> Iterator[str]:
    """Say what became of a job that has ended, or been stopped."""
    took = (job["ended"] or time.time()) - (job["started"] or job["created"])
    counts = f"{job['cached']} were cached, {job['made']} made, {job['failed']} failed, {job['left']} left"
    yield f"{shown(job['name'])}: {job['state']} after {clock(took)}. {job['total']} phrases: {counts}."
    if job["listen"]:
        yield f"{job['heard']} listened to, {job['remade']} made again, {job['doubtful']} doubtful."
        if job["doubtful"]:
            yield "Hear the doubtful ones: monica cache review"
    if job["reason"]:
        yield shown(job["reason"])
    for failure in job["failures"]:
        yield f"  {shown(failure['text'])}  {failure['code']}: {shown(failure['message'])}"
    if job["failed"] > len(job["failures"]):
        yield f"  and {job['failed'] - len(job['failures'])} more"


def _bar(job: dict[str, Any]) -> str:
    full = BAR_WIDTH * (job["total"] - job["left"]) // job["total"]
    return f"[{'#' * full}{'-' * (BAR_WIDTH - full)}]"


def _line(job: dict[str, Any]) -> str:
    ended = job["total"] - job["left"]
    counts = f"{ended}/{job['total']}: {job['cached']} cached, {job['made']} made, {job['failed']} failed"
    if job["listen"]:
        counts += f", {job['heard']} heard, {job['doubtful']} doubtful"
    if job["reason"]:
        return f"{counts}; {shown(job['reason'])}"
    if job["state"] == "waiting":
        return f"{counts}; waits for its turn"
    rate = "" if job["rate"] is None else f", {job['rate']:.1f}/s"
    return counts + rate + ("" if job["left_s"] is None else f", {clock(job['left_s'])} left")
