"""S3Gen's encoder: speech tokens to mu, the conditioning of the flow, by upstream's modules.

A single take at its own length needs no mask: upstream's masks, and the waits they cause on CUDA, are left out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class TokenEncoder:
    """Upstream's CausalMaskedDiffWithXvec, up to its decoder. flow: upstream's, on its device."""

    def __init__(self, flow: Any) -> None:
        self._flow = flow
        self._no_mask = torch.ones(0, 0, 0, dtype=torch.bool)  # how upstream's attention recognizes that there is none

    def __call__(self, tokens: Tensor) -> Tensor:
        """Encode prompt and take together. tokens: (1, N) int64. Returns mu, (1, 2 N, 80)."""
        encoder = self._flow.encoder
        x, positions, _ = encoder.embed(self._flow.input_embedding(tokens), self._no_mask)  # (1, N, 512)
        x = encoder.pre_lookahead_layer(x)
        for layer in encoder.encoders:
            x, *_ = layer(x, self._no_mask, positions)
        x, _ = encoder.up_layer(x.transpose(1, 2).contiguous(), 1)
        x, positions, _ = encoder.up_embed(x.transpose(1, 2).contiguous(), self._no_mask)  # (1, 2 N, 512)
        for layer in encoder.up_encoders:
            x, *_ = layer(x, self._no_mask, positions)
        mu: Tensor = self._flow.encoder_proj(encoder.after_norm(x))
        return mu
