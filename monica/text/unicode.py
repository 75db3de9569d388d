"""Any Unicode in, tidy text out: NFC, no control characters, single spaces. Languages do not matter here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

# Control, format and surrogate characters are never spoken. A soft hyphen inside a word or a stray
# byte-order mark would otherwise reach the voice; a lone surrogate cannot even be encoded.
UNSPEAKABLE = {"Cc", "Cf", "Cs"}

# What has no compatibility form, or one that a voice would misread.
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
# More marks than any orthography stacks on one letter are ornament; a voice only stumbles over them.
MARK = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
STACKED_MARKS = re.compile(f"({MARK}{{2}}){MARK}+")


class _Table(dict[int, str]):
    """A table for str.translate that works a character out the first time it is met."""

    def __init__(self, write: Callable[[str], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, code: int) -> str:
        self[code] = written = self._write(chr(code))
        return written


_SPEAKABLE = _Table(lambda char: "" if unicodedata.category(char) in UNSPEAKABLE else char)


def tidy(text: str) -> str:
    """Put text in NFC, drop control characters and fold white space. Idempotent; never raises."""
    text = " ".join(text.split())  # first, or the line feed between two words would join them
    if text.isascii() and text.isprintable():
        return text
    return " ".join(unicodedata.normalize("NFC", text.translate(_SPEAKABLE)).split())


def has_words(text: str) -> bool:
    """Tell whether there is anything to say: at least one letter or digit of any script."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)


def plain(text: str) -> str:
    """Write full-width, raised, enclosed and ligature characters, and digits of any script, the plain way.

    A raised 2 or 3 after a letter stays (m²); raised digits after a digit become ^2, a power.
    """
    text = tidy(text)
    if text.isascii():
        return text
    text = RAISED_DIGITS.sub(_power, text)
    text = VULGAR_FRACTION.sub(_fraction, text)
    text = tidy(text.translate(_PLAIN))
    return STACKED_MARKS.sub(r"\1", text)


def _power(match: re.Match[str]) -> str:
    if not match.string[max(0, match.start() - 1) : match.start()].isdecimal():
        return match[0]
    return "^" + unicodedata.normalize("NFKC", match[0])


def _fraction(match: re.Match[str]) -> str:
    fraction = unicodedata.normalize("NFKC", match[0])
    return f" {fraction}" if match.string[max(0, match.start() - 1) : match.start()].isdecimal() else fraction


def _write_plainly(char: str) -> str:
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


_PLAIN = _Table(_write_plainly)
