"""A slash that means "par" after something counted: 30 min/niveau, 50 €/j, 9 joueurs/table."""

from __future__ import annotations

import re

SHORT = {
    "j": "jour", "h": "heure", "pers": "personne", "sem": "semaine", "s": "seconde", "sec": "seconde",
    "min": "minute", "mn": "minute", "niv": "niveau", "part": "participant", "éq": "équipe", "l": "litre",
    "kg": "kilo", "km": "kilomètre", "lvl": "level", "jr": "joueur", "an": "an", "pt": "point",
}  # fmt: skip
WHOLE = (
    "niveau|level|jour|heure|minute|seconde|mois|année|nuit|semaine|personne|joueur|joueuse|table|main|tour|orbite"
    "|équipe|participant|gagnant|finaliste|qualifié|inscrit|tête|place|siège|litre|kilo|recave|rebuy|entrée|inscription|bounty|KO|tournoi|étape|manche"
    "|session|round|membre|enfant|adulte|repas|unité|pièce|match|partie|set|victoire|point|élimination|club|ville"
    "|région|département|pays|saison|chambre|véhicule|voiture|soir|soirée|week-end|demi-journée|bouteille|verre"
)
NOUN = rf"(?:({WHOLE})|({'|'.join(sorted(SHORT, key=len, reverse=True))})(\.?))(?![\w'])(?! ?\d)"
SPEED = r"(?!(?:km?|m|mi|et|ou|table|niveau) ?/ ?[hs](?!\w))"
EACH = re.compile(
    rf"((?<![\w.,/'])\d[\d .,]{{0,14}}(?:[€$£%']|{SPEED}(?:[^\W\d_]|-(?=[^\W\d_])){{1,15}}(?: (?:max|min)"
    rf"(?:i|imum)?)?)?|(?<=[€$£])|euros?) ?/ ?{NOUN}(?: ?/ ?{NOUN})?(?!/)",
    re.IGNORECASE,
)
PERSONS = re.compile(r"(?<![\w.,])(\d{1,5}) ?pers(?:\.(?= ?/| (?-i:[a-zà-ÿ\d(])|[,;:!?)])|(?!\w))", re.IGNORECASE)
SLASH_AND_WORD = re.compile(r"/ ?[^\W\d_]")
LABEL = re.compile(r"(?:^|[\s(])(?:table|niveau|siège|place|jour|n°|numéro|level|seat|salle) $", re.IGNORECASE)


def read_each(text: str) -> str:
    """Say "par" between what is counted and what it is counted for."""
    if "pers" in text.lower():
        text = PERSONS.sub(lambda m: f"{m[1]} personne{'s' * (int(m[1]) > 1)}", text)
    return EACH.sub(_say_each, text) if SLASH_AND_WORD.search(text) else text


def _say_each(match: re.Match[str]) -> str:
    if LABEL.search(match.string[max(0, match.start() - 10) : match.start()]):
        return match[0]
    said, end = match[1], match.end()
    for whole, short, stop in (match.group(2, 3, 4), match.group(5, 6, 7)):
        if whole or short:
            said += f" par {whole or SHORT[short.lower()]}"
            ends = bool(stop) and _starts_sentence(match.string[end : end + 2])
    return said + "." * ends


def _starts_sentence(after: str) -> bool:
    return not after.strip() or (after[0] == " " and after[1:].isupper())
