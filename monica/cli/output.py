"""Writes the sound that a command was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from monica.cli.group import fail

if TYPE_CHECKING:
    from monica.audio.formats import Format

FORMAT_HELP = ", in the format of its suffix; - for a WAV on standard output."
"""The end of the help of an option that takes the name of such a file."""
WAV_SUFFIXES = ("", ".wav")
"""A file without a suffix, and standard output, get a WAV."""


def encoder_for(output: str) -> Callable[[bytes], bytes]:
    """Return what turns a WAV into the format that the suffix of `output` names.

    Called before anything is spoken. Ends the command if there is no such format.
    """
    suffix = "" if output == "-" else Path(output).suffix.lower()
    if suffix in WAV_SUFFIXES:
        return bytes
    from monica.audio.formats import Format  # with numpy, which a command that writes a WAV does without

    formats = {format.suffix: format for format in Format} | {".ogg": Format.OPUS}
    if suffix not in formats:
        fail(f"{output}: there is no format for {suffix}. Known: {', '.join(sorted(formats))}.")
    return partial(_encode, format=formats[suffix])


def _encode(wav: bytes, format: Format) -> bytes:
    import numpy as np

    from monica.audio.formats import encode_sound
    from monica.audio.wav import wav_pcm, wav_rate

    return encode_sound(np.frombuffer(wav_pcm(wav), "<i2"), wav_rate(wav), format)


def write_sound(sound: bytes, output: str) -> None:
    """Write a sound to a file, or to standard output if `output` is "-". Ends the command if it cannot be written."""
    if output == "-":
        sys.stdout.buffer.write(sound)
        sys.stdout.buffer.flush()
        return
    try:
        Path(output).write_bytes(sound)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")
