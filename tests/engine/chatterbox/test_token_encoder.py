"""The encoder: upstream's numbers, however a take is padded, and captured for a few lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monica.engine.chatterbox import token_encoder
from monica.engine.chatterbox.token_encoder import TokenEncoder
from monica.engine.chatterbox.weights import load_s3gen

from .tape import TapeGraphs

TOKENS = torch.randint(6561, (1, 13), generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def flow(checkpoint_dir: Path) -> Any:
    flow = load_s3gen(checkpoint_dir / "s3gen.pt").flow
    flow.encoder.encoders, flow.encoder.up_encoders = flow.encoder.encoders[:2], flow.encoder.up_encoders[:1]
    return flow


@pytest.fixture(scope="module")
def expected(flow: Any) -> Tensor:
    with torch.inference_mode():
        h, _ = flow.encoder(flow.input_embedding(TOKENS), torch.tensor([TOKENS.size(1)]))
        mu: Tensor = flow.encoder_proj(h)
    return mu


@torch.inference_mode()
def test_a_captured_take_equals_upstreams(flow: Any, expected: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its own length, in a bucket, and in a bucket in which a longer take came before it."""
    monkeypatch.setattr(token_encoder, "BUCKETS", range(8, 25, 8))
    graphs = TapeGraphs()
    encoder = TokenEncoder(flow, graphs=graphs)
    torch.testing.assert_close(encoder(TOKENS), expected, atol=1e-5, rtol=0)
    encoder.warm_up()
    assert graphs.names == [f"the encoder of {tokens} tokens" for tokens in (24, 16, 8)]
    torch.testing.assert_close(encoder(TOKENS), expected, atol=1e-5, rtol=0)
    assert encoder(TOKENS.flip(1).repeat(1, 2)[:, :16]).shape == (1, 32, 80)
    torch.testing.assert_close(encoder(TOKENS), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(encoder.encode_ids(TOKENS[0].tolist()), expected, atol=1e-5, rtol=0)
    assert len(graphs.replayed) == 4
    assert encoder(TOKENS.repeat(1, 2)).shape == (1, 52, 80)  # longer than any bucket
    assert encoder.encode_ids([1] * 26).shape == (1, 52, 80)
    assert len(graphs.replayed) == 4
    assert expected.abs().max() > 0.1
