"""Numbers in French words. Digits that no other rule has claimed are read here, so that none is left."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from monica.text.cardinals import spell

MAX_QUANTITY_DIGITS = 15
"""The number of digits of the longest number that is read as one quantity. A longer one is read digit by digit."""

WHOLE = (
    r"(?:[1-9]\d{0,2}(?: \d{3}(?!\d)){1,4}"
    r"|[1-9]\d{0,2}(?:\.\d{3}(?!\d)){1,4}"
    r"|[1-9]\d{0,2}(?:,\d{3}(?!\d)){2,4}"
    r"|[1-9]\d{0,2},000(?!\d)"
    r"|[1-9]\d{0,2}(?:,\d{3}(?!\d)){1,4}(?=\.\d)"
    r"|\d{1,15})"
)
"""A whole number. Thousands are grouped by a space or a dot, or by commas if there are two groups, three zeros, or
decimals after them: by itself, "1,500" is one and a half in French. Every repeat is bounded, so that no text can make
a rule slow."""
NUMBER = rf"{WHOLE}(?:[.,]\d{{1,15}})?"
"""A whole or decimal number."""
NUMBER_START = r"(?<!\w)(?<!\d[.,])"
"""What stands before a NUMBER that is not the rest of a word or of another number."""
NUMBER_END = r"(?!\d)(?![.,]\d)"
"""What stands after a NUMBER that is complete."""

PARTS = re.compile(rf"({WHOLE})(?:[.,](\d{{1,15}}))?")
# Six groups and more exceed MAX_QUANTITY_DIGITS. Joined, they are read digit by digit.
TOO_LONG = re.compile(r"(?<!\d)\d{1,3}(?: \d{3}(?!\d)){5,}")
ALONE = re.compile(rf"{NUMBER_START}{NUMBER}(?!\w){NUMBER_END}")
DOT_IN_A_VERSION = re.compile(r"(?<=\d)\.(?=\d)")
HYPHEN_BETWEEN = re.compile(r"(?<=\d) ?- ?(?=\d)")
DIGITS = re.compile(r"\d+")
MILLIONS = re.compile(
    r"(million|milliard|billion)(s?) "
    r"(?=(?:jetons?|euros?|points?|joueurs?|personnes?|francs?|dollars?|livres?|chips)(?!\w))"
)


@lru_cache(maxsize=4096)
def cardinal(number: int, *, feminine: bool = False) -> str:
    """Say a whole number of at most MAX_QUANTITY_DIGITS digits: vingt et un, or vingt et une."""
    words = spell(number)
    return words + "e" if feminine and words.endswith("un") else words


def ordinal(number: int, *, feminine: bool = False) -> str:
    """Say a rank: premier or première, deuxième, quatre-vingtième, deux centième, vingt et unième."""
    if number == 1:
        return "première" if feminine else "premier"
    words = cardinal(number)
    if words.endswith(("vingts", "cents", "millions", "milliards", "billions")):
        words = words[:-1]
    if words.startswith("un mill"):
        words = words.removeprefix("un ")
    if words.endswith("cinq"):
        return words + "uième"
    if words.endswith("neuf"):
        return words[:-1] + "vième"
    return words.removesuffix("e") + "ième"


def say_one_by_one(digits: str) -> str:
    """Say digits one after the other."""
    return " ".join(cardinal(int(digit)) for digit in digits)


def split_number(written: str) -> tuple[str, str]:
    """Split a NUMBER into the digits of its whole part and its decimals, both without separators.

    Raises ValueError if it is not a NUMBER.
    """
    match = PARTS.fullmatch(written)
    if match is None:
        raise ValueError(f"{written!r} is not a number")
    return re.sub(r"\D", "", match[1]), match[2] or ""


def number_value(written: str) -> Decimal:
    """Return the value of a NUMBER."""
    whole, decimals = split_number(written)
    return Decimal(f"{whole}.{decimals or 0}")


def say_whole(digits: str, *, feminine: bool = False) -> str:
    """Say digits as a quantity, or one by one if they are a code: with a leading zero, or too many for a quantity."""
    if len(digits) > MAX_QUANTITY_DIGITS:
        return say_one_by_one(digits)
    if digits[0] == "0" and len(digits) > 1:
        return say_one_by_one(digits) if len(digits) != 2 else f"zéro {cardinal(int(digits[1]))}"
    return cardinal(int(digits), feminine=feminine)


def say_decimals(digits: str) -> str:
    """Say the digits after the comma: leading zeros one by one, then up to three digits as one number."""
    rest = digits.lstrip("0")
    zeros = ["zéro"] * (len(digits) - len(rest))
    if len(rest) > 3:
        return " ".join([*zeros, say_one_by_one(rest)])
    return " ".join([*zeros, cardinal(int(rest))] if rest else zeros)


def say_number(written: str, *, feminine: bool = False) -> str:
    """Say a NUMBER as it is written."""
    whole, decimals = split_number(written)
    words = say_whole(whole, feminine=feminine)
    return f"{words} virgule {say_decimals(decimals)}" if decimals else words


def say_value(amount: Decimal, *, feminine: bool = False) -> str:
    """Say a computed amount, without trailing zeros after the comma."""
    whole, _, decimals = f"{amount:f}".partition(".")
    words = say_whole(whole, feminine=feminine)
    return f"{words} virgule {say_decimals(decimals)}" if (decimals := decimals.rstrip("0")) else words


def read_numbers(text: str) -> str:
    """Say whole and decimal numbers that stand by themselves."""
    text = TOO_LONG.sub(lambda m: m[0].replace(" ", ""), text)
    text = HYPHEN_BETWEEN.sub(", ", text)  # "20-2" must not sound like twenty-two
    text = ALONE.sub(lambda m: say_number(m[0]), text)
    return MILLIONS.sub(lambda m: f"{m[1]}{m[2]} {'d' + chr(39) if m.string[m.end()] == 'e' else 'de '}", text)


def read_leftover_digits(text: str) -> str:
    """Say every digit that is still there: inside a word, a version, a code. After this rule none is left."""
    text = DOT_IN_A_VERSION.sub(" point ", text)
    return DIGITS.sub(_say_spaced, text)


def _say_spaced(match: re.Match[str]) -> str:
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return " " * before.isalpha() + say_whole(match[0]) + " " * after.isalpha()
