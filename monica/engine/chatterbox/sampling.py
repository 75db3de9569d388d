"""From logits to the next speech token: pure functions, in upstream's order, that wait for no device.

Guidance, repetition penalty, temperature, min-p, top-p, softmax, one draw. The draw is the exponential race of
torch.multinomial, so that the same generator gives the same tokens as upstream.
"""

from __future__ import annotations

import torch
from torch import Tensor

from monica.engine import SynthesisParams

SPEECH_TOKENS = 6561
"""Ids below it are sounds; S3Gen has no embedding for the others."""
BOS, EOS = 6561, 6562
FAILED = -1
"""Drawn where the logits are not numbers."""


def guide(logits: Tensor, cfg_weight: float) -> Tensor:
    """Combine the conditional row 0 and the unconditional row 1. logits: (2, V), or (1, V) without guidance.

    Returns (V,).
    """
    if logits.size(0) == 1:
        return logits[0]
    conditional, unconditional = logits[0], logits[1]
    return conditional + cfg_weight * (conditional - unconditional)


def penalize_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make tokens less likely that were said before. seen: (V,) bool. Source: CTRL, arXiv 1909.05858."""
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def keep_min_p(logits: Tensor, min_p: float) -> Tensor:
    """Drop what is less likely than `min_p` times the likeliest. Source: arXiv 2407.01082."""
    probs = torch.softmax(logits, dim=-1)
    return logits.masked_fill(probs < min_p * probs.amax(), -torch.inf)


def keep_top_p(logits: Tensor, top_p: float) -> Tensor:
    """Keep the likeliest tokens that make up `top_p` together, at least one. Source: arXiv 1904.09751."""
    if top_p >= 1:
        return logits
    ascending, order = torch.sort(logits)
    drop = torch.softmax(ascending, dim=-1).cumsum(dim=-1) <= 1 - top_p
    drop[-1] = False
    return logits.masked_fill(torch.empty_like(drop).scatter_(0, order, drop), -torch.inf)


def keep_sounds(filtered: Tensor, logits: Tensor) -> Tensor:
    """Drop the ids that are neither a sound nor end of speech.

    Done last: the filters then see what upstream's see and keep the same sounds. They may have kept none where an
    id without a sound was far ahead, so the likeliest of the `logits` before the filters always stays.
    """
    ids = torch.arange(logits.size(-1), device=logits.device)
    sayable = (ids < SPEECH_TOKENS) | (ids == EOS)
    likeliest = logits.masked_fill(~sayable, -torch.inf).argmax()
    kept = filtered.masked_fill(~sayable, -torch.inf)
    return torch.where(ids == likeliest, logits, kept)


def probabilities(logits: Tensor, seen: Tensor, params: SynthesisParams) -> Tensor:
    """Turn guided logits into what is drawn from. logits: (V,), seen: (V,) bool. Returns (V,)."""
    logits = penalize_repetition(logits, seen, params.repetition_penalty)
    logits = logits / params.temperature
    filtered = keep_top_p(keep_min_p(logits, params.min_p), params.top_p)
    return torch.softmax(keep_sounds(filtered, logits), dim=-1)


def draw(probs: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one id. probs: (V,). Returns () int64; FAILED where probs are not numbers."""
    race = torch.empty_like(probs).exponential_(1, generator=generator)
    winner = (probs / race).argmax()
    return torch.where(probs.amax().isnan(), FAILED, winner)
