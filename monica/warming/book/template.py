"""A text with slots: {killer}, {level.small}; {{ and }} stand for braces.

Not str.format, which reads attributes and items of what it is given: a book may come from anyone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from monica.text import tidy
from monica.warming.book.errors import Fault
from monica.warming.book.names import NAME
from monica.warming.book.roster import PLAIN, Entry

PIECE = re.compile(r"[^{}]++|\{\{|\}\}|\{([^{}]*+)\}|[{}]")
INSIDE = re.compile(rf"({NAME})(?:\.({NAME}))?")


class Place(NamedTuple):
    """Where a value goes. field: of the record in the slot; PLAIN where it is no record."""

    slot: str
    field: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text in pieces: words as they are, and places."""

    pieces: tuple[str | Place, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a text with slots. Raises Fault where a brace stands alone, or braces hold no slot."""
        return cls(tuple(_piece(match) for match in PIECE.finditer(tidy(text))))

    @classmethod
    def literal(cls, text: str) -> Template:
        """Take a text as it is, braces and all."""
        return cls((tidy(text),))

    @property
    def places(self) -> list[Place]:
        return [piece for piece in self.pieces if isinstance(piece, Place)]

    @property
    def slots(self) -> list[str]:
        """Its slots, each once, in the order of the text."""
        return list(dict.fromkeys(place.slot for place in self.places))

    @property
    def words(self) -> str:
        """What is always said, whatever the values."""
        return "".join(piece for piece in self.pieces if isinstance(piece, str))

    def fill(self, entries: Mapping[str, Entry]) -> str:
        """Write the text with an entry in each slot."""
        return tidy("".join(p if isinstance(p, str) else entries[p.slot][p.field] for p in self.pieces))


def _piece(match: re.Match[str]) -> str | Place:
    written = match[0]
    if written in {"{", "}"}:
        raise Fault(f"a {written} stands alone; a brace that is meant is written twice, {written * 2}")
    if match[1] is None:
        return written[0] if written in {"{{", "}}"} else written
    inside = INSIDE.fullmatch(match[1])
    if inside is None:
        raise Fault("braces hold the name of a slot, {killer}, or a field of it, {level.small}")
    return Place(inside[1], inside[2] or PLAIN)
