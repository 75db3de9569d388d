"""Any Unicode in, tidy text out: NFC, no control characters, single spaces. This holds for every language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

# Control, format and surrogate characters are never spoken. Without this, a soft hyphen inside a word or a stray
# byte-order mark would reach the voice, and a lone surrogate cannot even be encoded.
UNSPEAKABLE = {"Cc", "Cf", "Cs"}

# Characters that have no compatibility form, or one that a voice would misread.
REWRITTEN = {
    "º": "°", "ᵒ": "°", "№": "n°", "ª": "a", "℃": "°C", "℉": "°F", "⁄": "/", "∕": "/", "−": "-", "‐": "-",
    "‑": "-", "﹣": "-", "㎡": "m²", "㎥": "m³", "㎞": "km", "㎏": "kg", "￡": "£", "￥": "¥",
    "™": "", "®": "", "©": "", "℠": "",
    "²": "²", "³": "³", "\N{COMBINING ENCLOSING KEYCAP}": "", "\N{REPLACEMENT CHARACTER}": "",
}  # fmt: skip
VARIATION_SELECTORS = range(0xFE00, 0xFE10)
FULL_WIDTH = range(0xFF01, 0xFF5F)

RAISED_DIGITS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4}")
VULGAR_FRACTION = re.compile(r"[¼-¾⅐-⅞]")
# More marks on one letter than any orthography uses are ornament, and only make a voice stumble.
MARK = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
STACKED_MARKS = re.compile(f"({MARK}{{2}}){MARK}+")


class _CharacterTable(dict[int, str]):
    """A table for str.translate that computes a character the first time it occurs."""

    def __init__(self, write: Callable[[str], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, code: int) -> str:
        self[code] = written = self._write(chr(code))
        return written


_SPEAKABLE = _CharacterTable(lambda char: "" if unicodedata.category(char) in UNSPEAKABLE else char)


def tidy(text: str) -> str:
    """Put a text into NFC, drop control characters, and collapse white space. Idempotent. Never raises."""
    text = " ".join(text.split())  # first: dropping the line feed between two words would join them
    if text.isascii() and text.isprintable():
        return text
    return " ".join(unicodedata.normalize("NFC", text.translate(_SPEAKABLE)).split())


def has_words(text: str) -> bool:
    """Return whether a text has anything to say: at least one letter or digit of any script."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)


def write_plain_characters(text: str) -> str:
    """Replace full-width, raised, enclosed and ligature characters, and digits of any script, by plain ones.

    A raised 2 or 3 after a letter stays (m²). Raised digits after a digit become a power, ^2.
    """
    text = tidy(text)
    if text.isascii():
        return text
    text = RAISED_DIGITS.sub(_write_power, text)
    text = VULGAR_FRACTION.sub(_write_fraction, text)
    text = tidy(text.translate(_PLAIN))
    return STACKED_MARKS.sub(r"\1", text)


def _write_power(match: re.Match[str]) -> str:
    if not match.string[max(0, match.start() - 1) : match.start()].isdecimal():
        return match[0]
    return "^" + unicodedata.normalize("NFKC", match[0])


def _write_fraction(match: re.Match[str]) -> str:
    fraction = unicodedata.normalize("NFKC", match[0])
    return f" {fraction}" if match.string[max(0, match.start() - 1) : match.start()].isdecimal() else fraction


def _write_plain(char: str) -> str:
    if char in REWRITTEN:
        return REWRITTEN[char]
    if ord(char) in FULL_WIDTH:
        return chr(ord(char) - 0xFEE0)
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if ord(char) in VARIATION_SELECTORS or category in {"Cn", "Co"}:
        return ""
    return unicodedata.normalize("NFKC", char) if category[0] in "LN" else char


_PLAIN = _CharacterTable(_write_plain)
