"""Writes the sound that a command was asked for."""

from __future__ import annotations

import sys
from pathlib import Path

from monica.cli.group import fail


def write_sound(wav: bytes, output: str) -> None:
    """Write a WAV to a file, or to standard output if `output` is "-". Ends the command if it cannot be written."""
    try:
        if output == "-":
            sys.stdout.buffer.write(wav)
            sys.stdout.buffer.flush()
        else:
            Path(output).write_bytes(wav)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")
