"""The owner of the engine thread: takes wait in two lanes, bounded, and are made one at a time, live ones first."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from monica import metrics
from monica.errors import DeadlineExceeded, MonicaError, NotReady, Overloaded, SynthesisFailed
from monica.takes import Abandoned, Lane, Take

logger = logging.getLogger(__name__)


class Scheduler:
    """Makes the takes that are submitted, by calling `perform` in a thread of its own.

    perform: a take in, its WAV out; it calls `take.check()` between its steps.
    queue_size: takes that may wait, both lanes together.
    """

    def __init__(self, perform: Callable[[Take], bytes], queue_size: int) -> None:
        self._perform = perform
        self._queue_size = queue_size
        self._lanes: dict[Lane, deque[Take]] = {lane: deque() for lane in Lane}
        self._changed = threading.Condition()
        self._busy = False
        self._stopping = False
        self._take_seconds = 1.0  # of the takes so far, a moving average
        self.failures_in_a_row = 0
        self.last_success: float | None = None  # monotonic seconds

    def start(self) -> None:
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def submit(self, takes: list[Take]) -> None:
        """Queue takes, all or none. Raises Overloaded where too many wait, NotReady while shutting down."""
        if not takes:
            return
        with self._changed:
            if self._stopping:
                metrics.takes.labels("refused").inc(len(takes))
                raise NotReady("Monica is shutting down.", code="shutting_down", retry_after=5)
            if self.depth() + len(takes) > self._queue_size:
                self._drop_abandoned()
            waiting = self.depth()
            if waiting + len(takes) > self._queue_size:
                metrics.takes.labels("refused").inc(len(takes))
                # The queue moves on by one place a take: that is when trying again makes sense.
                raise Overloaded(f"{waiting} sentences already wait.", retry_after=max(1, round(self._take_seconds)))
            for take in takes:
                self._lanes[take.lane].append(take)
            self._count()
            self._changed.notify_all()

    def depth(self) -> int:
        """Takes that wait for the engine."""
        return sum(len(lane) for lane in self._lanes.values())

    def refuse(self) -> None:
        """Take no more; what was submitted is still made."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def drain(self, timeout: float) -> bool:
        """Wait until every submitted take has ended. Returns False where `timeout` seconds did not do."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy and self.depth() == 0, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self.depth() > 0)
                take = (self._lanes[Lane.LIVE] or self._lanes[Lane.BACKGROUND]).popleft()
                self._busy = True
                self._count()
            take.context.run(self._make, take)

    def _make(self, take: Take) -> None:
        began = time.monotonic()
        metrics.queue_wait.labels(take.lane).observe(began - take.submitted)
        try:
            take.check()
            wav = self._perform(take)
        except Abandoned:
            self._end(take, "abandoned", DeadlineExceeded("Nobody waits for this sentence any more."))
        except DeadlineExceeded as error:
            self._end(take, "deadline", error)
        except MonicaError as error:
            logger.error("take %.12s failed: %s", take.key, error)
            self._end(take, "failed", error)
        except Exception:
            # The guard of the engine thread: whatever an engine throws, out of memory included,
            # ends this take and not the thread.
            logger.exception("take %.12s failed", take.key)
            self._end(take, "failed", SynthesisFailed("The engine failed on this sentence."))
        else:
            self._take_seconds += 0.2 * (time.monotonic() - began - self._take_seconds)
            self.failures_in_a_row, self.last_success = 0, time.monotonic()
            metrics.takes.labels("ok").inc()
            take.sound.set_result(wav)

    def _drop_abandoned(self) -> None:
        for lane, waiting in self._lanes.items():
            gone = [take for take in waiting if take.abandoned]  # once: another may be left meanwhile
            self._lanes[lane] = deque(take for take in waiting if take not in gone)
            for take in gone:
                self._end(take, "abandoned", DeadlineExceeded("Nobody waits for this sentence any more."))
        self._count()

    def _end(self, take: Take, outcome: str, error: MonicaError) -> None:
        if outcome == "failed":
            self.failures_in_a_row += 1
        metrics.takes.labels(outcome).inc()
        take.sound.set_exception(error)

    def _count(self) -> None:
        for lane, waiting in self._lanes.items():
            metrics.queue_depth.labels(lane).set(len(waiting))
