"""A slash or a hyphen between two numbers: a fraction, a part of a whole, a range."""

from __future__ import annotations

import re

from monica.text.gender import follows_label
from monica.text.numbers import WHOLE, say_whole, split_number

LEFT = r"(?<![\w/.,])"
RIGHT = r"(?![\w/])(?![.,]\d)"
COUNTED = (
    r"(?:minutes?|min|mn|secondes?|sec|s|heures?|h|jours?|semaines?|mois|ans|places?|tables?|joueurs?|joueuses?"
    r"|personnes?|euros?|jetons?|mains|points?|fois|BB|km|m|kg|mg|g|ml|cl|litres?|€|%|\$)(?!\w)"
)
RANGE = re.compile(rf"(?<![\w/.,-])({WHOLE}) ?- ?({WHOLE})(?= ?(?:{COUNTED}|[€%$]))")
RANGE_OF_HOURS = re.compile(r"(?<=\d[hH])-(?=\d{1,2} ?[hH])|(?<=[hH]\d\d)-(?=\d{1,2} ?[hH])")
RANGE_OF_PARTS = re.compile(r"(?<=\d[%€]) ?- ?(?=\d)|(?<=\d [%€]) ?- ?(?=\d)")
# After a plural label a hyphen is a range, whatever is counted: places 9-12.
RANGE_OF_LABELS = re.compile(
    r"(?<!\w)((?:places|rangs|positions|tables|niveaux|sièges|pages?|jours|groupes|étapes|articles|levels|numéros|joueurs|rounds)"
    rf"(?: n°)? )({WHOLE}) ?- ?({WHOLE})(?![\w/-])(?![.,]\d)",
    re.IGNORECASE,
)
RANK = r"(?:ers?|[eè]?res?|i?[eéè]?mes?|es?|è|nde?s?|E|ER|[EÈ]ME|[EÈ]?RE)"
RANGE_OF_RANKS = re.compile(rf"(?<![\w/.,-])(\d{{1,5}})({RANK})? ?- ?(\d{{1,5}})({RANK})(?![\w/])")
DEMI = re.compile(rf"{LEFT}1/2[ -](heure|finale|journée|tarif|douzaine|tour)(s?)(?!\w)")
FINAL = re.compile(rf"{LEFT}1/(4|8|16|32)(?:e|ème|es|èmes)?(?: de)? finale(s?)(?!\w)")
FINALS = {
    "2": "demie",
    "4": "quart",
    "8": "huitième",
    "16": "seizième",
    "32": "trente-deuxième",
    "64": "soixante-quatrième",
}
# "Les 1/8 et le 1/4 de finale": before "finale", or after a word that a fraction of anything else does not follow.
ROUND = re.compile(
    r"(?<!\w)((?:les|des|aux|en|le|du|au|un|premiers?|derniers?|chaque|la|une|puis|et|ou|pour) |(?<=[,(] )|^)"
    r"1/(2|4|8|16|32|64)(es?|èmes?)?(?![\w/])(?![.,]\d)"
    r"(?! (?:finale|heure|journée|tarif|douzaine|tour|de (?!finale)|d'|litre|page))",
    re.IGNORECASE,
)
PLURAL_BEFORE = ("les ", "des ", "aux ")
RANKS = re.compile(rf"(?<=\d)({RANK}) ?/ ?(?=\d{{1,4}}{RANK}(?!\w))")
RANK_OF = re.compile(r"(?<=\d)(er|re|ère|e|ème|eme|è|E|ER|EME|ÈME)/(?=\d)")
ODDS_OF = re.compile(
    r"(?<!\w)((?:cotes?|côtes?|odds|rapport|ratio)(?: (?:à|de|est|sont|était|du pot|pot|implicite|d'environ"
    r"|environ)){0,3} ?:? ?)"
    r"(\d{1,3}(?:,\d{1,2})?) ?[:/] ?(\d{1,3})(?![\w:/]|[.,]\d)",
    re.IGNORECASE,
)
COLON_OR_SLASH = re.compile(r"\d ?[:/] ?\d")
SINGLE = re.compile(r"(?<![\w.,:/])(\d{1,3}(?:,\d{1,2})?):(\d)(?![\w:/.,]\d|[\w:/])")
SCORE_BEFORE = re.compile(
    r"(?:score|match|mène|menait|victoire|gagne|perd|résultat|bat)(?: final)?(?: de| par| :)? ?$", re.IGNORECASE
)
LABEL_BEFORE = re.compile(
    r"(?:table|siège|place|niveau|jean|luc|marc|matthieu|psaume|chapitre|verset) ?$", re.IGNORECASE
)
FORMAT = re.compile(r"(?<![\w.,:/])(16:9|4:3|21:9|16:10)(?![\w:/])")
MIXED = re.compile(rf"(?<![\w/.,])(\d{{1,3}}) (1/2|1/4|3/4|1/3|2/3){RIGHT}")
SLASHED = re.compile(rf"{LEFT}({WHOLE}) ?/ ?({WHOLE}){RIGHT}")
FRACTIONS = {
    ("1", "2"): "un demi", ("1", "3"): "un tiers", ("2", "3"): "deux tiers", ("1", "4"): "un quart",
    ("3", "4"): "trois quarts",
}  # fmt: skip


def read_ranges(text: str) -> str:
    """Say "10-15 minutes" and "14h-18h". Between other numbers the meaning of a hyphen is not certain."""
    text = RANGE_OF_HOURS.sub(" à ", text)
    text = RANGE_OF_PARTS.sub(" à ", text)
    if "-" in text:
        text = RANGE_OF_RANKS.sub(_say_range_of_ranks, text)
        text = RANGE_OF_LABELS.sub(_say_range_of_labels, text)
    return RANGE.sub(_say_range, text)


def read_odds(text: str) -> str:
    """Say "3:1" as "trois contre un", and "3/1" too after a word about odds. Before 15:10 is a time of day."""
    if not COLON_OR_SLASH.search(text):
        return text
    if ":" in text:
        text = FORMAT.sub(lambda m: m[0].replace(":", " "), text)
        text = SINGLE.sub(_say_single, text)
    return ODDS_OF.sub(r"\1\2 contre \3", text)


def read_ratios(text: str) -> str:
    """Say fractions, ranks in a field (2e/45), and a part of a whole that is at least as large."""
    if "/" not in text:
        return text
    text = DEMI.sub(r"demi-\1\2", text)
    text = ROUND.sub(_say_round, text)
    text = FINAL.sub(lambda m: f"{FINALS[m[1]]}{m[2]} de finale", text)
    text = RANKS.sub(r"\1, ", text)
    text = RANK_OF.sub(r"\1 sur ", text)
    text = MIXED.sub(lambda m: f"{m[1]} et {FRACTIONS[m[2][0], m[2][2]].removeprefix('un ')}", text)
    return SLASHED.sub(_say_slashed, text)


def _say_range(match: re.Match[str]) -> str:
    first, last = int(split_number(match[1])[0]), int(split_number(match[2])[0])
    return f"{match[1]} à {match[2]}" if first < last else match[0]


def _say_range_of_ranks(match: re.Match[str]) -> str:
    first, ending, last, last_ending = match.groups()
    if int(first) >= int(last):
        return match[0]
    # "10-18e": both are ranks, and the first is masculine or feminine as the second is
    if ending is None and ((match.start() and match.string[match.start() - 1] not in " (:") or int(first) == 1):
        ending = "re" if last_ending.lower() in {"re", "ère"} else "er"
    return f"{first}{ending or last_ending} à {last}{last_ending}"


def _say_range_of_labels(match: re.Match[str]) -> str:
    first, last = int(split_number(match[2])[0]), int(split_number(match[3])[0])
    return f"{match[1]}{match[2]} à {match[3]}" if first < last else match[0]


def _say_single(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - 16) : match.start()]
    if LABEL_BEFORE.search(before):
        return match[0]
    return f"{match[1]} {'à' if SCORE_BEFORE.search(before) else 'contre'} {match[2]}"


def _say_round(match: re.Match[str]) -> str:
    before, number = (match[1] or "").lower(), match[2]
    string = match.string
    about_finals = "final" in string[max(0, match.start() - 80) : match.end() + 80].lower()
    surely = before in {"les ", "des ", "aux ", "en "} and number in {"4", "8", "16", "32", "64"}
    surely = surely or match[3] is not None
    if not (about_finals or surely) or (before in {"la ", "une "} and number != "2"):
        return match[0]
    plural = before in PLURAL_BEFORE or (before == "en " and number in {"8", "16", "32", "64"})
    return f"{match[1] or ''}{FINALS[number]}{'s' * plural}"


def _say_slashed(match: re.Match[str]) -> str:
    part, whole = split_number(match[1])[0], split_number(match[2])[0]
    if (part, whole) in FRACTIONS and not follows_label(match):
        return FRACTIONS[part, whole]
    if part == whole == "50":
        return "cinquante-cinquante"
    years = len(part) == len(whole) == 4 and part[:2] == whole[:2] == "20"
    if years or "0" in {part[0], whole[0]} or int(part) > int(whole):
        return match[0]
    return f"{say_whole(part)} sur {say_whole(whole)}"
