"""What the estimator has heard of a take before: with it, frames that follow are computed without those before them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 150
"""Frames of its own before it that a take attends to, three seconds, beside the whole prompt of its voice."""

Heard = tuple[Tensor, Tensor]
"""Keys and values. (B, heads, T, 64) each."""


class Past:
    """What went before at one Euler step: the last frames into each convolution, keys and values of each attention.

    prompt: the past of a voice's prompt, where this one begins; without it, this is one.
    Attention knows no places here: what a take heard long ago is simply forgotten, what its voice said never is.
    """

    def __init__(self, prompt: Past | None = None) -> None:
        self._tails: dict[object, Tensor] = dict(prompt._tails) if prompt else {}
        self._prompt: dict[object, Heard] = prompt._own if prompt else {}
        self._own: dict[object, Heard] = {}
        self._reach = REACH if prompt else None

    def lead(self, layer: object, x: Tensor, frames: int) -> Tensor:
        """Put the `frames` before x in front of it: nothing at first. x: (B, T, C). Returns (B, frames + T, C)."""
        before = self._tails.get(layer)
        led = F.pad(x, (0, 0, frames, 0)) if before is None else torch.cat([before, x], dim=1)
        self._tails[layer] = led[:, led.size(1) - frames :].clone()
        return led

    def join(self, layer: object, keys: Tensor, values: Tensor) -> Heard:
        """Return all that is attended to, these at its end. keys, values: (B, heads, T, 64)."""
        own = _after(self._own.get(layer), (keys, values))
        self._own[layer] = own if self._reach is None else (_last(own[0], self._reach), _last(own[1], self._reach))
        return _after(self._prompt.get(layer), own)


def _after(before: Heard | None, heard: Heard) -> Heard:
    if before is None:
        return heard
    return torch.cat([before[0], heard[0]], dim=2), torch.cat([before[1], heard[1]], dim=2)


def _last(heard: Tensor, frames: int) -> Tensor:
    return heard[:, :, -frames:].clone()  # or all of it would stay in memory
