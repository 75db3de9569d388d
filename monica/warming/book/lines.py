"""Finds the line of a key or value in a TOML file, which tomllib does not report.

The source has already been parsed by tomllib, so this walk over its tokens does not look for mistakes. It is only run
if something is wrong with the book.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from monica.warming.book.errors import KeyPath

# No possessive groups: Python before 3.11.5 matches some of them wrongly (python/cpython#106052).
TOKEN = re.compile(
    r""""{3}[^"\\]*(?:(?:\\.|"{1,2}(?!"))[^"\\]*)*"{3,5}"""
    r"""|'{3}[^']*(?:'{1,2}(?!')[^']*)*'{3,5}"""
    r"""|"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\n]*+'|\#[^\n]*+|\n|[\[\]{},=]|[^\s"'\#\[\]{},=]++""",
    re.DOTALL,
)
KEY_PART = re.compile(r""""[^"]*+"|'[^']*+'|[^."']++""")


def line_of(source: str, path: KeyPath) -> int:
    """Return the line, counted from 1, of the key or value at a path, or of the nearest one on the way to it."""
    walk = _Walk(source, path)
    walk.walk_statements()
    return walk.line


class _Walk:
    """One walk over the tokens of a source. Each method consumes the tokens of the construct it is named for."""

    def __init__(self, source: str, wanted: KeyPath) -> None:
        self.line = 1
        self._nearest = 0
        self._wanted = wanted
        self._tokens = _tokens(source)
        self._advance()

    def walk_statements(self) -> None:
        table: KeyPath = ()
        repeated: Counter[KeyPath] = Counter()  # number of [[name]] headers seen so far
        while self._lexeme:
            if self._lexeme == "\n":
                self._advance()
            elif self._lexeme == "[":
                table = self._walk_header(repeated)
            else:
                self._walk_pair(table)

    def _walk_header(self, repeated: Counter[KeyPath]) -> KeyPath:
        line = self._line
        self._advance()
        if is_array := self._lexeme == "[":
            self._advance()
        path: KeyPath = ()
        parts = self._walk_key("]")
        if is_array:
            self._advance()
        for depth, part in enumerate(parts, 1):
            path += (part,)
            repeated[path] += is_array and depth == len(parts)
            self._note_line(path, line)
            if repeated[path]:
                path += (repeated[path] - 1,)
                self._note_line(path, line)
        return path

    def _walk_pair(self, table: KeyPath) -> None:
        path, line = table, self._line
        for part in self._walk_key("="):
            path += (part,)
            self._note_line(path, line)
        self._walk_value(path)

    def _walk_key(self, end: str) -> list[str]:
        written = ""
        while self._lexeme not in {end, ""}:
            written += self._lexeme
            self._advance()
        self._advance()
        return [part.strip("\"'") for part in KEY_PART.findall(written)]

    def _walk_value(self, path: KeyPath) -> None:
        opening = self._lexeme
        self._advance()
        position = 0
        if opening == "[":
            while self._lexeme not in {"]", ""}:
                if self._lexeme in {",", "\n"}:
                    position += self._lexeme == ","
                    self._advance()
                else:
                    self._note_line((*path, position), self._line)
                    self._walk_value((*path, position))
            self._advance()
        elif opening == "{":
            while self._lexeme not in {"}", ""}:
                if self._lexeme == ",":
                    self._advance()
                else:
                    self._walk_pair(path)
            self._advance()
        else:
            while self._lexeme not in {",", "]", "}", "\n", ""}:  # a date and its time are two tokens
                self._advance()

    def _note_line(self, path: KeyPath, line: int) -> None:
        if len(path) > self._nearest and path == self._wanted[: len(path)]:
            self._nearest, self.line = len(path), line

    def _advance(self) -> None:
        self._lexeme, self._line = next(self._tokens, ("", 0))


def _tokens(source: str) -> Iterator[tuple[str, int]]:
    """Yield the tokens with their lines, without comments."""
    line = 1
    for match in TOKEN.finditer(source):
        token = match[0]
        if token[0] != "#":
            yield token, line
        line += token.count("\n")
