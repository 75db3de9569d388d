"""Numbers in French words; whatever digits no other rule has claimed are read here, so that none is left.

num2words makes the cardinals; its ordinals and gender are not used (they are wrong from 80th on).
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from num2words import num2words

LONGEST = 15
"""Digits of the longest number read as one quantity; a longer one is read digit by digit."""

# Thousands are grouped by a space or a dot, or by commas where there are two groups, three zeros, or decimals
# after them: alone, "1,500" is one and a half in French. Every repeat is bounded: no text makes a rule slow.
WHOLE = (
    r"(?:[1-9]\d{0,2}(?: \d{3}(?!\d)){1,4}"
    r"|[1-9]\d{0,2}(?:\.\d{3}(?!\d)){1,4}"
    r"|[1-9]\d{0,2}(?:,\d{3}(?!\d)){2,4}"
    r"|[1-9]\d{0,2},000(?!\d)"
    r"|[1-9]\d{0,2}(?:,\d{3}(?!\d)){1,4}(?=\.\d)"
    r"|\d{1,15})"
)
NUMBER = rf"{WHOLE}(?:[.,]\d{{1,15}})?"
BEFORE = r"(?<!\w)(?<!\d[.,])"
AFTER = r"(?!\d)(?![.,]\d)"

PARTS = re.compile(rf"({WHOLE})(?:[.,](\d{{1,15}}))?")
# Six groups and more are past the longest number: joined, they are read digit by digit.
TOO_LONG = re.compile(r"(?<!\d)\d{1,3}(?: \d{3}(?!\d)){5,}")
ALONE = re.compile(rf"{BEFORE}{NUMBER}(?!\w){AFTER}")
DOT_IN_A_VERSION = re.compile(r"(?<=\d)\.(?=\d)")
HYPHEN_BETWEEN = re.compile(r"(?<=\d) ?- ?(?=\d)")
DIGITS = re.compile(r"\d+")
MILLIONS = re.compile(
    r"(million|milliard|billion)(s?) "
    r"(?=(?:jetons?|euros?|points?|joueurs?|personnes?|francs?|dollars?|livres?|chips)(?!\w))"
)


@lru_cache(maxsize=4096)
def cardinal(number: int, *, feminine: bool = False) -> str:
    """Say a whole number of at most fifteen digits: vingt et un, or vingt et une."""
    words: str = num2words(number, lang="fr")
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


def one_by_one(digits: str) -> str:
    """Say digits one after the other."""
    return " ".join(cardinal(int(digit)) for digit in digits)


def parts(written: str) -> tuple[str, str]:
    """Split a NUMBER into its whole digits and its decimals, without separators."""
    match = PARTS.fullmatch(written)
    if match is None:
        raise ValueError(f"{written!r} is not a number")
    return re.sub(r"\D", "", match[1]), match[2] or ""


def value(written: str) -> Decimal:
    """Give what a NUMBER is worth."""
    whole, decimals = parts(written)
    return Decimal(f"{whole}.{decimals or 0}")


def say_whole(digits: str, *, feminine: bool = False) -> str:
    """Say plain digits: as a quantity, or one by one where they are a code (a leading zero, or too many)."""
    if len(digits) > LONGEST:
        return one_by_one(digits)
    if digits[0] == "0" and len(digits) > 1:
        return one_by_one(digits) if len(digits) != 2 else f"zéro {cardinal(int(digits[1]))}"
    return cardinal(int(digits), feminine=feminine)


def say_decimals(digits: str) -> str:
    """Say what follows the comma: zeros one by one, then up to three digits as a number."""
    rest = digits.lstrip("0")
    zeros = ["zéro"] * (len(digits) - len(rest))
    if len(rest) > 3:
        return " ".join([*zeros, one_by_one(rest)])
    return " ".join([*zeros, cardinal(int(rest))] if rest else zeros)


def say_number(written: str, *, feminine: bool = False) -> str:
    """Say a NUMBER as it is written."""
    whole, decimals = parts(written)
    words = say_whole(whole, feminine=feminine)
    return f"{words} virgule {say_decimals(decimals)}" if decimals else words


def say_value(amount: Decimal, *, feminine: bool = False) -> str:
    """Say a computed amount, without the zeros that end its decimals."""
    whole, _, decimals = f"{amount:f}".partition(".")
    words = say_whole(whole, feminine=feminine)
    return f"{words} virgule {say_decimals(decimals)}" if (decimals := decimals.rstrip("0")) else words


def numbers(text: str) -> str:
    """Say whole and decimal numbers that stand alone."""
    text = TOO_LONG.sub(lambda m: m[0].replace(" ", ""), text)
    text = HYPHEN_BETWEEN.sub(", ", text)  # "20-2" must not be heard as twenty-two
    text = ALONE.sub(lambda m: say_number(m[0]), text)
    return MILLIONS.sub(lambda m: f"{m[1]}{m[2]} {'d' + chr(39) if m.string[m.end()] == 'e' else 'de '}", text)


def digits(text: str) -> str:
    """Say every digit still there: inside a word, a version, a code. After this rule none is left."""
    text = DOT_IN_A_VERSION.sub(" point ", text)
    return DIGITS.sub(_spaced, text)


def _spaced(match: re.Match[str]) -> str:
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return " " * before.isalpha() + say_whole(match[0]) + " " * after.isalpha()
