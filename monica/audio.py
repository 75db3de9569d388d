"""Sound as bytes: WAV out, recordings in."""

from __future__ import annotations

import io
import struct

import numpy as np
import soundfile
from numpy.typing import NDArray

HEADER_BYTES = 44  # RIFF, fmt and the head of data: all that libsndfile writes for 16-bit PCM


def encode_wav(samples: NDArray[np.float32], sample_rate: int) -> bytes:
    """Encode (N,) mono samples in [-1, 1] as 16-bit PCM WAV; what lies outside is clipped."""
    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    return _write(pcm, sample_rate)


def wav_duration(wav: bytes) -> float:
    """Seconds of sound in a WAV that `encode_wav` made: read from its header, for every cached answer needs it."""
    (rate,) = struct.unpack_from("<I", wav, 24)
    (data_bytes,) = struct.unpack_from("<I", wav, 40)
    return float(data_bytes / 2 / rate)


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
