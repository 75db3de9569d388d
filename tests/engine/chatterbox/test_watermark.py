"""The watermark: equal to Perth's, detectable after rounding to 16 bits, and never silently missing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import perth
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from monica.engine import SynthesisParams, speak
from monica.engine.chatterbox import ChatterboxEngine
from monica.engine.chatterbox.watermark import SAMPLE_RATE, Watermark
from monica.errors import ConfigError

from .conftest import TEXT

Samples = NDArray[np.float32]


@pytest.fixture(scope="module", params=[False, True], ids=["as on the CPU", "as on CUDA"])
def watermark(request: pytest.FixtureRequest) -> Watermark:
    return Watermark(products=request.param)


@pytest.fixture(scope="module")
def perths() -> Any:
    return perth.PerthImplicitWatermarker()


@pytest.fixture(scope="module")
def speech(recording: Path) -> Samples:
    """Four seconds of speech that contain a pause of digital silence, at the model's rate."""
    samples, sample_rate = soundfile.read(recording, dtype="float32")
    resampled: Samples = librosa.resample(samples, orig_sr=sample_rate, target_sr=SAMPLE_RATE)[: 100 * 960]
    return resampled


def mark(watermark: Watermark, samples: Samples) -> Samples:
    marked: Samples = watermark.apply(torch.from_numpy(samples)).numpy()
    return marked


def noise(length: int, level: float, seed: int = 0) -> Samples:
    return (level * np.random.default_rng(seed).standard_normal(length)).astype(np.float32)


def in_16_bits(samples: Samples) -> Samples:
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    file.seek(0)
    rounded: Samples = soundfile.read(file, dtype="float32")[0]
    return rounded


def test_a_take_is_still_watermarked_after_rounding_to_16_bits(engine: ChatterboxEngine) -> None:
    take = speak(engine, TEXT, voice="monica", params=SynthesisParams(max_tokens=25), seed=3)
    file = io.BytesIO()
    soundfile.write(file, take, engine.sample_rate, format="WAV", subtype="PCM_16")
    file.seek(0)
    samples, sample_rate = soundfile.read(file, dtype="float32")
    reader = perth.PerthImplicitWatermarker()
    assert reader.get_watermark(samples, sample_rate=sample_rate) == 1.0
    assert Watermark().detect(samples, sample_rate) == 1.0


def test_the_watermark_of_speech_is_detected_after_rounding_to_16_bits(
    watermark: Watermark, perths: Any, speech: Samples
) -> None:
    marked = in_16_bits(mark(watermark, speech))
    assert perths.get_watermark(marked, sample_rate=SAMPLE_RATE) == 1.0
    assert watermark.detect(marked, SAMPLE_RATE) == 1.0


def test_no_watermark_is_detected_in_unmarked_sound(watermark: Watermark, recording: Path) -> None:
    samples, sample_rate = soundfile.read(recording, dtype="float32")
    assert watermark.detect(samples, sample_rate) == 0.0


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_it_keeps_length_and_range(watermark: Watermark, tokens: int) -> None:
    loud = np.sign(np.sin(np.arange(960 * tokens) / 20)).astype(np.float32)
    marked = mark(watermark, loud)
    assert marked.shape == loud.shape
    assert marked.dtype == np.float32
    assert np.abs(marked).max() <= 1
    assert np.abs(marked - loud).max() > 1e-3


@pytest.mark.parametrize("tokens", [1, 2, 7, 50])
@pytest.mark.parametrize("level", [1e-3, 0.1, 0.3])
def test_it_equals_perths_on_noise(watermark: Watermark, perths: Any, tokens: int, level: float) -> None:
    samples = np.clip(noise(960 * tokens, level), -1, 1)
    theirs = perths.apply_watermark(samples, sample_rate=SAMPLE_RATE)
    assert np.abs(theirs - samples).max() > 0.1 * level
    np.testing.assert_allclose(mark(watermark, samples), np.clip(theirs, -1, 1), rtol=0, atol=1e-5 * level)


def test_it_equals_perths_on_speech(watermark: Watermark, perths: Any, speech: Samples) -> None:
    # The noise floor of any recording, and of the model's sound: a third of a step of 16 bits.
    samples = speech + noise(len(speech), 1e-5)
    theirs = perths.apply_watermark(samples, sample_rate=SAMPLE_RATE)
    assert np.abs(theirs - samples).max() > 0.01
    np.testing.assert_allclose(mark(watermark, samples), np.clip(theirs, -1, 1), rtol=0, atol=2e-6)


def test_it_is_close_to_perths_next_to_digital_silence(watermark: Watermark, perths: Any, speech: Samples) -> None:
    """There Perth's network sees the logarithm of soxr's rounding errors, so Perth is not more reproducible either."""
    theirs = perths.apply_watermark(speech, sample_rate=SAMPLE_RATE)
    hissing = perths.apply_watermark(speech + noise(len(speech), 1e-8), sample_rate=SAMPLE_RATE)
    assert np.abs(mark(watermark, speech) - theirs).max() < np.abs(hissing - theirs).max()


def test_it_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    mark(Watermark(), noise(960, 0.1))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == ""


def test_a_missing_perth_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perth, "PerthImplicitWatermarker", None)
    with pytest.raises(ConfigError, match="setuptools"):
        Watermark()


def test_missing_weights_of_perth_are_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("perth.perth_net.PREPACKAGED_MODELS_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match="reinstall resemble-perth"):
        Watermark()
