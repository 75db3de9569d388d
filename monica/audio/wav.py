"""Writes WAV files, and reads those that it wrote."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32] | NDArray[np.int16]
HEADER_BYTES = 44
"""The length of a header: RIFF, fmt and the head of data. libsndfile writes the same, but would have to be loaded at
the start."""
UNKNOWN_BYTES = 0xFFFFFFFF
"""Bytes of sound in the header of a stream."""


def encode_wav(samples: Samples, sample_rate: int) -> bytes:
    """Encode (N,) mono samples, int16 or float in [-1, 1], as 16-bit PCM WAV. Values outside are clipped."""
    return _write_wav(to_pcm(samples), sample_rate)


def to_pcm(samples: Samples) -> NDArray[np.int16]:
    """Round (N,) samples in [-1, 1] to 16 bits, clipping values outside. 16-bit samples are returned as they are."""
    if samples.dtype == np.int16:
        return cast("NDArray[np.int16]", samples)
    pcm: NDArray[np.int16] = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    return pcm


def wav_stream_header(sample_rate: int) -> bytes:
    """Return the header of a mono 16-bit PCM WAV whose length is not known yet. It ends where the data ends.

    Both sizes are 0xFFFFFFFF, as ffmpeg writes them into a pipe and as OpenAI's speech API sends them
    (github.com/speaches-ai/speaches/issues/493). Browsers and libraries take this as "unknown"
    (github.com/evuraan/yellowShoes/issues/13).
    """
    return _header(sample_rate, UNKNOWN_BYTES)


def wav_duration(wav: bytes) -> float:
    """Return the seconds of sound in a WAV made by `encode_wav`.

    Only the header is read, because every cached answer needs the duration.
    """
    (rate,) = struct.unpack_from("<I", wav, 24)
    (data_bytes,) = struct.unpack_from("<I", wav, 40)
    return float(data_bytes / 2 / rate)


def wav_rate(wav: bytes) -> int:
    """Return the sample rate, in hertz, of a WAV made by `encode_wav`."""
    (rate,) = struct.unpack_from("<I", wav, 24)
    return int(rate)


def wav_pcm(wav: bytes) -> bytes:
    """Return the samples of a WAV made by `encode_wav`: 16 bits, little-endian."""
    return wav[HEADER_BYTES:]


def wav_samples(wav: bytes) -> NDArray[np.float32]:
    """Return the samples of a WAV made by `encode_wav`: (N,) in [-1, 1)."""
    return np.frombuffer(wav_pcm(wav), "<i2").astype(np.float32) / np.float32(32768)


def join_wavs(wavs: list[bytes], pauses_s: Sequence[float]) -> bytes:
    """Join WAVs made by `encode_wav` at one sample rate.

    pauses_s: seconds of silence before the first, between two, and after the last: one more than the WAVs.
    """
    (rate,) = struct.unpack_from("<I", wavs[0], 24)
    parts = [np.zeros(round(pauses_s[0] * rate), np.int16)]
    for wav, pause_s in zip(wavs, pauses_s[1:], strict=True):
        parts += [np.frombuffer(wav, "<i2", offset=HEADER_BYTES), np.zeros(round(pause_s * rate), np.int16)]
    return _write_wav(np.concatenate(parts), rate)


def _write_wav(pcm: NDArray[np.int16], sample_rate: int) -> bytes:
    return _header(sample_rate, 2 * len(pcm)) + pcm.astype("<i2", copy=False).tobytes()


def _header(sample_rate: int, sound_bytes: int) -> bytes:
    file_bytes = UNKNOWN_BYTES if sound_bytes == UNKNOWN_BYTES else HEADER_BYTES - 8 + sound_bytes
    form = (16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)  # bytes of fmt, PCM, channels, rate, bytes/s, align, bits
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", file_bytes, b"WAVE", b"fmt ", *form, b"data", sound_bytes)
