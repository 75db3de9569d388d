"""Titles and abbreviations, written out: M., Mme, Dr, n°, etc., vs."""

from __future__ import annotations

import re

from monica.text.words import UPPER

# What may stand between "M." and a name, or follow "M." in "M. et Mme" and "M. le Directeur".
AFTER_TITLE = r"(?:et|ou|le|la|les|l'|de|d'|du|des|van|von|der|el|ben|al|di|da)"
TITLE = re.compile(
    rf"(?<![\w.-])(?=[MDPVm])(?:(MM\.|MM(?= )|M\.|Dr\.?|DR\.?|Pr\.?|Me\."
    rf"|(?:(?<!\w )|(?<=\bde )|(?<=\bà )|(?<=\bet )|(?<=\bpar ))Me(?= )|Mgr\.?|Vve|M[rR]\.?"
    rf"|MRS\.?|Mrs\.?|Ms\.?|Messrs\.?)"
    rf"(?= [{UPPER}]|[{UPPER}](?!\.)) ?"
    rf"|(?<!\d )(MM\.|M\.|M[rR]\.?|Mrs\.?|Dr\.?)(?= {AFTER_TITLE}(?:[ {UPPER}]|(?<=')))"
    rf"|(Mme|MME|Mmes|MMES|Mlle|MLLE|Mlles|MLLES|[Mm]elle|MELLE|Mademoi\.|mme|mlle|mmes|mlles"
    rf"|mr(?= [\w'-]{{2}}))(?!\w)(?:\.(?= ))?"
    rf"|(?<!\d )(MM\.)(?=$|[ ,;:!?/.])"
    rf"|(?<!\d )(MM\.|M\.?|Mr\.?)(?=/(?:Mme|Mlle|MME))"
    # Without a full stop it is a title only where a sentence may begin: "Paul M Dupont" has an initial.
    rf"|(?:(?<=^)|(?<=[.:;,!?(] )|(?<=\bde )|(?<=\bà )|(?<=\bet )|(?<=\bpar )"
    rf"|(?<=\bavec ))(M)(?= [{UPPER}](?:[a-zà-ÿ]{{2}}|[{UPPER}]{{2}})))"
)
TITLES = {
    "M": "Monsieur", "MM": "Messieurs", "Mr": "Monsieur", "mr": "Monsieur", "MR": "Monsieur", "Mrs": "Madame",
    "MRS": "Madame", "Ms": "Madame", "Messrs": "Messieurs", "Mme": "Madame", "MME": "Madame", "mme": "Madame",
    "Mmes": "Mesdames", "MMES": "Mesdames", "mmes": "Mesdames", "Mlle": "Mademoiselle", "MLLE": "Mademoiselle",
    "mlle": "Mademoiselle", "Melle": "Mademoiselle", "melle": "Mademoiselle", "MELLE": "Mademoiselle",
    "Mlles": "Mesdemoiselles", "MLLES": "Mesdemoiselles", "mlles": "Mesdemoiselles", "Dr": "Docteur",
    "DR": "Docteur", "Pr": "Professeur", "Me": "Maître", "Mgr": "Monseigneur", "Vve": "Veuve",
}  # fmt: skip
# French writers put "Mrs" for "Messieurs" too: two names follow.
TWO_NAMES = re.compile(rf" (?:les |[{UPPER}][\w'-]{{1,30}} et [{UPPER}])")
JUNIOR = re.compile(r"(?<=[\w,]) (J[rR]|S[rR])(?:\.|(?<=[JjRr])(?!\w))(?![\w'-])")
NAME_BEFORE = re.compile(rf"(?:^|[\s-])[{UPPER}][\w'-]{{1,40}},?$")
SAINT = re.compile(rf"(?<![\w.])St(e?)(?:\. ?|-| )(?=[{UPPER}]\w)")
NUMBER_SIGN = re.compile(r"(?<!\w)(?:[nN]°(s?)|[nN]o\.?(?= ?\d)|#(?=\d)) ?")

# Abbreviations with the words they stand for. A full stop after one is part of it.
ABBREVIATIONS = {
    "vs": "contre", "cf": "voir", "tél": "téléphone", "env": "environ", "svp": "s'il vous plaît",
    "stp": "s'il te plaît", "rdv": "rendez-vous", "bcp": "beaucoup", "qqn": "quelqu'un",
    "qqch": "quelque chose", "jrs": "jours", "nb": "nombre", "nbre": "nombre", "qté": "quantité",
    "càd": "c'est-à-dire", "tjrs": "toujours", "dept": "département", "dépt": "département",
    "resp": "respectivement", "avg": "moyenne", "insc": "inscriptions", "inscr": "inscriptions",
}  # fmt: skip
# Abbreviations only if a full stop follows; without it they are words.
STOPPED = {
    "max": "maximum", "min": "minimum", "moy": "moyenne", "approx": "environ", "chap": "chapitre",
    "éd": "édition", "ex": "exemple", "suppl": "supplément", "niv": "niveau", "qq": "quelques",
    "tel": "téléphone",
}  # fmt: skip
STREETS = {"av": "avenue", "bd": "boulevard", "blvd": "boulevard", "pl": "place", "fg": "faubourg"}

# If none of these words is in the text, which is nearly always so, the slower expressions below need not be tried.
# Abbreviations only before a number, a letter or a Roman numeral: p. 12, art. 5, bât. B. After those in STOP_NEEDED,
# which are words too or mean something else, the full stop is never left out.
NUMBERED = {
    "niv": "niveau", "nv": "niveau", "lvl": "niveau", "lv": "niveau", "bât": "bâtiment", "tbl": "table",
    "appt": "appartement", "étg": "étage", "esc": "escalier", "réf": "référence", "ref": "référence",
    "tél": "téléphone", "tel": "téléphone", "éq": "équipe", "chap": "chapitre", "fig": "figure", "sect": "section",
    "p": "page", "pp": "pages", "pg": "page", "art": "article", "vol": "volume", "ch": "chambre", "gr": "groupe",
    "pos": "position", "pl": "place", "apt": "appartement", "num": "numéro", "bat": "bâtiment", "al": "alinéa",
    "tab": "table",
}  # fmt: skip
STOP_NEEDED = frozenset({"p", "pp", "pg", "art", "vol", "ch", "gr", "pos", "pl", "apt", "num", "bat", "al", "tab"})
LETTER_AFTER = frozenset({"bât", "esc", "appt"})
NUMBERED_WORD = re.compile(
    rf"(?<![\w.'-])(?<!\d )({'|'.join(sorted(map(re.escape, NUMBERED), key=len, reverse=True))})"
    r"(\.(?=\d|(?-i:[A-Z](?!\w)))|\. | )(?=\d|(?-i:[A-Z](?![\w'.])|[A-Z]\. ?\d|[IVX]{1,5}(?!\w)))",
    re.IGNORECASE,
)
POINTS = re.compile(r"(?<![\w.,])(\d[\d .]{0,12}(?:,\d{1,3})?) ?pts?(?!\w)\.?(?= |$|[,;:!?)])", re.IGNORECASE)
NUMBERED_POINT = re.compile(
    r"(?<!\w)((?:articles?|règles?|chapitre|section|paragraphe|alinéa|point|version|annexe"
    r"|niveau) (?:numéro )?)(\d{1,3}(?:\.\d{1,3}){1,4})(?![\w.,/]\w|\w)",
    re.IGNORECASE,
)
POINT_INSIDE = re.compile(r"\d\.\d")
KNOWN_NUMBERED = frozenset(NUMBERED)
SECTION_SIGN = re.compile(r"§ ?(?=\d)")

KNOWN = {*ABBREVIATIONS, *STOPPED, "etc", "ex", "d"}
WORD = re.compile(r"\w+")
ABBREVIATION = re.compile(rf"(?<![\w.'-])({'|'.join(ABBREVIATIONS)})(?![\w'-])\.?(?!\w)", re.IGNORECASE)
STOPPED_WORD = re.compile(rf"(?<![\w.'-])(?<!\d )((?i:{'|'.join(STOPPED)}))\.(?= [a-zà-öø-ÿ\d:]|:)")
RESPONSIBLE = re.compile(r"(?<![\w.'-])([Rr]esp)\. ?(?=d(?:e|u|es) |d'|(?:salle|tournoi|table|caisse|bar)(?!\w))")
RANKED = re.compile(r"(?<=\d)(er|e|ème|eme|re|ère) (ét|pos|pl)\.(?=( [a-zà-öø-ÿ\d(]|[,;:!?)])?)")
RANKED_WORDS = {"ét": "étage", "pos": "position", "pl": "place"}
# "T12 S4" and "T.12" are what staff write on a seat card.
SEAT_CODE = re.compile(r"(?<![\w.])T\.? ?(\d{1,3})[ ,/-]{1,2}S\.? ?(\d{1,2})(?![\w/])")
FINAL_TABLE = re.compile(r"(?<![\w.'-])TF(?![\w'-])")
PARAGRAPH = re.compile(r"(?<=\d )al\. ?(?=\d)")
TABLE_CODE = re.compile(r"(?<![\w.])T\. ?(\d{1,3})(?![\w/]|[.,]\d)")
STREET = re.compile(rf"(?<![\w.'-])({'|'.join(STREETS)})\.? (?=(?:d[eu] |de la |des |d')?[{UPPER}])")
THAT_IS = re.compile(r"(?<![\w.])c\.? ?-?à-d\.?(?!\w)", re.IGNORECASE)
FOR_EXAMPLE = re.compile(r"(?<![\w.])p\. ?ex\.?(?!\w)", re.IGNORECASE)
ETC = re.compile(rf"(?<!\w)(?i:etc)(?!\w)(\.|…)?(?= (?P<capital>[{UPPER}])|(?P<end>$)|)")


def write_out_titles(text: str) -> str:
    """Write out a title before a name, and "Jr." after one."""
    text = TITLE.sub(_write_out_title, text)
    if " J" in text or " S" in text:
        text = JUNIOR.sub(_write_out_junior, text)
    return SAINT.sub(r"Saint\1-", text)


def _write_out_title(match: re.Match[str]) -> str:
    short = next(filter(None, match.groups())).rstrip(".")
    title = TITLES[short]
    if short in {"Mrs", "MRS"} and TWO_NAMES.match(match.string, match.end() - bool(match[1])):
        title = "Messieurs"
    return title + " " * bool(match[1])


def _write_out_junior(match: re.Match[str]) -> str:
    if not NAME_BEFORE.search(match.string[max(0, match.start() - 42) : match.start()]):
        return match[0]
    if match[1][0] == "S" and not match[0].endswith("."):
        return match[0]
    after = match.string[match.end() : match.end() + 2]
    ends = match[0].endswith(".") and (not after or (after[0] == " " and after[1:].isupper()))
    return (" junior" if match[1][0] == "J" else " senior") + "." * ends


def read_number_signs(text: str) -> str:
    """Say n°7, N° 7, no 7 and #7."""
    return NUMBER_SIGN.sub(lambda m: f"{'N' if m[0][0] == 'N' else 'n'}uméro{m[1] or ''} ", text)


def write_out_abbreviations(text: str) -> str:
    """Write out abbreviations that are never said as they are written."""
    words = WORD.findall(text.lower())
    if not KNOWN.isdisjoint(words):
        text = _write_out_words(text)
    if not KNOWN_NUMBERED.isdisjoint(words):
        text = NUMBERED_WORD.sub(_write_out_numbered, text)
    text = RANKED.sub(lambda m: f"{m[1]} {RANKED_WORDS[m[2]]}{'' if m[3] else '.'}", text)
    text = PARAGRAPH.sub("alinéa ", text)
    if "T" in text:
        text = FINAL_TABLE.sub("table finale", text)
        text = TABLE_CODE.sub(r"table \1", SEAT_CODE.sub(r"table \1, siège \2", text))
    if "pt" in text or "PT" in text:
        text = POINTS.sub(_write_out_points, text)
    text = SECTION_SIGN.sub("paragraphe ", text) if "§" in text else text
    if POINT_INSIDE.search(text):
        text = NUMBERED_POINT.sub(lambda m: m[1] + m[2].replace(".", " point "), text)
    return STREET.sub(lambda m: STREETS[m[1]] + " ", text)


def _write_out_numbered(match: re.Match[str]) -> str:
    short, stop = match[1].lower(), match[2]
    if "." not in stop and (short in STOP_NEEDED or not (match.string[match.end()].isdigit() or short in LETTER_AFTER)):
        return match[0]
    word = NUMBERED[short]
    return (
        word.upper() if match[1].isupper() and len(short) > 1 else word.capitalize() if match[1][0].isupper() else word
    ) + " "


def _write_out_points(match: re.Match[str]) -> str:
    one = re.fullmatch(r"[01](?:[.,]\d+)?", match[1].rstrip()) is not None
    ends = match[0].endswith(".") and match.end() == len(match.string)
    return f"{match[1].rstrip()} {'point' if one else 'points'}{'.' * ends}"


def _write_out_words(text: str) -> str:
    text = THAT_IS.sub("c'est-à-dire", text)
    text = FOR_EXAMPLE.sub("par exemple", text)
    text = RESPONSIBLE.sub(lambda m: m[1] + "onsable ", text)
    text = ETC.sub(lambda m: "et cetera" + ("." if m[1] and (m["capital"] or m["end"] is not None) else ""), text)
    text = ABBREVIATION.sub(lambda m: _keep_stop(m, ABBREVIATIONS[m[1].lower()]), text)
    return STOPPED_WORD.sub(_write_out_stopped, text)


def _keep_stop(match: re.Match[str], words: str) -> str:
    return words + "." if match[0].endswith(".") and match.end() == len(match.string) else words


def _write_out_stopped(match: re.Match[str]) -> str:
    words = STOPPED[match[1].lower()]
    if match[1].isupper():
        return words.upper()
    return words[0].upper() + words[1:] if match[1][0].isupper() else words
