"""The rules in their order, and the object that applies them.

Every rule is a named function from text to text, and one that is not sure changes nothing. They are applied
until nothing changes, so that normalising a normalised text changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from monica.text import (
    blinds,
    cards,
    chips,
    clock,
    dates,
    emoji,
    gender,
    money,
    numbers,
    ordinals,
    phones,
    punctuation,
    ratios,
    symbols,
    titles,
    units,
    web,
    words,
)
from monica.text.lexicon import Lexicon, LexiconFile
from monica.text.unicode import has_words, plain, tidy

Rule = Callable[[str], str]

# What characters there are: before anything looks at them. Line ends count before they fold into spaces.
CHARACTERS: tuple[Rule, ...] = (
    punctuation.lines,
    web.markup,
    plain,
    emoji.emoji,
)

# Addresses before punctuation, which would part their dots and slashes. French only.
ADDRESSES: tuple[Rule, ...] = (web.web,)

PUNCTUATION: tuple[Rule, ...] = (
    punctuation.quotes,
    punctuation.dashes,
    punctuation.marks,
)

# French, before the venue's lexicon: what needs the words as they were written. "blinds" makes 100-200 a
# level, and "BB" is feminine; the lexicon may respell both.
BEFORE_LEXICON: tuple[Rule, ...] = (
    gender.labels,
    chips.stacks,
    blinds.blinds,
    gender.gender,
)

# French, after it, from the most particular to the most general: each rule claims its digits before a vaguer
# one could. A hand is not a duration, a telephone number not a date, a date not a fraction, a time not a
# ratio; digits takes what is left. Signs go before the amounts they stand at. Capitals come last, since XIV,
# AKs and 20H are known by theirs, and a slash is a pause only when every rule has had its look at it.
AFTER_LEXICON: tuple[Rule, ...] = (
    cards.hands,
    cards.cards,
    titles.number_sign,
    titles.titles,
    titles.abbreviations,
    phones.phones,
    dates.dates,
    ratios.ranges,
    clock.clock,
    clock.durations,
    chips.signs,
    money.money,
    units.units,
    chips.chips,
    chips.times,
    units.percent,
    ordinals.roman,
    ratios.ratios,
    ordinals.ordinals,
    units.powers,
    symbols.symbols,
    money.currencies,
    numbers.numbers,
    numbers.digits,
    words.acronyms,
    words.capitals,
    symbols.slashes,
)

# Late: "100/200 (25)" is an ante before it is an aside.
SETTLING: tuple[Rule, ...] = (
    punctuation.brackets,
    punctuation.settle,
)

# These read digits alone, and are passed over where there is none: most of a second round costs nothing.
FIGURES: frozenset[Rule] = frozenset({
    gender.labels, chips.stacks, blinds.blinds, gender.gender, phones.phones, dates.dates, ratios.ranges,
    clock.clock, clock.durations, chips.signs, money.money, units.units, chips.chips, chips.times,
    ratios.ratios, ordinals.ordinals, numbers.numbers, numbers.digits,
})  # fmt: skip
DIGIT = re.compile(r"\d")

ROUNDS = 6
"""Most rounds over the rules. One is nearly always enough; the second finds nothing left to do."""


@dataclass(frozen=True)
class Spoken:
    """A text as it will be said."""

    text: str
    rules: tuple[str, ...]
    """Names of the rules that changed something, in the order they first did."""


class Normaliser:
    """Text in, what an announcer says out."""

    def __init__(self, *, language: str = "fr", lexicon: Lexicon | LexiconFile | None = None) -> None:
        """Choose the rules: all of them for French, characters and punctuation for another language."""
        self._french = language == "fr"
        self._lexicon = lexicon if lexicon is not None else Lexicon.default()

    def normalise(self, text: str) -> Spoken:
        """Say text in words. Never raises, and never takes the last word out of a text that has some."""
        rules = self._rules(self._lexicon.current())
        fired: dict[str, None] = {}
        said = text
        for _ in range(ROUNDS):
            before = said
            for name, rule in rules:
                if rule in FIGURES and not DIGIT.search(said):
                    continue
                after = rule(said)
                if after != said:
                    fired[name] = None
                    said = after
            if said == before:
                break
        if not has_words(said) and has_words(text):
            return Spoken(tidy(text), ())
        return Spoken(said, tuple(fired))

    def _rules(self, lexicon: Lexicon) -> list[tuple[str, Rule]]:
        if not self._french:
            return [(_name(rule), rule) for rule in (*CHARACTERS, *PUNCTUATION, *SETTLING)]
        before = (*CHARACTERS, *ADDRESSES, *PUNCTUATION, *BEFORE_LEXICON)
        after = (*AFTER_LEXICON, *SETTLING)
        return [*((_name(r), r) for r in before), ("lexicon", lexicon.say), *((_name(r), r) for r in after)]


def _name(rule: Rule) -> str:
    return "unicode" if rule is plain else rule.__name__
