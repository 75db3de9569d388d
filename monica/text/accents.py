"""Gives a text that was typed without accents its accents back: "la pause est terminee" is said "terminée".

A wrong accent is worse than a missing one. A word that is no French word as it stands, and has one accented form that
is as good as always meant, gets it. A word that may be several is decided by its neighbours or left alone. So are
names, addresses, and a text that has an accent already: it was typed with care.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

from monica.text.accents_choice import choose
from monica.text.accents_english import leave_english
from monica.text.accents_words import read_words

SHOUTED = re.compile(r"[A-Z]{4}\W{1,3}[A-Z0-9]|[A-Z0-9]\W{1,3}[A-Z]{4}")
"""More than one word. One alone in capitals is a name or an abbreviation as likely as not."""


def restore_accents(text: str, keep: Container[str] = frozenset()) -> str:
    """Return a text with its accents, or the text itself if it has one already or none is sure. Never changes a length.

    keep: words, in lower case without accents, that are left alone.
    """
    if has_accents(text):
        return text
    shouted = text.isupper() and text.isascii() and SHOUTED.search(text) is not None
    words = read_words(text.lower() if shouted else text)
    for word in words:
        if word.key in keep:
            word.readings = ()
    leave_english(words)
    choose(words)
    pieces, end = [], 0
    for word in words:
        if word.said is None or word.said == word.key or word.is_name:
            continue
        said = word.said
        if shouted or (word.text.isupper() and len(word.text) > 1):
            said = said.upper()
        elif word.text[0].isupper():
            said = said[0].upper() + said[1:]
        pieces += [text[end : word.start], said]
        end = word.start + len(said)
    return "".join([*pieces, text[end:]])


def has_accents(text: str) -> bool:
    """Return whether a letter of a text has an accent or another mark."""
    return not text.isascii() and any(unicodedata.combining(char) for char in unicodedata.normalize("NFD", text))
