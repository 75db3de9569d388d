"""The takes in the engine: started, preempted, resumed, ended.

The engine thread uses it. What happens to a take after the engine is handed to the finishing thread, which runs the
methods that say so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray

from monica.engine import MAX_SEED, Engine, Utterance, is_remote
from monica.errors import DeadlineExceeded, DeviceLost, MonicaError, Overloaded, SynthesisFailed
from monica.synthesis.checks import Defect, find_defect
from monica.synthesis.finishing import FinishingQueue
from monica.synthesis.take import DEADLINE_PASSED, Lane, Take
from monica.synthesis.throughput import Throughput

logger = logging.getLogger(__name__)

SEED_STEP = 0x9E3779B9
"""Added to the seed of a take for its second attempt: 2^32 divided by the golden ratio."""


class Outcome(StrEnum):
    """How a take ends; the label of a metric."""

    OK = "ok"
    SUSPECT = "suspect"
    """Served, but with a defect that is not grave."""
    REMADE = "remade"
    """Not an end: it is made again."""
    FAILED = "failed"
    INVALID = "invalid"
    DEADLINE = "deadline"
    ABANDONED = "abandoned"
    REFUSED = "refused"


FinishTake = Callable[[Take, NDArray[np.float32], float], bytes]
"""Makes the WAV of a take from its samples and the seconds it took. Called in the finishing thread."""
PublishChunk = Callable[[Take, NDArray[np.float32]], None]
"""Lets a chunk of a take be heard while the rest is made. Called in the finishing thread."""
ReportOutcome = Callable[[Take, Outcome, "bytes | MonicaError | None"], None]
"""Takes note of how a take ended and with what; with None if it is to be made again. Called in any thread."""


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

    def __init__(
        self,
        engine: Callable[[], Engine],
        finishing: FinishingQueue,
        throughput: Throughput,
        finish: FinishTake,
        publish: PublishChunk,
        report: ReportOutcome,
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._finishing = finishing
        self._throughput = throughput
        self._finish = finish
        self._publish = publish
        self._report = report
        self._clock = clock
        self._running: list[RunningTake] = []
        self._starting: Take | None = None
        self.breakdowns_in_a_row = 0
        """Times the engine raised what no engine should; reset by a take that ends well."""
        self.device_lost: str | None = None
        """Why the engine cannot be used any more in this process; None if it can."""

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
        for each in self._pop(lambda each: each.take.sound.done() or each.take.deadline <= now):
            if not each.take.sound.done():
                self._report(each.take, *expire(each.take))

    def note_error(self, error: Exception) -> None:
        """Take note of what the engine raised."""
        if isinstance(error, DeviceLost):
            self.device_lost = str(error)
        elif not isinstance(error, MonicaError):
            self.breakdowns_in_a_row += 1

    def _hand_over_chunks(self, running: RunningTake) -> None:
        """Hand over the chunks that have come since the last step. The end of a take publishes its last one."""
        utterance = running.utterance
        if utterance.done:
            return
        for chunk in utterance.chunks[running.published :]:
            self._finishing.add_chunk(running.take, partial(self._publish_chunk, running.take, chunk))
            running.published += 1

    def _start(self, take: Take) -> None:
        started, recipe = self._clock(), take.recipe
        try:
            engine = self._engine()
            begin = partial(engine.begin_order, take) if is_remote(engine) else engine.begin
            utterance = begin(
                take.text, voice=recipe.voice_digest, params=recipe.params, seed=take.seed, stream=take.stream
            )
        except Exception as error:
            self.note_error(error)
            self._fail(take, error, started)
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
                self.note_error(error)
                logger.exception("the engine failed to drop a take")
        return popped

    def _settle(self, running: RunningTake) -> None:
        """Check what the engine has made of a take, and hand it over."""
        take, utterance, started = running.take, running.utterance, running.started
        if utterance.samples is None:
            self._break_off(running, utterance.error or SynthesisFailed("The engine made nothing of this sentence."))
            return
        # Checked here and not in the finishing thread: it takes a millisecond, and a take that is made again goes back
        # to the queue before the engine thread looks for the next one.
        rate, took_s = self._engine().sample_rate, self._clock() - started
        defect = find_defect(utterance.samples, rate, take.text, complete=utterance.complete)
        self._after_chunks(running, partial(self._accept, take, utterance.samples, started, took_s, defect))

    def _break_off(self, running: RunningTake, error: Exception) -> None:
        """End a take that the engine failed on."""
        self.note_error(error)
        self._after_chunks(running, partial(self._fail, running.take, error, running.started))

    def _after_chunks(self, running: RunningTake, action: Callable[[], None]) -> None:
        """Do something with a take once those of its chunks are published that were handed over: at once if none were.

        Whether it may be made again depends on whether any of it has been heard, and only the finishing thread knows:
        it may have held back everything so far.
        """
        if running.published:
            self._finishing.add_end(running.take, action)
        else:
            action()

    def _accept(
        self, take: Take, samples: NDArray[np.float32], started: float, took_s: float, defect: Defect | None
    ) -> None:
        """Have a take finished, unless it is too bad. Runs in the engine thread or, for a stream, the finishing one."""
        if defect is not None and self._retry(take, f"it {defect}", started):
            return
        if defect is not None and defect.grave:
            self._fail(take, SynthesisFailed(f"The sound of this sentence {defect}."), started)
            return
        if defect is not None:
            logger.warning("take %.12s %s: it is served, but not kept", take.key, defect)
        take.defect = defect
        self.breakdowns_in_a_row = 0
        self._throughput.add_take(len(take.text))
        self._finishing.add_end(take, partial(self._finish_take, take, samples, took_s))

    def _publish_chunk(self, take: Take, chunk: NDArray[np.float32]) -> None:
        """Let a chunk be heard. Runs in the finishing thread. If it cannot, the take fails and the engine drops it."""
        if take.sound.done():
            return
        try:
            self._publish(take, chunk)
        except Exception:
            self._fail_to_finish(take)

    def _finish_take(self, take: Take, samples: NDArray[np.float32], took_s: float) -> None:
        """Finish and keep a take, and hand it to those who wait for it. Runs in the finishing thread.

        It is not dropped if its deadline has passed meanwhile or no one waits any more: it is made, and the next
        request for it finds it kept.
        """
        if take.sound.done():
            return
        try:
            wav = self._finish(take, samples, took_s)
        except Exception:
            self._fail_to_finish(take)
        else:
            self._report(take, Outcome.OK if take.defect is None else Outcome.SUSPECT, wav)

    def _fail_to_finish(self, take: Take) -> None:
        """End a take that was lost after the engine had made it. That is no breakdown of the engine."""
        logger.exception("take %.12s cannot be finished", take.key)
        self._report(take, Outcome.FAILED, SynthesisFailed("The sound of this sentence could not be finished."))

    def _fail(self, take: Take, error: Exception, started: float) -> None:
        """End a take, or have it made again. Runs in the engine thread or, for a stream, the finishing one."""
        # The engine thread's guard ends here: whatever was raised, out of memory included, ends a take.
        if not isinstance(error, MonicaError):
            logger.error("take %.12s: the engine failed", take.key, exc_info=error)
            error = SynthesisFailed("The engine failed on this sentence.")
        elif isinstance(error, SynthesisFailed) and self._retry(take, str(error), started):
            return
        else:
            logger.log(logging.ERROR if error.status >= 500 else logging.INFO, "take %.12s failed: %s", take.key, error)
        outcome = Outcome.FAILED if error.status >= 500 else Outcome.INVALID
        self._report(take, Outcome.REFUSED if isinstance(error, Overloaded) else outcome, error)

    def _retry(self, take: Take, why: str, started: float) -> bool:
        """Send a take back for its second attempt, if it has one left and as much time as the first attempt took.

        What has been heard in part cannot be taken back, so a stream is never made again.
        """
        now = self._clock()
        if take.attempts > 1 or take.chunks or now + (now - started) >= take.deadline:
            return False
        take.attempts += 1
        take.finisher = None
        take.seed = (take.seed + SEED_STEP) % (MAX_SEED + 1)
        logger.warning("take %.12s is made again with seed %d: %s", take.key, take.seed, why)
        self._report(take, Outcome.REMADE, None)
        return True


def expire(take: Take) -> tuple[Outcome, MonicaError]:
    """Return the outcome of a take that is dropped, and the error to answer with."""
    if take.abandoned:
        return Outcome.ABANDONED, DeadlineExceeded("No one waits for this sentence any more.")
    return Outcome.DEADLINE, DeadlineExceeded(DEADLINE_PASSED)
