"""WAV files, compared with libsndfile's."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import soundfile

from monica.audio.wav import encode_wav, join_wavs, wav_duration, wav_pcm, wav_rate
from tests.support.sounds import noise


def by_libsndfile(samples: Any, rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


@pytest.mark.parametrize("length", [0, 1, 2, 999, 48_000])
@pytest.mark.parametrize("rate", [8000, 22_050, 24_000, 48_000])
def test_file_is_what_libsndfile_writes(length: int, rate: int) -> None:
    samples = np.rint(noise(1, 48_000, 0.2)[:length] * 32768).astype(np.int16)
    wav = encode_wav(samples, rate)
    assert wav == by_libsndfile(samples, rate)
    assert (wav_rate(wav), wav_duration(wav), wav_pcm(wav)) == (rate, length / rate, samples.tobytes())


def test_samples_outside_the_range_are_clipped() -> None:
    pcm = np.frombuffer(wav_pcm(encode_wav(np.array([-2, -1, 0, 1, 2], np.float32), 8000)), "<i2")
    assert pcm.tolist() == [-32768, -32768, 0, 32767, 32767]


def test_joined_files_are_one_file() -> None:
    one, other = (encode_wav(noise(0.1, 8000), 8000), encode_wav(noise(0.2, 8000), 8000))
    joined = join_wavs([one, other], [0.0, 0.5, 0.25])
    samples, rate = soundfile.read(io.BytesIO(joined), dtype="int16")
    assert (rate, len(samples)) == (8000, 800 + 4000 + 1600 + 2000)
    assert joined == by_libsndfile(samples, rate)
