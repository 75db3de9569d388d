"""A take in T3: where it is, and what it has said so far."""

from __future__ import annotations

import logging

import torch

from monica.engine.chatterbox.sampling import BOS, EOS, FAILED
from monica.errors import SynthesisFailed

logger = logging.getLogger(__name__)


class Decoding:
    """A take being decoded.

    slot: where, for now. position: where in the cache its next step writes. limit: tokens at most.
    tokens: ids below 6561 so far, 25 a second.
    """

    def __init__(self, slot: int, position: int, limit: int, generator: torch.Generator) -> None:
        self.slot = slot
        self.position = position
        self.limit = limit
        self.generator = generator
        self.tokens: list[int] = []
        self._last = BOS

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self._last in (EOS, FAILED) or len(self.tokens) >= self.limit

    @property
    def failed(self) -> bool:
        """Whether what came was no number."""
        return self._last == FAILED

    def hear(self, token: int) -> None:
        """Take in the token of one step; what comes after the last one is not the take's."""
        if self.done:
            return
        self._last = token
        if token not in (EOS, FAILED):
            self.tokens.append(token)

    def speech(self) -> list[int]:
        """Return what was said, without the token before end of speech: it decodes to 40 ms of noise.

        Where the limit came first nothing is cut. Raises SynthesisFailed where there is nothing to hear.
        """
        if self.failed:
            raise SynthesisFailed("T3 gave no numbers: the weights are damaged or overflow.")
        if self._last != EOS:
            logger.warning("no end of speech within %d tokens: the take is cut there", self.limit)
        tokens = self.tokens[:-1] if self._last == EOS else self.tokens
        if not tokens:
            raise SynthesisFailed("The model ended the sentence before it said anything. Another seed may help.")
        return tokens
