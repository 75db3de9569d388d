"""From logits to the next speech token of each slot: pure functions, in upstream's order, that never wait for a device.

Guidance, repetition penalty, temperature, min-p, top-p, softmax, one draw. The draw divides by exponential noise, as
torch.multinomial does, so the same generator gives the same tokens as upstream. Every parameter is a tensor: a captured
graph reads it at each replay. S is the number of slots, V the 8 194 ids of the head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monica.engine import SynthesisParams

SPEECH_TOKENS = 6561
"""Number of speech tokens. Ids below it are sounds; S3Gen has no embedding for the others."""
BOS, EOS = 6561, 6562
FAILED = -1
"""Returned by `sample_token` in place of an id if the logits are not finite."""


class SamplingTensors(NamedTuple):
    """The sampling parameters of the slots, each (S, 1) float32."""

    cfg_weight: Tensor
    repetition_penalty: Tensor
    temperature: Tensor
    min_p: Tensor
    tail: Tensor
    """1 - top_p, subtracted before it is rounded to float32, as upstream does."""

    @classmethod
    def allocate(cls, slots: int, device: torch.device) -> SamplingTensors:
        """Allocate the parameters of `slots` slots, all ones until they are set."""
        return cls(*(torch.ones(slots, 1, device=device) for _ in cls._fields))

    def set_slot(self, slot: int, params: SynthesisParams) -> None:
        """Set the parameters of one slot, without waiting for the device."""
        values = params.cfg_weight, params.repetition_penalty, params.temperature, params.min_p, 1 - params.top_p
        for parameter, value in zip(self, values, strict=True):
            parameter[slot].fill_(value)

    def first_slots(self, slots: int) -> SamplingTensors:
        """Return a view of the first slots."""
        return SamplingTensors(*(parameter[:slots] for parameter in self))


def guide(logits: Tensor, cfg_weight: Tensor) -> Tensor:
    """Combine the rows of each slot, conditional and unconditional. logits: (S, 2, V). Returns (S, V).

    If the weight is 0 the unconditional row, which was never prefilled, does not affect the result at all.
    """
    conditional, unconditional = logits.unbind(dim=1)
    guided = conditional + cfg_weight * (conditional - unconditional)
    return torch.where(cfg_weight > 0, guided, conditional)


def penalize_repetition(logits: Tensor, generated_mask: Tensor, penalty: Tensor) -> Tensor:
    """Make already generated tokens less likely. generated_mask: (S, V) bool. Source: CTRL, arXiv 1909.05858."""
    return torch.where(generated_mask, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def below_min_p(logits: Tensor, min_p: Tensor) -> Tensor:
    """Find tokens less likely than `min_p` times the likeliest. Source: arXiv 2407.01082. Returns (S, V) bool."""
    probs = torch.softmax(logits, dim=-1)
    return probs < min_p * probs.amax(dim=-1, keepdim=True)


def beyond_top_p(logits: Tensor, tail: Tensor) -> Tensor:
    """Find the least likely tokens, `tail` of the probability in total, but never all. Source: arXiv 1904.09751.

    Returns (S, V) bool.
    """
    ascending, order = torch.sort(logits, dim=-1)
    drop = torch.softmax(ascending, dim=-1).cumsum(dim=-1) <= tail
    drop[:, -1].fill_(False)
    return torch.empty_like(drop).scatter_(-1, order, drop)


def needs_top_p(params: SynthesisParams) -> bool:
    """Whether `beyond_top_p` could drop anything that `below_min_p` has left, so that the logits must be sorted.

    At top_p 1 it drops what has a probability of exactly 0. With any min_p that counts, nothing like that is left.
    """
    return params.top_p < 1 or params.min_p < 1e-9


def keep_speech_tokens(logits: Tensor, dropped: Tensor) -> Tensor:
    """Set to -inf what the filters have dropped, and the ids that are neither a speech token nor end of speech.

    The latter come last, so that the filters see what upstream's see and keep the same speech tokens. They may have
    kept none, if an id without a sound was far ahead, so the likeliest of the others always stays.
    """
    likeliest = torch.maximum(logits[:, :SPEECH_TOKENS].amax(dim=-1, keepdim=True), logits[:, EOS, None])
    kept = logits.masked_fill(dropped & (logits < likeliest), -torch.inf)
    kept[:, SPEECH_TOKENS:EOS].fill_(-torch.inf)
    kept[:, EOS + 1 :].fill_(-torch.inf)
    return kept


def probabilities(logits: Tensor, generated_mask: Tensor, params: SamplingTensors, *, top_p: bool = True) -> Tensor:
    """Turn guided logits into the distribution to draw from. logits, generated_mask (bool): (S, V). Returns (S, V).

    top_p: False if no slot `needs_top_p`: the result is the same, without a sort.
    """
    logits = penalize_repetition(logits, generated_mask, params.repetition_penalty)
    logits = logits / params.temperature
    dropped = below_min_p(logits, params.min_p)
    if top_p:
        dropped = dropped | beyond_top_p(logits.masked_fill(dropped, -torch.inf), params.tail)
    return torch.softmax(keep_speech_tokens(logits, dropped), dim=-1)


def sample_token(probs: Tensor, exponential_noise: Tensor) -> Tensor:
    """Draw one id a slot. probs, exponential_noise: (S, V); each slot's noise comes from its own generator.

    Returns (S,) int64, FAILED for a slot whose probabilities are NaN.
    """
    winner = (probs / exponential_noise).argmax(dim=-1)
    return winner.masked_fill_(probs.amax(dim=-1).isnan(), FAILED)
