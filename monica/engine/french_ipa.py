"""The IPA of the lexicon: which phonemes a French voice is given, and how a word splits into them."""

from __future__ import annotations

import re
import unicodedata

VOWELS = ("i", "ɪ", "y", "u", "e", "ø", "o", "ə", "ɛ", "œ", "ɔ", "a", "ɑ", "ɛ̃", "œ̃", "ɔ̃", "õ", "ɑ̃", "ã")
CONSONANTS = (
    "p", "b", "t", "d", "k", "g", "ɡ", "f", "v", "s", "z", "ʃ", "ʒ", "m", "n", "ɲ", "ŋ", "l", "ʎ", "ʁ", "r", "h", "x",
    "θ", "ð", "j", "w", "ɥ",
)  # fmt: skip
"""With those of borrowed words. A voice that lacks one of them says the nearest."""
STRESS = frozenset("ˈ'ˌ")
SILENT = frozenset(".ː‿͜͡")
"""Syllable breaks, length and ties. French has neither long vowels nor affricates of its own: tʃ is t and ʃ."""

# "l'⟦ɔlin⟧": before phonemes a voice spells the elided word as a letter, so its consonant becomes a phoneme too.
ELIDED = re.compile(r"(?<![\w'])(qu|[cdjlmnst])['’]⟦", re.IGNORECASE)
ELIDED_IPA = {"c": "s", "j": "ʒ", "qu": "k"}

_VOWELS = frozenset(unicodedata.normalize("NFD", ipa) for ipa in VOWELS)
_SYMBOLS = _VOWELS | {unicodedata.normalize("NFD", ipa) for ipa in CONSONANTS}
_NASAL = "\N{COMBINING TILDE}"


def split_symbols(word: str) -> list[str]:
    """Split a word into phonemes (NFD) and marks of stress; silent marks are left out.

    Raises ValueError, which names the first symbol that is neither.
    """
    symbols: list[str] = []
    for char in unicodedata.normalize("NFD", word):
        if char in SILENT:
            continue
        if char == _NASAL and symbols and symbols[-1] + char in _SYMBOLS:
            symbols[-1] += char
        elif char in STRESS or char in _SYMBOLS:
            symbols.append(char)
        else:
            raise ValueError(f"the voices cannot say {char!r} (U+{ord(char):04X})")
    return symbols


def is_vowel(symbol: str) -> bool:
    return symbol in _VOWELS


def check_ipa(ipa: str) -> None:
    """Raise ValueError if these words cannot be said. The message is for people."""
    for word in ipa.split():
        if not any(map(is_vowel, split_symbols(word))):
            raise ValueError(f"{word!r} has no vowel")
