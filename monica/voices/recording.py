"""The recordings that voices are cloned from, and the names that voices may have."""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monica.engine import Reference
from monica.errors import ConfigError, MonicaError
from monica.voices.phone_recording import container_suffix, decode_phone_recording
from monica.voices.window import PROMPT_S, choose_window

if TYPE_CHECKING:
    # libsndfile and what comes with it take a twentieth of the start of a server, and few servers read a recording.
    import soundfile

DEFAULT_VOICE = "monica"
MIN_SECONDS = 1.0
SILENCE_PEAK = 1e-3
"""Peak (-60 dB) below which a recording holds no voice to clone."""
MIN_RATE, MAX_RATE = 4_000, 384_000
"""Accepted sample rates, in hertz."""
BLOCK_FRAMES = 2**14
ACCEPTED = "WAV, FLAC, Ogg, MP3, AIFF, M4A, MP4, WebM, 3GP, AMR and AAC"
# libsndfile raises RuntimeErrors of its own. Their class is not named, because it is imported only when it is needed.
UNREADABLE = (RuntimeError, OSError, TypeError, ValueError, ZeroDivisionError)
"""What libsndfile's errors are."""

NAME_RULE = "1 to 64 of the letters a to z, digits, - and _, with a letter or a digit first"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

logger = logging.getLogger(__name__)


class BadRecording(MonicaError):
    """A recording that no voice can be cloned from."""

    status, code = 422, "recording_invalid"


def is_voice_name(text: str) -> bool:
    """Tell whether a voice may have this name; NAME_RULE says the same in words."""
    return _NAME.fullmatch(text) is not None


def read_reference(path: Path, max_seconds: float, start_s: float | None = None) -> Reference:
    """Read the recording of REFERENCE_AUDIO. Raises ConfigError, with advice, if it is missing or cannot be used.

    start_s: MONICA_REFERENCE_START_S.
    """
    advice = "Set REFERENCE_AUDIO to a recording of the voice, or to nothing for the model's built-in voice."
    try:
        there = path.is_file()
    except OSError as error:  # for example, no permission to enter its folder
        raise ConfigError(f"REFERENCE_AUDIO={str(path)!r}: it cannot be read, {error.strerror}. {advice}") from error
    if not there:
        raise ConfigError(f"REFERENCE_AUDIO={str(path)!r}: there is no such file. {advice}")
    try:
        return read_recording(path, max_seconds, "reference audio", start_s)
    except BadRecording as error:
        raise ConfigError(f"REFERENCE_AUDIO={str(path)!r}: {error.message} {advice}") from error


def read_recording(path: Path, max_seconds: float, title: str, start_s: float | None = None) -> Reference:
    """Read a recording of any format and channel count as mono, cropped to its first `max_seconds`.

    title: what the log calls it. start_s: where its prompt begins, instead of where it sounds best.
    Raises BadRecording if it is unreadable, too short or silent.
    """
    mono, rate, seconds = read_mono(path, max_seconds)
    used = len(mono) / rate
    if used < MIN_SECONDS:
        raise BadRecording(
            f"A recording of {used:.2f} s is too short: at least {MIN_SECONDS:g} s are needed, "
            "and ten seconds of clear speech or more work best."
        )
    if np.abs(mono).max() < SILENCE_PEAK:
        raise BadRecording(f"Its first {used:.1f} s are silent.")
    if used < seconds:
        logger.info("%s: %s, cropped from %.1f s to %.1f s", title, path.name, seconds, used)
    else:
        logger.info("%s: %s, %.1f s", title, path.name, seconds)
    if start_s is not None and start_s > used - MIN_SECONDS:
        raise BadRecording(f"Only {used:.1f} s of it are used: MONICA_REFERENCE_START_S={start_s:g} is too late.")
    prompt = choose_window(mono, rate, start_s)
    logger.info("%s: its prompt is %s", title, prompt.describe())
    hashed = hashlib.sha256(mono.tobytes() + str(rate).encode())
    if (prompt.start_s, prompt.end_s) != (0.0, min(PROMPT_S, used)):
        # Only then: what was kept in a voice that still begins where it did stays valid.
        hashed.update(f" {prompt.start_s:.2f} {prompt.end_s:.2f}".encode())
    return Reference(mono, rate, hashed.hexdigest(), prompt.start_s, prompt.end_s)


def read_mono(path: Path, max_seconds: float) -> tuple[NDArray[np.float32], int, float]:
    """Read a sound of any format and channel count as mono, cropped to its first `max_seconds`.

    Returns (N,) samples in [-1, 1], their rate, and the seconds of the whole. Raises BadRecording if it is unreadable.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as recording:
            rate, seconds = recording.samplerate, recording.frames / recording.samplerate
            _check_rate(rate)
            mono = _read_mono(recording, int(max_seconds * rate))
    except UNREADABLE:
        try:
            mono, rate, seconds = decode_phone_recording(path, max_seconds, _check_rate)
        except ValueError as error:
            raise BadRecording(f"This is not a recording that can be read. Accepted are {ACCEPTED}.") from error
    if not np.isfinite(mono).all():
        raise BadRecording("It holds samples that are not numbers.")
    return mono, rate, seconds


def suffix_of(path: Path) -> str:
    """Return the file suffix that fits the format of a readable recording."""
    import soundfile

    try:
        return f".{soundfile.info(path).format.lower()}"
    except UNREADABLE:
        return container_suffix(path)


def _check_rate(rate: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BadRecording(f"It has {rate} samples a second, not {MIN_RATE} to {MAX_RATE}.")


def _read_mono(recording: soundfile.SoundFile, frames: int) -> NDArray[np.float32]:
    """Read `frames` frames at most and average their channels: (N, channels) -> (N,)."""
    # A small file may hold hundreds of channels of silence, so it is read block by block. One or two channels are read
    # in one go: soundfile seeks after each block, and an MP3 does not go on from there with the samples it would have.
    size = frames if recording.channels <= 2 else BLOCK_FRAMES
    blocks = []
    while frames > 0 and len(block := recording.read(min(frames, size), dtype="float32", always_2d=True)):
        blocks.append(block.mean(axis=1))
        frames -= len(block)
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)
