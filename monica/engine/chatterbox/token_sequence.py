"""A take in T3: its slot, and the speech tokens generated so far."""

from __future__ import annotations

import torch

from monica.engine.chatterbox.sampling import BOS, EOS, FAILED
from monica.errors import SynthesisFailed


class TokenSequence:
    """The speech tokens of a take, while T3 generates them."""

    def __init__(
        self, slot: int, position: int, max_tokens: int, generator: torch.Generator, *, top_p: bool = True
    ) -> None:
        self.slot = slot
        """Its current slot; a pause, or another sequence that leaves, may change it."""
        self.position = position
        """Where in the cache its next step writes."""
        self.max_tokens = max_tokens
        self.generator = generator
        self.top_p = top_p
        """Whether its steps need top-p, see `needs_top_p`."""
        self.tokens: list[int] = []
        """Ids below 6561, 25 a second."""
        self._last_token = BOS

    @property
    def done(self) -> bool:
        """Whether no further token will be added."""
        return self._last_token in (EOS, FAILED) or len(self.tokens) >= self.max_tokens

    @property
    def failed(self) -> bool:
        """Whether its logits were not finite."""
        return self._last_token == FAILED

    @property
    def complete(self) -> bool:
        """Whether it ended with end of speech rather than at `max_tokens`."""
        return self._last_token == EOS

    def append_token(self, token: int) -> None:
        """Add the token of one step. Those that steps in flight still draw after the last one are ignored."""
        if self.done:
            return
        self._last_token = token
        if token not in (EOS, FAILED):
            self.tokens.append(token)

    def completion_tokens(self) -> list[int]:
        """Return the tokens to synthesize. Raises SynthesisFailed if the logits were not finite."""
        if self.failed:
            raise SynthesisFailed("T3 produced values that are not finite: the weights are damaged or overflow.")
        return self.tokens
