"""Multipliers: 2x, x2, 3 x 3."""

from __future__ import annotations

import re

from monica.text.numbers import NUMBER, NUMBER_START

TIMES_AFTER = re.compile(rf"{NUMBER_START}({NUMBER}) ?[x×X](?!\w)")
TIMES_BETWEEN = re.compile(r"(?<=\d) ?[x×X*] ?(?=\d)")
TIMES_BEFORE = re.compile(r"(?<!\w)[x×X] ?(?=\d)")


def read_multipliers(text: str) -> str:
    """Say "2x", "x2" and "3 x 3"."""
    text = TIMES_BETWEEN.sub(" fois ", text)
    text = TIMES_AFTER.sub(r"\1 fois", text)
    return TIMES_BEFORE.sub("fois ", text)
