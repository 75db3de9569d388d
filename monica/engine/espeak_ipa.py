"""The phonemes that espeak-ng's French voice can say: IPA in, the library's own mnemonics out.

Source: espeak-ng's phsource/ph_french and docs/phonemes.md, for the names; each was compared with what the library
reports it speaks (tests/engine/test_espeak_ipa.py).
"""

from __future__ import annotations

import re
import unicodedata

from monica.engine import PHONEMES
from monica.engine.french_ipa import ELIDED, ELIDED_IPA, is_vowel, split_symbols

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
_DOUBLE_BRACKET = re.compile(r"\[(?=\[)")
_BEFORE_WORD = re.compile(r"⟧(?=\w)")
# Vietnamese letters, for the most part. The library spells them out: "e accent circonflexe tilde".
_MARKED_LETTER = re.compile("[\u1e00-\u1eff]")
_LOOSE_MARK = re.compile("[\u0300-\u036f]")


def write_for_espeak(text: str) -> str:
    """Write a prepared text as the library reads it: phonemes as mnemonics, and letters it knows in place of others."""
    text = _DOUBLE_BRACKET.sub("[ ", text)
    if "⟦" in text:
        text = ELIDED.sub(lambda m: "⟦" + ELIDED_IPA.get(m[1].lower(), m[1].lower()), text)
        text = PHONEMES.sub(_write_phonemes, _BEFORE_WORD.sub("⟧ ", text))
    # After the phonemes, whose nasal vowels are letters with a loose mark.
    text = unicodedata.normalize("NFC", text)
    text = _MARKED_LETTER.sub(lambda m: unicodedata.normalize("NFD", m[0])[0], text)
    return _LOOSE_MARK.sub("", text)


def _write_phonemes(match: re.Match[str]) -> str:
    try:
        # The space is for the library, which ignores phonemes right after a bracket or a quote.
        return f" [[{write_mnemonics(match[1])}]]"
    except ValueError:  # not the text preparation's phonemes, which were checked
        return match[1]


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
