"""Sound as bytes: WAV out, recordings in."""

from __future__ import annotations

import io
import struct

import numpy as np
import soundfile
from numpy.typing import NDArray


def encode_wav(samples: NDArray[np.float32], sample_rate: int) -> bytes:
    """Encode (N,) mono samples in [-1, 1] as 16-bit PCM WAV; what lies outside is clipped."""
    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def wav_duration(wav: bytes) -> float:
    """Seconds of sound in a WAV that `encode_wav` made: read from its header, for every cached answer needs it."""
    (rate,) = struct.unpack_from("<I", wav, 24)
    (data_bytes,) = struct.unpack_from("<I", wav, 40)
    return data_bytes / 2 / rate
