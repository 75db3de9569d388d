"""Surnames in capitals, written as names: "EL KHOURY Nadia" is "El Khoury Nadia".

In capitals a surname looks like an acronym (NG, EL KHOURY) or a word of the lexicon (HU, CALL). What shows that it is a
name stands around it: a title, a first name, a particle, a seat.
"""

from __future__ import annotations

import re

from monica.text.names import (
    ARTICLE_BEFORE,
    CAPITALISED,
    FIRST_NAMES,
    POKER_SURNAMES,
    SEATED,
    SHORT_SURNAMES,
    TITLE,
    VERSUS,
    may_be_first_name,
)
from monica.text.words import SPELLED, UPPER, VOWELS, is_spelled

CAPITALS = rf"[{UPPER}](?:[{UPPER}]|['-](?=[{UPPER}])){{1,30}}"
TWO_CAPITALS = re.compile(rf"[{UPPER}]{{2}}")
WORD = re.compile(rf"[{UPPER}]{{2,40}}")
# Written out as "Saint" and "Mac", since "ST" and "MC" would be spelled.
SHORT_PARTICLES = {"ST": "Saint", "STE": "Sainte", "MC": "Mac"}
PARTICLES = frozenset({
    "EL", "AL", "DA", "DAS", "DE", "DEL", "DELLA", "DELLE", "DELLO", "DEN", "DER", "DES", "DI", "DO", "DOS", "DU",
    "LA", "LE", "LES", "LI", "LO", "LOS", "LAS", "MAC", "SAN", "SAINT", "SAINTE", "SANTA", "TEN", "TER", "VAN",
    "VAN'T", "VOM", "VON", "ZU", "ZUM", "ZUR", "BEN", "BIN", "IBN", "ABD", "ABDEL", "ABOU", "ABU", "AIT", "AÏT",
    "OULD", "BOU", "AF", "AV", "D", "L", "O", "Y", "E", *SHORT_PARTICLES,
})  # fmt: skip
ACRONYMS = SPELLED | {
    "BB", "SB", "BBA", "BTN", "HJ", "LJ", "MP", "UTG", "ITM", "MTT", "SNG", "NLH", "NLHE", "ICM", "GTO", "WSOP", "WPT",
    "BPT", "FPO", "GTD", "OK", "RIP", "RDV", "PMU", "FDJ", "HORSE", "TD", "TV", "US", "UK", "EPL", "PSG", "OM", "OL",
}  # fmt: skip
SURE_PARTICLES = frozenset({
    "EL", "AL", "DA", "DAS", "DEL", "DELLA", "DI", "DO", "DOS", "LO", "LOS", "SAN", "VAN", "VON", "DER", "DEN",
    "TEN", "BEN", "BIN", "IBN", "ABD", "ABDEL", "ABOU", "ABU", "AIT", "AÏT", "OULD", "BOU", "ST", "STE", "MC",
})  # fmt: skip
PARTICLE = rf"(?:(?:{'|'.join(sorted(PARTICLES, key=len, reverse=True))})[ '-])"
# "EL KHOURY Nadia", "Rui DA SILVA", "VAN DER BERG": a particle and a word in capitals are a name by themselves.
WITH_PARTICLE = re.compile(rf"(?<![\w.'-])((?:{PARTICLE}){{1,4}})({CAPITALS})(?!\w)")
SURNAME_FIRST = re.compile(rf"(?<![\w.'-])({CAPITALS}(?: {CAPITALS}){{0,3}}) ({CAPITALISED})(?!\w)")
SURNAME_LAST = re.compile(rf"(?<![\w.'-])({CAPITALISED}) ({CAPITALS}(?: {CAPITALS}){{0,3}})(?![\w'-])")
ALL_CAPITALS = re.compile(rf"(?<![\w.'-]){CAPITALS}(?: {CAPITALS}){{1,3}}(?!\w)")
AFTER_TITLE = re.compile(
    rf"(?<![\w.'-]){TITLE} ((?:{CAPITALS}|{CAPITALISED})(?:[ -](?:{CAPITALS}|{CAPITALISED})){{0,2}})(?!\w)"
)
ROMAN = re.compile("[IVX]{1,7}")
ITEM_START = re.compile(r"(?:^|[,;:(\n•/-] ?|(?<!\w)(?:et|contre|vs|par|face à|bat|joueur|joueuse) )$")
ITEM_END = re.compile(r" ?(?:[,;.:)!?/]|$)")


def write_surnames(text: str) -> str:
    """Write surnames in capitals as names: "EL KHOURY Nadia" becomes "El Khoury Nadia"."""
    if not TWO_CAPITALS.search(text):
        return text
    text = WITH_PARTICLE.sub(_write_with_particle, text)
    text = SURNAME_FIRST.sub(_write_surname_first, text)
    text = SURNAME_LAST.sub(_write_surname_last, text)
    text = ALL_CAPITALS.sub(_write_seated, text)
    return AFTER_TITLE.sub(lambda m: m[0][: m.start(1) - m.start()] + _write_words(m[1]), text)


def _write_with_particle(match: re.Match[str]) -> str:
    particles = re.split("[ '-]", match[1].rstrip(" '-"))
    return match[0] if SURE_PARTICLES.isdisjoint(particles) else _write_words(match[0])


def _write_surname_first(match: re.Match[str]) -> str:
    words = match[1].split(" ")
    if not may_be_first_name(match[2]) or not any(map(_is_misread, words)):
        return match[0]
    seated = SEATED.match(match.string, match.end())
    before = match.string[max(0, match.start() - 12) : match.start()]
    if ARTICLE_BEFORE.search(before) and not seated:
        return match[0]
    item = ITEM_START.search(before) and ITEM_END.match(match.string, match.end())
    for word in filter(_is_misread, words):
        if word == "HU":
            sure = not VERSUS.match(match.string, match.end())
        elif _is_surname(word) or word in SHORT_PARTICLES:
            sure = True
        else:
            sure = _may_be_surname(word) and bool(seated or item or match[2] in FIRST_NAMES)
        if not sure:
            return match[0]
    return f"{_write_words(match[1])} {match[2]}"


def _write_surname_last(match: re.Match[str]) -> str:
    words = match[2].split(" ")
    if not may_be_first_name(match[1]) or not any(map(_is_misread, words)):
        return match[0]
    known = match[1] in FIRST_NAMES or SEATED.match(match.string, match.end())
    for word in filter(_is_misread, words):
        sure = _is_surname(word) and (word not in {"HU", "BO"} or known)
        if not (sure or (known and _may_be_surname(word))):
            return match[0]
    return f"{match[1]} {_write_words(match[2])}"


def _write_seated(match: re.Match[str]) -> str:
    words = match[0].split(" ")
    misread = [word for word in words if _is_misread(word)]
    if not misread or not SEATED.match(match.string, match.end()):
        return match[0]
    sure = all(_is_surname(word) or _may_be_surname(word) for word in misread)
    return _write_words(match[0]) if sure else match[0]


def _is_misread(word: str) -> bool:
    if "-" in word:
        return any(map(_is_misread, word.split("-")))
    return ROMAN.fullmatch(word) is None and (word in POKER_SURNAMES or is_spelled(word))


def _is_surname(word: str) -> bool:
    """Return whether a word that would be misread is as good as surely a surname: "LY", "LY-CUONG"."""
    parts = word.split("-")
    return not SHORT_SURNAMES.isdisjoint(parts) and ACRONYMS.isdisjoint(parts)


def _may_be_surname(word: str) -> bool:
    """Return whether it may be one beside a first name or a seat: "SBAI", but not "NLHE-PLO"."""
    return "-" not in word and word not in ACRONYMS and any(letter in VOWELS for letter in word)


def _write_words(words: str) -> str:
    """Write words in capitals as names: "ST PIERRE" is "Saint Pierre", "O'BRIEN" keeps both its capitals."""
    return WORD.sub(_write_word, words)


def _write_word(match: re.Match[str]) -> str:
    word = match[0]
    if word in ACRONYMS or not word.isupper():
        return word
    return SHORT_PARTICLES.get(word, word.capitalize())
