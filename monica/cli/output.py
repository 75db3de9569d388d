"""Where a command writes sound."""

from __future__ import annotations

import sys
from pathlib import Path

from monica.cli.group import fail


def write(wav: bytes, output: str) -> None:
    """Write a WAV to a file, or to standard output where it is called -. Ends the command where it cannot be."""
    try:
        if output == "-":
            sys.stdout.buffer.write(wav)
            sys.stdout.buffer.flush()
        else:
            Path(output).write_bytes(wav)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")
