"""The takes under way in the engine: begun, set aside, resumed, ended. The engine thread's alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from monica.engine import MAX_SEED, Engine, Utterance
from monica.errors import DeadlineExceeded, MonicaError, SynthesisFailed
from monica.synthesis.checks import find_fault
from monica.synthesis.take import Lane, Take

logger = logging.getLogger(__name__)

SEED_STEP = 0x9E3779B9
"""From the seed of a take to that of its second attempt."""


class Outcome(StrEnum):
    """How a take ends. SUSPECT: heard, with a fault that is not grave. REMADE: not yet; it is made again."""

    OK = "ok"
    SUSPECT = "suspect"
    REMADE = "remade"
    FAILED = "failed"
    INVALID = "invalid"
    DEADLINE = "deadline"
    ABANDONED = "abandoned"
    REFUSED = "refused"


Deliver = Callable[[Take, NDArray[np.float32], float], bytes]
"""Makes the WAV of a take: its samples, the seconds it took."""
Play = Callable[[Take, NDArray[np.float32]], None]
"""Lets a piece of a take be heard, while the rest is made."""
Report = Callable[[Take, Outcome, "bytes | MonicaError | None"], None]
"""Tells how a take ended, and with what; nothing where it is to be made again."""


@dataclass(eq=False, slots=True)
class RunningTake:
    """A take in the engine. began: when it got there. played: pieces of it that have been heard."""

    take: Take
    utterance: Utterance
    began: float
    paused: bool = False
    played: int = 0


class RunningBatch:
    """Takes under way. Whatever an engine throws ends a take, or all of them, and is not raised.

    engine: returns the engine, once it is ready. clock: monotonic seconds.
    """

    def __init__(
        self, engine: Callable[[], Engine], deliver: Deliver, play: Play, report: Report, clock: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._deliver = deliver
        self._play = play
        self._report = report
        self._clock = clock
        self._performances: list[RunningTake] = []
        self._beginning: Take | None = None
        self.breakdowns_in_a_row = 0
        """Times the engine threw what no engine should; a take that ends well begins the count anew."""

    @property
    def takes(self) -> tuple[Take, ...]:
        """Those under way, paused ones among them. From any thread."""
        beginning = self._beginning
        takes = tuple(each.take for each in tuple(self._performances))
        return takes if beginning is None else (*takes, beginning)

    @property
    def room(self) -> bool:
        """Whether one more may be begun."""
        return sum(not each.paused for each in self._performances) < self._engine().slots

    def play(self, lane: Lane) -> None:
        """Set aside the takes of the other lane; go on with this one's as far as there is room."""
        engine = self._engine()
        for each in [each for each in self._performances if each.take.lane is not lane and not each.paused]:
            each.paused = self._tell(each, engine.pause)
        for each in [each for each in self._performances if each.take.lane is lane and each.paused]:
            each.paused = not (self.room and self._tell(each, engine.resume))

    def begin(self, take: Take) -> None:
        """Take one up. There must be room."""
        self._beginning = take
        take.context.run(self._begin, take)
        self._beginning = None

    def step(self) -> None:
        """Let the engine do one step, and see what has ended."""
        if any(not each.paused for each in self._performances):
            try:
                self._engine().step()
            except Exception as error:
                for each in self._leave(lambda each: True):
                    each.take.context.run(self._fail, each.take, error, each.began)
        for each in self._leave(lambda each: each.utterance.done):
            each.take.context.run(self._settle, each)
        for each in tuple(self._performances):
            if each.played < len(each.utterance.pieces):
                each.take.context.run(self._play_on, each)

    def drop_late(self) -> None:
        """Drop takes whose deadline has passed, or that nobody waits for any more."""
        now = self._clock()
        for each in self._leave(lambda each: each.take.deadline <= now):
            self._report(each.take, *miss(each.take))

    def _play_on(self, performance: RunningTake) -> None:
        """Let what has come of a stream since be heard."""
        pieces = performance.utterance.pieces[performance.played :]
        try:
            for piece in pieces:
                self._play(performance.take, piece)
                performance.played += 1
        except Exception as error:
            self._leave(lambda each: each is performance)
            self._fail(performance.take, error, performance.began)

    def _begin(self, take: Take) -> None:
        began = self._clock()
        try:
            utterance = self._engine().begin(
                take.text, voice=take.voice, params=take.params, seed=take.seed, stream=take.stream
            )
        except Exception as error:
            self._fail(take, error, began)
        else:
            self._performances.append(RunningTake(take, utterance, began))

    def _tell(self, performance: RunningTake, action: Callable[[Utterance], None]) -> bool:
        """Have the engine do something with a take. Returns False where it could not, and the take has ended."""
        try:
            action(performance.utterance)
        except Exception as error:
            self._leave(lambda each: each is performance)
            performance.take.context.run(self._fail, performance.take, error, performance.began)
            return False
        return True

    def _leave(self, going: Callable[[RunningTake], bool]) -> list[RunningTake]:
        gone = [each for each in self._performances if going(each)]
        for each in gone:
            self._performances.remove(each)
            try:
                self._engine().drop(each.utterance)
            except Exception:
                self.breakdowns_in_a_row += 1
                logger.exception("the engine failed to drop a take")
        return gone

    def _settle(self, performance: RunningTake) -> None:
        take, utterance, began = performance.take, performance.utterance, performance.began
        if utterance.samples is None:
            self._fail(take, utterance.error or SynthesisFailed("The engine made nothing of this sentence."), began)
            return
        rate = self._engine().sample_rate
        fault = find_fault(utterance.samples, rate, take.text, complete=utterance.complete)
        if fault is not None and self._again(take, f"it {fault}", began):
            return
        if fault is not None and fault.grave:
            self._fail(take, SynthesisFailed(f"The sound of this sentence {fault}."), began)
            return
        if fault is not None:
            logger.warning("take %.12s %s: it is served, and not kept", take.key, fault)
        take.fault = fault
        try:
            wav = self._deliver(take, utterance.samples, self._clock() - began)
        except Exception as error:
            self._fail(take, error, began)
        else:
            self.breakdowns_in_a_row = 0
            self._report(take, Outcome.OK if fault is None else Outcome.SUSPECT, wav)

    def _fail(self, take: Take, error: Exception, began: float) -> None:
        # The guard of the engine thread ends here: whatever was thrown, out of memory included, is a take's end.
        if not isinstance(error, MonicaError):
            self.breakdowns_in_a_row += 1
            logger.error("take %.12s: the engine failed", take.key, exc_info=error)
            error = SynthesisFailed("The engine failed on this sentence.")
        elif isinstance(error, SynthesisFailed) and self._again(take, str(error), began):
            return
        else:
            logger.log(logging.ERROR if error.status >= 500 else logging.INFO, "take %.12s failed: %s", take.key, error)
        self._report(take, Outcome.FAILED if error.status >= 500 else Outcome.INVALID, error)

    def _again(self, take: Take, why: str, began: float) -> bool:
        """Send a take back for its second attempt, if it has one and there is as much time left as the first took.

        What has been heard, in part, cannot be taken back.
        """
        now = self._clock()
        if take.attempts > 1 or take.pieces or now + (now - began) >= take.deadline:
            return False
        take.attempts += 1
        take.seed = (take.seed + SEED_STEP) % (MAX_SEED + 1)
        logger.warning("take %.12s is made again with seed %d: %s", take.key, take.seed, why)
        self._report(take, Outcome.REMADE, None)
        return True


def miss(take: Take) -> tuple[Outcome, MonicaError]:
    """Say what becomes of a take that is too late."""
    if take.abandoned:
        return Outcome.ABANDONED, DeadlineExceeded("Nobody waits for this sentence any more.")
    return Outcome.DEADLINE, DeadlineExceeded("The deadline passed before the sentence was made.")
