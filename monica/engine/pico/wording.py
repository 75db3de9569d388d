"""A prepared text as Pico can read it: only characters it knows, no word that it hangs on, phonemes in its markup.

Nothing of what a client sends reaches Pico as markup: <genfile> would write files.
"""

from __future__ import annotations

import re
import unicodedata

from monica.engine import PHONEMES
from monica.engine.clauses import CLAUSE_END, SENTENCE_END, split, tidy_marks
from monica.engine.french_ipa import ELIDED, ELIDED_IPA, split_symbols

MAX_WORD = 40
"""Letters. Pico computes for ever on some words of 120 and more; what is longer than this is read in parts."""
MAX_DIGITS = 9
"""Digits in a row. It fails on numbers of twenty; what is longer than this is read in groups of three."""
MAX_PIECE = 200
"""Characters of one piece of a text. Prepared sentences are shorter; more at once would overrun Pico's buffers."""
CLAUSE = 100
"""Characters from which a sentence that is streamed is cut at a comma: the listener waits for no more than a clause."""

XSAMPA = {
    "i": "i", "ɪ": "i", "y": "y", "u": "u", "e": "e", "ø": "2", "o": "o", "ə": "@", "ɛ": "E", "œ": "9", "ɔ": "O",
    "a": "a", "ɑ": "a", "ɛ̃": "E~", "œ̃": "9~", "ɔ̃": "O~", "õ": "O~", "ɑ̃": "A~", "ã": "A~",
    "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "g": "g", "ɡ": "g", "f": "f", "v": "v", "s": "s", "z": "z",
    "ʃ": "S", "ʒ": "Z", "m": "m", "n": "n", "ɲ": "J", "ŋ": "N", "l": "l", "ʁ": "R", "j": "j", "w": "w", "ɥ": "H",
}  # fmt: skip
"""The phonemes of Pico's French voice. Pico has no list of them: each was found by its sound
(tests/engine/pico/test_wording.py)."""
NEAREST = {"r": "R", "x": "R", "ʎ": "j", "θ": "s", "ð": "z", "h": ""}
"""What is said in place of a phoneme the voice lacks, as French speakers do. Of h they say nothing."""

_SYMBOLS = {unicodedata.normalize("NFD", ipa): symbol for ipa, symbol in (XSAMPA | NEAREST).items()}
_KNOWN = frozenset("ÀÂÄÆÇÈÉÊËÌÍÎÏÒÓÔÖÙÚÛÜàâäæçèéêëìíîïòóôöùúûüÿŒœß")
"""Letters with marks that Pico reads. Others it passes over without a word, even inside of one."""
_OTHER_LETTERS = str.maketrans({
    "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ø": "eu", "Ø": "Eu", "å": "o", "Å": "O", "ı": "i", "þ": "th", "Þ": "Th",
    "ð": "d", "Ð": "D", "ħ": "h", "Ħ": "H", "ŋ": "ng", "Ŋ": "Ng", "ẞ": "ss", "’": "'", "‘": "'", "ʼ": "'",
    "…": ".", "–": ",", "—": ",", "«": " ", "»": " ", "(": ",", ")": ",",
    "“": " ", "”": " ", "\"": " ", "‐": "-", "‑": "-",
})  # fmt: skip
_UNREADABLE = re.compile(r"[^0-9A-Za-z" + "".join(_KNOWN) + r".,;:!?'%€$£+=@/°\- ]")
_REPEATED_SIGN = re.compile(r"([^\w.,;:!? ])(?: *\1)+")
_LONG_NUMBER = re.compile(rf"\d{{{MAX_DIGITS + 1},}}")
_LONG_WORD = re.compile(rf"[^\s]{{{MAX_WORD}}}(?=\S)")
_HAS_SOUND = re.compile(r"[^\W_]")
# Only this module's own brackets: those of a text are gone before these are put in.
_TAGGED = re.compile(r"⟦[^⟦⟧]*⟧|[^⟦⟧]+|[⟦⟧]")


def write_pieces(text: str, *, stream: bool = False) -> list[str]:
    """Cut a prepared text into the pieces that Pico is given one after the other; none if it has nothing to say.

    Phonemes are Pico's own, in white brackets. Pico starts over after each sentence by itself, so the pieces of a text
    last as long as the whole text.
    stream: cut long sentences at their commas too.
    """
    text = _join_elided(unicodedata.normalize("NFC", text))
    plain = tidy_marks("".join(_write_part(part) for part in _TAGGED.findall(text)))
    pieces = [piece for sentence in split(plain, SENTENCE_END) for piece in _shorten(sentence, stream)]
    return [piece for piece in pieces if _HAS_SOUND.search(piece)]


def write_markup(piece: str) -> str:
    """Write a piece as Pico gets it: phonemes in its markup."""
    return re.sub("⟦([^⟦⟧]*)⟧", r'<phoneme ph="\1"/>', piece)


def halve(piece: str) -> list[str]:
    """Cut a piece that Pico fails on in two, between words if it has several. Returns [] if there is nothing to cut."""
    words = piece.split()
    if len(words) > 1:
        middle = len(words) // 2
        return [" ".join(words[:middle]), " ".join(words[middle:])]
    middle = len(piece) // 2
    return [] if middle < 2 or "⟦" in piece else [piece[:middle], piece[middle:]]


def _join_elided(text: str) -> str:
    """Move an elided word into the phonemes after it: "l'⟦ɔlin⟧" is ⟦lɔlin⟧. Pico would spell the letter."""
    if "⟦" not in text:
        return text
    return ELIDED.sub(lambda m: "⟦" + ELIDED_IPA.get(m[1].lower(), m[1].lower()), text)


def _write_part(part: str) -> str:
    """Write plain text with known characters; check phonemes, and take them for letters if they are none."""
    if PHONEMES.fullmatch(part):
        try:
            symbols = write_xsampa(part[1:-1])
        except ValueError:  # not the text preparation's phonemes, which were checked
            return _write_letters(part[1:-1])
        return f" ⟦{symbols}⟧ " if symbols else " "
    return _write_letters(part)


def _write_letters(text: str) -> str:
    text = "".join(c if c in _KNOWN else _without_marks(c) for c in text.translate(_OTHER_LETTERS))
    text = _REPEATED_SIGN.sub(r"\1", _UNREADABLE.sub(" ", text))
    text = _LONG_NUMBER.sub(lambda m: " " + " ".join(re.findall(r"\d{1,3}", m[0])) + " ", text)
    return _LONG_WORD.sub(r"\g<0> ", text)


def _without_marks(char: str) -> str:
    if char.isascii():
        return char
    return "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))


def write_xsampa(ipa: str) -> str:
    """Write the phonemes of one word as Pico reads them. Stress is left out: in French its place is fixed.

    Raises ValueError, which names the first symbol that is not one of a French voice.
    """
    return "".join(_SYMBOLS[symbol] for symbol in split_symbols(ipa) if symbol in _SYMBOLS)


def replaced_in(text: str) -> set[str]:
    """Return the phonemes of a prepared text that others are said in place of."""
    if "⟦" not in text:
        return set()
    return {symbol for match in PHONEMES.finditer(text) for symbol in NEAREST if symbol in match[1]}


def _shorten(sentence: str, stream: bool) -> list[str]:
    """Cut a sentence into pieces of MAX_PIECE characters at most, at commas first, then at spaces."""
    if len(sentence) <= (CLAUSE if stream else MAX_PIECE):
        return [sentence]
    pieces: list[str] = []
    for clause in split(sentence, CLAUSE_END):
        if pieces and len(pieces[-1]) + 1 + len(clause) <= CLAUSE:
            pieces[-1] += " " + clause
            continue
        while len(clause) > MAX_PIECE:
            cut = clause.rfind(" ", 0, MAX_PIECE)
            pieces.append(clause[:cut])
            clause = clause[cut + 1 :]
        pieces.append(clause)
    return pieces
