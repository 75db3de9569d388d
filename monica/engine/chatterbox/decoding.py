"""A take in T3: where it is, and what it has said so far."""

from __future__ import annotations

import torch

from monica.engine.chatterbox.sampling import BOS, EOS, FAILED
from monica.engine.chatterbox.slots import Saved
from monica.errors import SynthesisFailed


class Decoding:
    """A take being decoded.

    slot: where, for now. position: where in the cache its next step writes. limit: tokens at most.
    tokens: ids below 6561 so far, 25 a second. saved: where it is while it has no slot.
    """

    def __init__(self, slot: int, position: int, limit: int, generator: torch.Generator) -> None:
        self.slot = slot
        self.position = position
        self.limit = limit
        self.generator = generator
        self.tokens: list[int] = []
        self.saved: Saved | None = None
        self._last = BOS

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self._last in (EOS, FAILED) or len(self.tokens) >= self.limit

    @property
    def failed(self) -> bool:
        """Whether what came was no number."""
        return self._last == FAILED

    @property
    def complete(self) -> bool:
        """Whether it came to the end of speech, and not to the limit."""
        return self._last == EOS

    def hear(self, token: int) -> None:
        """Take in the token of one step; what comes after the last one is not the take's."""
        if self.done:
            return
        self._last = token
        if token not in (EOS, FAILED):
            self.tokens.append(token)

    def speech(self) -> list[int]:
        """Return what was said, without the token before end of speech: it decodes to 40 ms of noise.

        Where the limit came first nothing is cut. Raises SynthesisFailed where what came was no number.
        """
        if self.failed:
            raise SynthesisFailed("T3 gave no numbers: the weights are damaged or overflow.")
        return self.tokens[:-1] if self.complete else self.tokens
