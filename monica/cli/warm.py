"""monica warm: the phrases of a book, made by a running server before they are asked for."""

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
from monica.cli.progress import Progress, clock
from monica.cli.remote import Away, Refused, Remote
from monica.config import Settings
from monica.store.card import shown
from monica.warming.book import BookError, PhraseBook

LOOK_S = 0.5
"""Between two looks at the job."""
PAUSE_S, LONGEST_PAUSE_S = 2.0, 10.0
"""Before asking again a server that is away."""
STOPPED = 130  # as a shell has it for Ctrl-C
UNFINISHED = ("waiting", "running")


@click.command()
@click.argument("book", type=click.Path(path_type=Path))
@click.option("--url", help="Where Monica runs; this machine otherwise.")
@click.option("--dry-run", is_flag=True, help="Only tell what it would take.")
def warm(book: Path, url: str | None, dry_run: bool) -> None:
    """Have a running server make the phrases of BOOK; what it has already is skipped, and live requests go first.

    Ctrl-C stops it; the same command goes on from there. The exit code is 0 where every phrase is ready, 1 where
    some are not, 2 where the book or the call is wrong.
    """
    settings = Settings.from_env()
    try:
        PhraseBook.read(book, settings.max_text_length)
        source = book.read_text(encoding="utf-8-sig")
        remote = Remote(url or f"http://127.0.0.1:{settings.port}", settings.api_key)
    except (BookError, OSError, ValueError) as error:
        _wrong(str(error))
    progress = Progress()
    body = {"book": source, "name": book.name[-100:], "dry_run": dry_run}
    try:
        # Or a job would go on that nobody knows of.
        with _putting_off_interrupts() as interrupts:
            answer = _insist(lambda: remote.ask("POST", "/v1/phrases/warm", body), progress)
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except Refused as error:
        _wrong(f"the server refused: {shown(error.message)}")
    if dry_run:
        click.echo("\n".join(_estimate(book.name, answer)))
        sys.exit(1 if answer["fits"] is False else 0)
    _follow(remote, answer, progress, interrupted=bool(interrupts))


@contextmanager
def _putting_off_interrupts() -> Iterator[list[int]]:
    """Note a first Ctrl-C, and go on; a second one is what it always is."""
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
    """Show how far the job is until it has ended, then sum it up."""
    path = f"/v1/jobs/{job['id']}"
    try:
        if interrupted:
            raise KeyboardInterrupt  # noqa: TRY301 - one that was put off
        while job["state"] in UNFINISHED:
            progress.show(job)
            time.sleep(LOOK_S)
            job = _insist(lambda: remote.ask("GET", path), progress, patient=True)
        progress.show(job)
        progress.end()
    except KeyboardInterrupt:
        progress.say("stopping...")
        _stop(remote, path)
    except Refused as error:
        progress.end()
        fail(f"the server refused: {shown(error.message)}")
    click.echo("\n".join(_summary(job)))
    sys.exit(0 if job["state"] == "done" and not job["failed"] else 1)


def _stop(remote: Remote, path: str) -> NoReturn:
    try:
        job = remote.ask("DELETE", path)
    except (Away, Refused) as error:
        fail(f"it could not be stopped, and goes on where the server does: {shown(error.message)}")
    click.echo("\n".join(_summary(job)))
    sys.exit(STOPPED)


def _insist(ask: Callable[[], dict[str, Any]], progress: Progress, *, patient: bool = False) -> dict[str, Any]:
    """Ask a server until it has time. patient: also one that has gone, for it goes on with its jobs when it is back."""
    told = False
    while True:
        try:
            answer = ask()
        except Away as error:
            if error.retry_after is None and not patient:
                fail(shown(error.message))
            if not told:
                progress.say(f"{shown(error.message)}; trying again")
                told = True
            time.sleep(min(error.retry_after or PAUSE_S, LONGEST_PAUSE_S))
        else:
            if told:
                progress.say("Monica answers again")
            return answer


def _summary(job: dict[str, Any]) -> Iterator[str]:
    took = (job["ended"] or time.time()) - (job["started"] or job["created"])
    counts = f"{job['cached']} were cached, {job['made']} made, {job['failed']} failed, {job['left']} left"
    yield f"{shown(job['name'])}: {job['state']} after {clock(took)}. {job['total']} phrases: {counts}."
    if job["reason"]:
        yield shown(job["reason"])
    for failure in job["failures"]:
        yield f"  {shown(failure['text'])}  {failure['code']}: {shown(failure['message'])}"
    if job["failed"] > len(job["failures"]):
        yield f"  and {job['failed'] - len(job['failures'])} more"


def _estimate(name: str, estimate: dict[str, Any]) -> Iterator[str]:
    drawn = estimate["looked_at"] < estimate["phrases"]
    cached = "it is not known yet how many are cached"
    if estimate["cached"] is not None:
        cached = f"{'about ' if drawn else ''}{estimate['cached']} of them cached already"
    yield f"{name}: {estimate['phrases']} phrases, {cached}"
    yield f"sound: {_known(estimate['sound_s'], clock)}"
    yield f"disk: {_known(estimate['bytes'], lambda size: f'{size / 2**20:.0f} MB')}"
    yield f"time to make what is missing: {_known(estimate['time_s'], clock)}"
    if estimate["fits"] is False:
        yield "The server's cache is too small for them: set its MONICA_CACHE_MB higher."


def _known(value: float | None, write: Callable[[float], str]) -> str:
    return "not known yet" if value is None else f"about {write(value)}"


def _wrong(message: str) -> NoReturn:
    click.echo(f"monica: {message}", err=True)
    sys.exit(2)
