"""Whole numbers in French words, as in France, by the spelling of before 1990: hyphens below a hundred only.

The package num2words says the same, as a test holds. But it imports forty languages, which took a fifteenth of the
start of a server; its ordinals and its gender are wrong from 80th on.
"""

from __future__ import annotations

_UNITS = (
    "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze", "treize",
    "quatorze", "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf",
)  # fmt: skip
_TENS = ("", "", "vingt", "trente", "quarante", "cinquante", "soixante", "soixante", "quatre-vingt", "quatre-vingt")
_POWERS = ("", "mille", "million", "milliard", "billion")


def spell(number: int) -> str:
    """Return a whole number from 0 to 10 ** 15 - 1 in words: deux cents, deux cent un, quatre-vingts millions."""
    if number == 0:
        return _UNITS[0]
    words: list[str] = []
    for power, name in reversed(list(enumerate(_POWERS))):
        group = number // 1000**power % 1000
        if not group:
            continue
        if name != "mille":
            words += [_below_thousand(group), name + "s" * (group > 1)] if name else [_below_thousand(group)]
        elif group == 1:
            words.append(name)
        else:  # "mille" is a numeral, before which "cent" and "vingt" have no s
            words += [_below_thousand(group, before_numeral=True), name]
    return " ".join(words)


def _below_thousand(number: int, *, before_numeral: bool = False) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest, before_numeral)
    several = hundreds > 1
    hundred = f"{_UNITS[hundreds]} cent" if several else "cent"
    if rest:
        return f"{hundred} {_below_hundred(rest, before_numeral)}"
    return hundred + "s" * (several and not before_numeral)


def _below_hundred(number: int, before_numeral: bool) -> str:
    if number < 20:
        return _UNITS[number]
    tens, unit = divmod(number, 10)
    if tens in (7, 9):  # soixante-dix, quatre-vingt-dix: the units go on to nineteen
        unit += 10
    if unit == 0:
        return _TENS[tens] + "s" * (tens == 8 and not before_numeral)
    joint = " et " if unit in (1, 11) and tens < 8 else "-"
    return f"{_TENS[tens]}{joint}{_UNITS[unit]}"
