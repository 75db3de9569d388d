"""Amounts of chips: 10k, 1,5M, and stacks counted in blinds, 25BB."""

from __future__ import annotations

import re

from monica.text.numbers import NUMBER, NUMBER_START, number_value, say_value

SCALES = {"k": 10**3, "K": 10**3, "M": 10**6, "m": 10**6, "Md": 10**9, "Mds": 10**9, "Mio": 10**6}
# "5 M" may be followed by "Dupont", and "5 K" may be two cards: a capital letter is a scale only if it touches the
# number.
SHORT_AMOUNT = re.compile(
    rf"{NUMBER_START}({NUMBER})(?:(k|K|M|Mds|Md|Mio)| (k|Mds|Md|Mio|(?:M|(?<=\d\d\d )K)(?!\.? ?[A-ZÀ-ÖØ-Þ])))"
    r"(?![\w'²³°]|/(?!\d))(?!\.\w)"
    r"( (?:de )?(?=(?:jetons?|points?|chips)(?!\w)))?"
)
# "97,25 m." are millions in a report of chip counts, and metres anywhere else.
DIGIT_AND_M = re.compile(r"\d ?m(?![^\W\d])")
SMALL_M = re.compile(
    rf"{NUMBER_START}({NUMBER}) ?m(?:(?P<stop>\.)(?!\w)|(?!\w))(?![²³'/])(?P<chips>(?: de)? (?=(?:jetons?"
    rf"|points?|chips|tapis|stack|pot)(?!\w)))?"
)
OF_CHIPS = re.compile(
    r"(?:pointe (?:à|avec|désormais|actuellement|maintenant|toujours)|(?:est|passe|monte|tombe|descend) à"
    r"|tapis|stack|pot|jetons?|chips?|mise|relance|all[ -]?in|paie|paye|suit|call|moyen(?:ne)?|average|leader"
    r"|compte|possède|dispose|affiche|détient|empoche|dotation|garanti|prize ?pool|blindes?|blinds?|grimpe|chute"
    r"|redescend|remonte|retombe|culmine|couvre|short|double)(?!\w)[^.!?;]{0,60}$",
    re.IGNORECASE,
)
OF_METRES = re.compile(
    r"(?:mètres?|hauteur|longueur|largeur|profondeur|distance|saut|long|large|haut|taille|mesure|pied|couloir|sortie|parking"
    r"|gauche|droite|loin|situ|buvette|toilettes|entrée|gare|plage)",
    re.IGNORECASE,
)
M_IN_THE_MIDDLE = re.compile(r"(?<![\w.,/])(\d{1,3})m(\d{1,3})(?![\w.,/²³]\w|[\w²³])")
BEFORE_BLIND_UNIT = re.compile(r"(?<=\d)(?=(?:[BS]B|bb)(?!\w))")


def split_chip_stacks(text: str) -> str:
    """Separate a number from the blinds it counts, as in 25BB, so that the unit is a word by itself."""
    return BEFORE_BLIND_UNIT.sub(" ", text)


def read_chip_amounts(text: str) -> str:
    """Say thousands and millions that are written with a letter."""
    return SHORT_AMOUNT.sub(_say_short_amount, text)


def chip_count(written: str, scale: str | None) -> int | None:
    """Return how many chips a written amount stands for, or None if that is not a whole number.

    written: a NUMBER. scale: a key of SCALES, or None for one.
    """
    worth = number_value(written) * (SCALES[scale] if scale else 1)
    return int(worth) if worth == int(worth) else None


def write_millions(text: str) -> str:
    """Write "97,25 m." with the letter that every other rule takes for millions, if it is chips that are counted."""
    if not DIGIT_AND_M.search(text):
        return text
    text = M_IN_THE_MIDDLE.sub(_fill_up, text)
    once = SMALL_M.sub(_write_millions, text)
    # Where one is sure, a list of chip counts has others: "Paul 23,45 m. Ana 18 m."
    return once if once == text else SMALL_M.sub(lambda m: _write_millions(m, listed=True), once)


def _write_millions(match: re.Match[str], *, listed: bool = False) -> str:
    string = match.string
    before, after = string[max(0, match.start() - 80) : match.start()], string[match.end() : match.end() + 30]
    decimals, stop = "," in match[1] or "." in match[1], match["stop"]
    of_metres = OF_METRES.search(after) or OF_METRES.search(before)
    in_brackets = before.endswith("(") and after.startswith(")")
    sure = (
        match["chips"]
        or after.startswith(" et demi")
        or (listed and not of_metres)
        or (not of_metres and (OF_CHIPS.search(before) or (decimals and (stop or in_brackets))))
    )
    if not sure:
        return match[0]
    ends = stop and (not after or (after[0] == " " and after[1:2].isupper()))
    return f"{match[1]}M{match['chips'] or ''}{'.' * bool(ends)}"


def _fill_up(match: re.Match[str]) -> str:
    """Write "2m4" as 2400000 after a word about chips. "Un mur de 2m30" is a wall."""
    before = match.string[max(0, match.start() - 80) : match.start()]
    of_chips = OF_CHIPS.search(before) and not OF_METRES.search(match.string[match.end() : match.end() + 30])
    return str(int(match[1] + match[2].ljust(6, "0"))) if of_chips else match[0]


def _say_short_amount(match: re.Match[str]) -> str:
    worth = number_value(match[1]) * SCALES[match[2] or match[3]]
    if match[4]:
        return say_value(worth) + (" de " if worth and worth % 10**6 == 0 else " ")
    return say_value(worth)
