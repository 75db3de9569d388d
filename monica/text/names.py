"""People's names: which words of a text are names, so that none is spelled like an acronym or respelled like poker.

Written in capitals, a surname looks like an acronym (EL KHOURY, NG) or a word of the lexicon (HU, CALL). What shows
that it is a name stands around it: a title, a first name, a particle, a seat.
"""

from __future__ import annotations

import re

from monica.text.words import SPELLED, UPPER, VOWELS, is_spelled

LOWER = "a-zß-öø-ÿœ"
CAPITALS = rf"[{UPPER}](?:[{UPPER}]|['-](?=[{UPPER}])){{1,30}}"
TWO_CAPITALS = re.compile(rf"[{UPPER}]{{2}}")
WORD = re.compile(rf"[{UPPER}]{{2,40}}")
CAPITALISED = rf"[{UPPER}](?:[{UPPER}]?[{LOWER}']|-(?=[{UPPER}])){{1,30}}"

# Written out as "Saint" and "Mac", since "ST" and "MC" would be spelled.
SHORT_PARTICLES = {"ST": "Saint", "STE": "Sainte", "MC": "Mac"}
PARTICLES = frozenset({
    "EL", "AL", "DA", "DAS", "DE", "DEL", "DELLA", "DELLE", "DELLO", "DEN", "DER", "DES", "DI", "DO", "DOS", "DU", "LA",
    "LE", "LES", "LI", "LO", "LOS", "LAS", "MAC", "SAN", "SAINT", "SAINTE", "SANTA", "TEN", "TER", "VAN", "VAN'T",
    "VOM",
    "VON", "ZU", "ZUM", "ZUR", "BEN", "BIN", "IBN", "ABD", "ABDEL", "ABOU", "ABU", "AIT", "AÏT", "OULD", "BOU",
    "AF", "AV",
    "D", "L", "O", "Y", "E", *SHORT_PARTICLES,
})  # fmt: skip
# Surnames that would be spelled, or read as the poker lexicon has them. "HU" is heads-up unless a name follows.
SHORT_SURNAMES = frozenset({
    "AN", "AO", "BA", "BO", "BÉ", "DO", "DY", "EO", "FU", "FA", "FÉ", "GU", "HA", "HE", "HO", "HU", "HÀ", "HỒ",
    "IM", "JI",
    "JU", "KA", "KE", "KY", "LE", "LÊ", "LI", "LO", "LU", "LY", "LÝ", "MA", "MO", "NG", "NY", "OH", "OU", "PI",
    "QI", "QU",
    "RY", "SO", "SU", "SY", "TA", "TO", "TU", "TÔ", "VO", "VÕ", "VU", "VŨ", "WU", "XI", "XU", "XÚ", "YE", "YI",
    "YU", "ZE",
    "ZI",
})  # fmt: skip
POKER_SURNAMES = frozenset({
    "HU", "CALL", "BET", "FOLD", "DEAL", "BOARD", "RIVER", "TURN", "FLUSH", "FULL", "CHECK", "RAISE", "SEAT", "PLAYER",
    "DEALER", "MUCK", "KICKER", "BLIND", "FLOOR",
})  # fmt: skip
ACRONYMS = SPELLED | {
    "BB", "SB", "BBA", "BTN", "HJ", "LJ", "MP", "UTG", "ITM", "MTT", "SNG", "NLH", "NLHE", "ICM", "GTO", "WSOP", "WPT",
    "BPT", "FPO", "GTD", "OK", "RIP", "RDV", "PMU", "FDJ", "HORSE", "TD", "TV", "US", "UK", "EPL", "PSG", "OM", "OL",
}  # fmt: skip
# Capitalised words that are no first names: they begin a sentence or head a line.
NO_FIRST_NAMES = frozenset({
    "Table", "Tables", "Siège", "Place", "Places", "Niveau", "Level", "Seat", "Pause", "Reprise", "Finale", "Day",
    "Jour",
    "Le", "La", "Les", "Un", "Une", "Il", "Elle", "Ils", "Elles", "On", "Nous", "Vous", "Ce", "Cette", "Ces", "Et",
    "Ou",
    "En", "Au", "Aux", "De", "Du", "Des", "Pour", "Par", "Avec", "Sur", "Dans", "Open", "Up", "In", "Out", "Ante",
    "Blind",
    "Blinds", "Blindes", "Tournoi", "Tour", "Poker", "As", "Roi", "Dame", "Valet", "Omaha", "Holdem", "Texas", "Main",
    "Side", "Event", "Deep", "Stack", "Turbo", "Final", "Bounty", "Merci", "Bravo", "Bonne", "Attention", "Début",
    "Fin",
    "Paris", "Lyon", "Bourly", "France", "Europe", "Vegas", "Monte", "Barcelone", "Prague", "Room", "Club", "Casino",
})  # fmt: skip
FIRST_NAMES = frozenset({
    "Adam", "Adrien", "Ahmed", "Alain", "Alexandre", "Alice", "Amandine", "Amélie", "Ana", "André", "Anna", "Anne",
    "Antoine",
    "Arnaud", "Arthur", "Aurélie", "Aurélien", "Axel", "Bastien", "Benjamin", "Benoît", "Bernard", "Bruno", "Camille",
    "Caroline", "Cédric", "Céline", "Charles", "Charlotte", "Chloé", "Chris", "Christian", "Christine",
    "Christophe", "Claire",
    "Claude", "Clément", "Daniel", "David", "Denis", "Didier", "Dominique", "Élodie", "Emma", "Éric", "Eric", "Fabien",
    "Fabrice", "Florian", "Franck", "François", "Françoise", "Frédéric", "Gabriel", "Georges", "Gérard", "Gilles",
    "Guillaume",
    "Hélène", "Henri", "Hugo", "Isabelle", "Ivan", "Jacques", "Jean", "Jennifer", "Jérémy", "Jérôme", "John",
    "Jonathan",
    "Joseph", "Jules", "Julie", "Julien", "Karim", "Kevin", "Laura", "Laurent", "Léa", "Lionel", "Louis", "Luc",
    "Lucas",
    "Lucie", "Ludovic", "Marc", "Marco", "Maria", "Marie", "Marine", "Mathieu", "Matthieu", "Maxime", "Mehdi", "Michel",
    "Mickaël", "Mohamed", "Nadia", "Nathalie", "Nicolas", "Olivier", "Pablo", "Pascal", "Patrice", "Patrick", "Paul",
    "Philippe", "Pierre", "Quentin", "Rachid", "Raphaël", "Régis", "Rémi", "René", "Richard", "Robert", "Romain",
    "Sabrina",
    "Samuel", "Sandrine", "Sarah", "Sébastien", "Serge", "Sophie", "Stéphane", "Stéphanie", "Sylvain", "Sylvie",
    "Thierry",
    "Thomas", "Tristan", "Valérie", "Victor", "Vincent", "Virginie", "Wei", "William", "Xavier", "Yann", "Yves", "Zoé",
})  # fmt: skip

TITLE = (
    r"(?:Monsieur|Madame|Mademoiselle|Messieurs|Mesdames|Docteur|Professeur|Maître|MM?\.|M[rR]\.?|M(?:me|ME)s?\.?"
    r"|M(?:lle|LLE)s?\.?|Dr\.?)"
)
SURE_PARTICLES = frozenset({
    "EL", "AL", "DA", "DAS", "DEL", "DELLA", "DI", "DO", "DOS", "LO", "LOS", "SAN", "VAN", "VON", "DER", "DEN",
    "TEN", "BEN",
    "BIN", "IBN", "ABD", "ABDEL", "ABOU", "ABU", "AIT", "AÏT", "OULD", "BOU", "ST", "STE", "MC",
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
# "seat" may have been respelled by then.
SEATED = re.compile(r",? ?[(-]? ?(?:en |à la |au |vers la )?(?:table|siège|siege|seat|site|place)s? ?\w", re.IGNORECASE)
VERSUS = re.compile(r",? (?:contre|vs|face|entre|et|-|:)(?!\w)", re.IGNORECASE)
ROMAN = re.compile("[IVX]{1,7}")
# "De la DGSE René Dupont": an acronym has an article, a surname has none.
ARTICLE_BEFORE = re.compile(
    r"(?:(?<!\w)(?:le|la|les|du|des|un|une|ce|cette|au|aux|son|sa|leur|notre|votre) |[ld]')$", re.IGNORECASE
)
ITEM_START = re.compile(r"(?:^|[,;:(\n•/-] ?|(?<!\w)(?:et|contre|vs|par|face à|bat|joueur|joueuse) )$")
ITEM_END = re.compile(r" ?(?:[,;.:)!?/]|$)")

POKER_WORD = re.compile(
    rf"(?:{'|'.join(sorted(word for each in POKER_SURNAMES for word in (each, each.capitalize())))})(?![\w'-])"
)
TITLE_BEFORE = re.compile(rf"(?<![\w.'-]){TITLE} (?:{CAPITALISED} )?$")
FIRST_NAME_BEFORE = re.compile(rf"(?<![\w'-])({CAPITALISED}) $")
FIRST_NAME_AFTER = re.compile(rf" ({CAPITALISED})(?!\w)")
# Brands that begin with a word of the lexicon: a car, a club, films.
BRAND_AFTER = re.compile(
    r" (?:Ibiza|Leon|León|Ateca|Arona|Toledo|Altea|Alhambra|Mii|Tarraco|Cupra|Cordoba|Exeo)(?!\w)| Plate(?!\w)"
    r"| (?i:of Duty)(?!\w)| HD(?!\w)| Metal Jacket(?!\w)"
)
CAR_BEFORE = re.compile(r"(?<!\w)(?:une|sa|ma|voiture|marque|concessionnaire|modèle) $", re.IGNORECASE)


def write_names(text: str) -> str:
    """Write surnames in capitals as names: "EL KHOURY Nadia" becomes "El Khoury Nadia"."""
    if not TWO_CAPITALS.search(text):
        return text
    text = WITH_PARTICLE.sub(_write_with_particle, text)
    text = SURNAME_FIRST.sub(_write_surname_first, text)
    text = SURNAME_LAST.sub(_write_surname_last, text)
    text = ALL_CAPITALS.sub(_write_seated, text)
    return AFTER_TITLE.sub(lambda m: m[0][: m.start(1) - m.start()] + _write_words(m[1]), text)


def find_names(text: str) -> list[tuple[int, int]]:
    """Return where a word of the poker lexicon is part of a name, as start and end in the text, in order."""
    return [match.span() for match in POKER_WORD.finditer(text) if _is_name(text, match)]


def _is_name(text: str, word: re.Match[str]) -> bool:
    before = text[max(0, word.start() - 40) : word.start()]
    if before and (before[-1].isalnum() or before[-1] in "_'-"):
        return False
    if TITLE_BEFORE.search(before) or BRAND_AFTER.match(text, word.end()):
        return True
    heads_up = word[0].upper() == "HU"
    if word[0] == "Seat" and CAR_BEFORE.search(before):
        return True
    first = FIRST_NAME_BEFORE.search(before)
    if first and first[1] in FIRST_NAMES:
        return not word[0].isupper() or SEATED.match(text, word.end()) is not None
    first = FIRST_NAME_AFTER.match(text, word.end())
    if not first or not _is_first_name(first[1]) or ARTICLE_BEFORE.search(before):
        return False
    if SEATED.match(text, first.end()):
        return True
    return heads_up and not VERSUS.match(text, first.end())


def _is_first_name(word: str) -> bool:
    return word not in NO_FIRST_NAMES and word.capitalize() not in NO_FIRST_NAMES


def _write_with_particle(match: re.Match[str]) -> str:
    particles = re.split("[ '-]", match[1].rstrip(" '-"))
    return match[0] if SURE_PARTICLES.isdisjoint(particles) else _write_words(match[0])


def _write_surname_first(match: re.Match[str]) -> str:
    words = match[1].split(" ")
    if not _is_first_name(match[2]) or not any(map(_is_misread, words)):
        return match[0]
    seated = SEATED.match(match.string, match.end())
    before = match.string[max(0, match.start() - 12) : match.start()]
    if ARTICLE_BEFORE.search(before) and not seated:
        return match[0]
    item = ITEM_START.search(before) and ITEM_END.match(match.string, match.end())
    for word in filter(_is_misread, words):
        if word == "HU":
            sure = not VERSUS.match(match.string, match.end())
        elif word in SHORT_SURNAMES or word in SHORT_PARTICLES:
            sure = True
        else:
            sure = word not in ACRONYMS and _has_vowel(word) and bool(seated or item or match[2] in FIRST_NAMES)
        if not sure:
            return match[0]
    return f"{_write_words(match[1])} {match[2]}"


def _write_surname_last(match: re.Match[str]) -> str:
    words = match[2].split(" ")
    if not _is_first_name(match[1]) or not any(map(_is_misread, words)):
        return match[0]
    known = match[1] in FIRST_NAMES or SEATED.match(match.string, match.end())
    for word in filter(_is_misread, words):
        sure = word in SHORT_SURNAMES and (word not in {"HU", "BO"} or known)
        if not (sure or (known and word not in ACRONYMS and _has_vowel(word))):
            return match[0]
    return f"{match[1]} {_write_words(match[2])}"


def _write_seated(match: re.Match[str]) -> str:
    words = match[0].split(" ")
    misread = [word for word in words if _is_misread(word)]
    if not misread or not SEATED.match(match.string, match.end()):
        return match[0]
    sure = all(word in SHORT_SURNAMES or (word not in ACRONYMS and _has_vowel(word)) for word in misread)
    return _write_words(match[0]) if sure else match[0]


def _is_misread(word: str) -> bool:
    return ROMAN.fullmatch(word) is None and (word in POKER_SURNAMES or is_spelled(word))


def _has_vowel(word: str) -> bool:
    return any(letter in VOWELS for letter in word)


def _write_words(words: str) -> str:
    """Write words in capitals as names: "ST PIERRE" is "Saint Pierre", "O'BRIEN" keeps both its capitals."""
    return WORD.sub(_write_word, words)


def _write_word(match: re.Match[str]) -> str:
    word = match[0]
    if word in ACRONYMS or not word.isupper():
        return word
    return SHORT_PARTICLES.get(word, word.capitalize())
