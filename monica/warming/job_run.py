"""One run of a warming job: makes those of its phrases that are not kept yet, in the background lane."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from monica import metrics
from monica.announcer import Announcer
from monica.config import Settings
from monica.errors import DeadlineExceeded, MonicaError, NotReady, Overloaded
from monica.logs import request_id
from monica.speech import SpeechRequest
from monica.store.cache import CacheError
from monica.store.catalogue import Catalogue
from monica.store.hearing import Verdict
from monica.store.phrase import OVERHEAD_BYTES
from monica.warming.book import Phrase
from monica.warming.estimate import MIN_KNOWN_SOUNDS, unpinned_bytes, with_pauses
from monica.warming.job import COUNTERS, MAX_FAILURES, Failure, Job
from monica.warming.making import SPARE_WORKERS, make_phrase, request_for

if TYPE_CHECKING:  # see monica.warming.listening
    from monica.warming.audition import Audition

MAX_RETRY_S = 5.0
"""Longest pause before trying again, whatever Retry-After says: asking costs little inside the process."""
QUIET_S = 0.25
"""Pause after a live request, which seldom comes alone."""
MAX_QUIET_S = 1.0
"""Longest total pause for live requests before the next phrase. Without it, a job might never end."""
SAVE_EVERY_S = 1.0
MAX_UNKEPT = 5
"""Takes in a row that were made but not kept, after which the job fails: something is wrong with the cache."""

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Stopped(Exception):
    """Raised in a worker when the run has been stopped."""


class Rate:
    """Events per second, measured over the latest hundred. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=100)

    def record(self, now: float) -> None:
        self._times.append(now)

    def per_second(self, now: float) -> float | None:
        """Return the rate, or None if there were fewer than two events."""
        count = len(self._times) - 1
        return count / max(now - self._times[0], 1e-3) if count > 0 else None


class JobRun:
    """One run of a job. save: writes the job's progress to its file. audition: listens to the phrases."""

    def __init__(
        self,
        job: Job,
        announcer: Announcer,
        catalogue: Catalogue,
        settings: Settings,
        save: Callable[[Job], None],
        audition: Audition | None = None,
    ) -> None:
        self.job = job
        self._announcer = announcer
        self._catalogue = catalogue
        self._max_text_length = settings.max_text_length
        self._cache_mb = settings.cache_mb
        self._save = save
        self._audition = audition
        self._stop: Future[None] = Future()  # a future, not an event: workers wait for it and for a take at once
        self._search_lock = threading.Lock()  # one worker looks for missing phrases, the others make them
        self._count_lock = threading.Lock()
        self._phrases: Iterator[Phrase] = iter(())
        self._workers: list[threading.Thread] = []
        self._rate = Rate()
        self._saved = time.monotonic()
        self._unkept_in_a_row = 0
        self._kept_count = self._kept_bytes = 0
        self._pinned: frozenset[str] = frozenset()
        self._bytes_available = 0
        self._abort_reason: MonicaError | None = None

    def stop(self) -> None:
        """End the run at once; running takes are abandoned. May be called from any thread, any number of times."""
        with self._count_lock:
            if not self._stop.done():
                self._stop.set_result(None)

    def run(self) -> MonicaError | None:
        """Make the phrases, and return when all were tried or the run was stopped.

        Returns why the job cannot go on, or None. Raises BookError.
        """
        book = self.job.source.parse_book(self._max_text_length)
        try:
            self.job.total = sum(1 for _ in with_pauses(book.phrases(), self._pause))
            slots = self._retry_until_admitted(self._announcer.slots)
        except Stopped:
            return None
        kept = self._catalogue.phrases()
        self._pinned = frozenset(phrase.key for phrase in kept if phrase.pinned)
        self._bytes_available = unpinned_bytes(kept, self._cache_mb)
        self._phrases = book.phrases()
        self._workers = [
            threading.Thread(target=self._work, name=f"warming-{number}", daemon=True)
            for number in range(slots + SPARE_WORKERS)
        ]
        for thread in self._workers:
            thread.start()
        for thread in self._workers:
            thread.join()
        return self._abort_reason

    def _work(self) -> None:
        """Make missing phrases until there are none; this is what each worker thread runs."""
        request_id.set(self.job.id)  # for the log
        try:
            while (missing := self._next_missing()) is not None:
                self._make_phrase(missing)
        except Stopped:
            pass
        except Exception:
            logger.exception("job %s: unexpected error", self.job.id)
            self._abort(MonicaError("Monica failed on this job; her log says why."))

    def _next_missing(self) -> SpeechRequest | None:
        """Return a request for the next phrase that is not kept, or None. Kept ones are counted on the way."""
        with self._search_lock:
            for phrase in self._phrases:
                self._yield_to_live()
                request = request_for(phrase)
                try:
                    key = self._retry_until_admitted(self._announcer.key_of, request)
                except MonicaError as error:
                    self._count_failure(request, error)
                    continue
                kept = self._announcer.kept(key)
                verdict = self._audition.verdict_of(key) if self._audition else None
                if kept is None or (self._audition and verdict is None):
                    return request
                self._count_kept("cached", key, len(kept), verdict)
        return None

    def _make_phrase(self, request: SpeechRequest) -> None:
        try:
            made = make_phrase(
                self._announcer,
                self._audition,
                request,
                lambda take: self._retry_until_admitted(self._announcer.announce, take, self._wait_for),
            )
        except MonicaError as error:
            self._count_failure(request, error)
            if error.code == "not_kept":
                self._unkept_in_a_row += 1
                if self._unkept_in_a_row >= MAX_UNKEPT:
                    self._abort(CacheError("The cache does not keep what is made: is the disk full?"))
            return
        self._unkept_in_a_row = 0
        with self._count_lock:
            self.job.remade += made.remade
        if made.failure is not None:
            self._count_failure(request, made.failure)
        else:
            # Two phrases that are spoken in the same words share one take; it is counted as made only once.
            self._count_kept("made" if made.source == "miss" else "cached", made.key, made.size, made.verdict)

    def _retry_until_admitted(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what an action returns, retrying while the service is loading, overloaded or too late.

        Raises Stopped, or the action's other errors.
        """
        while True:
            self._pause(0)
            try:
                return action(*args, **kwargs)
            except (NotReady, Overloaded, DeadlineExceeded) as error:
                self.job.explain(error)
                self._pause(min(error.retry_after or 1, MAX_RETRY_S))

    def _yield_to_live(self) -> None:
        """Pause while live requests keep coming, MAX_QUIET_S at most. Raises Stopped."""
        until = time.monotonic() + MAX_QUIET_S
        while (now := time.monotonic()) < min(until, self._announcer.last_live + QUIET_S):
            self._pause(min(until, self._announcer.last_live + QUIET_S) - now)

    def _pause(self, seconds: float) -> None:
        """Wait. Raises Stopped as soon as the run is stopped."""
        if seconds > 0:
            wait([self._stop], seconds)
        if self._stop.done():
            raise Stopped

    def _wait_for(self, sound: Future[bytes], seconds: float) -> None:
        """Wait for a take, `seconds` at most. Raises Stopped if the run is stopped before the take is done."""
        either: list[Future[Any]] = [sound, self._stop]
        wait(either, seconds, return_when=FIRST_COMPLETED)
        if not sound.done():
            self._pause(0)

    def _abort(self, reason: MonicaError) -> None:
        """Stop the run, because the job cannot go on. The first reason is kept."""
        self._abort_reason = self._abort_reason or reason
        self.stop()

    def _count_failure(self, request: SpeechRequest, error: MonicaError) -> None:
        with self._count_lock:
            self.job.failed += 1
            if len(self.job.failures) < MAX_FAILURES:
                self.job.failures.append(Failure(request.text, error.code, error.message))
            self._publish_progress()

    def _count_kept(self, counter: Literal["cached", "made"], key: str, size: int, verdict: Verdict | None) -> None:
        """Count a phrase that is kept now, and check that there is room for the rest."""
        with self._count_lock:
            self.job.heard += verdict is not None
            self.job.doubtful += verdict is not None and verdict.needs_review
            setattr(self.job, counter, getattr(self.job, counter) + 1)
            if counter == "made":
                self._rate.record(time.monotonic())
            self.job.explain(None)
            self._kept_count += 1
            self._kept_bytes += 0 if key in self._pinned else size + OVERHEAD_BYTES
            self._publish_progress()
        self._check_room()

    def _check_room(self) -> None:
        """Warn if the cache cannot hold all phrases; abort before it would evict the job's first phrases."""
        each, total = self._kept_bytes / self._kept_count, self.job.total
        # Every worker may have one more on its way.
        if self.job.left and each * (self._kept_count + len(self._workers)) > self._bytes_available:
            message = f"The cache is full: MONICA_CACHE_MB={self._cache_mb} is too small for {total} phrases."
            self._abort(MonicaError(message, code="cache_full"))
        elif self.job.warning is None and self._kept_count >= MIN_KNOWN_SOUNDS and each * total > self._bytes_available:
            self.job.warning = (
                f"The phrases need about {each * total / 2**20:.0f} MB, and of MONICA_CACHE_MB={self._cache_mb} "
                f"there are {self._bytes_available / 2**20:.0f} MB for them: the last ones will not be made."
            )

    def _publish_progress(self) -> None:
        """Set the metrics, and save the job if that was not done within SAVE_EVERY_S."""
        now = time.monotonic()
        self.job.rate = self._rate.per_second(now)
        for counter in COUNTERS:
            metrics.warm_phrases.labels(counter).set(getattr(self.job, counter))
        if now - self._saved >= SAVE_EVERY_S:
            self._saved = now
            self._save(self.job)
