"""What becomes of takes after the engine: they are examined, made again, finished, or failed.

The engine thread hands them over. The finishing thread does the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from monica.engine import MAX_SEED, Utterance
from monica.errors import DeadlineExceeded, DeviceLost, MonicaError, Overloaded, SynthesisFailed
from monica.synthesis.examination import Examiner
from monica.synthesis.faults import describe_faults
from monica.synthesis.finishing import FinishingQueue
from monica.synthesis.take import DEADLINE_PASSED, SPARE_RESERVE_S, Attempt, Outcome, Take
from monica.synthesis.throughput import Throughput

logger = logging.getLogger(__name__)

SEED_STEP = 0x9E3779B9
"""Added to the seed of a take for its second attempt: 2^32 divided by the golden ratio."""

FinishTake = Callable[[Take, NDArray[np.float32], float], bytes]
"""Makes the WAV of a take from its samples and the seconds it took. Called in the finishing thread."""
PublishChunk = Callable[[Take, NDArray[np.float32]], None]
"""Lets a chunk of a take be heard while the rest is made. Called in the finishing thread."""
ReportOutcome = Callable[[Take, Outcome, "bytes | MonicaError | None"], None]
"""Takes note of how a take ended and with what; with None if it is to be made again. Called in any thread."""


class Settling:
    """Takes that the engine has let go of. clock: monotonic seconds."""

    def __init__(
        self,
        finishing: FinishingQueue,
        throughput: Throughput,
        examiner: Examiner,
        finish: FinishTake,
        publish: PublishChunk,
        report: ReportOutcome,
        clock: Callable[[], float],
    ) -> None:
        self._finishing = finishing
        self._throughput = throughput
        self._examiner = examiner
        self._finish = finish
        self._publish = publish
        self._report = report
        self._clock = clock
        self.breakdowns_in_a_row = 0
        """Times the engine raised what no engine should; reset by a take that ends well."""
        self.device_lost: str | None = None
        """Why the engine cannot be used any more in this process; None if it can."""

    def note_error(self, error: Exception) -> None:
        """Take note of what the engine raised."""
        if isinstance(error, DeviceLost):
            self.device_lost = str(error)
        elif not isinstance(error, MonicaError):
            self.breakdowns_in_a_row += 1

    def publish(self, take: Take, chunk: NDArray[np.float32]) -> None:
        """Have a chunk of a stream heard."""
        self._finishing.add_chunk(take, partial(self._publish_chunk, take, chunk))

    def settle(self, take: Take, utterance: Utterance, rate: int, started: float) -> None:
        """Have a take examined that has ended, and then finished or made again. Runs in the engine thread."""
        if take.attempts == 1:  # a second attempt takes time as well, and says the same text
            self._throughput.add_take(len(take.text))
        took_s = self._clock() - started
        self._finishing.add_end(take, partial(self._examine, take, utterance, rate, started, took_s))

    def break_off(self, take: Take, error: Exception, started: float, *, after_chunks: bool) -> None:
        """End a take that the engine failed on. after_chunks: once those are published that were handed over.

        Whether it may be made again depends on whether any of it has been heard, and only the finishing thread knows:
        it may have held back everything so far.
        """
        self.note_error(error)
        if after_chunks:
            self._finishing.add_end(take, partial(self.fail, take, error, started))
        else:
            self.fail(take, error, started)

    def fail(self, take: Take, error: Exception, started: float) -> None:
        """End a take, or have it made again. Runs in the engine thread or, for a stream, the finishing one."""
        # The engine thread's guard ends here: whatever was raised, out of memory included, ends a take.
        if not isinstance(error, MonicaError):
            logger.error("take %.12s: the engine failed", take.key, exc_info=error)
            error = SynthesisFailed("The engine failed on this sentence.")
        elif isinstance(error, SynthesisFailed) and self._retry(take, str(error), started):
            return
        else:
            logger.log(logging.ERROR if error.status >= 500 else logging.INFO, "take %.12s failed: %s", take.key, error)
        if take.spare is not None:
            self._serve_spare(take, take.spare)
        else:
            outcome = Outcome.FAILED if error.status >= 500 else Outcome.INVALID
            self._report(take, Outcome.REFUSED if isinstance(error, Overloaded) else outcome, error)

    def expire(self, take: Take) -> None:
        """End a take whose time is up or that no one waits for any more. Its first attempt is served if it has one."""
        if take.abandoned:
            error = DeadlineExceeded("No one waits for this sentence any more.")
            self._report(take, Outcome.ABANDONED, error)
        elif take.spare is not None:
            self._serve_spare(take, take.spare)
        else:
            self._report(take, Outcome.DEADLINE, DeadlineExceeded(DEADLINE_PASSED))

    def _examine(self, take: Take, utterance: Utterance, rate: int, started: float, took_s: float) -> None:
        """Examine a take. Runs in the finishing thread, which takes a millisecond; the engine goes on meanwhile."""
        if take.sound.done() or utterance.samples is None:
            return
        try:
            verdict = self._examiner.examine(
                take, utterance.samples, rate, complete=utterance.complete, tokens=utterance.tokens
            )
        except Exception:
            self._fail_to_finish(take)
            return
        attempt = Attempt(utterance.samples, verdict, take.seed, take.attempts, took_s)
        described = describe_faults(verdict.faults)
        if verdict.faults and self._retry(take, f"it {described}", started, None if verdict.grave else attempt):
            return
        if verdict.grave:
            self.fail(take, SynthesisFailed(f"The sound of this sentence {described}."), started)
            return
        if take.spare is not None and take.spare.verdict.badness < verdict.badness:
            attempt = take.spare
        self._finish_attempt(take, attempt)

    def _serve_spare(self, take: Take, spare: Attempt) -> None:
        """Have the first attempt served, because there is no second one."""
        self._finishing.add_end(take, partial(self._finish_attempt, take, spare))

    def _finish_attempt(self, take: Take, attempt: Attempt) -> None:
        """Finish an attempt, keep it if nothing is wrong with it, and hand it to those who wait for the take.

        Runs in the finishing thread. It is not dropped if its deadline has passed meanwhile or no one waits any more:
        it is made, and the next request for it finds it kept.
        """
        if take.sound.done():
            return
        take.spare = None
        take.seed, take.attempts = attempt.seed, attempt.number
        take.verdict = attempt.verdict
        if take.faults:
            described, names = describe_faults(take.faults), ", ".join(take.faults)
            logger.warning("take %.12s %s: it is served, but not kept (%s)", take.key, described, names)
        self.breakdowns_in_a_row = 0
        try:
            wav = self._finish(take, attempt.samples, attempt.took_s)
        except Exception:
            self._fail_to_finish(take)
        else:
            self._report(take, Outcome.SUSPECT if take.faults else Outcome.OK, wav)

    def _retry(self, take: Take, why: str, started: float, spare: Attempt | None = None) -> bool:
        """Send a take back for its second attempt, if it has one left and as much time as the first attempt took.

        What has been heard in part cannot be taken back, so a stream is never made again. spare: what to serve if the
        second attempt is no better, or comes too late.
        """
        now = self._clock()
        reserve = SPARE_RESERVE_S if spare is not None else 0.0
        if take.attempts > 1 or take.chunks or now + (now - started) + reserve >= take.deadline:
            return False
        take.attempts += 1
        take.finisher = None
        take.spare = spare
        take.seed = (take.seed + SEED_STEP) % (MAX_SEED + 1)
        logger.warning("take %.12s is made again with seed %d: %s", take.key, take.seed, why)
        self._report(take, Outcome.REMADE, None)
        return True

    def _publish_chunk(self, take: Take, chunk: NDArray[np.float32]) -> None:
        """Let a chunk be heard. Runs in the finishing thread. If it cannot, the take fails and the engine drops it."""
        if take.sound.done():
            return
        try:
            self._publish(take, chunk)
        except Exception:
            self._fail_to_finish(take)

    def _fail_to_finish(self, take: Take) -> None:
        """End a take that was lost after the engine had made it. That is no breakdown of the engine."""
        logger.exception("take %.12s cannot be finished", take.key)
        self._report(take, Outcome.FAILED, SynthesisFailed("The sound of this sentence could not be finished."))
