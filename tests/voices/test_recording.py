"""Reading the recordings that voices are cloned from, and the names voices may have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from monica.errors import ConfigError
from monica.voices.recording import is_voice_name, read_reference


def tone(seconds: float, rate: int = 16_000) -> NDArray[np.float64]:
    return 0.3 * np.sin(2 * np.pi * 200 * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize(
    ("suffix", "rate", "subtype"),
    [("wav", 8_000, "PCM_16"), ("wav", 48_000, "FLOAT"), ("wav", 44_100, "PCM_24"), ("flac", 22_050, "PCM_16"),
     ("ogg", 16_000, "VORBIS"), ("mp3", 32_000, "MPEG_LAYER_III")],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 2])
def test_any_format_rate_and_channel_count_is_read(
    tmp_path: Path, suffix: str, rate: int, subtype: str, channels: int
) -> None:
    path = tmp_path / f"voice.{suffix}"
    soundfile.write(path, np.stack([tone(2, rate)] * channels, axis=1), rate, subtype=subtype)
    reference = read_reference(path, 120)
    assert (reference.sample_rate, reference.samples.dtype.name, reference.samples.ndim) == (rate, "float32", 1)
    assert len(reference.samples) == pytest.approx(2 * rate, rel=0.05)
    assert np.abs(reference.samples).max() == pytest.approx(0.3, abs=0.05)


def test_a_long_recording_is_cropped_to_its_first_seconds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "voice.wav"
    soundfile.write(path, np.concatenate([tone(3), np.zeros(16_000 * 2)]), 16_000)
    with caplog.at_level("INFO"):
        reference = read_reference(path, 3)
    assert len(reference.samples) == 3 * 16_000
    assert "reference audio: voice.wav, cropped from 5.0 s to 3.0 s" in caplog.text


def test_the_digest_depends_on_the_samples_and_the_crop_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "one.wav", tmp_path / "other.wav"
    soundfile.write(one, tone(4), 16_000)
    soundfile.write(other, tone(4), 16_000)
    assert read_reference(one, 120).digest == read_reference(other, 120).digest
    assert read_reference(one, 120).digest != read_reference(one, 3).digest
    soundfile.write(other, tone(4) * 0.5, 16_000)
    assert read_reference(one, 120).digest != read_reference(other, 120).digest


def _not_audio(path: Path) -> None:
    path.write_text("this is not a recording")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _short(path: Path) -> None:
    soundfile.write(path, tone(0.5), 16_000)


def _silent(path: Path) -> None:
    soundfile.write(path, np.zeros(32_000), 16_000)


def _no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 16_000)


def _not_numbers(path: Path) -> None:
    soundfile.write(path, np.full(32_000, np.nan), 16_000, subtype="FLOAT")


def _slow(path: Path) -> None:
    soundfile.write(path, tone(20, 1_000), 1_000)


def _fast(path: Path) -> None:
    soundfile.write(path, tone(2, 500_000), 500_000)


def _folder(path: Path) -> None:
    path.mkdir()


def test_a_recording_whose_file_cannot_be_examined() -> None:
    """Like one in a folder without permission to enter."""
    with pytest.raises(ConfigError, match=r"REFERENCE_AUDIO=.*: it cannot be read, File name too long"):
        read_reference(Path("x" * 300), 10)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (None, "there is no such file"),
        (_folder, "there is no such file"),
        (_not_audio, "not a recording that can be read"),
        (_empty, "not a recording that can be read"),
        (_no_samples, "too short"),
        (_short, "0.50 s is too short: at least 1 s"),
        (_silent, "silent"),
        (_not_numbers, "not numbers"),
        (_slow, "It has 1000 samples a second, not 4000 to 384000."),
        (_fast, "It has 500000 samples a second"),
    ],
)
def test_a_bad_recording_says_what_to_do(tmp_path: Path, make: object, says: str) -> None:
    path = tmp_path / "voice.wav"
    if callable(make):
        make(path)
    with pytest.raises(ConfigError, match=r"^REFERENCE_AUDIO=") as caught:
        read_reference(path, 120)
    assert says in str(caught.value)


def test_many_channels_are_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "voice.wav"
    soundfile.write(path, np.stack([tone(2)] * 200, axis=1), 16_000)
    whole = read_reference(path, 120)
    monkeypatch.setattr("monica.voices.recording.BLOCK_FRAMES", 1_000)
    in_blocks = read_reference(path, 120)
    assert in_blocks.digest == whole.digest
    assert len(read_reference(path, 1.5).samples) == 24_000


@pytest.mark.parametrize("name", ["a", "0", "anna", "anna-2", "luc_b", "x" * 64])
def test_a_valid_voice_name(name: str) -> None:
    assert is_voice_name(name)


@pytest.mark.parametrize("name", ["", "-a", "_a", "A", "é", "a b", "a.b", "a/b", "..", "a\n", "a\0", "x" * 65, "٣"])
def test_an_invalid_voice_name(name: str) -> None:
    assert not is_voice_name(name)
