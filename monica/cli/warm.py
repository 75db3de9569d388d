"""monica warm: has a running server make the phrases of a book before they are asked for."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from monica.cli.group import fail
from monica.cli.progress import Progress, clock, summary_lines
from monica.cli.remote import Refused, Remote, Unavailable
from monica.config import Settings
from monica.store.phrase import shown
from monica.warming.book import BookError, PhraseBook

POLL_S = 0.5
"""Time between two requests for the job's progress."""
RETRY_S, MAX_RETRY_S = 2.0, 10.0
"""Time before an unavailable server is asked again: without Retry-After, and at most."""
STOPPED = 130  # the exit code shells use for Ctrl-C
UNFINISHED = ("waiting", "running")


@click.command()
@click.argument("book", type=click.Path(path_type=Path))
@click.option("--url", help="Where Monica runs; this machine otherwise.")
@click.option(
    "--listen/--no-listen", default=None, help="Listen to every phrase, or to none. The server's MONICA_LISTEN decides."
)
@click.option("--dry-run", is_flag=True, help="Only estimate what it would take.")
def warm(book: Path, url: str | None, listen: bool | None, dry_run: bool) -> None:
    """Have a running server make the phrases of BOOK; what it has already is skipped, and live requests go first.

    Ctrl-C stops it; the same command goes on from there. The exit code is 0 if every phrase is ready, 1 if some are
    not, 2 if the book or the command line is wrong.
    """
    settings = Settings.from_env()
    try:
        PhraseBook.read_file(book, settings.max_text_length)
        source = book.read_text(encoding="utf-8-sig")
        remote = Remote(url or f"http://127.0.0.1:{settings.port}", settings)
    except (BookError, OSError, ValueError) as error:
        _fail_usage(str(error))
    progress = Progress()
    body = {"book": source, "name": book.name[-100:], "dry_run": dry_run, "listen": listen}
    try:
        # An interrupt now would leave a job on the server whose id is unknown here, and that could not be stopped.
        with _interrupts_deferred() as interrupts:
            answer = _ask_until_answered(lambda: remote.ask("POST", "/v1/phrases/warm", body), progress)
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except Refused as error:
        _fail_usage(f"the server refused: {shown(error.message)}")
    if dry_run:
        click.echo("\n".join(_estimate_lines(book.name, answer)))
        sys.exit(1 if answer["fits"] is False else 0)
    _follow(remote, answer, progress, interrupted=bool(interrupts))


@contextmanager
def _interrupts_deferred() -> Iterator[list[int]]:
    """Record a first Ctrl-C and go on. A second one interrupts as usual."""
    interrupts: list[int] = []

    def note(number: int, _frame: object) -> None:
        interrupts.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


def _follow(remote: Remote, job: dict[str, Any], progress: Progress, *, interrupted: bool) -> NoReturn:
    """Show the progress of the job until it has ended, then print a summary and exit."""
    path = f"/v1/jobs/{job['id']}"
    try:
        if interrupted:
            raise KeyboardInterrupt  # noqa: TRY301 - the deferred one
        while job["state"] in UNFINISHED:
            progress.show(job)
            time.sleep(POLL_S)
            job = _ask_until_answered(lambda: remote.ask("GET", path), progress, wait_for_restart=True)
        progress.show(job)
        progress.end()
    except KeyboardInterrupt:
        progress.say("stopping...")
        _stop(remote, path)
    except Refused as error:
        progress.end()
        fail(f"the server refused: {shown(error.message)}")
    click.echo("\n".join(summary_lines(job)))
    sys.exit(0 if job["state"] == "done" and not job["failed"] else 1)


def _stop(remote: Remote, path: str) -> NoReturn:
    try:
        job = remote.ask("DELETE", path)
    except (Unavailable, Refused) as error:
        fail(f"the job could not be stopped, and goes on if the server does: {shown(error.message)}")
    click.echo("\n".join(summary_lines(job)))
    sys.exit(STOPPED)


def _ask_until_answered(
    ask: Callable[[], dict[str, Any]], progress: Progress, *, wait_for_restart: bool = False
) -> dict[str, Any]:
    """Ask a busy server again until it answers. wait_for_restart: also one that is gone, since it resumes its jobs."""
    reported = False
    while True:
        try:
            answer = ask()
        except Unavailable as error:
            if error.retry_after is None and not wait_for_restart:
                fail(shown(error.message))
            if not reported:
                progress.say(f"{shown(error.message)}; trying again")
                reported = True
            time.sleep(min(error.retry_after or RETRY_S, MAX_RETRY_S))
        else:
            if reported:
                progress.say("Monica answers again")
            return answer


def _estimate_lines(name: str, estimate: dict[str, Any]) -> Iterator[str]:
    sampled = estimate["looked_at"] < estimate["phrases"]
    cached = "it is not known yet how many are cached"
    if estimate["cached"] is not None:
        cached = f"{'about ' if sampled else ''}{estimate['cached']} of them cached already"
    yield f"{name}: {estimate['phrases']} phrases, {cached}"
    time_s = estimate["time_s"]
    yield f"sound: about {clock(estimate['sound_s'])}"
    yield f"disk: about {estimate['bytes'] / 2**20:.0f} MB"
    yield f"time to make what is missing: {'not known yet' if time_s is None else f'about {clock(time_s)}'}"
    if not estimate["measured"]:
        yield "These are first guesses, from the length of the texts: too little has been made here yet."
    if estimate["fits"] is False:
        yield "The server's cache is too small for them: set its MONICA_CACHE_MB higher."


def _fail_usage(message: str) -> NoReturn:
    click.echo(f"monica: {message}", err=True)
    sys.exit(2)
