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
# A heart by itself is a greeting, unless a card is being named.
NAMED_HEART = re.compile(
    r"(?<!\w)(as|roi|rois|dame|dames|valet|valets|dix|neuf|huit|sept|six|cinq|quatre|trois|deux|de|à|couleur|tirage"
    r"|flush|du|le|un|en) ♥(?!\w)",
    re.IGNORECASE,
)
SUIT = re.compile(r" ?([♠♦♣])(?![♠♦♣])")
RANK_WORD = "as|roi|dame|valet|dix|neuf|huit|sept|six|cinq|quatre|trois|deux"
# "As♠" and "Roi ♥" are cards, as is "K de cœur".
NAMED_CARD = re.compile(rf"(?<!\w)({RANK_WORD})s? ?([♠♥♦♣])(?!\w(?<![A-Z]))", re.IGNORECASE)
LETTER_OF_A_SUIT = re.compile(
    r"(?<![\w.'-])(?:([KQJT])(?: de)?|(A) de) (?=(?:pique|cœur|coeur|carreau|trèfle)s?(?!\w))"
)
# "J-9 de cœur" is a hand, "J-9" a countdown.
HAND_OF_A_SUIT = re.compile(
    r"(?<![\w.,/'-])(10|[AKQJT2-9])-?(?!\1)(10|[AKQJT2-9]) (?=de (?:pique|cœur|coeur|carreau|trèfle)s?(?!\w))"
)
BEATS = re.compile(rf"(?<=[♠♥♦♣]) ?> ?(?={CARD})")
LEFT_OVER = re.compile(r"[♠♥♦♣]")

# If this is not in the text, which is nearly always so, the slower expressions below need not be tried.
TWO_RANKS = re.compile(
    r"[AKQJT]-?[AKQJT0-9]|10-?[AKQJT2-9]|[2-9](?:-[2-9AKQJT]|[AKQJT]|[2-9][so])|([2-9])\1(?!\d)|[est]-[AKQJT0-9]"
)
RANK = r"(?:10|[AKQJT2-9])"
ONE_RANK = re.compile(RANK)
HAND = rf"{RANK}-?{RANK}[so]?"
SHOWDOWN = re.compile(
    rf"(?<![\w.,/'-])({HAND}) (contre|vs\.?|versus|face à|bat|domine|craque|devant|perd (?:contre|face à)"
    rf"|gagne (?:contre|face à)|tient (?:contre|face à)) ({HAND})(?![\w/'%€$-])(?![.,]\d)"
)
SCORE_BEFORE = re.compile(r"(?:score|vote|voix|par|résultat|match|à)(?: de| :|:)? $", re.IGNORECASE)
# After these two ranks are a hand, and the same figure twice is a pair: "il pousse avec 88".
WITH = r"(?<!\w)((?:avec|montre|retourne|tient|dévoile|abat|possède|pocket|main :|contre|face à|vs\.?) )"
SHOWN_HAND = re.compile(
    rf"{WITH}(?-i:(?=[\d-]{{0,3}}[AKQJT])({HAND}))(?![\w'/€%$-])(?![.,]\d)(?! (?-i:[A-ZÀ-Þ][a-zà-ÿ]))", re.IGNORECASE
)
SHOWN_PAIR = re.compile(
    r"(?<!\w)((?:avec|montre|retourne|tient|dévoile|abat|possède|trouve|découvre"
    r"|main :) )([2-9])\2(?= ?(?:[.!?;]|,(?!\d)|$)| (?:contre|vs|face|et (?:paie|pousse|relance|part|mise"
    r"|call|se)|au (?:flop|bouton|cutoff)|en (?:petite|grosse|position)|UTG))",
    re.IGNORECASE,
)
POCKET = re.compile(r"(?<!\w)([Pp])ocket (10|[2-9])s(?!\w)")
PAIR_OF = re.compile(
    r"(?<!\w)(paires? |pocket )(?:de |d')?([2-9])\2(?: (et|ou|contre) ([2-9])\4)?(?!\w)(?![.,]\d)", re.IGNORECASE
)
# "AK/QQ" are two hands.
SLASHED_HANDS = re.compile(r"(?<![\w/])([AKQJT]{2}[so]?) ?/ ?(?=[AKQJT]{2}[so]?(?![\w/]))")
SEVERAL_OF = re.compile(
    r"(?<!\w)((?i:paires?|brelan|carré|set|trips)) (?:de |d')([AKQJTRDV])(?![\w'/-]|\.\w)(?!\.? [A-ZÀ-Þ])"
)
SEVERAL = {"A": "d'as", "R": "de rois", "K": "de rois", "D": "de dames", "Q": "de dames", "V": "de valets",
           "J": "de valets", "T": "de dix"}  # fmt: skip
SET_OF = re.compile(r"(?<!\w)((?:brelan|set|carré|trips) (?:de |d'))([2-9])\2{1,3}(?!\w)(?![.,]\d)", re.IGNORECASE)
ACE_AND = re.compile(rf"(?<![\w'-])([Aa]s|[Rr]oi|[Dd]ame|[Vv]alet)-({RANK})(?![\w'-])(?![.,]\d)")
LABEL_BEFORE = re.compile(
    r"(?:table|place|siège|salle|groupe|porte|zone|bâtiment|bât\.|rangée|allée|case|casier|quai|hall|autoroute|sortie|route"
    r"|poule|annexe|bus|ligne|vol|chambre|article|niveau|parking|stand|section|série|l'|version|format|taille) ?$",
    re.IGNORECASE,
)
SECONDS_BEFORE = re.compile(
    r"(?<!\w)(?:dans|pendant|durant|rest\w{1,5}|encore|en|après|toutes les|time ?bank|chrono|timer|plus que"
    r"|pause|bonus|pause de"
    r"|banque|temps|de|:) (?::? ?)?$",
    re.IGNORECASE,
)
SECONDS_AFTER = re.compile(
    r" (?:de (?:pause|réflexion|temps|plus|jeu)|rest|pour |par |chrono|avant|plus tard)", re.IGNORECASE
)
COUNTS = re.compile(r" (?!(?:au|aux|à|sur|pour|et|dans|en|avec|contre)(?!\w))[^\W\d_]")
SUITED = re.compile(rf"(?<![\w.,/'-])({RANK})-?({RANK})([so])(?![\w'/-])")
PAIR = re.compile(r"(?<![\w.,/'-])(une )?(?:([Pp]aires? d[e']) ?)?(AA|KK|QQ|JJ|TT)(?![\w'/-])(?! [A-ZÀ-Þ][a-zà-ÿ])")
BROADWAY = re.compile(r"(?<![\w.,/'-])(AK|AQ|KQ|KJ|QJ|KT|QT)(?![\w'/-])(?! [A-ZÀ-Þ][a-zà-ÿ])(?!\.\w)")
RANK_ROW = re.compile(
    r"(?<![\w.,/'-])([AKQJT](?:-(?:10|[AKQJT2-9])){1,6}|(?:10|[2-9])(?:-(?:10|[AKQJT2-9])){2,6})(?![\w/'-])"
)
# "AKQJT" is a straight, cards that follow each other.
STRAIGHT = re.compile(r"(?<![\w.,/'-])(?=[2-9]{0,4}[AKQJT])[AKQJT2-9]{4,5}(?![\w'/-])")
LOW_CARDS = re.compile(r"(?<![\w.,/'-])(10|[3-9])-([2-9])([so])?(?![\w/'%€$-])(?![.,]\d)(?! ?(?:min|s|h|€|%))")
KINDS = {"s": " assortis", "o": " dépareillés"}


def read_cards(text: str) -> str:
    """Say cards by their rank and suit."""
    if " de " in text or "que" in text or "eur" in text or "eau" in text or "èfle" in text:
        text = HAND_OF_A_SUIT.sub(lambda m: _say_two_ranks(m[1], m[2], "") + " ", text)
        text = LETTER_OF_A_SUIT.sub(lambda m: f"{RANKS[m[1] or m[2]]} de ", text)
    if not LEFT_OVER.search(text):
        return text
    text = CARDS.sub(_say_cards, BEATS.sub(" bat ", text))
    text = NAMED_CARD.sub(_say_named_card, text)
    text = SUIT_FIRST.sub(lambda m: f" {say_card(m[2], m[1])} ", text)
    text = NAMED_HEART.sub(r"\1 cœur", text)
    text = SUIT.sub(lambda m: f" {SUITS[m[1]]} ", text)
    return LEFT_OVER.sub(" ", text)


def read_hands(text: str) -> str:
    """Say starting hands: as roi assortis, paire de dames."""
    text = (
        POCKET.sub(lambda m: f"{'paire' if m[1] == 'p' else 'Paire'} {_pair_of(m[2])}", text)
        if "ocket" in text
        else text
    )
    if " de " in text or "d'A" in text:
        text = SEVERAL_OF.sub(lambda m: f"{m[1]} {SEVERAL[m[2]]}", text)
    if not TWO_RANKS.search(text):
        return text
    text = SLASHED_HANDS.sub(r"\1, ", text)
    text = SHOWDOWN.sub(_say_showdown, text)
    text = ACE_AND.sub(lambda m: f"{m[1]} {RANKS[m[2]]}", text)
    text = PAIR_OF.sub(_say_pair_of, text)
    text = SET_OF.sub(lambda m: m[1] + RANKS[m[2]], text)
    text = SUITED.sub(_say_suited, text)
    text = SHOWN_HAND.sub(lambda m: m[1] + _say_hand(m[2]), text)
    text = SHOWN_PAIR.sub(lambda m: f"{m[1]}paire {_pair_of(m[2])}", text)
    text = PAIR.sub(
        lambda m: f"{m[1] or ''}{'Paire' if (m[2] or '')[:1] == 'P' else 'paire'} {_pair_of(m[3][0])}", text
    )
    text = BROADWAY.sub(lambda m: _say_hand(m[0]), text)
    text = RANK_ROW.sub(_say_rank_row, STRAIGHT.sub(_say_straight, text))
    return LOW_CARDS.sub(_say_low_cards, text)


def say_card(rank: str, suit: str) -> str:
    """Say a card, given a key of RANKS in capitals or figures, and a key of SUITS."""
    return f"{RANKS[rank.upper()]} de {SUITS[suit]}"


def _say_cards(match: re.Match[str]) -> str:
    after = match.string[match.end() : match.end() + 1]
    return ", ".join(say_card(rank, suit) for rank, suit in ONE_CARD.findall(match[0])) + " " * after.isalnum()


def _say_named_card(match: re.Match[str]) -> str:
    after = match.string[match.end() : match.end() + 1]
    return f"{match[1]} de {SUITS[match[2]]}{', ' * after.isalnum()}"


def _pair_of(rank: str) -> str:
    return PAIRS.get(rank) or f"de {RANKS[rank]}"


def _say_pair_of(match: re.Match[str]) -> str:
    pair = {"pocket ": "paire ", "Pocket ": "Paire ", "POCKET ": "Paire "}.get(match[1], match[1])
    other = f" {match[3]} {_pair_of(match[4])}" if match[3] else ""
    return f"{pair}{_pair_of(match[2])}{other}"


def _say_hand(hand: str) -> str:
    first, second = ONE_RANK.findall(hand)
    if first == second:
        return f"paire {_pair_of(first)}"
    return _say_two_ranks(first, second, hand[-1:])


def _say_two_ranks(first: str, second: str, kind: str) -> str:
    between = ", " if RANKS[first] == "dix" else " "  # "dix sept" would sound like seventeen
    return f"{RANKS[first]}{between}{RANKS[second]}{KINDS.get(kind, '')}"


def _say_showdown(match: re.Match[str]) -> str:
    one, verb, other = match[1], match[2], match[3]
    counts = other.isdigit() and COUNTS.match(match.string, match.end())  # "AK contre 88 joueurs"
    if counts or ((one + other).replace("-", "").isdigit() and not _are_pairs(match)):
        return match[0]
    return f"{_say_hand(one)} {'contre' if verb[:2] in {'vs', 've'} else verb} {_say_hand(other)}"


def _are_pairs(match: re.Match[str]) -> bool:
    """Return whether "88 contre 77" is about pairs rather than votes."""
    pairs = all(len(hand) == 2 and hand[0] == hand[1] for hand in (match[1], match[3]))
    return pairs and not SCORE_BEFORE.search(match.string[max(0, match.start() - 14) : match.start()])


def _say_suited(match: re.Match[str]) -> str:
    high, low, kind = match[1], match[2], match[3]
    if high == low or _order(high) > _order(low):
        return match[0]
    before = match.string[max(0, match.start() - 14) : match.start()]
    seconds = kind == "s" and (high + low).isdigit()
    if seconds and (SECONDS_BEFORE.search(before) or SECONDS_AFTER.match(match.string, match.end())):
        return match[0]
    return _say_hand(match[0])


def _order(rank: str) -> int:
    return ORDER.index("T" if rank == "10" else rank)


def _say_rank_row(match: re.Match[str]) -> str:
    ranks = match[1].split("-")
    letters = [rank for rank in ranks if rank.isalpha()]
    if not letters or (len(ranks) == 2 and not _is_hyphenated_hand(match, *ranks)):
        return match[0]
    return ", ".join(RANKS[rank] for rank in ranks) if len(ranks) > 2 else _say_hand(match[1])


def _say_straight(match: re.Match[str]) -> str:
    ranks = match[0]
    follow = any(ranks in order for order in (ORDER + "A", ("A" + ORDER[::-1])))
    return ", ".join(RANKS[rank] for rank in ranks) if follow else ranks


def _is_hyphenated_hand(match: re.Match[str], high: str, low: str) -> bool:
    """Return whether A-10 is a hand. "J-7" is a week before the day, and "salle A-10" is a room."""
    falling = _order(high) < _order(low) or (high == low and high.isalpha())
    label = LABEL_BEFORE.search(match.string[max(0, match.start() - 14) : match.start()])
    return falling and (low.isalpha() or (high != "J" and not label))


def _say_low_cards(match: re.Match[str]) -> str:
    high, low = int(match[1]), int(match[2])
    if high <= low:
        return match[0]
    return _say_two_ranks(match[1], match[2], match[3] or "")
