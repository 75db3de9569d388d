"""The takes in the engine: started, preempted, resumed, ended.

The engine thread uses it. What has ended is handed over to be settled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from monica.engine import Engine, Utterance, is_remote
from monica.errors import SynthesisFailed
from monica.synthesis.settling import Settling
from monica.synthesis.take import Lane, Take

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class RunningTake:
    """A take in the engine."""

    take: Take
    utterance: Utterance
    started: float
    """When it got there, in the scheduler's seconds."""
    published: int = 0
    """Number of its chunks that have been handed over to be published."""


class RunningBatch:
    """The takes in the engine. Whatever the engine raises ends one take, or all of them, and goes no further.

    engine: returns the engine once it is ready. clock: monotonic seconds.
    """

    def __init__(self, engine: Callable[[], Engine], settling: Settling, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._settling = settling
        self._clock = clock
        self._running: list[RunningTake] = []
        self._starting: Take | None = None

    @property
    def takes(self) -> tuple[Take, ...]:
        """All takes in the engine, preempted ones included. From any thread."""
        starting = self._starting
        takes = tuple(each.take for each in tuple(self._running))
        return takes if starting is None else (*takes, starting)

    @property
    def has_free_slot(self) -> bool:
        return sum(not each.utterance.paused for each in self._running) < self._engine().slots

    def switch_to(self, lane: Lane) -> None:
        """Preempt the takes of the other lane, then resume this lane's as far as there are free slots."""
        engine = self._engine()
        for each in [each for each in self._running if each.take.lane is not lane and not each.utterance.paused]:
            self._try(each, engine.pause)
        for each in [each for each in self._running if each.take.lane is lane and each.utterance.paused]:
            if self.has_free_slot:
                self._try(each, engine.resume)

    def start(self, take: Take) -> None:
        """Start a take. There must be a free slot."""
        self._starting = take
        take.context.run(self._start, take)
        self._starting = None

    def step(self) -> None:
        """Let the engine do one step, then hand over what has ended and what can be heard."""
        if any(not each.utterance.paused for each in self._running):
            try:
                self._engine().step()
            except Exception as error:
                for each in self._pop(lambda each: True):
                    each.take.context.run(self._break_off, each, error)
        for each in self._running:
            self._hand_over_chunks(each)
        for each in self._pop(lambda each: each.utterance.done):
            each.take.context.run(self._settle, each)

    def drop_expired(self) -> None:
        """Drop takes whose deadline has passed, abandoned ones, and those that have ended outside of the engine."""
        now = self._clock()
        for each in self._pop(lambda each: each.take.sound.done() or each.take.due <= now):
            if not each.take.sound.done():
                self._settling.expire(each.take)

    def _hand_over_chunks(self, running: RunningTake) -> None:
        """Hand over the chunks that have come since the last step. The end of a take publishes its last one."""
        utterance = running.utterance
        if utterance.done:
            return
        for chunk in utterance.chunks[running.published :]:
            self._settling.publish(running.take, chunk)
            running.published += 1

    def _start(self, take: Take) -> None:
        started, recipe = self._clock(), take.recipe
        try:
            engine = self._engine()
            begin = partial(engine.begin_order, take) if is_remote(engine) else engine.begin
            utterance = begin(
                take.text, voice=recipe.voice_digest, params=take.params, seed=take.seed, stream=take.stream
            )
        except Exception as error:
            self._settling.note_error(error)
            self._settling.fail(take, error, started)
        else:
            self._running.append(RunningTake(take, utterance, started))

    def _try(self, running: RunningTake, action: Callable[[Utterance], None]) -> None:
        """Have the engine pause or resume a take. If it cannot, the take fails."""
        try:
            action(running.utterance)
        except Exception as error:
            self._pop(lambda each: each is running)
            running.take.context.run(self._break_off, running, error)

    def _pop(self, wanted: Callable[[RunningTake], bool]) -> list[RunningTake]:
        popped = [each for each in self._running if wanted(each)]
        for each in popped:
            self._running.remove(each)
            try:
                self._engine().drop(each.utterance)
            except Exception as error:
                self._settling.note_error(error)
                logger.exception("the engine failed to drop a take")
        return popped

    def _settle(self, running: RunningTake) -> None:
        """Hand over what the engine has made of a take."""
        take, utterance = running.take, running.utterance
        if utterance.samples is None:
            self._break_off(running, utterance.error or SynthesisFailed("The engine made nothing of this sentence."))
        else:
            self._settling.settle(take, utterance, self._engine().sample_rate, running.started)

    def _break_off(self, running: RunningTake, error: Exception) -> None:
        """End a take that the engine failed on."""
        self._settling.break_off(running.take, error, running.started, after_chunks=running.published > 0)
