"""Inclusive writing, said in full: joueur·euse·s is "joueurs et joueuses", tou.te.s is "toutes et tous"."""

from __future__ import annotations

import re

from monica.text.accents_table import readings, strip_accents

DOT = "[·•∙⋅‧・ꞏ]"
ENDINGS = (
    "e|le|te|ne|se|ve|he|que|sse|euse|rice|trice|eresse|ère|ière|elle|enne|ienne|onne|esse|ive|euses|rices|trices|ères"
    "|ières|elles|es|les|tes|nes|ses|ves|ives|teresse|fe|ouse|velle|velles|ice|ices|ale|ales|aine|aines"
)
WORD = r"[^\W\d_]"
# One ending after a raised dot; after a full stop, a hyphen or a bracket only where nothing else can be meant.
RAISED = re.compile(rf"(?<!\w)({WORD}{{1,25}}){DOT}({ENDINGS})(?:{DOT}?(s|x))?(?!\w)(?!{DOT})", re.IGNORECASE)
DOTTED = re.compile(
    rf"(?<![\w.@/-])({WORD}{{2,25}})(?:\.({ENDINGS})\.(s|x)|-({ENDINGS})-(s|x)|[.]((?:e|euse|rice|trice|ère|ière)s?)"
    rf"|(?:[-/]((?:euse|rice|trice)s?)|\((euse|rice|trice|se|ère|ière|ve|te)\)(s)?))(?![\w@-]|\.\w)",
    re.IGNORECASE,
)
PAIR = re.compile(rf"(?<![\w/])({WORD}{{1,12}})(?:{DOT}|/)({WORD}{{2,14}})(?![\w/])")
FULL_PAIRS = {
    ("un", "une"), ("le", "la"), ("du", "de la"), ("il", "elle"), ("ils", "elles"), ("ceux", "celles"),
    ("celles", "ceux"),
    ("lui", "elle"), ("eux", "elles"), ("tous", "toutes"), ("toutes", "tous"), ("la", "le"), ("elle", "il"),
    ("elles", "ils"), ("celui", "celle"), ("ce", "cette"), ("mon", "ma"), ("son", "sa"), ("ton", "ta"),
    ("beau", "belle"),
    ("monsieur", "madame"), ("copain", "copine"), ("copains", "copines"), ("frères", "sœurs"),
}  # fmt: skip
# "Un·e joueur·euse": the article is said with each of the two.
ARTICLE = re.compile(
    rf"(?<!\w)(?:(un|aucun)[.·•]e|(le){DOT}la|(la){DOT}le|(ce){DOT}tte|(du){DOT}de la"
    rf"|(au){DOT}à la) ({WORD}{{2,25}}){DOT}({ENDINGS})(?!\w|{DOT})",
    re.IGNORECASE,
)
FEMININE_ARTICLES = {
    "un": "une", "aucun": "aucune", "le": "la", "la": "la", "ce": "cette", "du": "de la", "au": "à la",
}  # fmt: skip
ALL_OF_YOU = re.compile(
    rf"(?<!\w)(?:tou[st]?(?:{DOT}|[.(/-])(?:toute|te|e)s?(?:\)|(?:{DOT}|[.-])s|(?<=s))s?|toutes(?:{DOT}|[./-])tous|toustes)(?!\w)",
    re.IGNORECASE,
)
PLURAL = re.compile(rf"(?<!\w)({WORD}{{2,25}}){DOT}([sSxX])(?!\w|{DOT})")
LEFT_OVER = re.compile(rf"(?<=[\w.]){DOT}(?=\w)(?<![lL]{DOT}(?=[lL]))")
ANY = re.compile(
    r"[·•∙⋅‧・ꞏ]|[.(/-](?:e|euse|rice|trice|i?ère|[a-zèA-ZÈ]{1,8}[.)-])(?<!\.\.)|[.(/-]te|oustes|/(?:la|une|elles?|celles?|toutes)(?!\w)|[.-](?:E|EUSE|RICE|TRICE|I?ÈRE)[.-]"
)
# What a feminine ending takes the place of: direc-teur, direc-trice.
CUTS: dict[str, tuple[str, ...]] = {
    "euse": ("eur", "eux", "er"), "ice": ("eur",), "rice": ("eur",), "trice": ("teur",), "teresse": ("teur",),
    "eresse": ("eur",), "ère": ("er",), "ière": ("ier",), "elle": ("eau", "el"), "velle": ("veau",), "enne": ("en",),
    "ienne": ("ien",), "onne": ("on",), "ive": ("if",), "ve": ("f",), "que": ("c",), "se": ("x", "r"),
    "esse": ("e",), "ale": ("al",), "aine": ("ain",), "ouse": ("oux",),
}  # fmt: skip
# Words that the table lacks end so only before a mute e: "pongist·e".
MUTE_STEM = re.compile(r"(?:ist|[bcdfgptv]r|[bcfgp]l|crat|phil|log|nom|graph|path|iqu)$")
# The two forms sound alike in é, i and u. Of an adjective one is enough; these are nouns, and both are addressed.
SOUNDS_ALIKE = re.compile(r"[éiu]$", re.IGNORECASE)
NOUNS = {"ami", "élu", "invité", "employé", "licencié", "délégué", "habitué", "apprenti", "retraité", "bienvenu"}


def read_inclusive_writing(text: str) -> str:
    """Say both forms of a word: with "et" in the plural, with "ou" in the singular."""
    if not ANY.search(text):
        return text
    text = ARTICLE.sub(_say_with_article, text)
    text = ALL_OF_YOU.sub(lambda m: ("T" if m[0][0] == "T" else "t") + "outes et tous", text)
    text = PAIR.sub(_say_pair, text)
    text = RAISED.sub(lambda m: _say_both(m[1], m[2], m[3] or "") or m[0], text)
    text = PLURAL.sub(lambda m: m[1] if m[1][-1] in "sxSX" else m[1] + m[2], text)
    return LEFT_OVER.sub(", ", DOTTED.sub(_say_dotted, text))


def _say_dotted(match: re.Match[str]) -> str:
    ending = match[2] or match[4] or match[6] or match[7] or match[8]
    return _say_both(match[1], ending, match[3] or match[5] or match[9] or "") or match[0]


def _say_both(stem: str, ending: str, plural: str) -> str:
    """Return both forms, or "" if the ending does not fit the word."""
    if stem.isupper() and len(stem) > 1:
        return _say_both(stem.lower(), ending, plural).upper()
    ending = ending.lower()
    plural = plural.lower()
    if not plural and ending.endswith("s") and ending not in {"us"}:
        ending, plural = ending[:-1], "s"
    if plural and stem[-1:] == "s" and (ending != "e" or stem[-2:-1] not in set("aiouè")):
        stem = stem[:-1]  # joueurs·euses
    if ending == "e" and stem.endswith("èr"):
        stem = stem[:-2] + "er"
    feminine = _feminine(stem, ending)
    masculine = stem
    if plural:
        masculine = _plural(stem, plural)
        feminine += "" if feminine.endswith("s") else "s"
    if ending == "e" and stem.endswith(("e", "es")):  # one form for both
        return masculine
    if ending == "e" and _needs_e(stem.lower()):
        return feminine
    if ending == "e" and SOUNDS_ALIKE.search(stem) and stem.lower() not in NOUNS:
        return masculine
    return f"{masculine} {'et' if plural else 'ou'} {feminine[0].lower() + feminine[1:]}"


def _plural(masculine: str, mark: str) -> str:
    if masculine[-1:].lower() in {"s", "x", "z"}:
        return masculine
    if masculine.endswith("al") and masculine not in {"banal", "bancal", "fatal", "final", "natal", "naval"}:
        return masculine[:-1] + "ux"
    return masculine + ("x" if mark == "x" else "s")


def _needs_e(stem: str) -> bool:
    """Return whether a stem is no word without its e: "bénévol·e" is "bénévole" whoever it is."""
    letters = strip_accents(stem)
    if readings(letters):
        return False
    known = any(reading.form == stem + "e" and reading.is_a("N", "A") for reading in readings(letters + "e"))
    return known or MUTE_STEM.search(letters) is not None


def _feminine(stem: str, ending: str) -> str:
    if ending == "ice":
        ending = "rice"
    lower = stem.lower().rstrip("x") if ending in {"elle", "velle"} else stem.lower()
    if ending == "e" and lower.endswith("er") and len(stem) > 3:
        return stem[:-2] + "ère"
    if ending == "se" and lower.endswith("eur"):
        return stem[:-1] + "se"
    for cut in CUTS.get(ending, ()):
        if lower.endswith(cut):
            return stem[: len(lower) - len(cut)] + ending
    return stem + ending


def _say_with_article(match: re.Match[str]) -> str:
    article = next(filter(None, match.group(1, 2, 3, 4, 5, 6)))
    masculine = {"la": "le"}.get(article.lower(), article)
    noun, ending = match[7], match[8].lower()
    if ending.endswith("s"):
        return match[0]
    if ending == "e" and _needs_e(noun.lower()):
        return f"{masculine} ou {FEMININE_ARTICLES[article.lower()]} {noun}e"
    return f"{masculine} {noun} ou {FEMININE_ARTICLES[article.lower()]} {_feminine(noun, ending)}"


def _say_pair(match: re.Match[str]) -> str:
    first, second = match[1].lower(), match[2].lower()
    if (first, second) not in FULL_PAIRS:
        return match[0]
    plural = first[-1] in "sx" and second[-1] in "sx"
    return f"{match[1]} {'et' if plural else 'ou'} {match[2]}"
