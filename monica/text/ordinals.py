"""Ranks: 1er, 2e, 21ème, XIXe, Louis XIV, niveau XII. A numeral that may be a word or an initial is left alone."""

from __future__ import annotations

import re

from monica.text.gender import FEMININE
from monica.text.numbers import NUMBER_END, NUMBER_START, WHOLE, cardinal, ordinal, split_number

ENDING = r"(ers?|[eè]?res?|i?[eéè]?mes?|es?|è|nde?s?|(?<=2)de?s?)"
ARABIC = re.compile(
    rf"{NUMBER_START}({WHOLE})(?:{ENDING}|(ERS?|ÈRES?|ERES?|RES?|I?[EÈ]MES?|NDE?S?|ES?))(?![\w]){NUMBER_END}"
    r"(?: ([^\W\d_]+))?"
)
# "Bâtiment 2E" and "siège 4E" are codes.
CODE_BEFORE = re.compile(
    r"(?:table|siège|siege|salle|porte|bâtiment|batiment|groupe|chambre|zone|hall|quai|allée|rangée|stand|code|place|n°|ligne"
    r"|numéro|lot|appartement|secteur) $",
    re.IGNORECASE,
)

UNITS = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
ROMAN = {tens * "X" + unit: 10 * tens + n for tens in range(4) for n, unit in enumerate(UNITS)} | {"XL": 40}
ROMAN.pop("")

ROMAN_DIGIT = re.compile("[IVX]")
CENTURY = re.compile(r"(?<![\w-])([IVX]{1,7})(e|ème|er|re|ère)(?!\w)(?= ?(\w{0,15}))")
CENTURY_NOUNS = {
    "siècle",
    "siècles",
    "république",
    "arrondissement",
    "empire",
    "édition",
    "étape",
    "dynastie",
}

# A single I, V or X may be an initial or a cross. It is a numeral only after these words.
LEVELS = {
    "niveau", "niveaux", "level", "chapitre", "tome", "volume", "acte", "partie", "étape", "phase",
    "manche", "saison", "épisode", "article", "titre", "livre",
}  # fmt: skip
KINGS = {
    "louis", "henri", "charles", "françois", "napoléon", "philippe", "jean", "jean-paul", "paul", "pie",
    "benoît", "élisabeth", "elizabeth", "albert", "léopold", "georges", "george", "édouard", "guillaume",
    "catherine", "nicolas", "alexandre", "frédéric", "grégoire", "clément", "hassan", "mohammed",
    "rainier", "ramsès",
}  # fmt: skip
NUMERAL = re.compile(r"(?<![\w-])([^\W\d_][\w-]{0,30}) ([IVX]{1,7})(?![\w'♠♥♦♣-])(?!\.\w)")


def read_ordinals(text: str) -> str:
    """Say a number followed by er, re, e, ème, nd or nde, singular or plural."""
    return ARABIC.sub(_say_rank, text)


def _say_rank(match: re.Match[str]) -> str:
    if match[3] in {"E", "ES"} and CODE_BEFORE.search(match.string[max(0, match.start() - 14) : match.start()]):
        return match[0]
    digits, _ = split_number(match[1])
    ending, noun = (match[2] or match[3]).lower(), match[4]
    number = int(digits)
    feminine = ending.rstrip("s") in {"re", "ère", "ere"} or (noun or "").lower() in FEMININE
    if ending.startswith(("nd", "d")):
        words = "seconde" if "e" in ending else "second"
        if number != 2:
            words = ordinal(number)
    elif ending.rstrip("s") == "er":
        words = ordinal(number)
    else:
        words = ordinal(number, feminine=feminine)
    plural = "s" if ending.endswith("s") else ""
    return words + plural + (f" {noun}" if noun else "")


def read_roman_numerals(text: str) -> str:
    """Say Roman numerals after a level, a king or a capitalised word, and those followed by an ordinal ending."""
    if not ROMAN_DIGIT.search(text):
        return text
    text = CENTURY.sub(_say_roman_rank, text)
    return NUMERAL.sub(_say_roman, text)


def _say_roman_rank(match: re.Match[str]) -> str:
    number = ROMAN.get(match[1])
    sure = len(match[1]) > 1 or match[2] in {"er", "re", "ère"} or match[3].lower() in CENTURY_NOUNS
    if number is None or not sure:
        return match[0]
    return ordinal(number, feminine=match[2] in {"re", "ère"})


def _say_roman(match: re.Match[str]) -> str:
    before, number = match[1], ROMAN.get(match[2])
    king, level = before.lower() in KINGS and before[0].isupper(), before.lower() in LEVELS
    sure = level or king or (before[0].isupper() and len(match[2]) > 1)
    if number is None or not sure:
        return match[0]
    first_of_a_line = number == 1 and king
    return f"{before} {'premier' if first_of_a_line else cardinal(number)}"
