"""The words of a text with their phonemes, so that what sounds alike is alike however it is written."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from monica.engine.espeak_library import pronounce
from monica.text.cardinals import spell
from monica.text.lexicon_entries import ignore_case_and_accents
from monica.text.names import FIRST_NAMES, NOT_NAMES

NUMBER_WORDS = frozenset(
    word for number in range(2, 101) for word in re.split(r"[ -]", spell(number)) if word not in ("un", "et")
) | {"zéro", "cents", "mille", "million", "millions", "milliard", "milliards", "vingts"}
"""The words of numbers, but for "un", which is an article more often."""

_WORD = re.compile(r"⟦[^⟦⟧]*⟧|[^\W_](?:[\w'’]|-(?=\w))*")
_SENTENCE_START = re.compile(r"(?:^|[.!?…:«\n]\s*)$")
# Phonemes that speakers and recognisers of French take for one another, and marks that are no sounds of their own.
_ALIKE = str.maketrans({
    "ɛ": "e", "ɔ": "o", "ɑ": "a", "ø": "œ", "ɪ": "i", "ʊ": "u", "ɡ": "g", "r": "ʁ", "ʀ": "ʁ", "ɲ": "nj", "ŋ": "n",
    "ə": "", "ɐ": "", "ˈ": "", "ˌ": "", "ː": "", "-": "", " ": "", "‿": "", "'": "", ".": "",
})  # fmt: skip
_OPEN_NASAL = "œ̃", "ẽ"


class WordKind(StrEnum):
    """What a word is, as far as a mistake in it matters."""

    WORD = "word"
    NAME = "name"
    """A recogniser has never seen it: it is forgiven more."""
    NUMBER = "number"
    """A wrong one sends people to the wrong table."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is written, and how it sounds."""

    text: str
    phonemes: str
    """One character for each sound; nasal vowels are two. Empty if nothing is said."""
    kind: WordKind = WordKind.WORD


def split_words(text: str, language: str, names: frozenset[str] = frozenset()) -> tuple[Word, ...]:
    """Return the words of a prepared text.

    Words between ⟦⟧ are phonemes already. names: words that are names wherever they stand, in lower case without
    accents.
    """
    words = []
    for match in _WORD.finditer(text):
        written = match[0]
        if written.startswith("⟦"):
            words.append(Word(written, merge_alike(written[1:-1]), WordKind.NAME))
            continue
        for part in written.split("-") if _is_number(written) else [written]:
            kind = _kind(part, bool(_SENTENCE_START.search(text, 0, match.start())), names)
            words.append(Word(part, _sound(part.replace("’", "'"), language), kind))
    return tuple(words)


@lru_cache(maxsize=4096)  # the same words come in every announcement
def _sound(word: str, language: str) -> str:
    return merge_alike(pronounce(word, language))


def merge_alike(ipa: str) -> str:
    """Write phonemes without stress, without the French e that may be left out, and with one sign for what is alike."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", ipa).translate(_ALIKE)).replace(*_OPEN_NASAL)


def _is_number(word: str) -> bool:
    return all(part in NUMBER_WORDS or part in ("un", "une", "et") for part in word.lower().split("-"))


def _kind(word: str, begins_sentence: bool, names: frozenset[str]) -> WordKind:
    if word.lower() in NUMBER_WORDS:
        return WordKind.NUMBER
    if ignore_case_and_accents(word) in names or word in FIRST_NAMES:
        return WordKind.NAME
    capital = word[0].isupper() or (word[1:2] in ("'", "’") and word[2:3].isupper())
    return WordKind.NAME if capital and not begins_sentence and word.lower() not in NOT_NAMES else WordKind.WORD
