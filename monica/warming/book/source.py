"""The source of a book: TOML of bounded size, which may come from anyone."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from monica.warming.book.errors import BookError

MAX_SIZE = 2**20  # bytes

# The time tomllib takes for a key grows with the square of the number of its dots: 16,000 dots take seconds. The format
# needs two. This looks only where a key may begin, since a text may well count down from thirty.
DOTTED = re.compile(
    r"""(?:\A|[\n\[{,])[ \t]*+(?:(?:[\w-]++|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*"|'[^'\n]*+')[ \t]*+\.[ \t]*+){20}"""
)
POSITION = re.compile(r" \(at (?:(line \d+, column \d+)|end of document)\)$")
LONG_NUMBER = re.compile(r"(?<![\d_])[\d_]{4301}")  # int() accepts at most 4300 digits


def decode_source(source: str | bytes, name: str) -> str:
    """Return the source as text. Raises BookError if it is not UTF-8 or larger than MAX_SIZE."""
    if len(source) > MAX_SIZE:
        raise BookError(f"{name}: more than {MAX_SIZE} bytes")
    if isinstance(source, str):
        return source
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        raise BookError(f"{name}, line {line}: not UTF-8 text") from None


def load_toml(source: str, name: str) -> dict[str, Any]:
    """Parse TOML. Raises BookError and nothing else, with the line if it can be found."""
    if dotted := DOTTED.search(source):
        raise BookError(f"{name}, line {_line(source, dotted.end())}: a key of too many parts")
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        position = POSITION.search(message)
        where = (position and position[1]) or f"line {_line(source.rstrip(), None)}"
        raise BookError(f"{name}, {where}: {POSITION.sub('', message)[:200]}") from None
    except RecursionError:
        raise BookError(f"{name}: nested too deeply") from None
    except ValueError:
        number = LONG_NUMBER.search(source)
        where = f", line {_line(source, number.start())}" if number else ""
        raise BookError(f"{name}{where}: a number of too many digits") from None


def _line(source: str, end: int | None) -> int:
    return source.count("\n", 0, end) + 1
