"""Where a word of the lexicon is a name instead: M. Call, Paul River, une Seat Ibiza, HU Wei.

Names never match the lexicon's [words]. The other way round is the lesser fault: a poker word that is taken for a name
is read as it is written, while a person called by another name is what the room laughs about.
"""

from __future__ import annotations

import re

from monica.text.names import VERSUS

WORD_BEFORE = re.compile(r"(?:^|[^\w'-])([\w'-]{1,30})(\.?) $")
WORD_AFTER = re.compile(r" ([\w'-]{1,30})")
BEFORE = 33
"""Characters to look at before a word: one word of 30, its full stop and what separates it."""
VOWEL = re.compile("[AEIOUY]")

TITLES = frozenset({
    "m", "mm", "mr", "mrs", "ms", "mme", "mmes", "mlle", "mlles", "dr", "pr", "me", "monsieur", "messieurs", "madame",
    "mesdames", "mademoiselle", "mesdemoiselles", "docteur", "maître", "mister", "miss",
})  # fmt: skip
# With these a poker word in a capital is still a poker word: "La River", "River Dame", "Nouveau Call".
NOT_NAMES = frozenset({
    "le", "la", "les", "un", "une", "au", "aux", "du", "des", "de", "en", "et", "ou", "ce", "cet", "cette", "ces",
    "son", "sa", "ses", "mon", "ma", "mes", "quel", "quelle", "gros", "grosse", "beau", "belle", "bon", "bonne",
    "petit", "petite", "nouveau", "nouvelle", "premier", "première", "dernier", "dernière", "as", "roi", "rois",
    "dame", "dames", "valet", "valets", "dix", "neuf", "huit", "sept", "six", "cinq", "quatre", "trois", "deux",
    "pour", "sur", "pas", "il", "elle", "puis", "avec", "sans", "par", "flop", "max", "open", "table", "siège",
})  # fmt: skip


def is_name(text: str, start: int, end: int, *, acronym: bool) -> bool:
    """Return whether text[start:end], which an entry of [words] matches, is a name or part of one.

    acronym: whether the entry is written in capitals, as BB is.
    """
    if not text[start].isupper():
        return False
    word = text[start:end]
    shouted = word.isupper()
    before = WORD_BEFORE.search(text[max(0, start - BEFORE) : start])
    if before is not None and _is_title(before[1]):
        return True
    if acronym and not shouted:  # Hu is a name, HU is not yet known to be one
        return True
    if " " in word or "-" in word:
        return False
    after = WORD_AFTER.match(text, end)
    if after is not None and _may_be_name(after[1]):
        if acronym and VERSUS.match(text, after.end()):  # "HU Paul contre Marc" is a duel
            return False
        return not shouted or VOWEL.search(word) is not None  # no one is called BB or BTN
    return not shouted and before is not None and not before[2] and _may_be_name(before[1])


def _is_title(word: str) -> bool:
    # "me" in small letters is a pronoun, "Me" a lawyer.
    return word.lower() in TITLES and (word[0].isupper() or len(word) > 4)


def _may_be_name(word: str) -> bool:
    """Return whether a word has a capital and small letters, and is no word that begins a sentence or names a card."""
    return len(word) > 1 and word[0].isupper() and not word.isupper() and word.lower() not in NOT_NAMES
