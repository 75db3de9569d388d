"""Applies the rules of monica.text.rules to a text.

The rules are applied until nothing changes, so that normalising a normalised text changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from monica.text.accents import restore_accents
from monica.text.lexicon import Lexicon
from monica.text.lexicon_file import LexiconFile
from monica.text.markup import drop_markup
from monica.text.phonemes import HiddenPhonemes, speaks_phonemes
from monica.text.rules import (
    ACCENTS_RULE,
    FRENCH_AFTER_LEXICON,
    FRENCH_BEFORE_ACCENTS,
    FRENCH_BEFORE_LEXICON,
    LEXICON_RULE,
    OTHER_LANGUAGES,
    Rule,
)
from monica.text.unicode import has_words, tidy

DIGIT = re.compile(r"\d")

MAX_ROUNDS = 6
"""Upper bound on the rounds over all rules. One is nearly always enough; the second finds nothing left to do."""


@dataclass(frozen=True, slots=True)
class NormalisedText:
    """A text in words, as it will be said."""

    text: str
    """The words."""
    rules: tuple[str, ...]
    """Names of the rules that changed something, in the order in which each first did."""


class Normaliser:
    """Turns a text as it is written into the words an announcer says."""

    def __init__(self, *, language: str = "fr", lexicon: Lexicon | LexiconFile | None = None) -> None:
        """Choose the rules: all of them for French, only characters and punctuation for another language."""
        self._french = language == "fr"
        self._lexicon = lexicon if lexicon is not None else Lexicon.default()

    def normalise(self, text: str, engine: str | None = None) -> NormalisedText:
        """Write a text in words. Never raises, and never removes the last word of a text that has one outside tags.

        engine: the name of the engine that will say it. None for no engine in particular, which gets no phonemes.
        """
        hidden = HiddenPhonemes()
        rules = self._rules(engine, hidden)
        applied: dict[str, None] = {}
        said = text
        if engine is not None and self._french and speaks_phonemes(engine):
            said = hidden.hide_in(text, engine)
        for _ in range(MAX_ROUNDS):
            before = said
            for rule in rules:
                if rule.needs_digit and not DIGIT.search(said):
                    continue
                after = rule.apply(said)
                if after != said:
                    applied[rule.name] = None
                    said = after
            if said == before:
                break
        if not has_words(said) and has_words(words := drop_markup(text)):
            return NormalisedText(tidy(words), ())
        return NormalisedText(hidden.show_in(said), tuple(applied))

    def _rules(self, engine: str | None, hidden: HiddenPhonemes) -> tuple[Rule, ...]:
        if not self._french:
            return OTHER_LANGUAGES
        lexicon = self._lexicon.current()
        accents = Rule(ACCENTS_RULE, partial(restore_accents, keep=lexicon.words))
        respelling = Rule(LEXICON_RULE, partial(lexicon.respell, engine=engine, write_ipa=hidden.hide))
        return (*FRENCH_BEFORE_ACCENTS, accents, *FRENCH_BEFORE_LEXICON, respelling, *FRENCH_AFTER_LEXICON)
