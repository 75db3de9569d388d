"""Amounts of chips: 10k, 1,5M, and stacks counted in blinds, 25BB."""

from __future__ import annotations

import re

from monica.text.numbers import NUMBER, NUMBER_START, number_value, say_value

SCALES = {"k": 10**3, "K": 10**3, "M": 10**6, "m": 10**6, "Md": 10**9, "Mds": 10**9, "Mio": 10**6}
# "5 M" may be followed by "Dupont", and "5 K" may be two cards: a capital letter is a scale only if it touches the
# number.
SHORT_AMOUNT = re.compile(
    rf"{NUMBER_START}({NUMBER})(?:(k|K|M|Mds|Md|Mio)| (k|Mds|Md|Mio|M(?!\.? ?[A-ZÀ-ÖØ-Þ])))(?![\w'²³/°])(?!\.\w)"
    r"( (?=(?:jetons?|points?|chips)(?!\w)))?"
)
BEFORE_BLIND_UNIT = re.compile(r"(?<=\d)(?=(?:[BS]B|bb)(?!\w))")


def split_chip_stacks(text: str) -> str:
    """Separate a number from the blinds it counts, as in 25BB, so that the unit is a word by itself."""
    return BEFORE_BLIND_UNIT.sub(" ", text)


def read_chip_amounts(text: str) -> str:
    """Say thousands and millions that are written with a letter."""
    return SHORT_AMOUNT.sub(_say_short_amount, text)


def chip_count(written: str, scale: str | None) -> int | None:
    """Return how many chips a written amount stands for, or None if that is not a whole number.

    written: a NUMBER. scale: a key of SCALES, or None for one.
    """
    worth = number_value(written) * (SCALES[scale] if scale else 1)
    return int(worth) if worth == int(worth) else None


def _say_short_amount(match: re.Match[str]) -> str:
    worth = number_value(match[1]) * SCALES[match[2] or match[3]]
    if match[4]:
        return say_value(worth) + (" de " if worth and worth % 10**6 == 0 else " ")
    return say_value(worth)
