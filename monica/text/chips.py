"""Stacks and multiples: 10k, 1,5M, 2x, and the signs before a number."""

from __future__ import annotations

import re

from monica.text.numbers import BEFORE, NUMBER, say_value, value

SCALES = {"k": 10**3, "K": 10**3, "M": 10**6, "m": 10**6, "Md": 10**9, "Mds": 10**9, "Mio": 10**6}
# "5 M" may be followed by "Dupont", and "5 K" be two cards: a capital counts where it touches the number.
SHORT = re.compile(
    rf"{BEFORE}({NUMBER})(?:(k|K|M|Mds|Md|Mio)| (k|Mds|Md|Mio|M(?!\.? ?[A-ZÀ-ÖØ-Þ])))(?![\w'²³/°])(?!\.\w)"
    r"( (?=(?:jetons?|points?|chips)(?!\w)))?"
)
BLINDS = re.compile(r"(?<=\d)(?=(?:[BS]B|bb)(?!\w))")
TIMES_AFTER = re.compile(rf"{BEFORE}({NUMBER}) ?[x×X](?!\w)")
TIMES_BETWEEN = re.compile(r"(?<=\d) ?[x×X*] ?(?=\d)")
TIMES_BEFORE = re.compile(r"(?<!\w)[x×X] ?(?=\d)")
DAY_COUNT = re.compile(r"(?<![\w'-])J ?([+-]) ?(?=\d)")
SIGN = re.compile(r"(?:(?<=^)|(?<=[\s(\[:;,=/]))([+-±]) ?(?=\d)".replace("+-±", "+±-"))
SUM = re.compile(r"(?<=[\d€$£%]) ?\+ ?(?=[\d€$£])")
MORE_THAN = re.compile(r"(?<=\d)\+(?!\w)")
SIGNS = {"+": "plus ", "-": "moins ", "±": "plus ou moins "}


def stacks(text: str) -> str:
    """Part a number from the blinds it counts, so that they are a word of their own: 25BB."""
    return BLINDS.sub(" ", text)


def chips(text: str) -> str:
    """Say thousands and millions written short."""
    return SHORT.sub(_say, text)


def times(text: str) -> str:
    """Say "2x", "x2" and "3 x 3"."""
    text = TIMES_BETWEEN.sub(" fois ", text)
    text = TIMES_AFTER.sub(r"\1 fois", text)
    return TIMES_BEFORE.sub("fois ", text)


def signs(text: str) -> str:
    """Say plus and minus before a number, between two numbers, and in J-7."""
    if "+" not in text and "-" not in text and "±" not in text:
        return text
    text = DAY_COUNT.sub(lambda m: f"J {SIGNS[m[1]]}", text)
    text = SUM.sub(" plus ", text)
    text = SIGN.sub(lambda m: SIGNS[m[1]], text)
    return MORE_THAN.sub(" plus", text)


def amount(written: str, scale: str | None) -> int | None:
    """Give the chips a written amount stands for, or None where it is no whole number of them."""
    worth = value(written) * (SCALES[scale] if scale else 1)
    return int(worth) if worth == int(worth) else None


def _say(match: re.Match[str]) -> str:
    worth = value(match[1]) * SCALES[match[2] or match[3]]
    if match[4]:
        return say_value(worth) + (" de " if worth and worth % 10**6 == 0 else " ")
    return say_value(worth)
