"""Une table, vingt et une places: a number that ends in "un" agrees with the noun it counts. No other does."""

from __future__ import annotations

import re

from monica.text.numbers import NUMBER_END, NUMBER_START, cardinal, split_number

# Nouns a tournament counts, and the adjectives that stand between the number and the noun.
FEMININE = frozenset({
    "table", "tables", "place", "places", "main", "mains", "minute", "minutes", "seconde", "secondes",
    "heure", "heures", "carte", "cartes", "paire", "paires", "personne", "personnes", "pause", "pauses",
    "blinde", "blindes", "blind", "blinds", "bb", "sb", "mise", "mises", "relance", "relances", "joueuse",
    "joueuses", "finaliste", "finale", "finales", "demi-finale", "demi-finales", "victoire", "victoires",
    "défaite", "défaites", "équipe", "équipes", "inscription", "inscriptions", "recave", "recaves",
    "entrée", "entrées", "élimination", "éliminations", "prime", "primes", "récompense", "récompenses",
    "session", "sessions", "manche", "manches", "étape", "étapes", "journée", "journées", "semaine",
    "semaines", "année", "années", "nuit", "nuits", "fois", "chance", "chances", "couleur", "couleurs",
    "quinte", "quintes", "suite", "suites", "dame", "dames", "partie", "parties", "édition", "éditions",
    "épreuve", "épreuves", "bouteille", "bouteilles", "bière", "bières", "boisson", "boissons", "chambre",
    "chambres", "salle", "salles", "voiture", "voitures", "voix", "ville", "villes", "pénalité",
    "pénalités", "sanction", "sanctions", "infraction", "infractions", "pile", "piles", "plaque", "plaques",
    "couronne", "couronnes", "médaille", "médailles", "coupe", "coupes", "bulle", "bulles", "cave", "caves",
    "tonne", "tonnes", "pièce", "pièces", "chaise", "chaises", "ligne", "lignes", "question", "questions",
    "réponse", "réponses", "annonce", "annonces", "famille", "familles", "femme", "femmes", "fille",
    "filles", "page", "pages", "nouvelle", "nouvelles", "dernière", "dernières", "première", "premières",
    "petite", "petites", "grosse", "grosses", "grande", "grandes", "belle", "belles", "bonne", "bonnes",
    "seule", "seules", "prochaine", "prochaines", "longue", "longues", "courte", "courtes", "big", "small",
    "poignée", "poignées", "douzaine", "douzaines", "centaine", "centaines", "vingtaine", "trentaine",
    "cinquantaine",
})  # fmt: skip

# After these words a number is a label, and labels do not agree: "table 21" is "table vingt et un".
LABELS = frozenset({
    "table", "place", "siège", "niveau", "numéro", "n°", "no", "level", "seat", "joueur", "joueuse",
    "groupe", "jour", "day", "salle", "étape", "équipe", "poule", "manche", "main", "page", "case", "rang",
    "top", "chapitre", "porte", "chambre", "ligne", "tables", "places", "sièges", "niveaux", "semaine",
    "session",
})  # fmt: skip
PREVIOUS_WORD = re.compile(r"(n°|[^\W\d_]{1,15})[ :]{0,2}$")

COUNTED = re.compile(
    rf"{NUMBER_START}([1-9]\d{{0,2}}(?: \d{{3}}(?!\d)){{1,4}}|\d{{1,15}}){NUMBER_END} (?=([^\W\d_]{{2,15}}))"
)
LABELLED = re.compile(
    r"(?<!\w)(table|place|siège|niveau|level|seat|rang|n°) ?(\d{1,3}) (?=\d{3}(?!\d))(?!\d{3} \d{3}(?!\d))",
    re.IGNORECASE,
)


def separate_labels(text: str) -> str:
    """Separate a label from the amount after it: "table 5 500 jetons" is not about a table 5 500."""
    return LABELLED.sub(lambda m: f"{m[1]}{'' if m[1] == 'n°' else ' '}{m[2]}, ", text)


def read_feminine_counts(text: str) -> str:
    """Say a number that ends in one before a feminine noun: vingt et une places."""
    return COUNTED.sub(_agree, text)


def follows_label(match: re.Match[str]) -> bool:
    """Return whether the word before a match makes it a label."""
    previous = PREVIOUS_WORD.search(match.string[max(0, match.start() - 20) : match.start()])
    return previous is not None and previous[1].lower() in LABELS


def _agree(match: re.Match[str]) -> str:
    digits, _ = split_number(match[1])
    if digits[-1] != "1" or digits[0] == "0" or match[2].lower() not in FEMININE or follows_label(match):
        return match[0]
    return cardinal(int(digits), feminine=True) + " "
