"""A block of the book, [[phrases]]: a text or several variants of it, and the rosters its slots take values from."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import perm, prod
from typing import Any

from monica.text import has_words
from monica.warming.book.errors import Fault, within
from monica.warming.book.names import RULE, is_book_name
from monica.warming.book.phrase import KEYS, Phrase
from monica.warming.book.roster import Entry, Roster
from monica.warming.book.template import Template

TEXT = "text"
MAX_SLOTS = 16  # keeps the arithmetic of the count small, whatever the book


@dataclass(frozen=True, slots=True)
class Block:
    """Variants of a phrase and their slots. model: what each of its phrases has beside its text."""

    variants: tuple[Template, ...]
    slots: Mapping[str, Roster]
    model: Phrase

    @classmethod
    def read(cls, table: Mapping[str, Any], rosters: Mapping[str, Roster], max_text_length: int) -> Block:
        """Make a block of what TOML gives. Raises Fault, also where a phrase could be too long to be said."""
        if TEXT not in table:
            raise Fault("there is no text")
        texts = table[TEXT]
        if not isinstance(texts, str | list) or not texts:
            raise Fault("must be a text, in quotes, or a list of texts", TEXT)
        slots = _slots(table, rosters)
        variants = []
        for position, text in enumerate([texts] if isinstance(texts, str) else texts, 1):
            with within(TEXT, *([position] if isinstance(texts, list) else [])):
                if not isinstance(text, str):
                    raise Fault("must be a text, in quotes")
                variants.append(Template.parse(text))
                _check(variants[-1], slots, max_text_length)
        used = {slot for variant in variants for slot in variant.slots}
        for slot in slots:
            if slot not in used:
                raise Fault(f"no text has {{{slot}}} in it", slot)
        return cls(tuple(variants), slots, Phrase.model(table))

    @classmethod
    def of(cls, texts: Sequence[str], max_text_length: int) -> Block:
        """Take texts as they are. Raises Fault."""
        variants = tuple(Template.literal(text) for text in texts)
        for position, variant in enumerate(variants, 1):
            with within(position):
                _check(variant, {}, max_text_length)
        return cls(variants, {}, Phrase(""))

    def count(self) -> int:
        """Tell how many phrases it makes, duplicates and all, without making them."""
        return sum(
            prod(perm(len(roster.entries), n) for roster, n in _draws(variant, self.slots).items())
            for variant in self.variants
        )

    def phrases(self) -> Iterator[Phrase]:
        """Make its phrases, variant by variant; what stands last in the text changes fastest."""
        for variant in self.variants:
            slots = variant.slots
            for entries in _choices([self.slots[slot] for slot in slots]):
                yield replace(self.model, text=variant.fill(dict(zip(slots, entries, strict=True))))


def _slots(table: Mapping[str, Any], rosters: Mapping[str, Roster]) -> dict[str, Roster]:
    slots: dict[str, Roster] = {}
    for slot, roster in table.items():
        if slot == TEXT or slot in KEYS:
            continue
        with within(slot):
            if not is_book_name(slot):
                raise Fault(RULE)
            if not isinstance(roster, str):
                raise Fault("must be the name of a roster, in quotes")
            if roster not in rosters:
                known = ", ".join(sorted(rosters)[:10]) or "none"
                raise Fault(f"there is no roster {reprlib.repr(roster)}; known: {known}")
            if len(slots) == MAX_SLOTS:
                raise Fault(f"a phrase has {MAX_SLOTS} slots at most")
        slots[slot] = rosters[roster]
    return slots


def _check(variant: Template, slots: Mapping[str, Roster], max_text_length: int) -> None:
    """Raise Fault where a variant cannot be filled from these slots, or a phrase of it could not be said."""
    longest = len(variant.words)
    for slot, field in variant.places:
        if slot == TEXT or slot in KEYS:
            raise Fault(f"{slot} has a meaning of its own; a slot needs another name")
        if slot not in slots:
            raise Fault(f'{{{slot}}} has no roster: add {slot} = "..." to the phrase')
        slots[slot].check(slot, field)
        longest += slots[slot].longest[field]
    for roster, n in _draws(variant, slots).items():
        if n > len(roster.entries):
            raise Fault(f"takes {n} different values of roster {roster.name}, which has {len(roster.entries)}")
    if not variant.places and not has_words(variant.words):
        raise Fault("there is nothing to say")
    if longest > max_text_length:
        raise Fault(f"a phrase may come to {longest} characters, at most {max_text_length}")


def _draws(variant: Template, slots: Mapping[str, Roster]) -> Counter[Roster]:
    """Tell how many different values a variant takes of each roster at once."""
    return Counter(slots[slot] for slot in variant.slots)


def _choices(rosters: Sequence[Roster]) -> Iterator[tuple[Entry, ...]]:
    """Give every way to take an entry of each roster, no entry twice. Not permutations and product: those keep all."""
    if not rosters:
        yield ()
        return
    *before, last = rosters
    for chosen in _choices(before):
        taken = [entry for roster, entry in zip(before, chosen, strict=True) if roster is last]
        yield from ((*chosen, entry) for entry in last.entries if entry not in taken)
