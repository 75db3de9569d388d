"""Which words of a text are people's names, or brands, so that the lexicon does not say them like poker.

M. Call, Paul River, une Seat Ibiza and HU Wei never match the lexicon's [words]. The other way round is the lesser
fault: a poker word that is taken for a name is read as it is written, while a person called by another name is what the
room laughs about. Names in capitals are also written as names first: see monica.text.surnames.
"""

from __future__ import annotations

import re

from monica.text.words import UPPER

LOWER = "a-zß-öø-ÿœ"
CAPITALISED = rf"[{UPPER}](?:[{UPPER}]?[{LOWER}']|-(?=[{UPPER}])){{1,30}}"

SHORT_SURNAMES = frozenset({
    "AN", "AO", "BA", "BO", "BÉ", "DO", "DY", "EO", "FU", "FA", "FÉ", "GU", "HA", "HE", "HO", "HU", "HÀ", "HỒ",
    "IM", "JI", "JU", "KA", "KE", "KY", "LE", "LÊ", "LI", "LO", "LU", "LY", "LÝ", "MA", "MO", "NG", "NY", "OH",
    "OU", "PI", "QI", "QU", "RY", "SO", "SU", "SY", "TA", "TO", "TU", "TÔ", "VO", "VÕ", "VU", "VŨ", "WU", "XI",
    "XU", "XÚ", "YE", "YI", "YU", "ZE", "ZI",
})  # fmt: skip
"""Surnames in capitals that would be spelled. HU is heads-up unless a name follows."""
POKER_SURNAMES = frozenset({
    "HU", "CALL", "BET", "FOLD", "DEAL", "BOARD", "RIVER", "TURN", "FLUSH", "FULL", "CHECK", "RAISE", "SEAT",
    "PLAYER", "DEALER", "MUCK", "KICKER", "BLIND", "FLOOR",
})  # fmt: skip
"""Surnames in capitals that the lexicon has as words of poker."""
BESIDE_NAMES = frozenset({"dealer", "dealers", "floor", "floors", "floorman", "player", "players"})
"""Words that stand before a name as a matter of course, "Dealer Rusmir": a capital beside one shows nothing."""
NOT_NAMES = frozenset({
    "ante", "as", "attention", "au", "aux", "avec", "barcelone", "beau", "belle", "blind", "blindes", "blinds",
    "bon", "bonne", "bounty", "bourly", "bravo", "casino", "ce", "ces", "cet", "cette", "cinq", "club", "dame",
    "dames", "dans", "day", "de", "deep", "dernier", "dernière", "des", "deux", "dix", "du", "début", "elle",
    "elles", "en", "et", "europe", "event", "fin", "final", "finale", "flop", "france", "gros", "grosse", "holdem",
    "huit", "il", "ils", "in", "jour", "la", "le", "les", "level", "lyon", "ma", "main", "max", "merci", "mes",
    "mon", "monte", "neuf", "niveau", "nous", "nouveau", "nouvelle", "omaha", "on", "open", "ou", "out", "par",
    "paris", "pas", "pause", "petit", "petite", "place", "places", "poker", "pour", "prague", "premier", "première",
    "puis", "quatre", "quel", "quelle", "reprise", "roi", "rois", "room", "sa", "sans", "seat", "sept", "ses",
    "side", "six", "siège", "son", "stack", "sur", "table", "tables", "texas", "tour", "tournoi", "trois", "turbo",
    "un", "une", "up", "valet", "valets", "vegas", "vous",
})  # fmt: skip
"""Words that are no name beside another one, whatever their case: they begin a sentence, head a line or name a card."""
FIRST_NAMES = frozenset({
    "Adam", "Adrien", "Ahmed", "Alain", "Alexandre", "Alice", "Amandine", "Amélie", "Ana", "André", "Anna", "Anne",
    "Antoine", "Arnaud", "Arthur", "Aurélie", "Aurélien", "Axel", "Bastien", "Benjamin", "Benoît", "Bernard",
    "Bruno", "Camille", "Caroline", "Cédric", "Céline", "Charles", "Charlotte", "Chloé", "Chris", "Christian",
    "Christine", "Christophe", "Claire", "Claude", "Clément", "Daniel", "David", "Denis", "Didier", "Dominique",
    "Élodie", "Emma", "Éric", "Eric", "Fabien", "Fabrice", "Florian", "Franck", "François", "Françoise", "Frédéric",
    "Gabriel", "Georges", "Gérard", "Gilles", "Guillaume", "Hélène", "Henri", "Hugo", "Isabelle", "Ivan", "Jacques",
    "Jean", "Jennifer", "Jérémy", "Jérôme", "John", "Jonathan", "Joseph", "Jules", "Julie", "Julien", "Karim",
    "Kevin", "Laura", "Laurent", "Léa", "Lionel", "Louis", "Luc", "Lucas", "Lucie", "Ludovic", "Marc", "Marco",
    "Maria", "Marie", "Marine", "Mathieu", "Matthieu", "Maxime", "Mehdi", "Michel", "Mickaël", "Mohamed", "Nadia",
    "Nathalie", "Nicolas", "Olivier", "Pablo", "Pascal", "Patrice", "Patrick", "Paul", "Philippe", "Pierre",
    "Quentin", "Rachid", "Raphaël", "Régis", "Rémi", "René", "Richard", "Robert", "Romain", "Sabrina", "Samuel",
    "Sandrine", "Sarah", "Sébastien", "Serge", "Sophie", "Stéphane", "Stéphanie", "Sylvain", "Sylvie", "Thierry",
    "Thomas", "Tristan", "Valérie", "Victor", "Vincent", "Virginie", "Wei", "William", "Xavier", "Yann", "Yves",
    "Zoé",
})  # fmt: skip

TITLE = (
    r"(?:Monsieur|Madame|Mademoiselle|Messieurs|Mesdames|Docteur|Professeur|Maître|MM?\.|M[rR]\.?|M(?:me|ME)s?\.?"
    r"|M(?:lle|LLE)s?\.?|Dr\.?)"
)
# "me" in small letters is a pronoun, "Me" a lawyer. "seat" may have been respelled by then.
TITLE_BEFORE = re.compile(
    rf"(?<![\w'-])(?:{TITLE}|MM?|Mrs\.?|Ms\.?|DR\.?|P[rR]\.?|Me\.?|Mister|Miss|Mesdemoiselles|monsieur|messieurs|madame"
    rf"|mesdames|mademoiselle|docteur|maître|MONSIEUR|MADAME) (?:{CAPITALISED} )?$"
)
SEATED = re.compile(r",? ?[(-]? ?(?:en |à la |au |vers la )?(?:table|siège|siege|seat|site|place)s? ?\w", re.IGNORECASE)
SEAT_BEFORE = re.compile(r"(?<!\w)(?:siège|siege|seat|site|place) [\w-]{1,20} ?[:,-] ?$", re.IGNORECASE)
VERSUS = re.compile(r",? (?:contre|vs|face|entre|et|-|:)(?!\w)", re.IGNORECASE)
# "De la DGSE René Dupont": an acronym has an article, a surname has none.
ARTICLE_BEFORE = re.compile(
    r"(?:(?<!\w)(?:le|la|les|du|des|un|une|ce|cette|au|aux|son|sa|leur|notre|votre) |[ld]')$", re.IGNORECASE
)
BEFORE = 40
"""Characters to look at before a word: a title and a name, and what separates them."""
WORD_BEFORE = re.compile(r"(?:^|[^\w'-])([\w'-]{1,30})(\.?) $")
WORD_AFTER = re.compile(r" ([\w'-]{1,30})")
SENTENCE_START = re.compile(r"(?:^|[.!?…:;•\n(-] ?)$")
# Brands that begin with a word of the lexicon: cars, a club, films.
BRANDS = {
    "seat": re.compile(r" (?:Ibiza|Leon|León|Ateca|Arona|Toledo|Altea|Alhambra|Mii|Tarraco|Cupra|Cordoba|Exeo)(?!\w)"),
    "river": re.compile(r" Plate(?!\w)"),
    "call": re.compile(r" (?i:of Duty)(?!\w)"),
    "full": re.compile(r" (?:HD|Metal Jacket)(?!\w)"),
}
CAR_BEFORE = re.compile(r"(?<!\w)(?:une|sa|ma|voiture|marque|concessionnaire|modèle) $", re.IGNORECASE)


def is_name(text: str, start: int, end: int, *, acronym: bool) -> bool:
    """Return whether text[start:end], which an entry of [words] matches, is a name or part of one.

    acronym: whether the entry is written in capitals, as BB is.
    """
    word = text[start:end]
    if not word[0].isupper():
        return False
    before = text[max(0, start - BEFORE) : start]
    if TITLE_BEFORE.search(before) or _is_brand(text, word, before, end):
        return True
    shouted = word.isupper()
    if acronym and not shouted:  # Hu is a name, HU is not yet known to be one
        return True
    if " " in word or "-" in word or (acronym and word not in SHORT_SURNAMES):  # no one is called BB
        return False
    return _is_before_name(text, word, before, end, acronym=acronym) or (
        not shouted and _is_after_name(text, word, before, end)
    )


def may_be_first_name(word: str) -> bool:
    """Return whether a word beside a name in capitals may be its first name."""
    return word.lower() not in NOT_NAMES


def _is_brand(text: str, word: str, before: str, end: int) -> bool:
    brand = BRANDS.get(word.lower())
    return brand is not None and (
        brand.match(text, end) is not None or (word == "Seat" and CAR_BEFORE.search(before) is not None)
    )


def _is_before_name(text: str, word: str, before: str, end: int, *, acronym: bool) -> bool:
    """Return whether a first name follows: "avec Call Thomas", "HU Wei"."""
    after = WORD_AFTER.match(text, end)
    if after is None or not _looks_like_name(after[1]):
        return False
    seated = SEATED.match(text, after.end()) or SEAT_BEFORE.search(before)
    if seated and not ARTICLE_BEFORE.search(before):
        return True
    if word.lower() in BESIDE_NAMES or (acronym and VERSUS.match(text, after.end())):
        return False  # "HU Paul contre Marc" is a duel
    # The capital of the first word of a sentence shows nothing: "Call Rusmir" is what Rusmir does.
    return acronym or after[1] in FIRST_NAMES or not SENTENCE_START.search(before)


def _is_after_name(text: str, word: str, before: str, end: int) -> bool:
    """Return whether a first name precedes: "Paul River"."""
    found = WORD_BEFORE.search(before)
    if found is None or found[2] or not _looks_like_name(found[1]):
        return False
    return word.lower() not in BESIDE_NAMES or found[1] in FIRST_NAMES or SEATED.match(text, end) is not None


def _looks_like_name(word: str) -> bool:
    return len(word) > 1 and word[0].isupper() and not word.isupper() and word.lower() not in NOT_NAMES
