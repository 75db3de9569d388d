"""The resampler: equal to librosa's, at every length."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monica.engine.torch.resample import Resampler

RATES = [(24_000, 32_000), (32_000, 24_000)]
RESAMPLERS = {rates: Resampler(*rates) for rates in RATES}


def check(samples: NDArray[np.float32], rates: tuple[int, int], atol: float) -> None:
    """Compare our resampling with librosa's, without the last sample if soxr makes one less."""
    orig_sr, target_sr = rates
    theirs = librosa.resample(samples, orig_sr=orig_sr, target_sr=target_sr)
    ours = RESAMPLERS[rates](torch.from_numpy(samples)).numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    made = int(len(samples) * target_sr / orig_sr + 0.5)
    np.testing.assert_allclose(ours[:made], theirs[:made], rtol=0, atol=atol)


@pytest.mark.parametrize("rates", RATES)
@given(length=st.integers(1, 5000), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_noise_of_any_length(rates: tuple[int, int], length: int, seed: int) -> None:
    # Full strength up to the edges: here it matters what soxr assumes outside the sound.
    check((0.1 * np.random.default_rng(seed).standard_normal(length)).astype(np.float32), rates, atol=1e-6)


@pytest.mark.parametrize("rates", RATES)
def test_the_loudest_sound(rates: tuple[int, int]) -> None:
    # It reaches 2.3 between the samples; soxr and we both round to float32.
    check(np.sign(np.random.default_rng(0).standard_normal(48_000)).astype(np.float32), rates, atol=5e-6)


@pytest.mark.parametrize("rates", RATES)
def test_speech(rates: tuple[int, int], request: pytest.FixtureRequest) -> None:
    samples, _ = soundfile.read(request.getfixturevalue("recording"), dtype="float32")
    check(samples, rates, atol=2e-6)


@pytest.mark.parametrize("rates", RATES)
def test_the_tolerance_tells_other_filters_apart(rates: tuple[int, int]) -> None:
    """Show what a tolerance of 1e-6 is worth: another good resampler is a thousand times farther off."""
    import torchaudio

    orig_sr, target_sr = rates
    noise = torch.from_numpy((0.1 * np.random.default_rng(0).standard_normal(9600)).astype(np.float32))
    other = torchaudio.functional.resample(noise, orig_sr, target_sr, lowpass_filter_width=64)
    assert (RESAMPLERS[rates](noise) - other).abs().max() > 1e-3
