"""The small words that are two words each: a and à, ou and où, la and là, du and dû, des and dès, sur and sûr."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monica.text.accents_grammar import (
    ADVERBS,
    BE,
    BE_ANY,
    COUNTS,
    HAVE,
    HAVE_ANY,
    LINKS,
    MANY,
    ONE,
    clause_after,
    clause_before,
    is_finite,
)
from monica.text.accents_words import APOSTROPHES, Word, at

BEFORE_HAS = frozenset({"il", "elle", "on", "qui", "ca", "cela", "ceci", "y", "n", "l", "m", "t", "chacun", "monde"})
"""Words after which "a" can only be the verb."""
AFTER_TO = frozenset({
    "midi", "minuit", "partir", "travers", "propos", "bientot", "demain", "droite", "gauche", "nouveau", "tapis",
    "moi", "toi", "nous", "vous", "eux", "lequel", "laquelle", "quoi", "table", "pied", "domicile", "volonte", "peine",
    "present", "fond",
})  # fmt: skip
"""Words before which "a" can only be the preposition."""
LEADS_TO = frozenset({"jusqu", "grace", "face", "quant", "suite"})
"""Words that take "à" after them."""
NOT_AFTER_TO = frozenset({"le", "les", "du", "des", "eu", "ete", "fait"})
"""Words before which "a" can only be the verb: the preposition becomes au or aux before an article."""
LETTER_NAMES = frozenset({"esse", "enne", "effe", "erre", "ixe", "ka", "ku"})
"""Names of letters that are no words: USA is said "u esse a"."""
THANKS = frozenset({"merci", "bravo", "bienvenue", "bonjour", "bonsoir", "salut", "felicitations"})
"""Words that have no verb after them, whoever is thanked: "bravo a rusmir"."""
GREETINGS = frozenset(
    {"merci", "bravo", "bienvenue", "bonjour", "bonsoir", "salut", "retour", "reprise", "rendez-vous"}
)
"""Nouns that are said to somebody or of something."""
PLACES = frozenset({
    "moment", "jour", "heure", "endroit", "instant", "niveau", "table", "place", "salle", "ville", "pays",
})  # fmt: skip
"""Nouns that "où" refers to."""
ACTED_ON = frozenset({"un", "une", "le", "la", "les", "son", "sa", "ses", "cette", "cet"})
"""Words that begin what a participle acts on."""
PERSONS = frozenset({"il", "elle", "on", "ils", "elles", "je", "j", "tu", "nous", "vous"})
STOPS = frozenset(".,;:!?…")


def _a(words: Sequence[Word], i: int) -> str | None:
    word, before, after = words[i], at(words, i - 1), at(words, i + 1)
    if after.key == "-":
        return "à" if word.glued else "a" if at(words, i + 2).key in {"t", "il", "elle", "on"} else None
    letter = len(after.key) == 1 and after.key.isalpha() and after.text[-1] not in APOSTROPHES
    if after.is_mark or letter or before.key in LETTER_NAMES:
        return None
    if before.glued and before.key in BEFORE_HAS | {"nous", "vous", "moi", "toi", "eux", "leur", "lui"}:
        return "à"
    if after.key == "tapis":
        return "à"  # not "il a tapis"
    if before.key in BEFORE_HAS or (before.key == "un" and at(words, i - 2).key in {"quelqu", "l"}):
        return "a"
    if before.key in THANKS and not at(words, i - 2).is_a("D"):
        return "à"
    if before.key == "les" and (at(words, i - 2).key in PERSONS or at(words, i - 2).is_name):
        return "a"
    if before.key == "tout" and after.key == "fait":
        return "à"
    if before.key in {"lui", "leur", "nous", "vous", "en"} and after.is_a("P"):
        return "a"
    found = _a_by_follower(words, i)
    if found is None and (after.readings or after.is_name or after.is_number or after.key.endswith("s")):
        return _a_by_clause(words, i)
    return found  # an unknown word may well be an English verb: "Karim a call"


def _a_by_follower(words: Sequence[Word], i: int) -> str | None:
    after, then = at(words, i + 1), at(words, i + 2)
    everybody = after.key in {"tous", "toutes"} and (then.is_mark or then.key in LINKS)
    phrase = after.key in {"cause", "cote"} and then.key in {"de", "du", "d", "des"}
    phrase = phrase or (at(words, i - 1).key in GREETINGS and after.key in PERSONS | {"lui", "eux", "celui", "celle"})
    phrase = phrase or (after.key == "tres" and then.key == "bientot")
    if after.key in AFTER_TO or everybody or phrase or _is_hour(words, i + 1) or _is_range(words, i):
        return "à"
    if after.key in NOT_AFTER_TO:
        return "a"
    if _has_done(words, i):
        return "a"
    if after.is_a("I") or (after.key in {"se", "s", "me"} and then.is_a("I")):
        return "à"
    return None


def _has_done(words: Sequence[Word], i: int) -> bool:
    """Return whether a participle follows: "a gagne", "a deja paye", "a touche son brelan"."""
    j = i + 1
    while j < i + 4 and (at(words, j).key in ADVERBS - {"tout", "tous", "toutes", "bien"} or at(words, j).is_only("R")):
        j += 1
    readings = at(words, j).readings
    done = {reading.form for reading in readings if reading.is_a("P") and not reading.rare}
    if not done:
        return False
    if j > i + 1 or not any(reading.is_a("N", "I", "S") and reading.form not in done for reading in readings):
        return True
    if at(words, j + 1).key in ACTED_ON | COUNTS or at(words, j + 1).is_number:
        return True  # a noun after "à" is not followed by an article
    subject = words[i - 1] if i else at(words, -1)
    return subject.is_name or (subject.begins and not subject.readings)


def _a_by_clause(words: Sequence[Word], i: int) -> str | None:
    """A clause has one verb: what follows another verb is the preposition."""
    word, before, after = words[i], at(words, i - 1), at(words, i + 1)
    clause = clause_before(words, i)
    if not clause:
        return "à" if word.begins or after.key in {"vos", "votre"} else None
    leads = before.key in BE_ANY | LEADS_TO or (before.is_only("V", "I", "S", "X") and not before.is_name)
    if leads:
        return "à"
    if before.is_only("Pf", "Af", "Pmp", "Amp", "Aep"):
        return "à"  # "annoncee a voix haute"
    if before.is_a("N") and words[clause[0]].key in ONE and _verb_follows(words, i):
        return "à"  # "la machine a cafe est reparee"
    if any(is_finite(words, j) for j in clause) or _is_all_there_is(words, clause[0]):
        return "à"
    first = words[clause[0]]
    if first.key in MANY | COUNTS or (first.is_number and first.key != "1"):
        return "à"  # what is several would have "ont"
    if after.is_name and not after.readings and not after.text.isupper() and before.readings and not before.begins:
        return "à"
    # A noun without an article is no subject: "Prochaine pause a la fin du niveau". But "Pierre a", "Table 5 a".
    several = len(clause) > 1 and not words[clause[0] + 1].is_name and not words[clause[0] + 1].is_number
    bare = first.begins and first.is_a("N") and not first.is_name and not first.is_a("D")
    alone = first.key in GREETINGS or not first.text[0].isupper() or first.is_a("Nmp", "Nfp")
    return "à" if bare and (several or alone) else None


def _verb_follows(words: Sequence[Word], i: int) -> bool:
    """Return whether the verb of the clause stands after a word, without a subject of its own."""
    for j in clause_after(words, i):
        if words[j].key in PERSONS | MANY | {"qui", "ce", "c", "ca"} or words[j].is_name:
            return False
        if j > i + 1 and (words[j].key in BE | HAVE or words[j].is_only("V")):
            return True
    return False


def _is_all_there_is(words: Sequence[Word], i: int) -> bool:
    """Return whether a noun phrase follows "ne ... que": "il ne reste plus qu'un joueur a la table"."""
    only, before = at(words, i - 1), at(words, i - 2)
    if only.key not in {"que", "qu"} or not (before.key == "plus" or before.is_a("V", "X")):
        return False
    counted = at(words, i).key in COUNTS | {"un", "une"} or at(words, i).is_number
    return counted and any(at(words, j).key in {"ne", "n"} for j in range(i - 6, i - 2))


def _is_hour(words: Sequence[Word], i: int) -> bool:
    """Return whether a time of day begins here: "21h", "20 heures", "9:30", "vingt et une heures"."""
    if at(words, i).is_number and at(words, i + 1).key == ":":
        return at(words, i + 2).is_number
    j = i
    while j < i + 5 and (at(words, j).is_number or at(words, j).is_only("D") or at(words, j).key in {"et", "-", "une"}):
        j += 1
    return j > i and at(words, j).key in {"h", "heure", "heures"} and at(words, j + 1).key not in {"de", "d"}


def _is_range(words: Sequence[Word], i: int) -> bool:
    """Return whether a word stands between the ends of a range: "de 14h a 18h", "tables 3 a 8"."""
    unit = at(words, i - 1).key in {"h", "heures"}
    j = i - 2 if unit else i - 1
    opens = at(words, j - 1)
    between = unit or opens.key in {"de", "du", "des"} or opens.is_only("Nmp", "Nfp")
    return between and at(words, j).is_number and at(words, i + 1).is_number


def _ou(words: Sequence[Word], i: int) -> str | None:
    before, after = at(words, i - 1), at(words, i + 1)
    if before.key in {"par", "d", "jusqu", "sais", "sait", "savoir", "savez"} or after.key == "ca":
        return "où"
    asks = after.is_only("V", "X") or after.key in BE | {"se", "en", "va", "vont"}
    if words[i].begins and asks:
        return "où"
    place = at(words, i - 2) if before.is_number else before
    return "où" if place.key in PLACES | {"la"} and after.key in PERSONS | {"se"} else None


def _la(words: Sequence[Word], i: int) -> str | None:
    word, before, after = words[i], at(words, i - 1), at(words, i + 1)
    if word.glued:
        demonstrative = {at(words, i - 3).key, at(words, i - 4).key} & {"ce", "cet", "cette", "ces"}
        return "là" if demonstrative else None
    if after.key == "ou" and at(words, i + 2).key in PERSONS:
        return "là"
    if after.key in STOPS and (word.begins or not before.is_mark):
        return "là"
    if before.key in BE_ANY and after.is_only("S"):
        return "là"  # "elle est la depuis hier"
    return "là" if before.is_mark and after.key in PERSONS | {"c"} else None


def _du(words: Sequence[Word], i: int) -> str | None:
    before, after = at(words, i - 1), at(words, i + 1)
    verb = at(words, i + 2) if after.key in {"se", "s", "le", "la", "l", "les", "me", "y", "en"} else after
    has = before.key in HAVE_ANY | {"ai"} or (before.key == "a" and before.said != "à")
    if has and verb.readings and verb.readings[0].is_a("I"):
        return "dû"
    return "dû" if before.key in BE and after.key in {"a", "au", "aux"} else None


def _des(words: Sequence[Word], i: int) -> str | None:
    key = at(words, i + 1).key
    singular = {"que", "qu", "l", "le", "la", "son", "sa", "mon", "ma", "ce", "cette", "notre", "votre"}
    times = {"lors", "demain", "maintenant", "midi", "minuit", "aujourd"}
    return "dès" if key in singular | times or _is_hour(words, i + 1) else None


def _sur(words: Sequence[Word], i: int) -> str | None:
    before, after = at(words, i - 1), at(words, i + 1)
    himself = after.key in {"de", "d"} and at(words, i + 2).key in {
        "lui",
        "elle",
        "moi",
        "toi",
        "soi",
        "nous",
        "vous",
        "eux",
    }
    certain = after.key in STOPS or after.key in {"que", "qu"} or himself
    sure = before.key == "bien" or before.key in BE_ANY or (himself and words[i].begins)
    return "sûr" if certain and sure else None


def _ne(words: Sequence[Word], i: int) -> str | None:
    born = at(words, i - 1).key in BE and at(words, i + 1).key in {"a", "au", "aux", "en", "le"}
    return "né" if born else None


def _cote(words: Sequence[Word], i: int) -> str | None:
    before, after = at(words, i - 1).key, at(words, i + 1)
    if after.key == "a" and at(words, i + 2).key == "cote":
        return "côte"
    if before == "a" and at(words, i - 2).key == "cote":
        return "côte"
    beside = before == "a" and (after.key in {"de", "du", "des", "d"} or after.key in STOPS)
    side = before in {"le", "du", "au", "ce", "bon", "mauvais", "autre", "mon", "ton", "son", "un"}
    return "côté" if beside or side else None


def _the(words: Sequence[Word], i: int) -> str | None:
    return "thé" if at(words, i - 1).key in {"du", "de", "un", "le", "au"} else None


def _voila(words: Sequence[Word], i: int) -> str | None:
    before = at(words, i - 1).key
    return None if before in {"se", "s"} or before in PERSONS else "voilà"


SMALL: dict[str, Callable[[Sequence[Word], int], str | None]] = {
    "a": _a, "ou": _ou, "la": _la, "du": _du, "des": _des, "sur": _sur, "ne": _ne, "cote": _cote, "the": _the,
    "voila": _voila,
}  # fmt: skip
"""The words of this file, each with the function that returns its form, or None if its neighbours do not say."""
