"""Thousands grouped by a comma or an apostrophe, and a k or M in the middle of an amount, rewritten as plain digits.

Reports from live tournaments write 3,400; Switzerland writes 1'500; players write 2k5. Rewriting them first keeps every
other rule free of that question: for those, a comma is a decimal comma.
"""

from __future__ import annotations

import re

from monica.text.words import UPPER

# Before these a comma with three digits after it is a decimal comma: 1,250 million, 12,375 BB, 1,859 € le litre.
DECIMAL_UNIT = (
    r" ?(?:millions?|milliards?|Md?s?|Mio|k|K|kilos?|kg|mg|grammes?|g|tonnes?|t|[KkCcMmDd]?m[²³23]?|mètres?|kilomètres?"
    r"|centimètres?|millimètres?|litres?|[lL]|[cm]l|BB|bb|SB|big|blind(?:e|s|es)?|secondes?|secs?|s|degrés?|ha|hectares?"
    r"|[GMKk]o|k?Wh?|Hz|dB|points? de (?:base|pourcentage)|fois|x|pour cent|pourcents?)(?!\w)"
    r"| ?[km][€$£]| ?[%‰°×]| ?M[€$]| ?(?:€|euros?) ?(?:/ ?|le |du |par |au )(?:[lL]|litre|kg|kilo|kWh"
    r"|km)(?!\w)| euro(?!\w)"
)
GROUPED = re.compile(r"\d(?:[,']\d\d\d|[kM]\d)")
COMMA = re.compile(rf"(?<![\w.,'])([€$£]?[1-9]\d{{0,2}}),(\d{{3}})(?![\d']|[.,]\d)(?!{DECIMAL_UNIT})")
APOSTROPHE = re.compile(r"(?<![\w.,'])([1-9]\d{0,2})((?:'\d{3}){1,4})(?![\w'])")
IN_THE_MIDDLE = re.compile(r"(?<![\w.,/])(\d{1,3})(?:k(\d{1,3})|M(\d{1,3}))(?![\w.,/²³-]\w|[\w²³])")
COMMA_BETWEEN = re.compile(r"\d,\d")
LIST = re.compile(
    r"(?<!\w)((?:table|place|siège|siege|niveau|joueur|numéro|n°|jour|page|main|article|groupe|lot|rang|day|étape"
    r"|manche|position|seat|level)(s|x)? ?)(\d{1,3}(?:,\d{1,3}){1,20})(?![\w.,])(?= (?:et|ou|à|puis) \d|)",
    re.IGNORECASE,
)
AND_MORE = re.compile(r" (?:et|ou|puis) \d")
# "1° Pause 2° Reprise": a small letter follows the degrees of "1° dehors, 2° dedans".
ITEM = re.compile(rf"(?<![^\s(])(\d{{1,2}})(?:[.)] (?=[^\W\d])|[°/] (?=[{UPPER}]))")
DECIMAL_AFTER = re.compile(DECIMAL_UNIT)


def join_groups(text: str) -> str:
    """Write 3,400 and 1'500 as 3400 and 1500, and 2k5 as 2500. "0,125" and "1,250 million" keep their comma."""
    if not GROUPED.search(text):
        return text
    if "," in text:
        text = COMMA.sub(r"\1\2", text)
    if "'" in text:
        text = APOSTROPHE.sub(lambda m: m[1] + m[2].replace("'", ""), text)
    return IN_THE_MIDDLE.sub(_fill_up, text)


def separate_lists(text: str) -> str:
    """Separate numbers that are listed without a space: "tables 1,2 et 3" is not about a table 1,2."""
    return LIST.sub(_separate, text) if COMMA_BETWEEN.search(text) else text


def separate_items(text: str) -> str:
    """End each item of a numbered list where the next begins: "1) Pause 2) Reprise" becomes "1. Pause. 2. Reprise"."""
    items = list(ITEM.finditer(text))
    if len(items) < 2:
        return text
    pieces: list[str] = []
    end = number = 0
    for item in items:
        before = text[end : item.start()].rstrip(" ,;")
        begins = not before or before[-1] in ".:!?…"
        if int(item[1]) != number + 1 or not (number or begins):
            continue
        pieces += [before, "" if begins else ".", " " * bool(before), f"{item[1]}. "]
        end, number = item.end(), number + 1
    return "".join([*pieces, text[end:]]) if number > 1 else text


def _fill_up(match: re.Match[str]) -> str:
    after, scale = (match[2], 3) if match[2] else (match[3], 6)
    return str(int(match[1] + after.ljust(scale, "0")))


def _separate(match: re.Match[str]) -> str:
    numbers = match[3].split(",")
    more = AND_MORE.match(match.string, match.end())
    plural = bool(match[2]) or len(numbers) > 2
    if not (plural or more) or DECIMAL_AFTER.match(match.string, match.end()):
        return match[0]
    return match[1] + ", ".join(numbers)
