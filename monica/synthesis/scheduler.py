"""Owns the engine thread and the finishing thread: which takes wait, which run now, and which are not made at all.

Live takes go first: while there is one, background takes are preempted where they are, and resumed later. Between any
two steps of the engine, takes are dropped whose deadline has passed or that no one waits for any more.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, TypeVar

from monica import metrics
from monica.engine import Engine
from monica.errors import DeviceLost, MonicaError, NotReady, Overloaded
from monica.synthesis.durations import DurationModels
from monica.synthesis.engine_call import EngineCall
from monica.synthesis.examination import Examiner
from monica.synthesis.finishing import FinishingQueue
from monica.synthesis.running import RunningBatch
from monica.synthesis.settling import FinishTake, PublishChunk, Settling
from monica.synthesis.take import Lane, Outcome, Take
from monica.synthesis.throughput import Throughput
from monica.synthesis.waiting import WaitingQueue

T = TypeVar("T")

MAX_ENGINE_CALLS = 4
"""Upper bound of queued engine calls: each one delays every running take."""

Clock = Callable[[], float]
"""Returns monotonic seconds."""


class Scheduler:
    """Makes the takes that are submitted, in a thread of its own.

    engine: returns the engine once it is ready. queue_size: takes that may wait, both lanes together.
    publish: lets a chunk of a take be heard before the take is finished. durations: how fast the voices speak.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        finish: FinishTake,
        queue_size: int,
        clock: Clock = time.monotonic,
        publish: PublishChunk = lambda take, samples: None,
        durations: DurationModels | None = None,
    ) -> None:
        self._clock = clock
        self._changed = threading.Condition()  # guards the queue and the counts; never held while a take ends
        self._waiting = WaitingQueue(queue_size)
        self._throughput = Throughput()
        self.finishing = FinishingQueue(clock, self._note_progress)
        examiner = Examiner(durations or DurationModels())
        self.settling = Settling(self.finishing, self._throughput, examiner, finish, publish, self._report, clock)
        self.running = RunningBatch(engine, self.settling, clock)
        self._calls: deque[EngineCall[Any]] = deque()
        self._idle = True
        self._closing = False
        self._refusal: MonicaError | None = None
        self.turn_began: float | None = None
        """When the engine thread began the turn it has not finished yet."""
        self.wanted_since: float | None = None
        """Since when takes have been waiting or running without one ending well."""
        self.failures_in_a_row = 0
        self.last_success: float | None = None

    def start(self, load: Callable[[], T]) -> Future[T]:
        """Start the engine thread. It calls `load` first, and makes turns once that has returned.

        Returns the result of `load`. If `load` raises, the thread ends.
        """
        loading = EngineCall(load)

        def run() -> None:
            if loading.run() is None:
                self._run()
            self.finishing.close()

        self.finishing.start()
        threading.Thread(target=run, name="engine", daemon=True).start()
        return loading.result

    def submit(self, takes: list[Take]) -> None:
        """Queue takes of one lane and deadline, all or none.

        Raises NotReady while shutting down, Overloaded if too many takes wait or the wait would be too long.
        """
        if not takes:
            return
        with self._changed:
            try:
                evicted = self._admit(takes)
            except MonicaError:
                metrics.takes.labels(Outcome.REFUSED).inc(len(takes))
                raise
            self.wanted_since = self.wanted_since or self._clock()
            self._changed.notify_all()
        for take in evicted:
            error = Overloaded("Live sentences took this one's place in the queue.", retry_after=self.place_after())
            self._report(take, Outcome.REFUSED, error)

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Have the engine thread call a function between two steps, unless the future is cancelled before.

        Raises NotReady while shutting down, Overloaded if enough calls wait already.
        """
        call = EngineCall(function)
        with self._changed:
            if self._refusal is not None:
                raise self._refusal
            if len(self._calls) >= MAX_ENGINE_CALLS:
                raise Overloaded("The engine has other work to do between two sentences.", retry_after=5)
            self._calls.append(call)
            self._changed.notify_all()
        return call.result

    def depth(self) -> int:
        """Return the number of takes that wait for the engine."""
        return len(self._waiting)

    def seconds_for(self, characters: float) -> float | None:
        """Estimate the time to speak that much text; None until the throughput has been measured."""
        return self._throughput.seconds_for(characters) or None

    def refuse(self) -> None:
        """Accept no more takes; those submitted are still made."""
        with self._changed:
            self._refusal = NotReady("Monica is shutting down.", code="shutting_down", retry_after=5)

    def drain(self, timeout: float) -> bool:
        """Wait until every submitted take has ended and is kept. Returns False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(self._all_ended, timeout)

    def give_up(self, error: MonicaError) -> None:
        """End every take with `error`, now and from now on: the engine thread is lost."""
        with self._changed:
            self._refusal = error
            takes = [*self._waiting.remove(lambda _: True), *self.running.takes, *self.finishing.takes]
            calls = [*self._calls]
            self._calls.clear()
        for call in calls:
            call.reject(error)
        for take in dict.fromkeys(takes):
            self._report(take, Outcome.FAILED, error)

    def turn(self) -> None:
        """Do one turn of the engine thread: make a call, drop expired takes, start one take, do a step with all."""
        self.turn_began = self._clock()
        with self._changed:
            call = self._calls.popleft() if self._calls else None
        if call is not None and isinstance(error := call.run(), DeviceLost):
            self.settling.note_error(error)
        now = self.turn_began = self._clock()
        with self._changed:
            expired = self._waiting.remove(lambda take: take.due <= now)
        for take in expired:
            self.settling.expire(take)
        self.running.drop_expired()
        self._start_next()
        self.running.step()
        metrics.takes_under_way.set(len(self.running.takes))
        self._throughput.end_turn(self._clock() - now, waiting=bool(self._waiting))
        self.turn_began = None

    def close(self) -> None:
        """End both threads once they have nothing left to do. Does not wait for that.

        A process that ends needs none of this. One that goes on would keep, with the threads, the files they have open.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._has_work():
                    self._idle = True
                    self._note_progress()
                    self._changed.wait_for(lambda: self._has_work() or (self._closing and not self._waiting))
                    if not self._has_work():
                        return
                    self._idle = False
            self.turn()

    def _has_work(self) -> bool:
        return bool(self._calls or self.running.takes or (self._waiting and self.finishing.has_room))

    def _all_ended(self) -> bool:
        """Whether no take is left, neither before, in nor after the engine."""
        return self._idle and not (self._waiting or self.running.takes or self.finishing.takes)

    def _note_progress(self) -> None:
        """Wake those who wait for takes to end, and the engine thread if it waits for room."""
        with self._changed:
            if self._all_ended():
                self.wanted_since = None
            self._changed.notify_all()

    def _start_next(self) -> None:
        """Choose the lane that runs, and start one of its takes if a slot is free and finishing keeps up.

        One, because its prefill holds up the takes that run.
        """
        take = None
        with self._changed:
            wanted = {take.lane for take in (*self._waiting, *self.running.takes)}
        if not wanted:
            return
        lane = Lane.LIVE if Lane.LIVE in wanted else Lane.BACKGROUND
        self.running.switch_to(lane)
        if self.running.has_free_slot and self.finishing.has_room:
            with self._changed:
                take = self._waiting.pop(lane)
        if take is not None:
            if take.attempts == 1:
                metrics.queue_wait.labels(lane).observe(self._clock() - take.submitted)
            self.running.start(take)

    def _admit(self, takes: list[Take]) -> list[Take]:
        """Queue takes. Returns those evicted for them."""
        if self._refusal is not None:
            raise self._refusal
        now, deadline = self._clock(), takes[0].deadline
        wait = self._expected_wait(takes[0].lane)
        if now + wait > deadline:
            message = f"The engine is busy for about {wait:.0f} s, longer than this sentence may wait."
            raise Overloaded(message, retry_after=math.ceil(now + wait - deadline))
        evicted = self._waiting.add(takes)
        if evicted is None:
            raise Overloaded(f"{len(self._waiting)} sentences already wait.", retry_after=self.place_after())
        for take in takes:
            take.submitted = now
        return evicted

    def _expected_wait(self, lane: Lane) -> float:
        """Estimate the seconds until a new take of this lane would start."""
        ahead = self._waiting.characters_ahead(lane)
        if ahead == 0:
            return 0.0
        # On average, half of each running take is done.
        running = sum(len(take.text) for take in self.running.takes) / 2
        return self._throughput.seconds_for(ahead + running)

    def place_after(self) -> int:
        """Return the whole seconds after which a place in the queue should be free."""
        waiting = len(self._waiting)
        each = self._waiting.characters_ahead(Lane.BACKGROUND) / waiting if waiting else 0
        return max(1, math.ceil(self._throughput.seconds_for(each)))

    def _report(self, take: Take, outcome: Outcome, result: bytes | MonicaError | None) -> None:
        """Take note of how a take ended, and hand it to those who wait for it. From any thread."""
        metrics.takes.labels(outcome).inc()
        with self._changed:
            if take.sound.done():  # given up while the engine or the disk was stuck; now it has come back
                return
            if result is None:
                self._waiting.put_back(take)
                self._changed.notify_all()
                return
            if outcome in (Outcome.OK, Outcome.SUSPECT):
                self.failures_in_a_row, self.last_success = 0, self._clock()
                self.wanted_since = self.last_success
            elif outcome is Outcome.FAILED:
                self.failures_in_a_row += 1
        # Without the lock: what is called back may take others. Another thread may have been faster meanwhile.
        with suppress(InvalidStateError):
            if isinstance(result, bytes):
                take.sound.set_result(result)
            else:
                take.sound.set_exception(result)
