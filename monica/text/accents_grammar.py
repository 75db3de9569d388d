"""The closed classes of French words that decide between their neighbours' forms, as keys: without their accents.

These are articles, pronouns, forms of être and avoir: the words a grammar lists in full. All others are in the table.
"""

from __future__ import annotations

from collections.abc import Sequence

from monica.text.accents_words import Word, at

SUBJECTS = frozenset({"je", "j", "il", "elle", "on", "ils", "elles", "qui", "tu", "ca", "cela", "ceci"})
"""Pronouns that are the subject of a verb."""
REFLEXIVES = frozenset({"ne", "n", "me", "m", "te", "t", "se", "s"})
"""Words that only a verb or another pronoun follows."""
PRONOUNS = REFLEXIVES | {"le", "la", "les", "l", "lui", "leur", "y", "en", "nous", "vous"}
"""Words that may stand between a subject and its verb."""
BE = frozenset({
    "suis", "es", "est", "sommes", "etes", "sont", "etais", "etait", "etions", "etiez", "etaient", "fus", "fut",
    "furent", "serai", "seras", "sera", "serons", "serez", "seront", "serais", "serait", "serions", "seriez",
    "seraient", "sois", "soit", "soyons", "soyez", "soient",
})  # fmt: skip
"""The finite forms of être."""
BE_ANY = BE | {"etre", "etant", "ete"}
HAVE = frozenset({
    "avons", "avez", "ont", "avais", "avait", "avions", "aviez", "avaient", "aurai", "auras", "aura", "aurons",
    "aurez", "auront", "aurais", "aurait", "aurions", "auriez", "auraient", "ait", "ayons", "ayez", "aient",
})  # fmt: skip
"""The finite forms of avoir, less those that are other words too: "a", "as", "ai"."""
HAVE_ANY = HAVE | {"avoir", "ayant"}
ADVERBS = frozenset({
    "pas", "plus", "deja", "bien", "tous", "toutes", "tout", "encore", "jamais", "toujours", "rien", "mal", "trop",
    "tres", "aussi", "enfin", "donc", "vite", "assez", "peu", "beaucoup", "moins", "presque", "ensuite", "aussitot",
})  # fmt: skip
"""Adverbs that may be other words too. Those that are nothing else are in the table."""
DEGREES = frozenset({"tres", "trop", "assez", "si", "aussi", "moins", "plus"})
"""Adverbs that stand before an adjective."""
ONE = {
    "le": "m", "un": "m", "du": "m", "au": "m", "ce": "m", "cet": "m", "mon": "mf", "ton": "mf", "son": "mf",
    "quel": "m", "aucun": "m", "la": "f", "une": "f", "cette": "f", "ma": "f", "ta": "f", "sa": "f",
    "quelle": "f", "aucune": "f", "l": "mf", "notre": "mf", "votre": "mf", "leur": "mf", "chaque": "mf",
}  # fmt: skip
"""Determiners of one thing, and the genders of the noun they may stand before."""
MANY = frozenset({"les", "des", "aux", "ces", "mes", "tes", "ses", "nos", "vos", "leurs", "quelques", "plusieurs"})
"""Determiners of several things."""
COUNTS = frozenset({"deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze"})
OBJECTS = COUNTS | {"un", "une", "le", "la", "les", "l", "son", "sa", "ses"}
"""Words that begin what a verb acts on."""
LINKS = frozenset({"et", "ou", "mais", "car", "donc", "que", "qu", "si", "quand", "lorsque", "puis", "comme", "dont"})
"""Words that begin a clause."""
MAX_CLAUSE = 30
"""Words. No farther is a verb looked for, so that the time for a long text is linear."""


def is_finite(words: Sequence[Word], i: int) -> bool:
    """Return whether a word is as good as surely the verb of its clause."""
    word, before = words[i], at(words, i - 1)
    if word.is_name:
        return False  # "Luis" has the letters of a verb
    if word.key in BE or word.key in HAVE:
        return True
    if word.key in BE_ANY or word.key in HAVE_ANY:
        return False
    if word.key == "a":
        return word.said == "a"
    if not word.readings or before.is_only("D", "S") or before.key in {"la", "l", "une", "des", "du", "de", "d"}:
        return False
    if before.key in SUBJECTS:
        return word.is_a("V", "T", "X")
    form = word.said or word.readings[0].form
    tags = next((reading.tags for reading in word.readings if reading.form == form), ())
    return tags[:1] in (("V",), ("X",)) and not (len(tags) > 1 and before.key in {"le", "les"})


def clause_before(words: Sequence[Word], i: int) -> range:
    """Return the places of the words before a word in its clause."""
    j = i
    while j > max(0, i - MAX_CLAUSE) and not words[j - 1].ends_clause and words[j - 1].key not in LINKS:
        j -= 1
    return range(j, i)


def clause_after(words: Sequence[Word], i: int) -> range:
    """Return the places of the words after a word in its clause."""
    j = i + 1
    while j < min(len(words), i + MAX_CLAUSE) and not words[j].ends_clause and words[j].key not in LINKS | {"qui"}:
        j += 1
    return range(i + 1, j)
