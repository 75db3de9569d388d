"""Cards typed with letters for their suits: [Kh][9h][2c], "flop 9h 4d 2c", {K-Hearts}. See cards for the symbols.

"9h" is an hour and "4s" are seconds until other cards, brackets or the name of a street show what is meant.
"""

from __future__ import annotations

import re

from monica.text.cards import RANKS, say_card

RANK = r"(?:10|[2-9TJQKA])"
ANY_CASE = r"(?:10|[2-9TJQKAtjqka])"
SEPARATOR = r"(?: ?[,/|-] ?| )?"
ONE_BRACKET = rf"[\[({{] ?{ANY_CASE}[shdcSHDC♠♥♦♣](?:[ ,/-]{{0,2}}{ANY_CASE}[shdcSHDC♠♥♦♣]){{0,9}} ?[\])}}]"
BRACKETED = re.compile(rf"{ONE_BRACKET}(?:[ ,-]{{0,2}}{ONE_BRACKET}){{0,9}}")
SPELLED_OUT = re.compile(r"\{(10|[2-9tjqka])-(spade|heart|diamond|club)s?\}", re.IGNORECASE)
ENGLISH = {"spade": "s", "heart": "h", "diamond": "d", "club": "c"}

STREET = r"(?:flop|turn|river|board|rivière|tournant|tableau|tapis commun)"
LINK = r"(?: (?:final|complet|est|en|de|du|donne|montre|affiche|tombe|apporte|amène|un|une|le|la|vient|avec)){0,3}"
TYPED = rf"{ANY_CASE}[shdcSHDC]"
# "Turn 9h" is a card, "le turn à 9h" is an hour.
ON_A_STREET = re.compile(
    rf"(?<!\w)({STREET}{LINK} ?[:=,]? ?)({TYPED}(?:{SEPARATOR}{TYPED}){{0,6}})(?![\w'♠♥♦♣-]|[.,:]\d)", re.IGNORECASE
)
RANKS_ON_A_STREET = re.compile(
    rf"(?<!\w)({STREET}{LINK} ?[:=]? )(?-i:([AKQJT2-9]{{3,5}}|{RANK}(?:[ -]{RANK}){{2,4}})"
    rf"|([AKQJT](?= ?(?:[.,;:!?]|$))))"
    r"(?![\w'/♠♥♦♣€%-]|[.,]\d)",
    re.IGNORECASE,
)
ROW = re.compile(rf"(?<![\w'.,:/♠♥♦♣-]){RANK}[shdc](?:{SEPARATOR}{RANK}[shdc]){{1,8}}(?![\w'♠♥♦♣-]|[.,:]\d)")
# "Ah et Kh", "Kd contre Jc", "le 4s à la turn".
LINKED = re.compile(
    rf"(?<![\w'.,:/♠♥♦♣-])({RANK}[shdc])( (?:et|ou|contre|vs\.?|face à|puis) (?:l[ea] )?)({RANK}[shdc])"
    r"(?![\w'♠♥♦♣-]|[.,:]\d)"
)
BEFORE_A_STREET = re.compile(
    rf"(?<!\w)((?:le|un|du) )({RANK}[shdc])(?= (?:à la|au|sur la|sur le|en) {STREET}(?!\w))", re.IGNORECASE
)
SHOWN = re.compile(
    r"(?<!\w)(?:montrer?|retourner?|dévoiler?|abat|tient|avec|possède|révèle|expose|main|contre|vs\.?|face à"
    r"|couche|show)"
    r"(?: ?:)? $",
    re.IGNORECASE,
)
ONE = re.compile(rf"({ANY_CASE})([shdcSHDC♠♥♦♣])")
WORDS = {"As", "Ah", "Ad"}  # "As" is the French ace, "Ah" is a cry: by themselves they prove nothing
SAID = re.compile(r"[a-z] de (?:pique|cœur|carreau|trèfle)(?!\w)|[♠♥♦♣]")
# If neither is in the text, which is nearly always so, the slower expressions need not be tried.
TYPED_CARD = re.compile(r"[2-9TJQKAtjqka0][shdcSHDC](?<![^\W\d_]..)(?=\W|$|[1-9TJQKAtjqka])|\{")
STREETS = ("flop", "turn", "river", "board", "rivière", "tournant", "tableau", "tapis commun")


def read_boards(text: str) -> str:
    """Say cards whose suits are letters, wherever it is sure that they are cards."""
    lowered = text.lower()
    street = any(word in lowered for word in STREETS)
    if TYPED_CARD.search(text):
        if "[" in text or "(" in text or "{" in text:
            text = SPELLED_OUT.sub(lambda m: f"[{m[1].upper()}{ENGLISH[m[2].lower()]}]", text)
            text = BRACKETED.sub(_say_bracketed, text)
        text = ON_A_STREET.sub(_say_on_a_street, text) if street else text
        text = BEFORE_A_STREET.sub(_say_before_a_street, text) if street else text
        text = ROW.sub(_say_row, LINKED.sub(_say_linked, text))
        if SAID.search(text):  # "9h 9s" beside other cards
            text = ROW.sub(lambda m: _say_all(m[0]), text)
    return RANKS_ON_A_STREET.sub(_say_ranks, text) if street else text


def _say_all(cards: str) -> str:
    return ", ".join(say_card(rank.upper(), suit.lower()) for rank, suit in ONE.findall(cards))


def _say_bracketed(match: re.Match[str]) -> str:
    found = ONE.findall(match[0])
    if match[0][0] == "(" and len(found) == 1 and found[0][0] in "23456789" and found[0][1] in "hHsS":
        return match[0]  # "(9h)" is an hour, "(5s)" are seconds; "[9h]" is how cards are written
    before = match.string[max(0, match.start() - 1) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return " " * bool(before.strip()) + _say_all(match[0]) + " " * after.isalnum()


def _say_on_a_street(match: re.Match[str]) -> str:
    found = ONE.findall(match[2])
    if len(found) == 1 and ("".join(found[0]).lower() == "as" or found[0] in {("a", "h"), ("a", "d")}):
        return match[0]  # "turn as" is the French ace
    return match[1] + _say_all(match[2])


def _say_ranks(match: re.Match[str]) -> str:
    ranks = re.findall(RANK, match[2] or match[3])
    if not any(rank.isalpha() for rank in ranks):
        return match[0]
    return match[1] + ", ".join(RANKS[rank] for rank in ranks)


def _say_before_a_street(match: re.Match[str]) -> str:
    return match[0] if match[2].capitalize() in WORDS else match[1] + _say_all(match[2])  # "un as à la turn"


def _are_surely_cards(found: list[tuple[str, str]], suits: str = "dc") -> bool:
    return any((rank.isalpha() or suit in suits) and rank + suit not in WORDS for rank, suit in found)


def _say_linked(match: re.Match[str]) -> str:
    sure = _are_surely_cards(ONE.findall(match[1]) + ONE.findall(match[3]), "d")  # "5c et 10c" are cents
    return f"{_say_all(match[1])}{match[2]}{_say_all(match[3])}" if sure else match[0]


def _say_row(match: re.Match[str]) -> str:
    found = ONE.findall(match[0])
    glued = " " not in match[0] and len(set(found)) > 1 and all(rank == "A" for rank, _ in found)  # not "AhAh"
    shown = SHOWN.search(match.string[max(0, match.start() - 14) : match.start()])
    return _say_all(match[0]) if _are_surely_cards(found) or glued or shown else match[0]
