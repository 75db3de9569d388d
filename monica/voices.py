"""A voice: its name and the reference recording it is cloned from. A bad recording stops the start-up."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import soundfile

from monica.engine import Reference
from monica.errors import ConfigError

DEFAULT_VOICE = "monica"
SHORTEST_S = 1.0
SILENCE_PEAK = 1e-3  # -60 dB: below it there is no voice to clone

logger = logging.getLogger(__name__)


def read_reference(path: Path, max_seconds: float) -> Reference:
    """Read a recording of any format, rate and channel count as mono, cropped to its first seconds.

    Raises ConfigError, saying what to do, where the recording is missing, unreadable, too short or silent.
    """
    advice = "Set REFERENCE_AUDIO to a recording of the voice, or to nothing for the model's built-in voice."
    if not path.is_file():
        raise ConfigError(f"REFERENCE_AUDIO={str(path)!r}: there is no such file. {advice}")
    try:
        with soundfile.SoundFile(path) as recording:
            rate, seconds = recording.samplerate, recording.frames / recording.samplerate
            samples = recording.read(int(max_seconds * rate), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, ZeroDivisionError) as error:
        raise ConfigError(f"REFERENCE_AUDIO={str(path)!r}: not a recording that can be read. {advice}") from error
    mono = np.ascontiguousarray(samples.mean(axis=1))  # (N, channels) -> (N,)
    if not np.isfinite(mono).all():
        raise ConfigError(f"REFERENCE_AUDIO={str(path)!r}: holds samples that are not numbers. {advice}")
    used = len(mono) / rate
    if used < SHORTEST_S:
        raise ConfigError(
            f"REFERENCE_AUDIO={str(path)!r}: {used:.2f} s is too short, at least {SHORTEST_S:g} s are needed; "
            "ten seconds of clear speech or more do best."
        )
    if np.abs(mono).max() < SILENCE_PEAK:
        raise ConfigError(f"REFERENCE_AUDIO={str(path)!r}: its first {used:.1f} s are silent. {advice}")
    if used < seconds:
        logger.info("reference audio: %s, cropped from %.1f s to %.1f s", path.name, seconds, used)
    else:
        logger.info("reference audio: %s, %.1f s", path.name, seconds)
    digest = hashlib.sha256(mono.tobytes() + str(rate).encode()).hexdigest()
    return Reference(samples=mono, sample_rate=rate, digest=digest)
