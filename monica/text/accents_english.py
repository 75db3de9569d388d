"""English inside a French text: "On a Wing and a Prayer" has no "à" in it, "world series of poker" no "séries"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monica.text.accents_words import Word, at

ENGLISH = frozenset({
    "and", "of", "with", "is", "we", "you", "this", "that", "my", "your", "from", "was", "be", "not", "they", "what",
    "when", "who", "how", "why", "there", "been", "get", "make", "into", "his", "her", "their", "its", "once",
    "upon",
})  # fmt: skip
"""Grammatical words of English that are no French words, and none that players say in French: "all in", "heads up"."""
EITHER = frozenset({"a", "on", "in", "me", "or", "the", "for", "to", "by", "an", "are"})
"""Grammatical words of English that have the letters of a French word."""
MAX_RUN = 8
"""Words that English reaches from one of its grammatical words. A bound, so that the time for a long text is linear."""


def leave_english(words: Sequence[Word]) -> None:
    """Take from the words of an English phrase what they would mean in French, so that none gets an accent."""
    foreign: set[int] = set()
    for i, word in enumerate(words):
        if word.key in ENGLISH:
            foreign |= {i, *_reach(words, range(i - 1, i - MAX_RUN, -1)), *_reach(words, range(i + 1, i + MAX_RUN))}
    for i in foreign:
        words[i].readings = ()


def _reach(words: Sequence[Word], places: Iterable[int]) -> set[int]:
    """Return the places of the words that are English with their neighbour, the nearest first."""
    reached: set[int] = set()
    for i in places:
        word = at(words, i)
        if word.is_mark or word.is_number:
            break
        if word.key in EITHER:
            if not _may_be_english(words, i):
                break
        elif word.readings and not word.text[0].isupper() and (reached or word.is_only("D", "S", "C", "O", "X", "R")):
            break  # only the next word of two languages is taken: "series of"
        reached.add(i)
    return reached


def _may_be_english(words: Sequence[Word], i: int) -> bool:
    """Return whether what follows a word of both languages is no French: "a Prayer", but not "a la table"."""
    after = at(words, i + 1)
    if after.is_mark or after.is_number:
        return False
    return not after.readings or after.key in EITHER or after.is_name
