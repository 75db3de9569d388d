"""What the estimator keeps of the frames of a take, so that later frames can be computed without them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 150
"""Number of its own earlier frames that a take attends to: three seconds, beside the whole prompt of its voice."""

KeyValue = tuple[Tensor, Tensor]
"""The keys and values of an attention layer, (B, heads, T, 64) each."""


class StreamingCache:
    """The earlier frames at one Euler step: the last ones before each convolution, keys and values of each attention.

    prompt: the cache of a voice's prompt, which this take follows. Without it, this is the cache of a prompt.
    Attention here has no positions, so a take's old frames can simply be dropped. The prompt's never are.
    """

    def __init__(self, prompt: StreamingCache | None = None) -> None:
        self._conv_context: dict[object, Tensor] = dict(prompt._conv_context) if prompt else {}
        self._prompt: dict[object, KeyValue] = prompt._own if prompt else {}
        self._own: dict[object, KeyValue] = {}
        self._reach = REACH if prompt else None

    @property
    def contexts(self) -> dict[object, Tensor]:
        """The last frames before each convolution, (B, frames, C), by its layer."""
        return self._conv_context

    @property
    def kv(self) -> dict[object, KeyValue]:
        """The keys and values of each attention layer, without those of the prompt it follows."""
        return self._own

    def prepend_context(self, layer: object, x: Tensor, frames: int) -> Tensor:
        """Put the `frames` frames before x in front of it, zeros at first. x: (B, T, C). Returns (B, frames + T, C)."""
        context = self._conv_context.get(layer)
        padded = F.pad(x, (0, 0, frames, 0)) if context is None else torch.cat([context, x], dim=1)
        self._conv_context[layer] = padded[:, padded.size(1) - frames :].clone()
        return padded

    def append_kv(self, layer: object, keys: Tensor, values: Tensor) -> KeyValue:
        """Append to a layer's keys and values. Returns all that is attended to. keys, values: (B, heads, T, 64)."""
        own = _concatenate(self._own.get(layer), (keys, values))
        self._own[layer] = own if self._reach is None else (_last(own[0], self._reach), _last(own[1], self._reach))
        return _concatenate(self._prompt.get(layer), own)


def _concatenate(earlier: KeyValue | None, later: KeyValue) -> KeyValue:
    if earlier is None:
        return later
    return torch.cat([earlier[0], later[0]], dim=2), torch.cat([earlier[1], later[1]], dim=2)


def _last(tensor: Tensor, frames: int) -> Tensor:
    return tensor[:, :, -frames:].clone()  # a view would keep all of it in memory
