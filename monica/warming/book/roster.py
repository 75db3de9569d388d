"""A roster: the values that a slot takes in turn, plain ones or records."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass

from monica.text import has_words, tidy
from monica.warming.book.errors import Fault, within
from monica.warming.book.names import RULE, is_book_name

PLAIN = ""
Entry = Mapping[str, str]
"""A record, written out field by field. A plain value is a record of the one field PLAIN."""

LARGEST = 10**15  # a number, either way; a float beyond it is written with an exponent


@dataclass(frozen=True, eq=False)  # two rosters are two, whatever they hold: a slot knows its own
class Roster:
    """Distinct entries, all with the same fields. longest: by field, the length of its longest value."""

    name: str
    entries: tuple[Entry, ...]
    longest: Mapping[str, int]

    @classmethod
    def read(cls, name: str, values: object) -> Roster:
        """Make a roster of what TOML gives. Raises Fault."""
        if not is_book_name(name):
            raise Fault(RULE)
        if not isinstance(values, list) or not values:
            raise Fault("a roster is a list with at least one value")
        entries: dict[frozenset[tuple[str, str]], Entry] = {}
        fields: set[str] = set()
        for position, value in enumerate(values, 1):
            with within(position):
                entry = _entry(value)
                fields = fields or set(entry)
                if set(entry) != fields:
                    raise Fault("all values of a roster are plain, or all are records with the same fields")
                if entries.setdefault(frozenset(entry.items()), entry) is not entry:
                    raise Fault(f"{reprlib.repr(', '.join(entry.values()))} is there twice")
        longest = {field: max(len(entry[field]) for entry in entries.values()) for field in fields}
        return cls(name, tuple(entries.values()), longest)

    def check(self, slot: str, field: str) -> None:
        """Raise Fault where {slot.field}, or {slot}, is nothing that this roster gives."""
        if field in self.longest:
            return
        if PLAIN in self.longest:
            raise Fault(f"roster {self.name} holds plain values, not records: write {{{slot}}}")
        known = " or ".join(f"{{{slot}.{name}}}" for name in sorted(self.longest)[:10])
        wrong = f"has no field {field}" if field else "holds records"
        raise Fault(f"roster {self.name} {wrong}: write {known}")


def _entry(value: object) -> Entry:
    if not isinstance(value, dict):
        return {PLAIN: _written(value)}
    if not value:
        raise Fault("a record has at least one field")
    entry = {}
    for field, part in value.items():
        with within(field):
            if not is_book_name(field):
                raise Fault(RULE)
            entry[field] = _written(part)
    return entry


def _written(value: object) -> str:
    if isinstance(value, str) and has_words(written := tidy(value)):
        return written
    number = isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
    if not number or "e" in (written := str(value)):
        raise Fault("a value is text with something to say in it, or a number")
    return written
