"""Plus and minus: before a number, between two numbers, and in J-7."""

from __future__ import annotations

import re

from monica.text.numbers import NUMBER

DAY_COUNT = re.compile(r"(?<![\w'-])J ?([+-]) ?(?=\d)")
HOUR_COUNT = re.compile(r"(?:(?<=^)|(?<=[.,;:!(] )|(?<=\bà ))H ?- ?(?=\d{1,2}(?![\w/]))")
SIGN = re.compile(r"(?:(?<=^)|(?<=[\s(\[:;,=/]))([+±-]) ?(?=\d)")
SUM = re.compile(r"(?<=[\d€$£%]) ?\+ ?(?=[\d€$£])")
MORE_THAN = re.compile(r"(?<=\d)\+(?!\w)")
# "500+ joueurs" is more than 500 of them. "18+" by itself is an age, and is said as it is written.
MORE = re.compile(
    rf"(?<![\w.,+/'-])({NUMBER}(?: ?(?:[kK]|M|€|%|\$))?) ?\+(?=(?P<noun> (?!et |ou |à |si |pour |de (?!jetons"
    rf"|points|chips)|du )[^\W\d_])| ?[€$%](?! ?\d)|[,.;:!?)]|$)"
)
MORE_OR_LESS = re.compile(r"\+/- ?(?=\d)")
LESS_OF = re.compile(r"(?<![\w.,)])[-−–] (?=d(?:e |')\d)(?!de \d[^\s]{0,8} (?:h )?à )")
MORE_OF = re.compile(r"(?<![\w.,)])\+ (?=d(?:e |')\d)")
SIGNS = {"+": "plus ", "-": "moins ", "±": "plus ou moins "}


def read_plus_and_minus(text: str) -> str:
    """Say plus and minus before a number, between two numbers, and in J-7."""
    if "+" not in text and "-" not in text and "±" not in text:
        return text
    text = DAY_COUNT.sub(lambda m: f"J {SIGNS[m[1]]}", text)
    text = HOUR_COUNT.sub("H moins ", text)
    text = MORE.sub(_say_more, text)
    text = SUM.sub(" plus ", text)
    text = SIGN.sub(lambda m: SIGNS[m[1]], text)
    return MORE_THAN.sub(" plus", text)


def read_less_and_more(text: str) -> str:
    """Say "- de 10 places" and "+ de 500 joueurs". The dash of a list is not followed by a number of something."""
    if "+/-" in text:
        text = MORE_OR_LESS.sub("± ", text)
    if "-" in text or "−" in text or "–" in text:
        text = LESS_OF.sub("moins ", text)
    return MORE_OF.sub("plus ", text) if "+" in text else text


def _say_more(match: re.Match[str]) -> str:
    number = re.sub(r"\D", "", match[1])
    large = len(number) > 2 or not match[1][-1:].isdigit()
    if not (match["noun"] or large or match.string[match.end() :].lstrip()[:1] in {"€", "$"}):
        return match[0]
    already = match.string[: match.start()].lower().endswith(("plus de ", "plus des ", "+ de "))
    return match[1] if already else f"plus de {match[1]}"
