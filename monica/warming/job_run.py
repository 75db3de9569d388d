"""A rehearsal: those phrases of a job that are not kept yet, made in the background lane."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, ParamSpec, TypeVar

from monica import metrics
from monica.announcer import Announcer
from monica.config import Settings
from monica.errors import DeadlineExceeded, MonicaError, NotReady, Overloaded
from monica.logs import request_id
from monica.speech import SpeechRequest
from monica.store.catalogue import Catalogue
from monica.synthesis.take import Lane
from monica.warming.book import Phrase
from monica.warming.estimate import ROW_BYTES, TELLING, leisurely, room
from monica.warming.jobs import MOST_TOLD, Failure, Job

DEADLINE_S = 3600.0
"""Of a take: live ones may go before it for as long as that."""
LONGEST_PAUSE_S = 5.0
"""Before trying again, whatever Retry-After says: asking costs little here."""
QUIET_S, LONGEST_QUIET_S = 0.25, 1.0
"""For which a job keeps still after a live sentence, which seldom comes alone; and at a stretch, or it never ends."""
SPARE = 2
"""Takes that wait beside those that are made, so that no slot of the engine is ever empty."""
SAVE_EVERY_S = 1.0
UNKEPT = 5
"""Takes in a row that were made and are not kept: then something is wrong with the cache."""

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Stopped(Exception):
    """The rehearsal is to end now."""


class Rate:
    """Events a second, of the latest hundred. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=100)

    def tick(self, now: float) -> None:
        self._times.append(now)

    def per_second(self, now: float) -> float | None:
        """None as long as there were too few to tell."""
        count = len(self._times) - 1
        return count / max(now - self._times[0], 1e-3) if count > 0 else None


class JobRun:
    """One run of a job. save: keeps how far the job has come."""

    def __init__(
        self,
        job: Job,
        announcer: Announcer,
        catalogue: Catalogue,
        settings: Settings,
        save: Callable[[Job], None],
    ) -> None:
        self.job = job
        self._announcer = announcer
        self._catalogue = catalogue
        self._settings = settings
        self._save = save
        self._stop: Future[None] = Future()  # to be waited for beside a take
        self._looking = threading.Lock()  # one looks for what is missing; the others make it
        self._counting = threading.Lock()
        self._phrases: Iterator[Phrase] = iter(())
        self._crew: list[threading.Thread] = []
        self._rate = Rate()
        self._saved = time.monotonic()
        self._unkept = 0
        self._sized = self._bytes = 0
        self._pinned: frozenset[str] = frozenset()
        self._room = 0
        self._spoiled: str | None = None

    def stop(self) -> None:
        """Have it end at once; takes under way are left. From any thread, any number of times."""
        with self._counting:
            if not self._stop.done():
                self._stop.set_result(None)

    def run(self) -> str | None:
        """Make the phrases. Returns once all were tried or it was stopped; why it cannot go on, where it cannot.

        Raises BookError.
        """
        settings = self._settings
        book = self.job.script.read(settings.max_text_length)
        try:
            self.job.total = sum(1 for _ in leisurely(book.phrases(), self._pause))
            slots = self._insist(self._announcer.slots)
        except Stopped:
            return None
        cards = self._catalogue.cards()
        self._pinned = frozenset(card.key for card in cards if card.pinned)
        self._room = room(cards, settings.cache_mb)
        self._phrases = book.phrases()
        self._crew = [
            threading.Thread(target=self._take_part, name=f"rehearsal-{number}", daemon=True)
            for number in range(slots + SPARE)
        ]
        for thread in self._crew:
            thread.start()
        for thread in self._crew:
            thread.join()
        return self._spoiled

    def _take_part(self) -> None:
        """Make what is missing until nothing is; the work of each of the crew."""
        request_id.set(self.job.id)  # for the log
        try:
            while (missing := self._next_missing()) is not None:
                self._make(missing)
        except Stopped:
            pass
        except Exception:
            logger.exception("job %s: an error nobody foresaw", self.job.id)
            self._spoil("Monica failed on this job; her log says why.")

    def _next_missing(self) -> SpeechRequest | None:
        """Find the next phrase that is not kept; those that are, are counted on the way. None: there is none."""
        with self._looking:
            for phrase in self._phrases:
                self._give_way()
                request = SpeechRequest(
                    text=phrase.text,
                    voice=phrase.voice,
                    seed=phrase.seed,
                    params=phrase.params,
                    lane=Lane.BACKGROUND,
                    deadline_s=DEADLINE_S,
                    fallback=False,
                )
                try:
                    key = self._insist(self._announcer.key_of, request)
                except MonicaError as error:
                    self._fail(request, error)
                    continue
                kept = self._announcer.kept(key)
                if kept is None:
                    return request
                self._count("cached", key, kept)
        return None

    def _make(self, request: SpeechRequest) -> None:
        try:
            said = self._insist(self._announcer.announce, request, self._wait_for)
        except MonicaError as error:
            self._fail(request, error)
            return
        if said.defect is not None:
            self._fail(request, MonicaError(f"The sound of this phrase {said.defect}.", code="take_suspect"))
            return
        kept = self._announcer.kept(said.key) if said.key else None
        if said.key is None or kept is None:
            self._fail(request, MonicaError("It was made, and the cache does not keep it.", code="not_kept"))
            self._unkept += 1
            if self._unkept >= UNKEPT:
                self._spoil("The cache does not keep what is made: is the disk full?")
        else:
            self._unkept = 0
            # Two phrases that are said in the same words are one take.
            self._count("made" if said.source == "miss" else "cached", said.key, kept)

    def _insist(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something, again and again until there is room and time for it. Raises Stopped, or its other errors."""
        while True:
            self._pause(0)
            try:
                return action(*args, **kwargs)
            except (NotReady, Overloaded, DeadlineExceeded) as error:
                self.job.reason = error.message
                self._pause(min(error.retry_after or 1, LONGEST_PAUSE_S))

    def _give_way(self) -> None:
        """Keep still while live sentences are asked for. Raises Stopped."""
        until = time.monotonic() + LONGEST_QUIET_S
        while (now := time.monotonic()) < min(until, self._announcer.last_live + QUIET_S):
            self._pause(min(until, self._announcer.last_live + QUIET_S) - now)

    def _pause(self, seconds: float) -> None:
        """Wait. Raises Stopped as soon as it is to end."""
        if seconds > 0:
            wait([self._stop], seconds)
        if self._stop.done():
            raise Stopped

    def _wait_for(self, sound: Future[bytes], seconds: float) -> None:
        either: list[Future[Any]] = [sound, self._stop]
        wait(either, seconds, return_when=FIRST_COMPLETED)
        if not sound.done():
            self._pause(0)

    def _spoil(self, reason: str) -> None:
        self._spoiled = self._spoiled or reason
        self.stop()

    def _fail(self, request: SpeechRequest, error: MonicaError) -> None:
        with self._counting:
            self.job.failed += 1
            if len(self.job.failures) < MOST_TOLD:
                self.job.failures.append(Failure(request.text, error.code, error.message))
            self._tell()

    def _count(self, state: str, key: str, sound: bytes) -> None:
        """Count a phrase that is kept now, and see whether all of them can be."""
        with self._counting:
            setattr(self.job, state, getattr(self.job, state) + 1)
            if state == "made":
                self._rate.tick(time.monotonic())
            self.job.reason = None
            self._sized += 1
            self._bytes += 0 if key in self._pinned else len(sound) + ROW_BYTES
            self._tell()
        self._weigh()

    def _weigh(self) -> None:
        """Warn where the cache cannot hold all phrases; end where it would lose the first ones for those to come."""
        megabytes, each = self._settings.cache_mb, self._bytes / self._sized
        # The crew still has some under way.
        if self.job.left and each * (self._sized + len(self._crew)) > self._room:
            self._spoil(f"The cache is full: MONICA_CACHE_MB={megabytes} is too small for {self.job.total} phrases.")
        elif self.job.warning is None and self._sized >= TELLING and each * self.job.total > self._room:
            self.job.warning = (
                f"The phrases need about {each * self.job.total / 2**20:.0f} MB, and of MONICA_CACHE_MB={megabytes} "
                f"there are {self._room / 2**20:.0f} MB for them: the last ones will not be made."
            )

    def _tell(self) -> None:
        """Let the metrics, and now and then the disk, know how far it is."""
        now = time.monotonic()
        self.job.rate = self._rate.per_second(now)
        for state in ("cached", "made", "failed", "left"):
            metrics.warm_phrases.labels(state).set(getattr(self.job, state))
        if now - self._saved >= SAVE_EVERY_S:
            self._saved = now
            self._save(self.job)
