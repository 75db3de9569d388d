"""A take: one rendering of a text, in progress or finished. Any number of requests may wait for it."""

from __future__ import annotations

import contextvars
import math
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monica.audio.finish import StreamFinisher
from monica.audio.wav import wav_pcm
from monica.engine import SynthesisParams
from monica.errors import DeadlineExceeded
from monica.store.recipe import Recipe
from monica.synthesis.faults import Fault, Verdict

WaitFor = Callable[["Future[Any]", float], None]
"""How a caller waits: returns when the future is done or the seconds have passed; raises if the caller has gone."""

COOLER = 0.9
"""What the temperature of a second attempt is multiplied by: the model strays less."""
SPARE_RESERVE_S = 0.25
"""How long before its deadline a second attempt is given up if there is a first one to serve."""
DEADLINE_PASSED = "The deadline passed before the sentence was made."


class Lane(StrEnum):
    """Live takes go before background ones."""

    LIVE = "live"
    BACKGROUND = "background"


class Source(StrEnum):
    """Where the sound of a request comes from."""

    HIT = "hit"
    """It was kept."""
    MISS = "miss"
    """It was made for this request."""
    JOINED = "joined"
    """Another request was already making it."""


class Outcome(StrEnum):
    """How a take ends; the label of a metric."""

    OK = "ok"
    SUSPECT = "suspect"
    """Served, but with a fault that is not grave."""
    REMADE = "remade"
    """Not an end: it is made again."""
    FAILED = "failed"
    INVALID = "invalid"
    DEADLINE = "deadline"
    ABANDONED = "abandoned"
    REFUSED = "refused"


@dataclass(eq=False, frozen=True, slots=True)
class Attempt:
    """What the engine made of a take, once."""

    samples: NDArray[np.float32]
    """(N,) mono, as the engine made them."""
    verdict: Verdict
    seed: int
    number: int
    """1 or 2."""
    took_s: float


@dataclass(eq=False, frozen=True, slots=True)
class Waiter:
    """A request that waits for takes."""

    deadline: float
    """Monotonic seconds."""
    lane: Lane = Lane.LIVE
    keep: bool = True
    """Whether the cache may keep what this request waits for."""


@dataclass(eq=False)
class Take:
    """What to say and how, and who waits for it."""

    recipe: Recipe
    """What it is made from."""
    seed: int
    """The seed of the current attempt. If the recipe has none, it follows from the key, or is drawn for a new take."""
    waiters: tuple[Waiter, ...]
    stream: bool = False
    """Whether it is to be heard in chunks while it is made."""
    fresh: bool = False
    """Whether it was asked for in place of a kept one."""
    sound: Future[bytes] = field(default_factory=Future)
    """The WAV, or the error it ended with."""
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    """The request's context, so that what the engine and finishing threads log has the request's id."""
    submitted: float = 0.0
    """When it was queued, in the scheduler's seconds."""
    attempts: int = 1
    """Number of attempts, the current one included."""
    chunks: tuple[bytes, ...] = ()
    """What can be heard of it before it has ended: 16-bit PCM."""
    verdict: Verdict = field(default_factory=Verdict)
    """What its examination found, once it has ended."""
    spare: Attempt | None = None
    """The first attempt, while the second is made: it has a fault, but can be heard."""
    finisher: StreamFinisher | None = None
    """Finishes the chunks of the current attempt."""
    _last: Waiter | None = None
    _news: Future[None] = field(default_factory=Future)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.key = self.recipe.key
        self.sound.add_done_callback(lambda _: self._notify())

    @classmethod
    def kept(cls, recipe: Recipe, wav: bytes) -> Take:
        """Return a take that has ended already: its sound was in the cache."""
        take = cls(recipe, 0, ())
        take.sound.set_result(wav)
        return take

    @property
    def text(self) -> str:
        """The text as it is said."""
        return self.recipe.said

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with it although it can be heard. Neither it nor a text it is part of is kept."""
        return self.verdict.faults

    @property
    def params(self) -> SynthesisParams:
        """How the current attempt is sampled: as the recipe says, the second one at a slightly lower temperature."""
        params = self.recipe.params
        return params if self.attempts == 1 else replace(params, temperature=COOLER * params.temperature)

    def join(self, waiter: Waiter) -> bool:
        """Wait for this take too. Returns False if it was abandoned already and cannot be joined."""
        with self._lock:
            if self.abandoned:
                return False
            self.waiters += (waiter,)
            return True

    def leave(self, waiter: Waiter) -> None:
        """Stop waiting, whatever became of the take."""
        with self._lock:
            self._last = waiter
            self.waiters = tuple(other for other in self.waiters if other is not waiter)

    @property
    def abandoned(self) -> bool:
        """Whether no one waits for it any more."""
        return not self.waiters

    @property
    def lane(self) -> Lane:
        """Live as soon as one of its waiters is."""
        return Lane.LIVE if any(waiter.lane is Lane.LIVE for waiter in self.waiters) else Lane.BACKGROUND

    @property
    def live(self) -> bool:
        return self.lane is Lane.LIVE

    @property
    def deadline(self) -> float:
        """The latest deadline of its waiters, in monotonic seconds."""
        return max((waiter.deadline for waiter in self.waiters), default=-math.inf)

    @property
    def due(self) -> float:
        """When it is given up, in monotonic seconds: at its deadline, or just early enough to serve its spare."""
        return self.deadline - (0.0 if self.spare is None else SPARE_RESERVE_S)

    @property
    def keep(self) -> bool:
        """Whether the cache may keep it. If it was left during its last step, the last waiter decides."""
        waiters = self.waiters or (self._last,)
        return any(waiter is not None and waiter.keep for waiter in waiters)

    def publish(self, chunk: bytes) -> None:
        """Let those who follow it hear a chunk."""
        self.chunks += (chunk,)
        self._notify()

    def follow(self, deadline: float, wait_for: WaitFor) -> Generator[bytes, None, None]:
        """Yield its sound from the start, chunk by chunk as it comes: 16-bit PCM.

        A take that was not streamed comes as one chunk. Raises what `wait` raises.
        """
        heard = 0
        while True:
            # Read in this order, or a chunk that comes in between would be missed.
            news, ended, chunks = self._news, self.sound.done(), self.chunks
            yield from chunks[heard:]
            heard = len(chunks)
            if ended:
                break
            wait_for(news, max(0.0, deadline - time.monotonic()))
            if not news.done() and not self.sound.done():
                raise DeadlineExceeded(DEADLINE_PASSED)
        wav = self.sound.result()
        if not heard:
            yield wav_pcm(wav)

    def _notify(self) -> None:
        with self._lock:
            news, self._news = self._news, Future()
        news.set_result(None)

    def wait(self, deadline: float, wait_for: WaitFor) -> bytes:
        """Wait for the WAV until `deadline`.

        Raises DeadlineExceeded, the error the take ended with, or what `wait_for` raises.
        """
        wait_for(self.sound, max(0.0, deadline - time.monotonic()))
        if not self.sound.done():
            raise DeadlineExceeded(DEADLINE_PASSED)
        return self.sound.result()


def block(awaited: Future[Any], seconds: float) -> None:
    """Wait without ever giving up early, as a caller in this process does."""
    wait([awaited], seconds)
