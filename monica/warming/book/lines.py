"""On which line of a TOML file a key or a value stands, which tomllib does not tell.

It walks over a source that tomllib has read, and so does not look for mistakes. Only asked where a book is wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from monica.warming.book.errors import KeyPath

# Without possessive groups: Python before 3.11.5 matches some of them wrongly (python/cpython#106052).
TOKEN = re.compile(
    r""""{3}[^"\\]*(?:(?:\\.|"{1,2}(?!"))[^"\\]*)*"{3,5}"""
    r"""|'{3}[^']*(?:'{1,2}(?!')[^']*)*'{3,5}"""
    r"""|"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\n]*+'|\#[^\n]*+|\n|[\[\]{},=]|[^\s"'\#\[\]{},=]++""",
    re.DOTALL,
)
KEY_PART = re.compile(r""""[^"]*+"|'[^']*+'|[^."']++""")


def line_of(source: str, path: KeyPath) -> int:
    """Find the line of what a path leads to, or of what is nearest to it on the way. Counted from 1."""
    walk = _Walk(source, path)
    walk.statements()
    return walk.line


class _Walk:
    """One walk over the tokens of a source. Each method takes those of what it is named for."""

    def __init__(self, source: str, wanted: KeyPath) -> None:
        self.line = 1
        self._nearest = 0
        self._wanted = wanted
        self._tokens = _tokens(source)
        self._next()

    def statements(self) -> None:
        table: KeyPath = ()
        repeated: Counter[KeyPath] = Counter()  # how often [[name]] has come so far
        while self._lexeme:
            if self._lexeme == "\n":
                self._next()
            elif self._lexeme == "[":
                table = self._header(repeated)
            else:
                self._pair(table)

    def _header(self, repeated: Counter[KeyPath]) -> KeyPath:
        line = self._at
        self._next()
        if one_of_many := self._lexeme == "[":
            self._next()
        path: KeyPath = ()
        parts = self._key("]")
        if one_of_many:
            self._next()
        for depth, part in enumerate(parts, 1):
            path += (part,)
            repeated[path] += one_of_many and depth == len(parts)
            self._see(path, line)
            if repeated[path]:
                path += (repeated[path],)
                self._see(path, line)
        return path

    def _pair(self, table: KeyPath) -> None:
        path, line = table, self._at
        for part in self._key("="):
            path += (part,)
            self._see(path, line)
        self._value(path)

    def _key(self, end: str) -> list[str]:
        written = ""
        while self._lexeme not in {end, ""}:
            written += self._lexeme
            self._next()
        self._next()
        return [part.strip("\"'") for part in KEY_PART.findall(written)]

    def _value(self, path: KeyPath) -> None:
        opening = self._lexeme
        self._next()
        position = 1
        if opening == "[":
            while self._lexeme not in {"]", ""}:
                if self._lexeme in {",", "\n"}:
                    position += self._lexeme == ","
                    self._next()
                else:
                    self._see((*path, position), self._at)
                    self._value((*path, position))
            self._next()
        elif opening == "{":
            while self._lexeme not in {"}", ""}:
                if self._lexeme == ",":
                    self._next()
                else:
                    self._pair(path)
            self._next()
        else:
            while self._lexeme not in {",", "]", "}", "\n", ""}:  # a date and a time are two tokens
                self._next()

    def _see(self, path: KeyPath, line: int) -> None:
        if len(path) > self._nearest and path == self._wanted[: len(path)]:
            self._nearest, self.line = len(path), line

    def _next(self) -> None:
        self._lexeme, self._at = next(self._tokens, ("", 0))


def _tokens(source: str) -> Iterator[tuple[str, int]]:
    """Give the tokens but comments, with their lines."""
    line = 1
    for match in TOKEN.finditer(source):
        token = match[0]
        if token[0] != "#":
            yield token, line
        line += token.count("\n")
