"""Sound as bytes: WAV out, recordings in."""

from __future__ import annotations

import io
import struct
from typing import cast

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32] | NDArray[np.int16]
HEADER_BYTES = 44  # RIFF, fmt and the head of data: all that libsndfile writes for 16-bit PCM


def encode_wav(samples: Samples, sample_rate: int) -> bytes:
    """Encode (N,) mono samples, int16 or float in [-1, 1], as 16-bit PCM WAV; what lies outside is clipped."""
    return _write(to_pcm(samples), sample_rate)


def to_pcm(samples: Samples) -> NDArray[np.int16]:
    """Round (N,) samples in [-1, 1] to 16 bits; what lies outside is clipped. Those of 16 bits stay as they are."""
    if samples.dtype == np.int16:
        return cast("NDArray[np.int16]", samples)
    pcm: NDArray[np.int16] = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    return pcm


def wav_stream_header(sample_rate: int) -> bytes:
    """Return the head of a mono 16-bit PCM WAV whose length is not known yet, and which ends where it ends.

    Both sizes are 0xFFFFFFFF: what ffmpeg writes into a pipe and OpenAI's speech API sends
    (github.com/speaches-ai/speaches/issues/493); browsers and libraries know it for "unknown"
    (github.com/evuraan/yellowShoes/issues/13).
    """
    unknown = 0xFFFFFFFF
    form = (16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)  # bytes of fmt, PCM, channels, rate, bytes/s, align, bits
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", unknown, b"WAVE", b"fmt ", *form, b"data", unknown)


def wav_duration(wav: bytes) -> float:
    """Seconds of sound in a WAV that `encode_wav` made: read from its header, for every cached answer needs it."""
    (rate,) = struct.unpack_from("<I", wav, 24)
    (data_bytes,) = struct.unpack_from("<I", wav, 40)
    return float(data_bytes / 2 / rate)


def wav_rate(wav: bytes) -> int:
    """Hertz of a WAV that `encode_wav` made."""
    (rate,) = struct.unpack_from("<I", wav, 24)
    return int(rate)


def wav_pcm(wav: bytes) -> bytes:
    """Return the samples of a WAV that `encode_wav` made: 16 bits, little-endian."""
    return wav[HEADER_BYTES:]


def join_wavs(wavs: list[bytes], pause_s: float) -> bytes:
    """Put WAVs that `encode_wav` made at one rate behind each other, `pause_s` seconds of silence between them."""
    (rate,) = struct.unpack_from("<I", wavs[0], 24)
    silence = np.zeros(round(pause_s * rate), np.int16)
    parts = [silence] * (2 * len(wavs) - 1)
    parts[::2] = [np.frombuffer(wav, "<i2", offset=HEADER_BYTES) for wav in wavs]
    return _write(np.concatenate(parts), rate)


def _write(pcm: NDArray[np.int16], sample_rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
