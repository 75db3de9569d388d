"""What can be wrong with a book, and where."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from contextlib import contextmanager

from monica.errors import MonicaError
from monica.warming.book.names import is_book_name

KeyPath = tuple[str | int, ...]
"""The way to a key: ("phrases", 2, "killer") is the key `killer` of the second phrase. Counted from 1."""


class BookError(MonicaError):
    """A book that cannot be read or that contradicts itself; the message names the file, the line and the key."""

    status, code = 422, "book_invalid"


class Fault(Exception):
    """What is wrong, and the way to it as far as it is known; the book adds the file and the line."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


@contextmanager
def within(*path: str | int) -> Iterator[None]:
    """Put the way to here before that of a fault."""
    try:
        yield
    except Fault as fault:
        raise Fault(fault.message, *path, *fault.path) from None


def spell(path: KeyPath) -> str:
    """Write a way as people do: phrases[2].killer."""
    # A key in quotes may hold anything, line feeds and a megabyte of it; a message is one line.
    steps = (
        f"[{step}]" if isinstance(step, int) else f".{step if is_book_name(step) else reprlib.repr(step)}"
        for step in path
    )
    return "".join(steps).removeprefix(".")
