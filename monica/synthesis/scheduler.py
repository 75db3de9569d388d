"""The owner of the engine thread: which takes wait, which are made now, and which are not to be made at all.

Live takes go first: while there is one, background takes are set aside where they are, and go on from there. Between
any two steps of the engine a take whose deadline has passed, or that nobody waits for any more, is dropped.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from monica import metrics
from monica.engine import Engine
from monica.errors import MonicaError, NotReady, Overloaded
from monica.synthesis.engine_call import EngineCall
from monica.synthesis.running import Deliver, Outcome, Play, RunningBatch, miss
from monica.synthesis.take import Lane, Take
from monica.synthesis.throughput import Throughput
from monica.synthesis.waiting import WaitingQueue

T = TypeVar("T")

MAX_ENGINE_CALLS = 4
"""That wait for the engine thread: each makes every take under way wait."""


class Scheduler:
    """Makes the takes that are submitted, in a thread of its own.

    engine: returns the engine, once it is ready. queue_size: takes that may wait, both lanes together.
    clock: monotonic seconds. play: lets a piece of a take be heard, before it is delivered.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        deliver: Deliver,
        queue_size: int,
        clock: Callable[[], float] = time.monotonic,
        play: Play = lambda take, samples: None,
    ) -> None:
        self._clock = clock
        self._changed = threading.Condition()  # guards the lanes; never held while a take ends
        self._lanes = WaitingQueue(queue_size)
        self.stage = RunningBatch(engine, deliver, play, self._report, clock)
        self._engine = engine
        self._pace = Throughput()
        self._errands: deque[EngineCall[Any]] = deque()
        self._idle = True
        self._refusing: MonicaError | None = None
        self.turn_began: float | None = None
        """When the engine thread began what it has not finished yet."""
        self.wanted_since: float | None = None
        """Since when takes wait or are under way, and none has ended well."""
        self.failures_in_a_row = 0
        self.last_success: float | None = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def submit(self, takes: list[Take]) -> None:
        """Queue takes of one lane and deadline, all or none.

        Raises NotReady while shutting down, Overloaded where too many wait, or for too long.
        """
        if not takes:
            return
        with self._changed:
            try:
                gone = self._admit(takes)
            except MonicaError:
                metrics.takes.labels(Outcome.REFUSED).inc(len(takes))
                raise
            self.wanted_since = self.wanted_since or self._clock()
            self._changed.notify_all()
        for take in gone:
            error = Overloaded("Live sentences need the places of rehearsed ones.", retry_after=self.place_after())
            self._report(take, Outcome.REFUSED, error)

    def run(self, work: Callable[[], T]) -> Future[T]:
        """Have something done by the engine thread, between two steps. Cancelled in time, it is not done.

        Raises NotReady while shutting down, Overloaded where enough is to be done already.
        """
        errand = EngineCall(work)
        with self._changed:
            if self._refusing is not None:
                raise self._refusing
            if len(self._errands) >= MAX_ENGINE_CALLS:
                raise Overloaded("The engine has other work to do between two sentences.", retry_after=5)
            self._errands.append(errand)
            self._changed.notify_all()
        return errand.done

    def depth(self) -> int:
        """Takes that wait for the engine."""
        return len(self._lanes)

    def seconds_for(self, characters: float) -> float | None:
        """Estimate the time to get through so much text; None as long as no pace has been measured."""
        return self._pace.seconds_for(characters) or None

    def refuse(self) -> None:
        """Take no more; what was submitted is still made."""
        with self._changed:
            self._refusing = NotReady("Monica is shutting down.", code="shutting_down", retry_after=5)

    def drain(self, timeout: float) -> bool:
        """Wait until every submitted take has ended. Returns False where `timeout` seconds did not do."""
        with self._changed:
            return self._changed.wait_for(lambda: self._idle and not self._lanes, timeout)

    def give_up(self, error: MonicaError) -> None:
        """End every take with `error`, now and from now on: the engine thread does not come back."""
        with self._changed:
            self._refusing = error
            takes = [*self._lanes.remove(lambda _: True), *self.stage.takes]
            errands = [*self._errands]
            self._errands.clear()
        for errand in errands:
            errand.refuse(error)
        for take in takes:
            self._report(take, Outcome.FAILED, error)

    def turn(self) -> None:
        """Do one turn of the engine thread: drop what is late, begin one take more, do a step with all of them."""
        self.turn_began = self._clock()
        with self._changed:
            errand = self._errands.popleft() if self._errands else None
        if errand is not None:
            errand.do()
        now = self.turn_began = self._clock()
        with self._changed:
            late = self._lanes.remove(lambda take: take.deadline <= now)
        for take in late:
            self._report(take, *miss(take))
        self.stage.drop_late()
        self._begin()
        self.stage.step()
        metrics.takes_under_way.set(len(self.stage.takes))
        self._pace.turn(self._clock() - now, waiting=bool(self._lanes))
        self.turn_began = None

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._has_work():
                    self._idle, self.wanted_since = True, None
                    self._changed.notify_all()
                    self._changed.wait_for(self._has_work)
                    self._idle = False
            self.turn()

    def _has_work(self) -> bool:
        return bool(self._errands or self._lanes or self.stage.takes)

    def _begin(self) -> None:
        """Choose the lane that plays, and begin one take of it if there is room: others wait for that no longer."""
        take = None
        with self._changed:
            wanted = {take.lane for take in (*self._lanes, *self.stage.takes)}
        if not wanted:
            return
        lane = Lane.LIVE if Lane.LIVE in wanted else Lane.BACKGROUND
        self.stage.play(lane)
        if self.stage.room:
            with self._changed:
                take = self._lanes.next(lane)
        if take is not None:
            if take.attempts == 1:
                metrics.queue_wait.labels(lane).observe(self._clock() - take.submitted)
            self.stage.begin(take)

    def _admit(self, takes: list[Take]) -> list[Take]:
        """Queue takes. Returns those that had to go for them."""
        if self._refusing is not None:
            raise self._refusing
        now, deadline = self._clock(), takes[0].deadline
        wait = self._expected_wait(takes[0].lane)
        if now + wait > deadline:
            message = f"The engine is busy for about {wait:.0f} s, longer than this sentence may wait."
            raise Overloaded(message, retry_after=math.ceil(now + wait - deadline))
        gone = self._lanes.add(takes)
        if gone is None:
            raise Overloaded(f"{len(self._lanes)} sentences already wait.", retry_after=self.place_after())
        for take in takes:
            take.submitted = now
        return gone

    def _expected_wait(self, lane: Lane) -> float:
        """Estimate the seconds until a newcomer is begun."""
        ahead = self._lanes.characters(lane)
        if ahead == 0:
            return 0.0
        # What is under way is half said, on average.
        under_way = sum(len(take.text) for take in self.stage.takes) / 2
        return self._pace.seconds_for(ahead + under_way)

    def place_after(self) -> int:
        """Return the whole seconds after which one of the places is free."""
        waiting = len(self._lanes)
        each = self._lanes.characters(Lane.BACKGROUND) / waiting if waiting else 0
        return max(1, math.ceil(self._pace.seconds_for(each)))

    def _report(self, take: Take, outcome: Outcome, result: bytes | MonicaError | None) -> None:
        metrics.takes.labels(outcome).inc()
        if result is None:
            with self._changed:
                self._lanes.put_back(take)
            return
        if outcome in (Outcome.OK, Outcome.SUSPECT):
            self._pace.finish(len(take.text))
            self.failures_in_a_row, self.last_success = 0, self._clock()
            self.wanted_since = self.last_success
        elif outcome is Outcome.FAILED:
            self.failures_in_a_row += 1
        if take.sound.done():  # given up while the engine was stuck, and now it is back
            return
        if isinstance(result, bytes):
            take.sound.set_result(result)
        else:
            take.sound.set_exception(result)
