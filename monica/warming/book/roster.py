"""A roster: the list of values that a placeholder takes in turn, either plain values or records."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from monica.text import has_words, tidy
from monica.warming.book.errors import BookFault, within
from monica.warming.book.names import NAME_RULE, is_book_name
from monica.warming.book.roster_file import FILE, RosterFile

NO_VALUES = "a roster is a list with at least one value"
PLAIN = ""
RosterValue = Mapping[str, str]
"""A record: the text of each field. A plain value is a record with the one field PLAIN."""

MAX_NUMBER = 10**15
"""Largest absolute value of a number. Python writes larger floats with an exponent."""


@dataclass(frozen=True, eq=False)  # compared by identity: two rosters with equal values are still two
class Roster:
    """A named list of distinct values that all have the same fields."""

    name: str
    values: tuple[RosterValue, ...]
    longest: Mapping[str, int]
    """Length in characters of the longest text of each field."""

    @classmethod
    def from_toml(cls, name: str, items: object, folder: Path | None = None) -> Roster:
        """Make a roster from what tomllib returns for its key. Raises BookFault.

        folder: where its file would be; None if files must not be read.
        """
        if not is_book_name(name):
            raise BookFault(NAME_RULE)
        if isinstance(items, dict) and set(items) == {FILE}:
            if folder is None:
                raise BookFault("only `monica render` reads rosters from files: write the values into the book")
            if not isinstance(items[FILE], str):
                raise BookFault("must be the name of a file, in quotes", FILE)
            file = RosterFile(folder / items[FILE])
            return cls._from_values(name, ((file.at_value(), value) for value in file.values()))
        if not isinstance(items, list):
            raise BookFault(NO_VALUES)
        return cls._from_values(name, ((within(position), item) for position, item in enumerate(items)))

    @classmethod
    def _from_values(cls, name: str, items: Iterable[tuple[AbstractContextManager[None], object]]) -> Roster:
        """Make a roster of values that were not checked yet, each with what says where it is."""
        values: dict[tuple[str, ...], RosterValue] = {}
        fields: list[str] = []
        for place, item in items:
            with place:
                value = _value_from_toml(item)
                fields = fields or list(value)
                if value.keys() != set(fields):
                    raise BookFault("all values of a roster are plain, or all are records with the same fields")
                if values.setdefault(tuple(value[field] for field in fields), value) is not value:
                    raise BookFault(f"{reprlib.repr(', '.join(value.values()))} is there twice")
        if not values:
            raise BookFault(NO_VALUES)
        longest = {field: max(len(value[field]) for value in values.values()) for field in fields}
        return cls(name, tuple(values.values()), longest)

    def check_field(self, placeholder: str, field: str) -> None:
        """Raise BookFault if {placeholder.field}, or {placeholder}, does not fit the values of this roster."""
        if field in self.longest:
            return
        if PLAIN in self.longest:
            raise BookFault(f"roster {self.name} holds plain values, not records: write {{{placeholder}}}")
        known = " or ".join(f"{{{placeholder}.{name}}}" for name in sorted(self.longest)[:10])
        wrong = f"has no field {field}" if field else "holds records"
        raise BookFault(f"roster {self.name} {wrong}: write {known}")


def _value_from_toml(item: object) -> RosterValue:
    if not isinstance(item, dict):
        return {PLAIN: _text_of(item)}
    if not item:
        raise BookFault("a record has at least one field")
    value = {}
    for field, part in item.items():
        with within(field):
            if not is_book_name(field):
                raise BookFault(NAME_RULE)
            value[field] = _text_of(part)
    return value


def _text_of(item: object) -> str:
    """Return a text tidied, or a number as text. Raises BookFault for anything else."""
    if isinstance(item, str) and has_words(text := tidy(item)):
        return text
    number = isinstance(item, int | float) and not isinstance(item, bool) and -MAX_NUMBER <= item <= MAX_NUMBER
    if not number or "e" in (text := str(item)):
        raise BookFault("a value is text with something to say in it, or a number")
    return text
