"""What can be wrong with a phrase book, and where in the file it is."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from contextlib import contextmanager

from monica.errors import MonicaError
from monica.warming.book.names import is_book_name

KeyPath = tuple[str | int, ...]
"""The path to a key: ("phrases", 1, "killer") is the key `killer` of the second phrase.

Positions count from 0, as they do where the API names an element of a JSON list.
"""


class BookError(MonicaError):
    """A book that cannot be read or that contradicts itself; the message names the file, the line and the key."""

    status, code = 422, "book_invalid"


class BookFault(Exception):
    """What is wrong, and the path to it as far as it is known so far.

    It never leaves this package: PhraseBook adds the file and the line, and raises BookError.
    """

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


@contextmanager
def within(*path: str | int) -> Iterator[None]:
    """Prepend this path to that of a fault raised in the block."""
    try:
        yield
    except BookFault as fault:
        raise BookFault(fault.message, *path, *fault.path) from None


def format_path(path: KeyPath) -> str:
    """Write a path the way people do: phrases[1].killer."""
    # A quoted key may hold anything, including line feeds and a megabyte of text; a message is one line.
    steps = (
        f"[{step}]" if isinstance(step, int) else f".{step if is_book_name(step) else reprlib.repr(step)}"
        for step in path
    )
    return "".join(steps).removeprefix(".")
