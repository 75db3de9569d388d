"""From logits to the next speech token of each slot: pure functions, in upstream's order, that wait for no device.

Guidance, repetition penalty, temperature, min-p, top-p, softmax, one draw. The draw is the exponential race of
torch.multinomial, so that the same generator gives the same tokens as upstream. Every parameter is a tensor: a
captured graph reads it at each replay. S is the number of slots, V the 8 194 ids of the head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monica.engine import SynthesisParams

SPEECH_TOKENS = 6561
"""Ids below it are sounds; S3Gen has no embedding for the others."""
BOS, EOS = 6561, 6562
FAILED = -1
"""Drawn where the logits are not numbers."""


class Knobs(NamedTuple):
    """The sampling parameters of the slots, each (S, 1) float32."""

    cfg_weight: Tensor
    repetition_penalty: Tensor
    temperature: Tensor
    min_p: Tensor
    tail: Tensor
    """1 - top_p, subtracted before it is rounded to float32, as upstream does."""

    @classmethod
    def of(cls, slots: int, device: torch.device) -> Knobs:
        """Make those of `slots` slots that nobody has set."""
        return cls(*(torch.ones(slots, 1, device=device) for _ in cls._fields))

    def set(self, slot: int, params: SynthesisParams) -> None:
        self.cfg_weight[slot] = params.cfg_weight
        self.repetition_penalty[slot] = params.repetition_penalty
        self.temperature[slot] = params.temperature
        self.min_p[slot] = params.min_p
        self.tail[slot] = 1 - params.top_p

    def first(self, slots: int) -> Knobs:
        """Return a view of the first slots."""
        return Knobs(*(knob[:slots] for knob in self))


def guide(logits: Tensor, cfg_weight: Tensor) -> Tensor:
    """Combine the rows of each slot, conditional and unconditional. logits: (S, 2, V). Returns (S, V).

    Where the weight is 0 the unconditional row, which nobody prefilled, is not even looked at.
    """
    conditional, unconditional = logits.unbind(dim=1)
    guided = conditional + cfg_weight * (conditional - unconditional)
    return torch.where(cfg_weight > 0, guided, conditional)


def penalize_repetition(logits: Tensor, seen: Tensor, penalty: Tensor) -> Tensor:
    """Make tokens less likely that were said before. seen: (S, V) bool. Source: CTRL, arXiv 1909.05858."""
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def keep_min_p(logits: Tensor, min_p: Tensor) -> Tensor:
    """Drop what is less likely than `min_p` times the likeliest. Source: arXiv 2407.01082."""
    probs = torch.softmax(logits, dim=-1)
    return logits.masked_fill(probs < min_p * probs.amax(dim=-1, keepdim=True), -torch.inf)


def keep_top_p(logits: Tensor, tail: Tensor) -> Tensor:
    """Drop the least likely tokens that make up `tail` together, but one. Source: arXiv 1904.09751."""
    ascending, order = torch.sort(logits, dim=-1)
    drop = torch.softmax(ascending, dim=-1).cumsum(dim=-1) <= tail
    drop[:, -1] = False
    return logits.masked_fill(torch.empty_like(drop).scatter_(-1, order, drop), -torch.inf)


def keep_sounds(filtered: Tensor, logits: Tensor) -> Tensor:
    """Drop the ids that are neither a sound nor end of speech.

    Done last: the filters then see what upstream's see and keep the same sounds. They may have kept none where an
    id without a sound was far ahead, so the likeliest of the `logits` before the filters always stays.
    """
    ids = torch.arange(logits.size(-1), device=logits.device)
    sayable = (ids < SPEECH_TOKENS) | (ids == EOS)
    likeliest = logits.masked_fill(~sayable, -torch.inf).argmax(dim=-1, keepdim=True)
    kept = filtered.masked_fill(~sayable, -torch.inf)
    return torch.where(ids == likeliest, logits, kept)


def probabilities(logits: Tensor, seen: Tensor, knobs: Knobs) -> Tensor:
    """Turn guided logits into what is drawn from. logits: (S, V), seen: (S, V) bool. Returns (S, V)."""
    logits = penalize_repetition(logits, seen, knobs.repetition_penalty)
    logits = logits / knobs.temperature
    filtered = keep_top_p(keep_min_p(logits, knobs.min_p), knobs.tail)
    return torch.softmax(keep_sounds(filtered, logits), dim=-1)


def draw(probs: Tensor, race: Tensor) -> Tensor:
    """Draw one id a slot. probs: (S, V). race: (S, V), exponentially distributed, each slot's from its own generator.

    Returns (S,) int64; FAILED where probs are not numbers.
    """
    winner = (probs / race).argmax(dim=-1)
    return torch.where(probs.amax(dim=-1).isnan(), FAILED, winner)
