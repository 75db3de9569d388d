"""A take: one rendering of a text, under way or finished. Many requests may wait on it."""

from __future__ import annotations

import contextvars
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock

from monica.engine import SynthesisParams
from monica.errors import DeadlineExceeded

Patience = Callable[["Future[bytes]", float], None]
"""How someone waits: returns once the future is done or so many seconds have passed; raises where he has gone."""


class Lane(StrEnum):
    """Live takes go before background ones."""

    LIVE = "live"
    BACKGROUND = "background"


@dataclass(eq=False, frozen=True, slots=True)
class Waiter:
    """Someone who waits for takes.

    deadline: monotonic seconds. keep: whether what he waits for may be kept.
    """

    deadline: float
    lane: Lane = Lane.LIVE
    keep: bool = True


@dataclass(eq=False)
class Take:
    """What to say and how, and who waits for it.

    sound: the WAV, or the error it ended with. submitted: when. attempts: the present one included.
    """

    key: str
    text: str
    voice: str
    params: SynthesisParams
    seed: int
    waiters: tuple[Waiter, ...]
    sound: Future[bytes] = field(default_factory=Future)
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    submitted: float = 0.0
    attempts: int = 1
    _last: Waiter | None = None
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def finished(cls, wav: bytes) -> Take:
        """Return a take that has already ended well."""
        take = cls("", "", "", SynthesisParams(), 0, ())
        take.sound.set_result(wav)
        return take

    def join(self, waiter: Waiter) -> bool:
        """Wait on this take too. Returns False where it was abandoned already, and cannot be joined."""
        with self._lock:
            if self.abandoned:
                return False
            self.waiters += (waiter,)
            return True

    def leave(self, waiter: Waiter) -> None:
        """Wait no more, whatever came of it."""
        with self._lock:
            self._last = waiter
            self.waiters = tuple(other for other in self.waiters if other is not waiter)

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more."""
        return not self.waiters

    @property
    def lane(self) -> Lane:
        """Live as soon as one of those who wait is."""
        return Lane.LIVE if any(waiter.lane is Lane.LIVE for waiter in self.waiters) else Lane.BACKGROUND

    @property
    def deadline(self) -> float:
        """Monotonic seconds; the latest of those who wait."""
        return max((waiter.deadline for waiter in self.waiters), default=-math.inf)

    @property
    def keep(self) -> bool:
        """Whether the finished take may go into the cache. Left in its last step, it is as its last waiter wished."""
        waiters = self.waiters or (self._last,)
        return any(waiter is not None and waiter.keep for waiter in waiters)

    def wait(self, deadline: float, patience: Patience) -> bytes:
        """Wait for the sound until `deadline`.

        Raises DeadlineExceeded, the error the take ended with, or what `patience` raises.
        """
        patience(self.sound, max(0.0, deadline - time.monotonic()))
        if not self.sound.done():
            raise DeadlineExceeded("The deadline passed before the sentence was made.")
        return self.sound.result()


def stay(sound: Future[bytes], seconds: float) -> None:
    """Wait without ever going: the patience of a caller in this process."""
    wait([sound], seconds)
