"""An utterance that a replica speaks, as the process sees it that has asked for it."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monica.engine import Order, SynthesisParams, Utterance
from monica.engine.ray.client import Exchange


class AnyTime:
    """The order of a take that no one waits for in particular: the warm-up's, or an examination's."""

    key = "-"
    live = True
    deadline = math.inf


class Different(Exception):
    """A replica speaks a text in another way than the one that was lost."""


class Received:
    """The samples of one utterance, whichever replicas they come from."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.float32]] = []
        self._length = 0
        self._position = 0

    def restart(self, *, keep: bool) -> None:
        """Start over on another replica. keep: whether to keep what was received, and compare it with what comes."""
        self._position = 0
        if not keep:
            self._parts, self._length = [], 0

    def add(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples: (N,). Returns those of them that are new: (M,).

        Raises Different if the others are not what was received before.
        """
        known = min(len(samples), self._length - self._position)
        if known and not np.array_equal(samples[:known], self.samples[self._position : self._position + known]):
            raise Different
        self._position += len(samples)
        new = samples[known:]
        if len(new):
            self._parts.append(new)
            self._length += len(new)
        return new

    @property
    def samples(self) -> NDArray[np.float32]:
        """All of them: (N,)."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)


@dataclass(eq=False, kw_only=True)
class RemoteUtterance(Utterance):
    """What to ask a replica for. The engine thread sets what other threads have received."""

    order: Order
    text: str
    voice: str
    conditionals: bytes
    """Those of the voice; empty if the engine does not clone."""
    params: SynthesisParams
    seed: int
    stream: bool
    exchange: Exchange = field(default_factory=Exchange)
    """The current attempt."""
    asked_live: bool = False
    """Whether the current attempt was asked for as a live one."""
    dropped: threading.Event = field(default_factory=threading.Event)

    def drop(self) -> None:
        """Ask for it no more. A replica that is at it notices that its client is gone."""
        self.dropped.set()
        self.exchange.cut_off()
