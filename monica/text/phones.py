"""Telephone numbers in pairs of digits, as they are read in France: zéro six, douze, trente-quatre."""

from __future__ import annotations

import re

from monica.text.numbers import say_whole

FRENCH = re.compile(r"(?<![\w.,+/-])0\d([ .-]?)\d\d(?:\1\d\d){3}(?![\w/-])(?![.,]\d)")
INTERNATIONAL = re.compile(r"(?<![\w.,+/-])\+(\d{1,3})((?:[ .-]\d{1,4}){3,6}|[ ]?\d{9,11})(?![\w/-])(?![.,]\d)")
TRUNK_ZERO = re.compile(r"(?<=\d) ?\(0\) ?(?=\d)")


def read_phone_numbers(text: str) -> str:
    """Say telephone numbers group by group."""
    if "0" not in text and "+" not in text:
        return text
    text = FRENCH.sub(lambda m: _say_pairs(m[0]), text)
    if "+" not in text:
        return text
    return INTERNATIONAL.sub(_say_international, TRUNK_ZERO.sub(" ", text))


def _say_pairs(number: str) -> str:
    digits = re.sub(r"\D", "", number)
    return ", ".join(say_whole(digits[i : i + 2]) for i in range(0, len(digits), 2))


def _say_international(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[2])
    if len(groups) == 1:
        first, rest = groups[0][: len(groups[0]) % 2 or 2], groups[0][len(groups[0]) % 2 or 2 :]
        groups = [first, *(rest[i : i + 2] for i in range(0, len(rest), 2))]
    return ", ".join(["plus " + say_whole(match[1]), *(say_whole(group) for group in groups)])
