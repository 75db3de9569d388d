"""Emoji and ornaments are dropped, never named. The four suits of cards stay, in one form each."""

from __future__ import annotations

import re

SUITS = "♠♥♦♣"
HOLLOW_SUITS = str.maketrans("♤♡♢♧", SUITS)
# The heart of a phone keyboard is a suit after a rank. Anywhere else it is an ornament.
HEART_OF_A_CARD = re.compile(r"(?<=[AKQJTRDV2-90])[❤🖤](?!\w)")
# U+1F0A1 to U+1F0DE: sixteen code points per suit. The twelfth is the knight, a tarot card.
PLAYING_CARD = re.compile("[\U0001f0a1-\U0001f0ae\U0001f0b1-\U0001f0be\U0001f0c1-\U0001f0ce\U0001f0d1-\U0001f0de]")
CARD_RANKS = ("A", "2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "", "Q", "K")
PICTURE = re.compile("[<>\u00b7\u2022-\u2027\u2190-\u2bff\u3030\u303d\U0001f000-\U0001faff]")
ARROW = re.compile("[\u2190-\u21ff\u27f5-\u27ff➔-➾]|[-=]>|<[-=]{1,2}(?!\\d)")
BULLET = re.compile("[•‣▪●◦·∙‧](?:(?=\\s)|(?<=\\s.))|[•‣▪●◦∙]")
ORNAMENT = re.compile(
    "[\u2300-\u23ff\u2460-\u259f\u25a0-\u265f\u2664\u2667-\u27bf\u2b00-\u2bff\u3030\u303d\U0001f000-\U0001faff]"
)


def drop_emoji(text: str) -> str:
    """Drop emoji, keep card suits, and read arrows and bullets as a pause."""
    if not PICTURE.search(text):
        return text
    text = text.translate(HOLLOW_SUITS)
    text = HEART_OF_A_CARD.sub("♥", text)
    text = PLAYING_CARD.sub(_write_card, text)
    text = ARROW.sub(", ", text)
    text = BULLET.sub(", ", text)
    return " ".join(ORNAMENT.sub(" ", text).split())


def _write_card(match: re.Match[str]) -> str:
    suit, rank = divmod(ord(match[0]) - 0x1F0A0, 16)
    return f" {CARD_RANKS[rank - 1]}{SUITS[suit]} " if CARD_RANKS[rank - 1] else " "
