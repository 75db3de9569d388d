"""The end of a take: all tokens are synthesized, and the last one is not heard, as in upstream's newest head."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.single_take import run_passes
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.model import Model
from monica.engine.chatterbox.s3gen import Token2Wav, kept_samples
from monica.engine.chatterbox.streaming import StreamingToken2Wav
from monica.engine.chatterbox.watermark import Watermark

from .test_hift import seeded
from .test_s3gen import TOKENS

SAMPLE_RATE, TOKEN_RATE = 24_000, 25


def end_as_upstream(wav: Tensor, speech_tokens: Tensor) -> Tensor:
    """Cut a take as `generate` in upstream's mtl_tts.py does at 5de7a54."""
    st_len = max(1, int(speech_tokens.shape[-1]) - 1)
    return wav[: st_len * (SAMPLE_RATE // TOKEN_RATE)]


@pytest.fixture
def unmarked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the watermark out: it has tests of its own, and upstream applies it after the cut, too."""
    monkeypatch.setattr(Watermark, "apply", lambda self, samples: samples)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_a_whole_take_ends_as_upstreams(
    model: Model, voice: Conditionals, upstream: Any, two_steps: None, unmarked: None, count: int
) -> None:
    tokens = TOKENS[:count]
    with torch.random.fork_rng([]):
        torch.manual_seed(7)
        wav, _ = upstream.s3gen.inference(tokens, ref_dict=dict(upstream.conds.gen), n_cfm_timesteps=2)
    samples = run_passes(model.synthesize(tokens.tolist(), voice, 7))
    np.testing.assert_allclose(samples, end_as_upstream(wav[0], tokens).numpy(), atol=1e-5)
    assert np.abs(samples).max() > 0.01


def test_a_stream_ends_as_upstreams(
    token2wav: Token2Wav, voice: Conditionals, upstream: Any, two_steps: None, unmarked: None
) -> None:
    """Upstream's vocoder on the mel of all tokens, then upstream's cut. The mel of a stream has tests of its own."""
    tokens = [(7 * i) % 6561 for i in range(1, 44)]
    stream = StreamingToken2Wav(token2wav, Watermark()).start_stream(voice, seeded())
    chunks = [run_passes(stream.synthesize_hop(tokens[:end], last=end == 43)) for end in (32, 43)]
    assert stream._mel.shape == (1, 80, 2 * len(tokens))
    with torch.inference_mode():
        wav = upstream.s3gen.mel2wav.decode(stream._mel, stream._source[:, None])[0]
        wav[: len(upstream.s3gen.trim_fade)] *= upstream.s3gen.trim_fade
    expected = end_as_upstream(wav, torch.tensor(tokens))
    np.testing.assert_allclose(np.concatenate(chunks), expected.numpy(), atol=1e-5)


def test_one_token_is_always_heard() -> None:
    assert [kept_samples(count) for count in (1, 2, 3, 1000)] == [960, 960, 1920, 959_040]
