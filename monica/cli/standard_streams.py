"""Standard output that is full or closed ends a command with one line; one that no one reads any more, silently."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

NO_READER = 128 + signal.SIGPIPE
"""The exit code of a program that a shell has seen die of SIGPIPE, as most programs do in `... | head -1`."""


class OutputLost(Exception):
    """Standard output cannot be written.

    Not an OSError: a command that handles errors of its own files would take it for one of those.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__("it is closed" if error.errno == errno.EBADF else error.strerror)
        self.has_no_reader = error.errno == errno.EPIPE


class _StandardOutput(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputLost(error) from error


def guard() -> None:
    """Have standard output raise OutputLost if it cannot be written. Does nothing to a stream of a test."""
    if sys.stdout is None:
        # Closed by the shell (`>&-`). Python would drop what is printed, and the next file that is opened would be
        # standard output. A descriptor that cannot be written takes the place.
        _occupy(1, os.O_RDONLY)
        encoding, errors, on_terminal = "utf-8", "surrogateescape", False
    else:
        try:
            sys.stdout.fileno()
        except io.UnsupportedOperation:
            return
        sys.stdout.flush()
        encoding, errors, on_terminal = sys.stdout.encoding, sys.stdout.errors or "strict", sys.stdout.isatty()
    if sys.stderr is None:
        _occupy(2, os.O_WRONLY)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - it stays open
    output = io.BufferedWriter(_StandardOutput(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(output, encoding, errors, line_buffering=on_terminal)


def end(error: OutputLost) -> NoReturn:
    """End the command whose output is lost."""
    _occupy(1, os.O_WRONLY)  # for what is still buffered: Python writes it when it ends, and would report the error
    if error.has_no_reader:
        sys.exit(NO_READER)
    with suppress(OSError):
        click.echo(f"monica: standard output cannot be written: {error}", err=True)
    sys.exit(1)


def _occupy(descriptor: int, mode: int) -> None:
    """Have a descriptor stand for the null device."""
    null = os.open(os.devnull, mode)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
