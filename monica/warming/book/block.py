"""A [[phrases]] block: one text or several variants of it, and the rosters its placeholders take values from."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import perm, prod
from typing import Any

from monica.text import has_words
from monica.warming.book.errors import BookFault, within
from monica.warming.book.names import NAME_RULE, is_book_name
from monica.warming.book.phrase import GROUP, KEYS, Phrase
from monica.warming.book.roster import Roster, RosterValue
from monica.warming.book.template import Template

TEXT = "text"
MAX_GROUP_LENGTH = 60
MAX_PLACEHOLDERS = 16  # keeps the arithmetic of the count small, whatever the book


@dataclass(frozen=True, slots=True)
class Block:
    """The variants of a phrase and their placeholders."""

    variants: tuple[Template, ...]
    placeholders: Mapping[str, Roster]
    prototype: Phrase
    """What every phrase of the block shares: all but the text."""
    group: str = ""
    """What people call the phrases of this block and others like it; empty if they have no name."""

    @classmethod
    def from_toml(cls, table: Mapping[str, Any], rosters: Mapping[str, Roster], max_text_length: int) -> Block:
        """Make a block from its TOML table. Raises BookFault, also if a phrase could be too long to be said."""
        if TEXT not in table:
            raise BookFault("there is no text")
        texts = table[TEXT]
        if not isinstance(texts, str | list) or not texts:
            raise BookFault("must be a text, in quotes, or a list of texts", TEXT)
        placeholders = _placeholders(table, rosters)
        variants = []
        for position, text in enumerate([texts] if isinstance(texts, str) else texts):
            with within(TEXT, *([position] if isinstance(texts, list) else [])):
                if not isinstance(text, str):
                    raise BookFault("must be a text, in quotes")
                variants.append(Template.parse(text))
                _check_variant(variants[-1], placeholders, max_text_length)
        used = {name for variant in variants for name in variant.placeholders}
        for name in placeholders:
            if name not in used:
                raise BookFault(f"no text has {{{name}}} in it", name)
        return cls(tuple(variants), placeholders, Phrase.prototype(table), _group(table))

    @classmethod
    def from_texts(cls, texts: Sequence[str], max_text_length: int) -> Block:
        """Make a block of texts taken as they are, braces included. Raises BookFault."""
        variants = tuple(Template.literal(text) for text in texts)
        for position, variant in enumerate(variants):
            with within(position):
                _check_variant(variant, {}, max_text_length)
        return cls(variants, {}, Phrase(""))

    def count(self) -> int:
        """Return the number of phrases, duplicates included, without making them."""
        return sum(
            prod(perm(len(roster.values), n) for roster, n in _values_taken(variant, self.placeholders).items())
            for variant in self.variants
        )

    def phrases(self) -> Iterator[Phrase]:
        """Make the phrases, variant by variant; the last placeholder of the text changes fastest."""
        for variant in self.variants:
            names = variant.placeholders
            for values in _combinations([self.placeholders[name] for name in names]):
                yield replace(self.prototype, text=variant.fill(dict(zip(names, values, strict=True))))


def _group(table: Mapping[str, Any]) -> str:
    group = table.get(GROUP, "")
    if not isinstance(group, str) or not group.isprintable() or len(group) > MAX_GROUP_LENGTH:
        raise BookFault(f"must be a name in quotes, at most {MAX_GROUP_LENGTH} characters", GROUP)
    return group.strip()


def _placeholders(table: Mapping[str, Any], rosters: Mapping[str, Roster]) -> dict[str, Roster]:
    placeholders: dict[str, Roster] = {}
    for name, roster in table.items():
        if name == TEXT or name in KEYS:
            continue
        with within(name):
            if not is_book_name(name):
                raise BookFault(NAME_RULE)
            if not isinstance(roster, str):
                raise BookFault("must be the name of a roster, in quotes")
            if roster not in rosters:
                known = ", ".join(sorted(rosters)[:10]) or "none"
                raise BookFault(f"there is no roster {reprlib.repr(roster)}; known: {known}")
            if len(placeholders) == MAX_PLACEHOLDERS:
                raise BookFault(f"a phrase has {MAX_PLACEHOLDERS} placeholders at most")
        placeholders[name] = rosters[roster]
    return placeholders


def _check_variant(variant: Template, placeholders: Mapping[str, Roster], max_text_length: int) -> None:
    """Raise BookFault if a variant cannot be filled from these placeholders, or a phrase of it could not be said."""
    longest = len(variant.words)
    for name, field in variant.insertions:
        if name == TEXT or name in KEYS:
            raise BookFault(f"{name} has a meaning of its own; a placeholder needs another name")
        if name not in placeholders:
            raise BookFault(f'{{{name}}} has no roster: add {name} = "..." to the phrase')
        placeholders[name].check_field(name, field)
        longest += placeholders[name].longest[field]
    for roster, n in _values_taken(variant, placeholders).items():
        if n > len(roster.values):
            raise BookFault(f"takes {n} different values of roster {roster.name}, which has {len(roster.values)}")
    if not variant.insertions and not has_words(variant.words):
        raise BookFault("there is nothing to say")
    if longest > max_text_length:
        raise BookFault(f"a phrase may come to {longest} characters, at most {max_text_length}")


def _values_taken(variant: Template, placeholders: Mapping[str, Roster]) -> Counter[Roster]:
    """Return how many different values of each roster one phrase of a variant takes."""
    return Counter(placeholders[name] for name in variant.placeholders)


def _combinations(rosters: Sequence[Roster]) -> Iterator[tuple[RosterValue, ...]]:
    """Yield every way to take one value per roster, never the same value of a roster twice.

    itertools.permutations and product would do, but they first keep all values of every roster in memory.
    """
    if not rosters:
        yield ()
        return
    *before, last = rosters
    for chosen in _combinations(before):
        taken = [value for roster, value in zip(before, chosen, strict=True) if roster is last]
        yield from ((*chosen, value) for value in last.values if value not in taken)
