"""What is done to takes after the engine: they are finished, encoded and kept, in a thread of its own.

The engine thread used to do it. Meanwhile a GPU has what was queued before to work on, a few milliseconds' worth, and
then idles; and a slow disk held up every running take.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from monica.synthesis.take import Take

MAX_JOBS = 16
"""How many jobs may be open before no more takes are started. So a slow disk holds up new takes and never a running
one, whose place in the engine and in memory is taken already. Takes that run add a job for each chunk, and one at their
end: that bounds the queue."""

logger = logging.getLogger(__name__)


@dataclass(eq=False, frozen=True, slots=True)
class Job:
    """Something to do for a take."""

    take: Take
    do: Callable[[], None]


class FinishingQueue:
    """Jobs for takes, done one at a time. Of the same take, in the order they were added.

    Chunks of streams come first, because a client waits for each of them. They cannot overtake an earlier job of their
    own take: the end of a take is added after its last chunk, and another attempt starts after the end of the first.

    clock: monotonic seconds. on_progress: called after each job, without a lock.
    """

    def __init__(self, clock: Callable[[], float], on_progress: Callable[[], None]) -> None:
        self._clock = clock
        self._on_progress = on_progress
        self._added = threading.Condition()
        self._chunks: deque[Job] = deque()
        self._ends: deque[Job] = deque()
        self._current: Job | None = None
        self._closing = False
        self.job_began: float | None = None
        """When the job that is being done was begun."""

    def start(self) -> None:
        """Start the thread. It lives until `close`: no exception of a job ends it."""
        threading.Thread(target=self._run, name="finishing", daemon=True).start()

    def close(self) -> None:
        """End the thread once it has nothing left to do. Does not wait for that."""
        with self._added:
            self._closing = True
            self._added.notify_all()

    def add_chunk(self, take: Take, do: Callable[[], None]) -> None:
        """Add the job of a stream's chunk. Never blocks."""
        self._add(self._chunks, Job(take, do))

    def add_end(self, take: Take, do: Callable[[], None]) -> None:
        """Add the job that ends a take. Never blocks."""
        self._add(self._ends, Job(take, do))

    @property
    def has_room(self) -> bool:
        """Whether takes may be started. The job that is being done counts, so room is made by the end of a job only."""
        return len(self._chunks) + len(self._ends) + (self._current is not None) < MAX_JOBS

    @property
    def takes(self) -> tuple[Take, ...]:
        """The takes with a job that is waiting or being done. A take may occur more than once."""
        with self._added:
            current = () if self._current is None else (self._current,)
            return tuple(job.take for job in (*current, *self._chunks, *self._ends))

    def do_next(self) -> bool:
        """Do one job. Returns False if there is none. For the thread alone, or for a test that has not started it."""
        with self._added:
            jobs = self._chunks or self._ends
            if not jobs:
                return False
            self._current = job = jobs.popleft()
        self.job_began = self._clock()
        try:
            # A copy: a context cannot be entered twice, and the engine thread enters a running stream's own.
            job.take.context.copy().run(job.do)
        except Exception:
            # The thread's guard. Jobs end their takes themselves, whatever happens, so this is a bug in one of them.
            logger.exception("take %.12s: its finishing failed", job.take.key)
        self.job_began = None
        with self._added:
            self._current = None
        self._on_progress()
        return True

    def _add(self, jobs: deque[Job], job: Job) -> None:
        with self._added:
            jobs.append(job)
            self._added.notify_all()

    def _run(self) -> None:
        while True:
            with self._added:
                self._added.wait_for(lambda: self._chunks or self._ends or self._closing)
            if not self.do_next():
                return
