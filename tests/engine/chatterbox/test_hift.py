"""The vocoder: the same pitch, source and samples as upstream, from the take's own generator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monica.engine.chatterbox.hift import HiFT
from monica.engine.chatterbox.weights import load_s3gen

FRAMES = 12


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    """The dtype of the module, and the default one: upstream makes some tensors without specifying it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.fixture
def upstream_hift(checkpoint_dir: Path, dtype: torch.dtype) -> Any:
    hift = load_s3gen(checkpoint_dir / "s3gen.pt").mel2wav.to(dtype)
    hift.stft_window = hift.stft_window.to(dtype)
    return hift


@pytest.fixture
def mel(dtype: torch.dtype) -> Tensor:
    return torch.randn(1, 80, FRAMES, generator=torch.Generator().manual_seed(2), dtype=dtype)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@torch.inference_mode()
def test_source_and_samples_equal_upstreams(upstream_hift: Any, mel: Tensor, dtype: torch.dtype) -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(7)
        expected, source = upstream_hift.inference(speech_feat=mel)
    f0 = upstream_hift.f0_predictor(mel)
    # Voiced and unvoiced frames, so that harmonics and noise both matter.
    mixed_f0 = torch.where(torch.arange(FRAMES) < 8, f0, torch.zeros_like(f0))
    assert mixed_f0.max() > upstream_hift.m_source.l_sin_gen.voiced_threshold
    pitch = upstream_hift.f0_upsamp(mixed_f0[:, None])
    with torch.random.fork_rng([]):
        torch.manual_seed(7)
        mixed_source, *_ = upstream_hift.m_source(pitch.transpose(1, 2))

    ours = HiFT(upstream_hift)
    within = 1e-9 if dtype == torch.float64 else 1e-5
    samples = ours(mel, seeded())
    assert samples.shape == (1, 480 * FRAMES)
    assert samples.dtype == dtype
    torch.testing.assert_close(ours.predict_f0(mel), f0, atol=within * 100, rtol=0)
    generator = seeded()
    our_mixed_source = ours.make_source(mixed_f0, ours.draw_phase(generator), generator)
    torch.testing.assert_close(our_mixed_source, mixed_source[:, :, 0], atol=within, rtol=0)
    torch.testing.assert_close(ours.vocode(mel, source[:, 0]), expected, atol=within, rtol=0)
    torch.testing.assert_close(samples, expected, atol=within, rtol=0)
    assert samples.abs().max() > 0.01


@pytest.mark.parametrize("dtype", [torch.float32], indirect=True)
@torch.inference_mode()
def test_weight_norms_are_folded(upstream_hift: Any, mel: Tensor) -> None:
    weight = upstream_hift.conv_pre.weight.clone()
    HiFT(upstream_hift)
    names = dict(upstream_hift.state_dict())
    assert not any("parametrizations" in name for name in names)
    assert torch.equal(names["conv_pre.weight"], weight)


@pytest.mark.parametrize("dtype", [torch.float32], indirect=True)
@torch.inference_mode()
def test_noise_comes_from_the_generator(upstream_hift: Any, mel: Tensor) -> None:
    ours = HiFT(upstream_hift)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first = ours(mel, seeded())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(ours(mel, seeded()), first)
    assert not torch.equal(ours(mel, torch.Generator().manual_seed(8)), first)
