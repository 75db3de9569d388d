"""Stakes of a cash game: NL 1/2, PLO 5/5/10, blindes 0,25/0,50 €, "la 1/3". What else a slash means is in ratios."""

from __future__ import annotations

import re
from decimal import Decimal

from monica.text.numbers import cardinal, number_value, say_value

AMOUNT = r"(\d{1,5}(?:[.,]\d{1,2})?)( ?€)?"
STAKES = re.compile(
    rf"(?<![\w/.,-]){AMOUNT} ?/ ?{AMOUNT}(?: ?/ ?{AMOUNT})?(?: ?(€|\$|euros?(?!\w)))?(?![\w/%])(?![.,/]\d)"
)
BEFORE = re.compile(
    r"(?<!\w)(?:blindes?|blinds?|cash(?:[ -]games?)?|nlh?e?|plo\d?|pl|fl|limites?|limit|omaha|hold'?em"
    r"|stakes?|ring|cg|stud|razz|mixed|horse|draw"
    r"|parties? (?:de|en|à)|tables? (?:de|en)(?: cash)?|liste(?: d'attente)?|attente)"
    r"(?: (?:de|en|à|en cash|cash game|game|est|sont|:)){0,2}[ :]{1,3}"
    r"(?:\d[\d,.]{0,4}/\d[\d,.]{0,4}(?: ?€)?(?:,| et| ou| \+) )?$",
    re.IGNORECASE,
)
ARTICLE = re.compile(r"(?:^|[\s(])(?:la|une|cette|en|deux|nouvelle) $", re.IGNORECASE)
AFTER = re.compile(
    r" ?(?:(?:nlh?e?|plo\d?|cash|no[ -]limit|pot[ -]limit|omaha|hold'?em|deep)(?!\w)|straddle)", re.IGNORECASE
)
# After "la 1/2" or "la 1/3" these show that it is a part of something.
PART = re.compile(
    r" (?:d[eu]|des|d'\w{1,20}|finales?|heure|h|journée|saison|tarif|douzaine|tour|pension|bouteille|place"
    r"|portion|part)(?!\w)",
    re.I,
)
GAMES = {("1", "2"), ("1", "3"), ("2", "2"), ("2", "3"), ("2", "4"), ("2", "5"), ("5", "5"), ("5", "10"), ("10", "20")}


def read_stakes(text: str) -> str:
    """Say the blinds of a cash game one after the other, with their currency."""
    return STAKES.sub(_say_stakes, text) if "/" in text else text


def _say_stakes(match: re.Match[str]) -> str:
    written = [number for number in (match[1], match[3], match[5]) if number]
    values = [number_value(number.replace(",", ".")) for number in written]
    in_euros = bool(match[7] or match[2] or match[4])
    in_cents = any(value < 1 for value in values)
    mixed = in_cents and values[-1] >= 1
    if not _is_game(match, written, values, in_euros) or match[7] == "$":
        return match[0]
    if mixed or (in_euros and not in_cents):
        return ", ".join(_say_euros(value, last=value is values[-1], cents=in_cents) for value in values)
    if in_cents:
        said = ", ".join(cardinal(int(value * 100)) for value in values)
        return f"{said} centimes" if in_euros or len(values) == 2 else said
    return ", ".join(say_value(value) for value in values)


def _say_euros(value: Decimal, *, last: bool, cents: bool) -> str:
    if value < 1:
        return f"{cardinal(int(value * 100))} centimes"
    whole, fraction = int(value), int(value * 100 % 100)
    noun = f" euro{'s' * (whole > 1)}" if last or cents else ""
    return cardinal(whole) + noun + (f" {cardinal(fraction)}" if fraction and noun else "")


def _is_game(match: re.Match[str], written: list[str], values: list[Decimal], in_euros: bool) -> bool:
    """Return whether the amounts are stakes: small then big, announced as such before or after."""
    if (
        any(number[0] == "0" and len(number) == 2 for number in written)
        or not 0 < values[0] <= values[1] <= 4 * values[0]
    ):
        return False
    if len(values) == 3 and not values[1] < values[2] <= 4 * values[1]:
        return False
    if AFTER.match(match.string, match.end()):
        return True
    tournament = len(values) == 2 and values[0] != values[1] and values[1] >= 20 and not in_euros
    if tournament and (written[0], written[1]) not in GAMES:  # a level, which the blind rule says
        return False
    before = match.string[max(0, match.start() - 40) : match.start()]
    if BEFORE.search(before):
        return True
    if values[0] < 1 and in_euros and values[1] <= 1:
        return True
    return (
        len(values) == 2
        and tuple(written) in GAMES
        and ARTICLE.search(before) is not None
        and "final" not in match.string
        and not PART.match(match.string, match.end())
    )
