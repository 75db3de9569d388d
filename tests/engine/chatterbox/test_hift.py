"""The vocoder: the same pitch, source and samples as upstream, from the take's own generator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monica.engine.chatterbox.hift import PITCH_REACH, TILES, VOCODER_REACH, HiFT, tile
from monica.engine.chatterbox.resblocks import fold, frequency, snake
from monica.engine.chatterbox.spectrum import Spectrum
from monica.engine.chatterbox.weights import load_s3gen

from .tape import TapeGraphs

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


@pytest.mark.parametrize("fused", [False, True], ids=["as on the CPU", "as on CUDA"])
@torch.inference_mode()
def test_source_and_samples_equal_upstreams(upstream_hift: Any, mel: Tensor, dtype: torch.dtype, fused: bool) -> None:
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

    ours = HiFT(upstream_hift, fused=fused)
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


@pytest.mark.parametrize("reach", [PITCH_REACH, VOCODER_REACH])
def test_tiles_cover_every_length_with_a_few_lengths(reach: int) -> None:
    lengths = set()
    for length in range(1, 1200):
        end = 0
        parts = list(tile(length, reach))
        for start, stop, done, until in parts:
            lengths.add(stop - start)
            assert done == end < until <= stop <= length
            assert start == 0 or done - start >= reach
            assert stop == length or stop - until >= reach
            end = until
        assert end == length
        if length >= TILES[-1]:
            assert sum(stop - start for start, stop, _, _ in parts) < 1.5 * length
    assert lengths <= {*TILES, *range(1, TILES[0])}


@pytest.mark.parametrize("dtype", [torch.float64], indirect=True)
@pytest.mark.parametrize("frames", [45, 70])
@torch.inference_mode()
def test_sound_made_in_tiles_equals_the_whole(
    upstream_hift: Any, dtype: torch.dtype, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = HiFT(upstream_hift, fused=True)
    mel = torch.randn(1, 80, frames, generator=seeded(), dtype=dtype)
    lengths = []
    vocode = HiFT.vocode_tiles

    def recorded(self: HiFT, mel: Tensor, source: Tensor) -> Tensor:
        lengths.append(mel.size(2))
        return vocode(self, mel, source)

    monkeypatch.setattr(HiFT, "vocode_tiles", recorded)
    tiled = ours(mel, seeded())
    assert len(lengths) > 1
    assert set(lengths) <= set(TILES)
    monkeypatch.setattr(ours, "_fused", False)
    expected = ours(mel, seeded())
    assert lengths[-1] == frames
    torch.testing.assert_close(tiled, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("kind", "within"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_transforms_as_products_equal_torchs(kind: torch.dtype, within: float) -> None:
    window = torch.hann_window(16, dtype=kind)
    sound = torch.randn(1, 480, generator=seeded(), dtype=kind)
    expected = torch.view_as_real(torch.stft(sound, 16, 4, window=window, return_complex=True))
    ours = Spectrum(window).analyse(sound)
    torch.testing.assert_close(ours, torch.cat([expected[..., 0], expected[..., 1]], dim=1), atol=within, rtol=0)
    magnitude, phase = (torch.rand(1, 9, 121, generator=seeded(), dtype=kind) * scale for scale in (2, 6))
    back = torch.istft(torch.polar(magnitude, phase), 16, 4, window=window)
    torch.testing.assert_close(Spectrum(window).synthesize(magnitude, phase), back, atol=within, rtol=0)


def test_a_snake_that_does_nothing_does_nothing_when_folded() -> None:
    class Upstream:
        alpha, no_div_by_zero = torch.tensor([0.0, 2.0]), 1e-9

    before, after = torch.nn.Conv1d(2, 2, 1), torch.nn.Conv1d(2, 2, 1)
    x = torch.randn(1, 2, 50, generator=seeded())
    with torch.no_grad():
        y = before(x)
        a = Upstream.alpha[:, None]
        expected = after(y + torch.sin(a * y).square() / (a + Upstream.no_div_by_zero))
        one, found = torch.ones(2), frequency(Upstream)
        fold(before, one, found)
        fold(after, found, one)
        [folded] = snake([before(x)])
        torch.testing.assert_close(after(folded), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64], indirect=True)
@torch.inference_mode()
def test_captured_tiles_equal_eager_ones(
    upstream_hift: Any, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sounds in turn, of two tiles and of three: what one has left in the buffers changes nothing in the other."""
    monkeypatch.setattr("monica.engine.chatterbox.hift.TILES", (32,))
    graphs = TapeGraphs()
    captured = HiFT(upstream_hift, fused=True, graphs=graphs)
    mels = [torch.randn(1, 80, frames, generator=seeded(), dtype=dtype) for frames in (35, 33)]
    expected = [captured(mel, seeded()) for mel in mels]
    captured.warm_up()
    pair, single = "the sound of 2 times 32 frames", "the sound of 32 frames"
    assert [name for name in graphs.names if "sound" in name] == [pair, single]
    assert graphs.replayed == []
    for mel, sound in zip(mels, expected, strict=True):
        torch.testing.assert_close(captured(mel, seeded()), sound, atol=1e-9, rtol=0)
    assert [name for name in graphs.replayed if "sound" in name] == [pair, single, pair]
