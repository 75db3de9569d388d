"""S3Gen's encoder: speech tokens to mu, the conditioning of the flow, by upstream's modules.

A single take at its own length needs no mask: upstream's masks, and the waits they cause on CUDA, are left out.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from monica.engine.torch.linear import Linear


class TokenEncoder:
    """Upstream's CausalMaskedDiffWithXvec, up to its decoder. flow: upstream's, on its device."""

    def __init__(self, flow: Any) -> None:
        self._flow = flow
        ahead = flow.encoder.pre_lookahead_layer
        self._look_ahead = Convolution(ahead.conv1, ahead=ahead.pre_lookahead_len)
        self._look_back, self._up = Convolution(ahead.conv2), Convolution(flow.encoder.up_layer.conv)
        self._no_mask = torch.ones(0, 0, 0, dtype=torch.bool)  # how upstream's attention recognizes that there is none

    def __call__(self, tokens: Tensor) -> Tensor:
        """Encode prompt and take together. tokens: (1, N) int64. Returns mu, (1, 2 N, 80)."""
        encoder = self._flow.encoder
        x, positions, _ = encoder.embed(self._flow.input_embedding(tokens), self._no_mask)  # (1, N, 512)
        x = self._look_back(F.leaky_relu(self._look_ahead(x))) + x
        for layer in encoder.encoders:
            x, *_ = layer(x, self._no_mask, positions)
        x = self._up(x.repeat_interleave(2, dim=1))
        x, positions, _ = encoder.up_embed(x, self._no_mask)  # (1, 2 N, 512)
        for layer in encoder.up_encoders:
            x, *_ = layer(x, self._no_mask, positions)
        mu: Tensor = self._flow.encoder_proj(encoder.after_norm(x))
        return mu


class Convolution:
    """A convolution over time as one matrix product: cuDNN would plan it anew for each length of a take.

    ahead: how many of its taps see later frames; the others see earlier ones and the frame itself.
    """

    def __init__(self, convolution: nn.Conv1d, *, ahead: int = 0) -> None:
        weight = convolution.weight  # (out, in, taps)
        self._taps = weight.size(2)
        self._padding = (0, 0, self._taps - 1 - ahead, ahead)
        self._product = Linear(weight.transpose(1, 2).flatten(1), convolution.bias, rows="many")

    def __call__(self, x: Tensor) -> Tensor:
        """x: (1, T, in). Returns (1, T, out)."""
        windows = F.pad(x, self._padding).unfold(1, self._taps, 1)  # (1, T, in, taps)
        return self._product(windows.transpose(2, 3).flatten(2))
