"""A voice: its name and the recording it is cloned from."""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from monica.engine import Reference
from monica.errors import ConfigError, MonicaError

DEFAULT_VOICE = "monica"
SHORTEST_S = 1.0
SILENCE_PEAK = 1e-3  # -60 dB: below it there is no voice to clone
LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000  # hertz
PIECE = 2**14  # frames

NAMES = "1 to 64 of the letters a to z, digits, - and _, with a letter or a digit first"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

logger = logging.getLogger(__name__)


class BadRecording(MonicaError):
    """A recording that no voice can be cloned from."""

    status, code = 422, "recording_invalid"


def is_name(text: str) -> bool:
    """Tell whether a voice can be called so."""
    return _NAME.fullmatch(text) is not None


def read_reference(path: Path, max_seconds: float) -> Reference:
    """Read the recording of REFERENCE_AUDIO. Raises ConfigError, saying what to do, where it is missing or bad."""
    advice = "Set REFERENCE_AUDIO to a recording of the voice, or to nothing for the model's built-in voice."
    try:
        there = path.is_file()
    except OSError as error:  # its folder may not be entered
        raise ConfigError(f"REFERENCE_AUDIO={str(path)!r}: it cannot be read, {error.strerror}. {advice}") from error
    if not there:
        raise ConfigError(f"REFERENCE_AUDIO={str(path)!r}: there is no such file. {advice}")
    try:
        return read_recording(path, max_seconds, "reference audio")
    except BadRecording as error:
        raise ConfigError(f"REFERENCE_AUDIO={str(path)!r}: {error.message} {advice}") from error


def read_recording(path: Path, max_seconds: float, title: str) -> Reference:
    """Read a recording of any format and channel count as mono, cropped to its first seconds.

    title: what it is, for the log. Raises BadRecording where it is unreadable, too short or silent.
    """
    try:
        with soundfile.SoundFile(path) as recording:
            rate, seconds = recording.samplerate, recording.frames / recording.samplerate
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise BadRecording(f"It has {rate} samples a second, not {LOWEST_RATE} to {HIGHEST_RATE}.")
            mono = _read_mono(recording, int(max_seconds * rate))
    except (soundfile.SoundFileError, OSError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BadRecording("This is not a recording that can be read.") from error
    if not np.isfinite(mono).all():
        raise BadRecording("It holds samples that are not numbers.")
    used = len(mono) / rate
    if used < SHORTEST_S:
        raise BadRecording(
            f"A recording of {used:.2f} s is too short, at least {SHORTEST_S:g} s are needed; "
            "ten seconds of clear speech or more do best."
        )
    if np.abs(mono).max() < SILENCE_PEAK:
        raise BadRecording(f"Its first {used:.1f} s are silent.")
    if used < seconds:
        logger.info("%s: %s, cropped from %.1f s to %.1f s", title, path.name, seconds, used)
    else:
        logger.info("%s: %s, %.1f s", title, path.name, seconds)
    digest = hashlib.sha256(mono.tobytes() + str(rate).encode()).hexdigest()
    return Reference(samples=mono, sample_rate=rate, digest=digest)


def suffix_of(path: Path) -> str:
    """Return the suffix that belongs to what a readable recording holds."""
    return f".{soundfile.info(path).format.lower()}"


def _read_mono(recording: soundfile.SoundFile, frames: int) -> NDArray[np.float32]:
    """Read so many frames at most. (N, channels) -> (N,)."""
    # A small file may hold hundreds of channels of silence. Two are read at once: after each piece soundfile seeks,
    # and from there an MP3 does not go on as it would have.
    size = frames if recording.channels <= 2 else PIECE
    pieces = []
    while frames > 0 and len(piece := recording.read(min(frames, size), dtype="float32", always_2d=True)):
        pieces.append(piece.mean(axis=1))
        frames -= len(piece)
    return np.concatenate(pieces) if pieces else np.empty(0, np.float32)
