"""How far a job is, on a terminal or in a log."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

import click

from monica.store.card import shown

BAR = 24  # characters
TELL_S = 5.0
"""Between two lines where nobody watches."""


class Progress:
    """Shows a job again and again: a bar on a terminal, else now and then a line. All of it on standard error."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._told = -TELL_S
        self._drawn = False
        self._warning: str | None = None

    def show(self, job: dict[str, Any]) -> None:
        if job["warning"] and job["warning"] != self._warning:
            self._warning = job["warning"]
            self.say(f"warning: {shown(self._warning)}")
        if self._watched:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{_bar(job)} {_line(job)}"[: width + 4])
            sys.stderr.flush()
            self._drawn = True
        elif time.monotonic() - self._told >= TELL_S:
            self._told = time.monotonic()
            click.echo(_line(job), err=True)

    def say(self, message: str) -> None:
        """Say something else between."""
        self.end()
        click.echo(message, err=True)

    def end(self) -> None:
        """Leave what is shown, and begin a new line."""
        if self._drawn:
            click.echo(err=True)
            self._drawn = False


def clock(seconds: float) -> str:
    """Write a time as people do: 1:02:03, 2:03, 0:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _bar(job: dict[str, Any]) -> str:
    full = BAR * (job["total"] - job["left"]) // job["total"]
    return f"[{'#' * full}{'-' * (BAR - full)}]"


def _line(job: dict[str, Any]) -> str:
    ended = job["total"] - job["left"]
    counts = f"{ended}/{job['total']}: {job['cached']} cached, {job['made']} made, {job['failed']} failed"
    if job["reason"]:
        return f"{counts}; {shown(job['reason'])}"
    if job["state"] == "waiting":
        return f"{counts}; waits for its turn"
    rate = "" if job["rate"] is None else f", {job['rate']:.1f}/s"
    return counts + rate + ("" if job["left_s"] is None else f", {clock(job['left_s'])} left")
