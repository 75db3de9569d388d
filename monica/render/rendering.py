"""A render: every phrase of a book once onto a shelf, by studios that may be lost at any time.

Which phrases are missing follows from their keys. A studio is asked for the keys of a few hundred phrases at a time, so
that they are a server's by construction; those on the shelf are passed over, and so are repeats. A phrase is under way
in one studio at a time, and is put on the shelf here, where its sound arrives. If its studio is lost, it waits again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from monica.errors import MonicaError
from monica.render.studio import Opened, Rendered
from monica.store.bundled_phrase import BundledPhrase
from monica.warming.book import Phrase, PhraseBook
from monica.warming.job import MAX_FAILURES, Failure, Job
from monica.warming.job_run import Rate
from monica.warming.making import SPARE_WORKERS

PHRASES_PER_PLAN = 256
"""How many phrases' keys are asked for at once."""
MAX_LOSSES = 5
"""How many studios may be lost while they make a phrase; then it may be the reason, and counts as failed."""
MAX_REFUSALS = 3
"""How many studios in a row may not come up before no more are started in their place."""
REFUSED_S = 5.0
"""Pause after a studio that did not come up."""


class StudioLost(Exception):
    """The process of a studio has ended, or cannot be reached."""


class StudioRefused(MonicaError):
    """A studio that cannot be used."""


class RemoteStudio(Protocol):
    """A studio in another process. Its methods raise StudioLost."""

    opened: Opened

    async def keys(self, phrases: list[Phrase]) -> list[str | Failure]: ...

    async def make(self, phrase: Phrase) -> Rendered | Failure: ...

    def dismiss(self) -> None:
        """End its process."""


class Shelf(Protocol):
    """Where a render puts what is made, and finds it again: bundles in a folder, or the shared store.

    Methods raise OSError, and the render ends. What was put there is found by the next one.
    """

    trouble: str
    """What to say before the reason for an OSError."""
    set_aside: list[str]
    """Names of what was found there that is not whole."""

    def those_of(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys that are there."""

    def add(self, phrase: BundledPhrase, sound: bytes) -> None:
        """Put a phrase there that is not."""

    def finish(self) -> None:
        """Have what was added survive this process."""

    def gone(self) -> int:
        """Return how many that were there are not any more."""

    def close(self) -> None: ...


@dataclass(eq=False, slots=True)
class _Missing:
    """A phrase that is not on the shelf."""

    phrase: Phrase
    key: str
    losses: int = 0


class Rendering:
    """One render. job: counts what becomes of the phrases. hire: starts a studio; raises StudioRefused.

    say: tells people what they should know now.
    """

    def __init__(
        self,
        book: PhraseBook,
        shelf: Shelf,
        job: Job,
        hire: Callable[[], Awaitable[RemoteStudio]],
        say: Callable[[str], None],
    ) -> None:
        self._phrases: Iterator[Phrase] = book.phrases_with_repeats()
        self._shelf = shelf
        self._job = job
        self._hire = hire
        self._say = say
        self._unplanned: list[Phrase] = []
        """Phrases taken from the book whose keys are not known yet."""
        self._missing: deque[_Missing] = deque()
        self._planned: set[bytes] = set()
        """The keys of phrases that wait or are under way."""
        self._under_way = 0
        self._planning = asyncio.Lock()
        self._changed = asyncio.Event()
        self._rate = Rate()

    async def run(self, studios: int) -> None:
        """Make every phrase, in so many studios. Raises OSError from the shelf, or StudioRefused if none comes up."""
        self._job.reason = "no studio is ready yet"
        working = {asyncio.create_task(self._staff()) for _ in range(studios)}
        try:
            while working:
                ended, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                for error in [each.exception() for each in ended]:
                    if error is None:  # nothing is left, and nothing is under way
                        return
                    if not working or not isinstance(error, StudioRefused):
                        raise error
        finally:
            for each in working:
                each.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _staff(self) -> None:
        """Keep one studio at work until nothing is left: start another one whenever it is lost."""
        refusals = 0
        while True:
            try:
                studio = await self._hire()
            except StudioRefused as error:
                refusals += 1
                self._say(f"a studio cannot be used: {error}")
                if refusals == MAX_REFUSALS:
                    raise
                await asyncio.sleep(REFUSED_S)
                continue
            refusals, self._job.reason, self._job.listen = 0, None, studio.opened.listens
            feeders = [asyncio.create_task(self._feed(studio)) for _ in range(studio.opened.slots + SPARE_WORKERS)]
            try:
                await asyncio.gather(*feeders)
            except StudioLost as error:
                self._say(f"a studio is lost, and another one started: {error}")
            else:
                return
            finally:
                for feeder in feeders:
                    feeder.cancel()
                await asyncio.gather(*feeders, return_exceptions=True)  # several may have met with the same error
                studio.dismiss()

    async def _feed(self, studio: RemoteStudio) -> None:
        """Have a studio make one phrase after the other."""
        while (missing := await self._next(studio)) is not None:
            result = None
            try:
                result = await studio.make(missing.phrase)
            finally:
                self._under_way -= 1
                if result is None:
                    self._put_back(missing)
                self._changed.set()
            self._count(missing, result)

    async def _next(self, studio: RemoteStudio) -> _Missing | None:
        """Return a phrase to make; None once none is left, or under way and might have to be made again."""
        while True:
            if not self._missing:
                async with self._planning:
                    await self._plan(studio)
            if self._missing:
                self._under_way += 1
                return self._missing.popleft()
            if not self._under_way:
                return None
            self._changed.clear()
            await self._changed.wait()

    async def _plan(self, studio: RemoteStudio) -> None:
        """Look for phrases that are not on the shelf, until there are some or the book ends."""
        while not self._missing:
            if not self._unplanned:
                self._unplanned = list(islice(self._phrases, PHRASES_PER_PLAN))
            if not self._unplanned:
                return
            keys = await studio.keys(self._unplanned)
            there = self._shelf.those_of(key for key in keys if isinstance(key, str))
            for phrase, key in zip(self._unplanned, keys, strict=True):
                if isinstance(key, Failure):
                    self._count_failure(key)
                elif key in there or bytes.fromhex(key) in self._planned:
                    self._job.cached += 1
                else:
                    self._planned.add(bytes.fromhex(key))
                    self._missing.append(_Missing(phrase, key))
            self._unplanned = []
            self._changed.set()

    def _put_back(self, missing: _Missing) -> None:
        missing.losses += 1
        if missing.losses == MAX_LOSSES:
            self._planned.discard(bytes.fromhex(missing.key))
            message = f"{MAX_LOSSES} studios were lost while they made it."
            self._count_failure(Failure(missing.phrase.text, "studio_lost", message))
        else:
            self._missing.appendleft(missing)

    def _count(self, missing: _Missing, result: Rendered | Failure) -> None:
        self._planned.discard(bytes.fromhex(missing.key))
        if isinstance(result, Failure):
            self._count_failure(result)
            return
        if result.phrase.key != missing.key:
            message = "Studios say it in different ways: is their lexicon the same?"
            self._count_failure(Failure(missing.phrase.text, "key_differs", message))
            return
        self._shelf.add(result.phrase, result.sound)
        heard, now = result.phrase.metadata.heard, time.monotonic()
        self._job.made += 1
        self._job.remade += result.remade
        self._job.heard += heard is not None
        self._job.doubtful += heard is not None and heard.verdict.needs_review
        self._rate.record(now)
        self._job.rate = self._rate.per_second(now)

    def _count_failure(self, failure: Failure) -> None:
        self._job.failed += 1
        if len(self._job.failures) < MAX_FAILURES:
            self._job.failures.append(failure)
