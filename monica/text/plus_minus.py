"""Plus and minus: before a number, between two numbers, and in J-7."""

from __future__ import annotations

import re

DAY_COUNT = re.compile(r"(?<![\w'-])J ?([+-]) ?(?=\d)")
SIGN = re.compile(r"(?:(?<=^)|(?<=[\s(\[:;,=/]))([+±-]) ?(?=\d)")
SUM = re.compile(r"(?<=[\d€$£%]) ?\+ ?(?=[\d€$£])")
MORE_THAN = re.compile(r"(?<=\d)\+(?!\w)")
SIGNS = {"+": "plus ", "-": "moins ", "±": "plus ou moins "}


def read_plus_and_minus(text: str) -> str:
    """Say plus and minus before a number, between two numbers, and in J-7."""
    if "+" not in text and "-" not in text and "±" not in text:
        return text
    text = DAY_COUNT.sub(lambda m: f"J {SIGNS[m[1]]}", text)
    text = SUM.sub(" plus ", text)
    text = SIGN.sub(lambda m: SIGNS[m[1]], text)
    return MORE_THAN.sub(" plus", text)
