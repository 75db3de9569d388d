"""A take: one rendering of a text, under way or finished. Many requests may wait on it."""

from __future__ import annotations

import contextvars
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock

from monica.engine import SynthesisParams
from monica.errors import DeadlineExceeded


class Lane(StrEnum):
    """Live takes go before background ones."""

    LIVE = "live"
    BACKGROUND = "background"


class Abandoned(Exception):
    """Nobody waits for the take any more."""


@dataclass(eq=False)
class Take:
    """What to say and how, who waits for it and until when.

    deadline: monotonic seconds; the latest of those who wait.
    keep: whether the finished take goes into the cache.
    sound: the WAV, or the error it ended with.
    """

    key: str
    text: str
    voice: str
    params: SynthesisParams
    seed: int
    lane: Lane
    deadline: float
    keep: bool
    sound: Future[bytes] = field(default_factory=Future)
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    submitted: float = field(default_factory=time.monotonic)
    _waiters: int = 1
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def finished(cls, wav: bytes) -> Take:
        """Return a take that has already ended well."""
        take = cls("", "", "", SynthesisParams(), 0, Lane.LIVE, time.monotonic(), keep=False)
        take.sound.set_result(wav)
        return take

    def join(self, *, deadline: float, keep: bool) -> bool:
        """Wait on this take too. Returns False where it was abandoned already, and cannot be joined."""
        with self._lock:
            if self._waiters == 0:
                return False
            self._waiters += 1
            self.deadline = max(self.deadline, deadline)
            self.keep = self.keep or keep
            return True

    def wait(self, deadline: float) -> bytes:
        """Wait for the sound until `deadline`.

        Raises DeadlineExceeded, or the error the take ended with.
        """
        try:
            return self.sound.result(timeout=max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError:
            raise DeadlineExceeded("The deadline passed before the sentence was made.") from None

    def leave(self) -> None:
        """Wait no more. Called once by each who made or joined the take, whatever came of it."""
        with self._lock:
            self._waiters -= 1

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._waiters == 0

    def check(self) -> None:
        """End the take where its deadline has passed or nobody waits for it: called between the engine's steps."""
        if time.monotonic() > self.deadline:
            raise DeadlineExceeded("The deadline passed while the sentence was being made.")
        if self.abandoned:
            raise Abandoned
