"""S3Gen's encoder: speech tokens to mu, the conditioning of the flow, by upstream's modules.

A single take at its own length needs no mask: upstream's masks, and the waits they cause on CUDA, are left out. In a
captured graph, whose size is fixed, a mask hides what follows the take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.torch.captured import CapturedFunction, upload
from monica.engine.torch.convolution import Convolution
from monica.engine.torch.graphs import Graphs

BUCKETS = range(64, 1280 + 1, 64)
"""Numbers of tokens, prompt and take together, that the encoder is captured for. Longer takes run kernel by kernel."""
EXAMPLE_PADDING = 7
"""Tokens of a bucket that the self-test leaves unused."""


class TokenEncoder:
    """Upstream's CausalMaskedDiffWithXvec, up to its decoder.

    flow: upstream's, on its device. graphs: captures the encoder on CUDA.
    """

    def __init__(self, flow: Any, *, graphs: Graphs | None = None) -> None:
        self._flow = flow
        self._graphs = graphs
        self.captured: dict[int, CapturedFunction] = {}
        ahead = flow.encoder.pre_lookahead_layer
        self._look_ahead = Convolution(ahead.conv1, ahead=ahead.pre_lookahead_len)
        self._look_back, self._up = Convolution(ahead.conv2), Convolution(flow.encoder.up_layer.conv)
        self._no_mask = torch.ones(0, 0, 0, dtype=torch.bool)  # how upstream's attention recognizes that there is none

    def __call__(self, tokens: Tensor) -> Tensor:
        """Encode prompt and take together. tokens: (1, N) int64. Returns mu, (1, 2 N, 80)."""
        count = tokens.size(1)
        bucket = self._bucket(count)
        if bucket is None:
            return self._encode(tokens)
        padded = F.pad(tokens[0], (0, bucket - count))
        return self.captured[bucket](torch.cat([padded, tokens.new_full((1,), count)]))[:, : 2 * count]

    def encode_ids(self, ids: Sequence[int]) -> Tensor:
        """Do the same with N ids that are on the host."""
        count = len(ids)
        bucket = self._bucket(count)
        if bucket is None:
            return self._encode(torch.tensor(ids, device=self._flow.input_embedding.weight.device)[None])
        captured = self.captured[bucket]
        upload([*ids, *[0] * (bucket - count), count], captured.inputs[0])
        return captured.run()[:, : 2 * count]

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Capture the encoder for every bucket, the largest first: the smaller ones then fit into its memory."""
        device = self._flow.input_embedding.weight.device
        for bucket in reversed(BUCKETS):
            if self._graphs is not None and self._graphs.available:
                example = torch.arange(bucket + 1, device=device)
                example[-1:].fill_(bucket - EXAMPLE_PADDING)
                name = f"the encoder of {bucket} tokens"
                self.captured[bucket] = CapturedFunction(self._graphs, name, self._encode_padded, [example])

    def _bucket(self, count: int) -> int | None:
        return next((bucket for bucket in BUCKETS if bucket >= count and bucket in self.captured), None)

    def _encode_padded(self, tokens: Tensor) -> Tensor:
        """tokens: (bucket + 1,), the last of which is the number of those before it that are encoded."""
        tokens, count = tokens[:-1], tokens[-1:]
        positions = torch.arange(2 * tokens.size(0), device=tokens.device)
        return self._encode(tokens[None], (positions < 2 * count)[None, None])

    def _encode(self, tokens: Tensor, frames: Tensor | None = None) -> Tensor:
        """frames: (1, 1, 2 N) bool, which frames are the take's; None if all of them are."""
        encoder = self._flow.encoder
        no_mask = self._no_mask
        x, positions, _ = encoder.embed(self._flow.input_embedding(tokens), no_mask)  # (1, N, 512)
        token_mask = frame_mask = no_mask
        if frames is not None:
            token_mask, frame_mask = frames[..., ::2], frames
            x = x * token_mask.transpose(1, 2)  # the look-ahead of the last tokens sees zeros
        x = self._look_back(F.leaky_relu(self._look_ahead(x))) + x
        for layer in encoder.encoders:
            x, *_ = layer(x, token_mask, positions)
        x = self._up(x.repeat_interleave(2, dim=1))
        x, positions, _ = encoder.up_embed(x, no_mask)  # (1, 2 N, 512)
        for layer in encoder.up_encoders:
            x, *_ = layer(x, frame_mask, positions)
        mu: Tensor = self._flow.encoder_proj(encoder.after_norm(x))
        return mu
