"""A take: one rendering of a text, under way or finished. Many requests may wait on it."""

from __future__ import annotations

import contextvars
import math
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import Any

from monica.audio.wav import wav_pcm
from monica.engine import SynthesisParams
from monica.errors import DeadlineExceeded
from monica.synthesis.checks import Fault

Patience = Callable[["Future[Any]", float], None]
"""How someone waits: returns once the future is done or so many seconds have passed; raises where he has gone."""


LATE = "The deadline passed before the sentence was made."


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

    stream: whether it is to be heard in pieces. sound: the WAV, or the error it ended with. submitted: when.
    attempts: the present one included.
    """

    key: str
    text: str
    voice: str
    params: SynthesisParams
    seed: int
    waiters: tuple[Waiter, ...]
    stream: bool = False
    sound: Future[bytes] = field(default_factory=Future)
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    submitted: float = 0.0
    attempts: int = 1
    pieces: tuple[bytes, ...] = ()
    """What can be heard of it before it has ended: PCM, 16 bits."""
    fault: Fault | None = None
    """What is wrong with it, though it can be heard: it is not kept, nor is what it is part of."""
    _last: Waiter | None = None
    _news: Future[None] = field(default_factory=Future)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.sound.add_done_callback(lambda _: self._announce())

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

    def play(self, piece: bytes) -> None:
        """Let those who follow it hear a piece."""
        self.pieces += (piece,)
        self._announce()

    def follow(self, deadline: float, patience: Patience) -> Generator[bytes, None, None]:
        """Hear it from its start, piece by piece, as they come: PCM, 16 bits. What never came in pieces comes as one.

        Raises what `wait` does.
        """
        heard = 0
        while True:
            news, ended, pieces = self._news, self.sound.done(), self.pieces  # in this order: nothing is missed
            yield from pieces[heard:]
            heard = len(pieces)
            if ended:
                break
            patience(news, max(0.0, deadline - time.monotonic()))
            if not news.done() and not self.sound.done():
                raise DeadlineExceeded(LATE)
        wav = self.sound.result()
        if not heard:
            yield wav_pcm(wav)

    def _announce(self) -> None:
        with self._lock:
            news, self._news = self._news, Future()
        news.set_result(None)

    def wait(self, deadline: float, patience: Patience) -> bytes:
        """Wait for the sound until `deadline`.

        Raises DeadlineExceeded, the error the take ended with, or what `patience` raises.
        """
        patience(self.sound, max(0.0, deadline - time.monotonic()))
        if not self.sound.done():
            raise DeadlineExceeded(LATE)
        return self.sound.result()


def stay(awaited: Future[Any], seconds: float) -> None:
    """Wait without ever going: the patience of a caller in this process."""
    wait([awaited], seconds)
