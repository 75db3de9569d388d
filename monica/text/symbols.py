"""Symbols that have a name in a sentence. Those that have none are dropped, so that none reaches the voice."""

from __future__ import annotations

import re

ABOUT = re.compile(r"[~≈≃] ?(?=\d)")
COMPARED = re.compile(r" ?(<=|>=|[<>≤≥≠]) ?(?=\d)")
COMPARISON = re.compile("[<>≤≥≠]")
COMPARISONS = {
    "<": " moins de ", "≤": " au plus ", "<=": " au plus ", ">": " plus de ", "≥": " au moins ",
    ">=": " au moins ", "≠": " différent de ",
}  # fmt: skip
NAMED = re.compile(r" ?([&=≈@+±]) ?")
NAMES = {"&": " et ", "=": " égale ", "≈": " environ ", "@": " arobase ", "+": " plus ", "±": " plus ou moins "}
SYMBOL = re.compile(r"[&=≈@+±~≃÷|*_`#^¨<>≤≥≠¬¦§†‡°\\]")
EMPHASIS = re.compile(r"[*_`#^~¨<>≤≥≠¬¦§†‡°\\]")
BAR = re.compile(r" ?\| ?")
AND_OR = re.compile(r"(?<!\w)et ?/ ?ou(?!\w)", re.IGNORECASE)
SLASH = re.compile(r" ?/[ /]*")
DIVIDED = re.compile(r" ?÷ ?")


def read_comparisons(text: str) -> str:
    """Say < 50 and >= 50. Before every amount, which would take the digit that shows what the sign means."""
    if not COMPARISON.search(text):
        return text
    return COMPARED.sub(lambda m: COMPARISONS[m[1]], text)


def read_symbols(text: str) -> str:
    """Name symbols before and between numbers and words."""
    if not SYMBOL.search(text):
        return text
    text = ABOUT.sub("environ ", text)
    text = DIVIDED.sub(" divisé par ", text)
    text = NAMED.sub(lambda m: NAMES[m[1]], text)
    text = BAR.sub(", ", text)
    return EMPHASIS.sub(" ", text)


def read_slashes(text: str) -> str:
    """Turn a slash that no other rule has claimed into a pause."""
    if "/" not in text:
        return text
    return SLASH.sub(", ", AND_OR.sub("et ou", text))
