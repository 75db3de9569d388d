"""The watermark: there, after 16 bits too, and never quietly missing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import perth
import pytest
import soundfile

from monica.engine import SynthesisParams
from monica.engine.chatterbox import ChatterboxEngine
from monica.engine.chatterbox.watermark import Watermark
from monica.errors import ConfigError

from .conftest import TEXT


def test_a_take_is_marked_after_16_bits_too(engine: ChatterboxEngine) -> None:
    take = engine.synthesize(TEXT, voice="monica", params=SynthesisParams(max_tokens=25), seed=3, check=lambda: None)
    file = io.BytesIO()
    soundfile.write(file, take, engine.sample_rate, format="WAV", subtype="PCM_16")
    file.seek(0)
    samples, sample_rate = soundfile.read(file, dtype="float32")
    reader = perth.PerthImplicitWatermarker()
    assert reader.get_watermark(samples, sample_rate=sample_rate) == 1.0
    assert Watermark().read(samples, sample_rate) == 1.0


def test_unmarked_sound_reads_as_such(recording: Path) -> None:
    samples, sample_rate = soundfile.read(recording, dtype="float32")
    assert Watermark().read(samples, sample_rate) == 0.0


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_it_keeps_length_and_range(tokens: int) -> None:
    loud = np.sign(np.sin(np.arange(960 * tokens) / 20)).astype(np.float32)
    marked = Watermark().apply(loud, 24_000)
    assert marked.shape == loud.shape
    assert marked.dtype == np.float32
    assert np.abs(marked).max() <= 1
    assert not np.array_equal(marked, loud)


def test_it_is_upstreams(capsys: pytest.CaptureFixture[str]) -> None:
    sound = (0.1 * np.random.default_rng(0).standard_normal(9600)).astype(np.float32)
    ours = Watermark().apply(sound, 24_000)
    assert capsys.readouterr().out == ""
    theirs = perth.PerthImplicitWatermarker().apply_watermark(sound, sample_rate=24_000)
    np.testing.assert_array_equal(ours, theirs)


def test_no_perth_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perth, "PerthImplicitWatermarker", None)
    with pytest.raises(ConfigError, match="setuptools"):
        Watermark()


def test_no_weights_of_perth_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("perth.perth_net.PREPACKAGED_MODELS_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match="reinstall resemble-perth"):
        Watermark()
