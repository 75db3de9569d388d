"""Blind levels: 100/200 is "cent, deux cents", 100/200/25 adds "ante vingt-cinq". Doubtful ones are left alone."""

from __future__ import annotations

import re

from monica.text.chips import chip_count
from monica.text.numbers import NUMBER, say_whole

AMOUNT = rf"({NUMBER})(k|K|M)?"
LEVEL = re.compile(
    rf"(?<![\w/.,-]){AMOUNT} ?([/-]) ?{AMOUNT}"
    rf"(?: ?/ ?{AMOUNT}| ?,? ?\((?:(?:bb )?antes? ?(?:de |: ?)?)?{AMOUNT}(?: ?(?:bb )?antes?)?\)"
    rf"|[ ,]{{0,2}}(?:bb )?antes?(?: de| à| ?:)? ?{AMOUNT})?(?![\w/])(?![.,]\d)(?!-\d)",
    re.IGNORECASE,
)
# Words about blinds, shortly before and in the same sentence. By itself, "niveau 4/10" is four out of ten.
BLINDS_BEFORE = re.compile(
    r"(?<!\w)(?:blind(?:e|s|es)?|limites?|nlh?|plo|cash[ -]game|(?:niveau|level) \w{1,5})(?!\w)[^.!?]{0,40}$",
    re.I,
)
HYPHEN_BEFORE = re.compile(r"(?<!\w)blind(?:e|s|es)?(?!\w)[^.!?\d]{0,30}$", re.I)
PEOPLE_BEFORE = re.compile(
    r"(?:joueu|joueur|restant|inscri|place|table|participant|score|note)\w{0,8}[^.!?\d]{0,12}$", re.I
)
PEOPLE_AFTER = re.compile(
    r" ?(?:joueu|restant|inscri|personne|place|table|participant|qualifi|en (?:course|jeu|lice)|left|%)", re.I
)


def read_blind_levels(text: str) -> str:
    """Say the small and the big blind with a pause between them, and the ante by its name."""
    return LEVEL.sub(_say_level, text) if "/" in text or "-" in text else text


def _say_level(match: re.Match[str]) -> str:
    written = [(match[1], match[2]), (match[4], match[5])]
    ante = next(((match[i], match[i + 1]) for i in (6, 8, 10) if match[i]), None)
    small, big = (chip_count(*pair) for pair in written)
    third = chip_count(*ante) if ante else 0
    if small is None or big is None or third is None or not _is_level(match, small, big, third):
        return match[0]
    said = f"{say_whole(str(small))}, {say_whole(str(big))}"
    return f"{said}, ante {say_whole(str(third))}" if third else said


def _is_level(match: re.Match[str], small: int, big: int, ante: int) -> bool:
    before = match.string[max(0, match.start() - 60) : match.start()]
    if not 0 < small < big <= 3 * small or ante > big or match[1][0] == "0" or match[4][0] == "0":
        return False
    if match[3] == "-":
        return HYPHEN_BEFORE.search(before) is not None
    if PEOPLE_AFTER.match(match.string, match.end()):
        return False
    if BLINDS_BEFORE.search(before):
        return True
    if PEOPLE_BEFORE.search(before):
        return False
    return small >= 10 and small % 5 == 0 and big % 5 == 0 and 2 * big >= 3 * small
