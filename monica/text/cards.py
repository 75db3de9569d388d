"""Cards and hands: A♠, K♦ Q♦, AKs, QQ, T9o, 7-2. Letters that may be initials are left alone, except in a showdown."""

from __future__ import annotations

import re

RANKS = {
    "A": "as", "K": "roi", "R": "roi", "Q": "dame", "D": "dame", "J": "valet", "V": "valet", "T": "dix",
    "10": "dix", "9": "neuf", "8": "huit", "7": "sept", "6": "six", "5": "cinq", "4": "quatre", "3": "trois",
    "2": "deux",
}  # fmt: skip
PAIRS = {"A": "d'as", "K": "de rois", "Q": "de dames", "J": "de valets"}
SUITS = {
    "♠": "pique", "♥": "cœur", "♦": "carreau", "♣": "trèfle",
    "s": "pique", "h": "cœur", "d": "carreau", "c": "trèfle",
}  # fmt: skip
ORDER = "AKQJT98765432"

CARD = r"(?:(?:10|[2-9AKQJTRDV]) ?|[akqjt])[♠♥♦♣]"
CARDS = re.compile(rf"(?<![\w-]){CARD}(?:[ ,/-]{{0,2}}{CARD}){{0,12}}")
ONE_CARD = re.compile(r"(10|[2-9AKQJTRDVakqjt]) ?([♠♥♦♣])")
SUIT_FIRST = re.compile(r"([♠♥♦♣])(10|[2-9AKQJT])(?!\w)")
TYPED = re.compile(r"(?<![\w'-])(?:10|[2-9TJQKA])[shdc](?: ?(?:10|[2-9TJQKA])[shdc]){1,6}(?![\w'-])")
ONE_TYPED = re.compile(r"(10|[2-9TJQKA])([shdc])")
# A heart by itself is a greeting, unless a card is being named.
NAMED_HEART = re.compile(
    r"(?<!\w)(as|roi|rois|dame|dames|valet|valets|dix|neuf|huit|sept|six|cinq|quatre|trois|deux|de|à|couleur|tirage"
    r"|flush|du|le|un|en) ♥(?!\w)",
    re.IGNORECASE,
)
SUIT = re.compile(r" ?([♠♦♣])(?![♠♦♣])")
LEFT_OVER = re.compile(r"[♠♥♦♣]")

TWO_RANKS = re.compile("[AKQJT0-9]-?[AKQJT0-9]")
HAND = r"[AKQJT2-9]{2}[so]?"
SHOWDOWN = re.compile(
    rf"(?<![\w.,/'-])({HAND}) (contre|vs\.?|face à|bat|domine|craque|devant) ({HAND})(?![\w/'%€$-])(?![.,]\d)"
)
COUNTS = re.compile(r" (?!(?:au|aux|à|sur|pour|et|dans|en|avec|contre)(?!\w))[^\W\d_]")
SUITED = re.compile(r"(?<![\w.,/'-])([AKQJT2-9])([AKQJT2-9])([so])(?![\w'/-])")
PAIR = re.compile(r"(?<![\w.,/'-])(une )?(?:([Pp]aires? d[e']) ?)?(AA|KK|QQ|JJ|TT)(?![\w'/-])(?! [A-ZÀ-Þ][a-zà-ÿ])")
BROADWAY = re.compile(r"(?<![\w.,/'-])(AK|AQ|KQ)(?![\w'/-])(?! [A-ZÀ-Þ][a-zà-ÿ])(?!\.\w)")
RANK_ROW = re.compile(
    r"(?<![\w.,/'-])([AKQJT](?:-(?:10|[AKQJT2-9])){1,6}|(?:10|[2-9])(?:-(?:10|[AKQJT2-9])){2,6})(?![\w/'-])"
)
LOW_CARDS = re.compile(r"(?<![\w.,/'-])(10|[3-9])-([2-9])([so])?(?![\w/'%€$-])(?![.,]\d)(?! ?(?:min|s|h|€|%))")
KINDS = {"s": " assortis", "o": " dépareillés"}


def read_cards(text: str) -> str:
    """Say cards by their rank and suit."""
    text = TYPED.sub(_say_typed, text)
    if not LEFT_OVER.search(text):
        return text
    text = CARDS.sub(lambda m: _say_cards(m, ONE_CARD), text)
    text = SUIT_FIRST.sub(lambda m: f" {_say_card(m[2], m[1])} ", text)
    text = NAMED_HEART.sub(r"\1 cœur", text)
    text = SUIT.sub(lambda m: f" {SUITS[m[1]]} ", text)
    return LEFT_OVER.sub(" ", text)


def read_hands(text: str) -> str:
    """Say starting hands: as roi assortis, paire de dames."""
    if not TWO_RANKS.search(text):
        return text
    text = SHOWDOWN.sub(_say_showdown, text)
    text = SUITED.sub(_say_suited, text)
    text = PAIR.sub(
        lambda m: f"{m[1] or ''}{'Paire' if (m[2] or '')[:1] == 'P' else 'paire'} {_pair_of(m[3][0])}", text
    )
    text = BROADWAY.sub(lambda m: _say_hand(m[0]), text)
    text = RANK_ROW.sub(_say_rank_row, text)
    return LOW_CARDS.sub(_say_low_cards, text)


def _say_card(rank: str, suit: str) -> str:
    return f"{RANKS[rank.upper()]} de {SUITS[suit]}"


def _say_cards(match: re.Match[str], one: re.Pattern[str]) -> str:
    after = match.string[match.end() : match.end() + 1]
    return ", ".join(_say_card(rank, suit) for rank, suit in one.findall(match[0])) + " " * after.isalnum()


def _say_typed(match: re.Match[str]) -> str:
    found = ONE_TYPED.findall(match[0])
    letters = [rank for rank, _ in found if rank.isalpha()]
    words = {"As", "Ah", "Ad"}  # "As" is the French ace, "Ah" is a cry: by themselves they prove nothing
    if not letters or all(rank + suit in words for rank, suit in found):
        return match[0]
    return _say_cards(match, ONE_TYPED)


def _pair_of(rank: str) -> str:
    return PAIRS.get(rank) or f"de {RANKS[rank]}"


def _say_hand(hand: str) -> str:
    first, second, kind = hand[0], hand[1], hand[2:]
    if first == second:
        return f"paire {_pair_of(first)}"
    return _say_two_ranks(first, second, kind)


def _say_two_ranks(first: str, second: str, kind: str) -> str:
    between = ", " if RANKS[first] == "dix" else " "  # "dix sept" would sound like seventeen
    return f"{RANKS[first]}{between}{RANKS[second]}{KINDS.get(kind, '')}"


def _say_showdown(match: re.Match[str]) -> str:
    one, verb, other = match[1], match[2], match[3]
    counts = other.isdigit() and COUNTS.match(match.string, match.end())  # "AK contre 88 joueurs"
    if counts or (one + other).strip("so").isdigit():
        return match[0]
    return f"{_say_hand(one)} {'contre' if verb.startswith('vs') else verb} {_say_hand(other)}"


def _say_suited(match: re.Match[str]) -> str:
    high, low = match[1], match[2]
    if high.isdigit() or ORDER.index(high) >= ORDER.index(low):
        return match[0]
    return _say_hand(match[0])


def _say_rank_row(match: re.Match[str]) -> str:
    ranks = match[1].split("-")
    letters = [rank for rank in ranks if rank.isalpha()]
    falling = len(ranks) == 2 and len(letters) == 2 and ORDER.index(ranks[0]) < ORDER.index(ranks[1])
    if not (falling or (len(ranks) > 2 and letters)):
        return match[0]
    return ", ".join(RANKS[rank] for rank in ranks) if len(ranks) > 2 else _say_two_ranks(ranks[0], ranks[1], "")


def _say_low_cards(match: re.Match[str]) -> str:
    high, low = int(match[1]), int(match[2])
    if high <= low:
        return match[0]
    return _say_two_ranks(match[1], match[2], match[3] or "")
