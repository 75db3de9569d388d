"""A text with placeholders: {killer}, {level.small}; {{ and }} stand for braces.

Not str.format, which reads attributes and items of its arguments: a book may come from anyone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from monica.text import tidy
from monica.warming.book.errors import BookFault
from monica.warming.book.names import NAME
from monica.warming.book.roster import PLAIN, RosterValue

PART = re.compile(r"[^{}]++|\{\{|\}\}|\{([^{}]*+)\}|[{}]")
INSIDE_BRACES = re.compile(rf"({NAME})(?:\.({NAME}))?")


class Insertion(NamedTuple):
    """A place in the text where a value goes. The same placeholder may be inserted in several places."""

    placeholder: str
    field: str
    """The field of the record to insert; PLAIN if the value is not a record."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text cut into literal parts and insertions."""

    parts: tuple[str | Insertion, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a text with placeholders. Raises BookFault if a brace stands alone or braces hold no placeholder."""
        return cls(tuple(_parse_part(match) for match in PART.finditer(tidy(text))))

    @classmethod
    def literal(cls, text: str) -> Template:
        """Take a text as it is, braces included."""
        return cls((tidy(text),))

    @property
    def insertions(self) -> list[Insertion]:
        return [part for part in self.parts if isinstance(part, Insertion)]

    @property
    def placeholders(self) -> list[str]:
        """The names of the placeholders, each once, in the order of the text."""
        return list(dict.fromkeys(insertion.placeholder for insertion in self.insertions))

    @property
    def words(self) -> str:
        """The literal text, which is said whatever the values are."""
        return "".join(part for part in self.parts if isinstance(part, str))

    def fill(self, values: Mapping[str, RosterValue]) -> str:
        """Return the text with the values inserted. values: by placeholder."""
        return tidy(
            "".join(part if isinstance(part, str) else values[part.placeholder][part.field] for part in self.parts)
        )


def _parse_part(match: re.Match[str]) -> str | Insertion:
    written = match[0]
    if written in {"{", "}"}:
        raise BookFault(f"a {written} stands alone; for a literal brace, write {written * 2}")
    if match[1] is None:
        return written[0] if written in {"{{", "}}"} else written
    inside = INSIDE_BRACES.fullmatch(match[1])
    if inside is None:
        raise BookFault("braces hold the name of a placeholder, {killer}, or a field of its value, {level.small}")
    return Insertion(inside[1], inside[2] or PLAIN)
