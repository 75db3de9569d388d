"""The phonemes that espeak-ng's French voice can say: IPA in, the library's own mnemonics out.

Source: espeak-ng's phsource/ph_french and docs/phonemes.md, for the names; each was compared with what the library
reports it speaks (tests/engine/test_espeak_ipa.py).
"""

from __future__ import annotations

import unicodedata

from monica.engine.french_ipa import is_vowel, split_symbols

VOWELS = {
    "i": "i", "ɪ": "I", "y": "y", "u": "u", "e": "e", "ø": "Y", "o": "o", "ə": "@", "ɛ": "E", "œ": "W", "ɔ": "O",
    "a": "a", "ɑ": "a",  # the voice has one a, as most speakers do
    "ɛ̃": "E~", "œ̃": "W~", "ɔ̃": "O~", "õ": "O~", "ɑ̃": "A~", "ã": "A~",
}  # fmt: skip
CONSONANTS = {
    "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "g": "g", "ɡ": "g", "f": "f", "v": "v", "s": "s", "z": "z",
    "ʃ": "S", "ʒ": "Z", "m": "m", "n": "n", "ɲ": "n^", "ŋ": "N", "l": "l", "ʎ": "l^", "ʁ": "r", "r": "r", "h": "h",
    "x": "x", "θ": "T", "ð": "D", "j": "j", "w": "w",
    "ɥ": "y",  # as the voice itself says the u of "lui"
}  # fmt: skip
STRESS = {"ˈ": "'", "'": "'", "ˌ": ","}

_SYMBOLS = {unicodedata.normalize("NFD", ipa): mnemonic for ipa, mnemonic in (VOWELS | CONSONANTS).items()}


def write_mnemonics(ipa: str) -> str:
    """Write the phonemes of a word, or of several words with spaces between them, as espeak-ng reads them.

    A word without a stress mark is stressed on its last vowel that is not ə, as French is.
    Raises ValueError, which names the first symbol that the voice cannot say.
    """
    return " ".join(map(_write_word, ipa.split()))


def _write_word(word: str) -> str:
    symbols = split_symbols(word)
    stressed = -1
    if not any(symbol in STRESS for symbol in symbols):
        vowels = [place for place, symbol in enumerate(symbols) if is_vowel(symbol)]
        stressed = next((place for place in reversed(vowels) if symbols[place] != "ə"), vowels[-1] if vowels else -1)
    written: list[str] = []
    stress = ""  # IPA marks the syllable, espeak-ng the vowel
    for place, symbol in enumerate(symbols):
        if symbol in STRESS:
            stress = STRESS[symbol]
            continue
        mark = ""
        if is_vowel(symbol):
            mark, stress = "'" if place == stressed else stress, ""
        # A bar between phonemes keeps any two from being read as one, as "a" and "I" would be.
        written.append(mark + _SYMBOLS[symbol])
    return "|".join(written)
