"""Titles and abbreviations, written out: M., Mme, Dr, n°, etc., vs."""

from __future__ import annotations

import re

from monica.text.words import UPPER

TITLE = re.compile(
    rf"(?<![\w.-])(?:(MM\.|M\.|Dr\.?|DR\.?|Pr\.?|Me\.|Mgr\.?|Vve)(?= [{UPPER}]|[{UPPER}](?!\.)) ?"
    rf"|(Mme|MME|Mmes|Mlle|MLLE|Mlles)(?!\w)(?:\.(?= ))?)"
)
TITLES = {
    "M": "Monsieur", "MM": "Messieurs", "Mme": "Madame", "MME": "Madame", "Mmes": "Mesdames",
    "Mlle": "Mademoiselle", "MLLE": "Mademoiselle", "Mlles": "Mesdemoiselles", "Dr": "Docteur",
    "DR": "Docteur", "Pr": "Professeur", "Me": "Maître", "Mgr": "Monseigneur", "Vve": "Veuve",
}  # fmt: skip
SAINT = re.compile(rf"(?<![\w.])St(e?)(?:\. ?|-| )(?=[{UPPER}]\w)")
NUMBER_SIGN = re.compile(r"(?<!\w)(?:[nN]°(s?)|[nN]o\.?(?= ?\d)|#(?=\d)) ?")

# Abbreviations with the words they stand for. A full stop after one is part of it.
ABBREVIATIONS = {
    "vs": "contre", "cf": "voir", "tél": "téléphone", "env": "environ", "svp": "s'il vous plaît",
    "stp": "s'il te plaît", "rdv": "rendez-vous", "bcp": "beaucoup", "qqn": "quelqu'un",
    "qqch": "quelque chose", "jrs": "jours", "nb": "nombre", "nbre": "nombre", "qté": "quantité",
    "càd": "c'est-à-dire", "tjrs": "toujours", "dept": "département", "dépt": "département",
    "resp": "respectivement",
}  # fmt: skip
# Abbreviations only if a full stop follows; without it they are words.
STOPPED = {
    "max": "maximum", "min": "minimum", "moy": "moyenne", "approx": "environ", "chap": "chapitre",
    "éd": "édition", "inscr": "inscription", "ex": "exemple", "suppl": "supplément",
}  # fmt: skip
STREETS = {"av": "avenue", "bd": "boulevard", "blvd": "boulevard", "pl": "place", "fg": "faubourg"}

# If none of these words is in the text, which is nearly always so, the slower expressions below need not be tried.
KNOWN = {*ABBREVIATIONS, *STOPPED, "etc", "ex", "d"}
WORD = re.compile(r"\w+")
ABBREVIATION = re.compile(rf"(?<![\w.'-])({'|'.join(ABBREVIATIONS)})(?![\w'-])\.?(?!\w)", re.IGNORECASE)
STOPPED_WORD = re.compile(rf"(?<![\w.'-])(?<!\d )((?i:{'|'.join(STOPPED)}))\.(?= [a-zà-öø-ÿ\d:])")
STREET = re.compile(rf"(?<![\w.'-])({'|'.join(STREETS)})\.? (?=(?:d[eu] |de la |des |d')?[{UPPER}])")
THAT_IS = re.compile(r"(?<![\w.])c\.? ?-?à-d\.?(?!\w)", re.IGNORECASE)
FOR_EXAMPLE = re.compile(r"(?<![\w.])p\. ?ex\.?(?!\w)", re.IGNORECASE)
ETC = re.compile(rf"(?<!\w)(?i:etc)(?!\w)(\.|…)?(?= (?P<capital>[{UPPER}])|(?P<end>$)|)")


def write_out_titles(text: str) -> str:
    """Write out a title before a name."""
    text = TITLE.sub(_write_out_title, text)
    return SAINT.sub(r"Saint\1-", text)


def _write_out_title(match: re.Match[str]) -> str:
    if match[1]:
        return TITLES[match[1].rstrip(".")] + " "
    return TITLES[match[2]]


def read_number_signs(text: str) -> str:
    """Say n°7, N° 7, no 7 and #7."""
    return NUMBER_SIGN.sub(lambda m: f"{'N' if m[0][0] == 'N' else 'n'}uméro{m[1] or ''} ", text)


def write_out_abbreviations(text: str) -> str:
    """Write out abbreviations that are never said as they are written."""
    if not KNOWN.isdisjoint(WORD.findall(text.lower())):
        text = _write_out_words(text)
    return STREET.sub(lambda m: STREETS[m[1]] + " ", text)


def _write_out_words(text: str) -> str:
    text = THAT_IS.sub("c'est-à-dire", text)
    text = FOR_EXAMPLE.sub("par exemple", text)
    text = ETC.sub(lambda m: "et cetera" + ("." if m[1] and (m["capital"] or m["end"] is not None) else ""), text)
    text = ABBREVIATION.sub(lambda m: _keep_stop(m, ABBREVIATIONS[m[1].lower()]), text)
    return STOPPED_WORD.sub(lambda m: STOPPED[m[1].lower()], text)


def _keep_stop(match: re.Match[str], words: str) -> str:
    return words + "." if match[0].endswith(".") and match.end() == len(match.string) else words
