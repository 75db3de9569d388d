"""A slash or a hyphen between two numbers: a fraction, a part of a whole, a range."""

from __future__ import annotations

import re

from monica.text.gender import follows_label
from monica.text.numbers import WHOLE, say_whole, split_number

LEFT = r"(?<![\w/.,])"
RIGHT = r"(?![\w/])(?![.,]\d)"
COUNTED = (
    r"(?:minutes?|min|mn|secondes?|sec|s|heures?|h|jours?|semaines?|mois|ans|places?|tables?|joueurs?|joueuses?"
    r"|personnes?|euros?|jetons?|mains|points?|fois|BB|km|m|kg|€|%|\$)(?!\w)"
)
RANGE = re.compile(rf"(?<![\w/.,-])({WHOLE}) ?- ?({WHOLE})(?= ?(?:{COUNTED}|[€%$]))")
RANGE_OF_HOURS = re.compile(r"(?<=\d[hH])-(?=\d{1,2} ?[hH])|(?<=[hH]\d\d)-(?=\d{1,2} ?[hH])")
RANGE_OF_PARTS = re.compile(r"(?<=\d[%€]) ?- ?(?=\d)|(?<=\d [%€]) ?- ?(?=\d)")
DEMI = re.compile(rf"{LEFT}1/2 (heure|finale|journée|tarif|douzaine|tour)(?!\w)")
FINAL = re.compile(rf"{LEFT}1/(4|8|16|32)(?:e|ème|es|èmes)?(?: de)? finale(s?)(?!\w)")
FINALS = {"4": "quart", "8": "huitième", "16": "seizième", "32": "trente-deuxième"}
RANK_OF = re.compile(r"(?<=\d)(er|re|ère|e|ème|è)/(?=\d)")
MIXED = re.compile(rf"(?<![\w/.,])(\d{{1,3}}) (1/2|1/4|3/4|1/3|2/3){RIGHT}")
SLASHED = re.compile(rf"{LEFT}({WHOLE}) ?/ ?({WHOLE}){RIGHT}")
FRACTIONS = {
    ("1", "2"): "un demi", ("1", "3"): "un tiers", ("2", "3"): "deux tiers", ("1", "4"): "un quart",
    ("3", "4"): "trois quarts",
}  # fmt: skip


def read_ranges(text: str) -> str:
    """Say "10-15 minutes" and "14h-18h". Between other numbers the meaning of a hyphen is not certain."""
    text = RANGE_OF_HOURS.sub(" à ", text)
    text = RANGE_OF_PARTS.sub(" à ", text)
    return RANGE.sub(_say_range, text)


def read_ratios(text: str) -> str:
    """Say fractions, ranks in a field (2e/45), and a part of a whole that is at least as large."""
    text = DEMI.sub(r"demi-\1", text)
    text = FINAL.sub(lambda m: f"{FINALS[m[1]]}{m[2]} de finale", text)
    text = RANK_OF.sub(r"\1 sur ", text)
    text = MIXED.sub(lambda m: f"{m[1]} et {FRACTIONS[m[2][0], m[2][2]].removeprefix('un ')}", text)
    return SLASHED.sub(_say_slashed, text)


def _say_range(match: re.Match[str]) -> str:
    first, last = int(split_number(match[1])[0]), int(split_number(match[2])[0])
    return f"{match[1]} à {match[2]}" if first < last else match[0]


def _say_slashed(match: re.Match[str]) -> str:
    part, whole = split_number(match[1])[0], split_number(match[2])[0]
    if (part, whole) in FRACTIONS and not follows_label(match):
        return FRACTIONS[part, whole]
    if part == whole == "50":
        return "cinquante-cinquante"
    years = len(part) == len(whole) == 4 and part[:2] == whole[:2] == "20"
    if years or "0" in {part[0], whole[0]} or int(part) > int(whole):
        return match[0]
    return f"{say_whole(part)} sur {say_whole(whole)}"
