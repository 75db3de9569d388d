"""A roster in a file of its own beside the book, of any length: CSV or JSON Lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from monica.warming.book.errors import BookFault, format_path

FILE = "file"
"""The key that names the file: `players = { file = "players.csv" }`."""
MAX_LINE = 2**20
"""Bytes. A file without line breaks is no roster, and must not fill the memory."""
DELIMITERS = ",;\t"


class RosterFile:
    """The values of a roster, read line by line."""

    def __init__(self, path: Path) -> None:
        """Raises BookFault if the name does not say how to read it."""
        if path.suffix.lower() not in READERS:
            raise BookFault(f"the name of a roster's file ends with {', '.join(READERS)}", FILE)
        self._path = path
        self._read = READERS[path.suffix.lower()]
        self._line = 0

    def values(self) -> Iterator[object]:
        """Yield the values, as TOML would have them. Raises BookFault."""
        self._line = 0
        try:
            with self._path.open("rb") as file:
                yield from self._read(self._lines(file))
        except OSError as error:
            raise BookFault(f"{self._path.name}: {error.strerror or error}", FILE) from None
        except (csv.Error, ValueError, RecursionError) as error:
            raise BookFault(f"{self._path.name}, line {self._line}: {error}", FILE) from None

    @contextmanager
    def at_value(self) -> Iterator[None]:
        """Say in which line of the file the fault is that is raised in the block."""
        try:
            yield
        except BookFault as fault:
            where = f", {format_path(fault.path)}" if fault.path else ""
            raise BookFault(f"{self._path.name}, line {self._line}{where}: {fault.message}", FILE) from None

    def _lines(self, file: IO[bytes]) -> Iterator[str]:
        while line := file.readline(MAX_LINE):
            self._line += 1
            if len(line) == MAX_LINE:
                raise ValueError("it is too long")
            try:
                yield line.decode("utf-8-sig" if self._line == 1 else "utf-8")
            except UnicodeDecodeError:
                raise ValueError("not UTF-8 text") from None


def _read_csv(lines: Iterator[str]) -> Iterator[object]:
    """Yield records. The first line names the fields; what stands most often between them separates all others."""
    first = next(lines, "")
    delimiter = max(DELIMITERS, key=first.count)
    (fields,) = csv.reader([first], delimiter=delimiter, strict=True)
    fields = [field.strip() for field in fields]
    if len(set(fields)) < len(fields):
        raise ValueError("two fields have the same name")
    for row in csv.reader(lines, delimiter=delimiter, strict=True):
        if row and len(row) != len(fields):
            raise ValueError(f"it has {len(row)} fields, and the first line {len(fields)}")
        if row:
            yield dict(zip(fields, row, strict=True))


def _read_json_lines(lines: Iterator[str]) -> Iterator[object]:
    """Yield the value of each line: a text, a number, or an object of them."""
    for line in lines:
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"not JSON ({error.msg})") from None


READERS: dict[str, Callable[[Iterator[str]], Iterator[object]]] = {
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
