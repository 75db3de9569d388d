"""Decides by its neighbours which form of a word is meant: "elimine" is "éliminé" after "est", "élimine" after "il"."""

from __future__ import annotations

from collections.abc import Sequence

from monica.text.accents_grammar import (
    ADVERBS,
    BE_ANY,
    COUNTS,
    DEGREES,
    HAVE_ANY,
    LINKS,
    MANY,
    OBJECTS,
    ONE,
    PRONOUNS,
    REFLEXIVES,
    SUBJECTS,
    clause_after,
    clause_before,
    is_finite,
)
from monica.text.accents_small import SMALL
from monica.text.accents_words import Word, at

MAX_ADVERBS = 6
"""Words that may stand between a verb and its participle. A bound, so that the time for a long text is linear."""
BEFORE_VERB = HAVE_ANY | {"n", "ne", "s", "se", "l", "a", "ete"}
"""What may stand between a subject and its participle, with "est" and its like."""


def choose(words: Sequence[Word]) -> None:
    """Choose the form that is meant by each word, as far as its neighbours say, and leave it in `said`.

    Words that can only be one come first, since they are what the others are decided by.
    """
    open_words = []
    for i, word in enumerate(words):
        if word.key not in SMALL and _are_spellings(word):
            word.said, word.reason = word.readings[0].form, "only form"
        elif word.readings:
            open_words.append(i)
    small = [i for i in open_words if words[i].key in SMALL]
    _choose_small(words, small)
    for i in open_words:
        if words[i].key not in SMALL:
            _apply(words, i)
    _choose_small(words, [i for i in small if words[i].said is None])  # by now the verb may be known


def _choose_small(words: Sequence[Word], places: Sequence[int]) -> None:
    for i in places:
        words[i].said, words[i].reason = SMALL[words[i].key](words, i), "small word"


def _are_spellings(word: Word) -> bool:
    """Return whether all readings are one word, which may be written in two ways: événement, évènement."""
    readings = word.readings
    return bool(readings) and all(
        reading.tags == readings[0].tags and reading.form.replace("è", "é") == readings[0].form.replace("è", "é")
        for reading in readings[1:]
    )


def _apply(words: Sequence[Word], i: int) -> None:
    for rule in RULES:
        form = rule(words, i)
        if form is not None:
            words[i].said, words[i].reason = form, rule.__name__.strip("_").replace("_", " ")
            return


def _usual(words: Sequence[Word], i: int) -> str | None:
    """The form that the letters nearly always stand for."""
    usual = [r for r in words[i].readings if not r.rare]
    if len(usual) != 1 or at(words, i - 1).key in BE_ANY | HAVE_ANY | SUBJECTS | {"a"}:
        return None
    if any(r.rare and r.form == words[i].key and not r.is_only("V", "T") for r in words[i].readings):
        return None
    # A verb that Lexique met only as a participle has a finite form all the same.
    if usual[0].is_a("Pms") and not usual[0].is_a("N", "V") and any(r.rare and r.is_a("V") for r in words[i].readings):
        return None
    return usual[0].form


def _verb(words: Sequence[Word], i: int) -> str | None:
    """After a subject, with or without the pronouns between them: "il les elimine", "ne cede pas"."""
    j = i - 1
    while at(words, j).key in PRONOUNS and j > i - 5:
        j -= 1
    before = at(words, j)
    if before.key in SUBJECTS and not before.glued:
        return words[i].pick("V", "T") if before.key == "tu" else words[i].pick("V")
    # "La navette vous ramene": with the subject "vous" it would be "ramenez".
    if at(words, i - 1).key in {"nous", "vous"} and words[i].key[-1] == "e" and (before.is_a("N") or before.is_name):
        return words[i].pick("V")
    if at(words, i - 1).key in REFLEXIVES or (j < i - 1 and at(words, j + 1).key in REFLEXIVES):
        return words[i].pick("V", "I")
    return None


def _participle(words: Sequence[Word], i: int) -> str | None:
    """After être and avoir: "est elimine", "a deja paye", "a-t-il paye"."""
    word = words[i]
    if word.is_a("S"):
        return None  # "il avait entre temps", "il est contre"
    j = i - 1
    while j > i - MAX_ADVERBS and (at(words, j).key in ADVERBS or at(words, j).is_only("R")):
        j -= 1
    if at(words, j).glued and at(words, j).key in SUBJECTS | {"ce", "nous", "vous"}:
        j -= 1
        while at(words, j).key in {"-", "t"}:
            j -= 1
    helper, before = at(words, j), at(words, j - 1)
    has = helper.key in HAVE_ANY or (before.key, helper.key) in {("j", "ai"), ("tu", "as")}
    has = has or (helper.key == "a" and helper.said == "a" and before.key != "y")
    if not has and helper.key not in BE_ANY:
        return None
    participles = [reading for reading in word.readings if reading.is_a("P")]
    if participles and all(reading.rare for reading in participles):
        return word.key  # "a envie" and "est membre" far more often than "envié" and "membré"
    if has:  # agrees with an object that comes before, and is masculine without one
        return word.pick("P") if before.key in {"l", "les", "m", "t", "nous", "vous", "que", "qu"} else word.pick("Pm")
    gender = _gender(words, j - 1)
    agreeing = [
        r.form
        for r in word.readings
        if any((t[0] in "PA" and t[1] in gender + "e") or r.tags[0][:2] == "Ne" for t in r.tags)
    ]
    return agreeing[0] if len(agreeing) == 1 else None


def _gender(words: Sequence[Word], i: int) -> str:
    """Return the genders that the subject before a verb may have: "m", "f" or "mf"."""
    j = i
    while j > i - MAX_ADVERBS and at(words, j).key in BEFORE_VERB:
        j -= 1
    subject, article = at(words, j), at(words, j - 1)
    if subject.key in {"elle", "elles"}:
        return "f"
    if subject.key in {"il", "ils", "c", "ce", "ca"}:
        return "m"
    opens = at(words, j - 2)
    if article.key in {"du", "des", "au", "aux"} or opens.is_only("S") or opens.key in {"de", "d"}:
        return "mf"  # "le chef de la table est": the subject comes before
    allowed = ONE.get(article.key, "mf" if _is_plural(article) else "")
    nouns = {tag[1] for reading in subject.readings for tag in reading.tags if tag[0] == "N"}
    return "".join(gender for gender in allowed if gender in nouns or "e" in nouns) or "mf"


def _is_plural(determiner: Word) -> bool:
    return determiner.key in MANY | COUNTS or determiner.is_number


def _degree(words: Sequence[Word], i: int) -> str | None:
    """After an adverb of degree: "tres serre"."""
    return words[i].pick("A") if at(words, i - 1).key in DEGREES else None


def _noun(words: Sequence[Word], i: int) -> str | None:
    """After a determiner that agrees with only one noun: "le marche", "du cote", "21 equipes"."""
    word, before, owner = words[i], at(words, i - 1), at(words, i - 2)
    determiner, adjective = before, "mf"
    if before.is_a("A") and not before.is_a("N", "V"):
        determiner = owner
        genders = {tag[1] for reading in before.readings for tag in reading.tags if tag[0] == "A"}
        adjective = "mf" if "e" in genders else "".join(genders)
    many = _is_plural(determiner)
    if not many and determiner.key not in ONE:
        return None
    genders = set(ONE.get(determiner.key, "mf")) & set(adjective) | {"e"}
    agreeing = [
        reading.form
        for reading in word.readings
        if any(tag[0] == "N" and tag[1] in genders and tag[2] in ("pi" if many else "si") for tag in reading.tags)
    ]
    if len(agreeing) == 1:
        # "Pablo le marque", "l'oblige": the article may be a pronoun, and the word a verb.
        other = any(reading.form != agreeing[0] and reading.is_a("V") for reading in word.readings)
        pronoun = before.key == "l" or (before.key in {"le", "la", "les"} and (owner.is_name or owner.is_a("N")))
        return None if other and pronoun else agreeing[0]
    if agreeing or determiner is not before:
        return None
    if many and word.is_only("P", "A", "T"):
        return word.pick("P", "A")  # "les elimines du jour"
    if before.key in {"chaque", "ce", "cet", "aucun", "mon"} and not word.is_a("N"):
        return word.pick("Pm")
    return word.pick("V") if before.key == "les" else None


def _plural(words: Sequence[Word], i: int) -> str | None:
    """After a noun or a participle in the plural, where the other form is that of "tu": "les joueurs elimines"."""
    word, before = words[i], at(words, i - 1 - (at(words, i - 1).key == "non"))
    if word.key[-1] != "s" or not all(reading.is_a("P", "A") or reading.is_only("T") for reading in word.readings):
        return None
    if before.is_a("Nmp", "Nep", "Nmi", "Nei"):
        return word.pick("P", "A")
    if before.key in ("et", "ou") and at(words, i - 2).said is not None and at(words, i - 2).is_a("Pmp"):
        return word.pick("P", "A")
    return None


def _subject(words: Sequence[Word], i: int) -> str | None:
    """After a noun that begins its clause: "la table releve", "le joueur elimine deux amis", "le sac oublie est la".

    A clause has one verb, a feminine noun has no masculine participle, and a participle acts on nothing.
    """
    word, noun, article = words[i], at(words, i - 1), at(words, i - 2)
    clause = clause_before(words, i)
    if noun.key == "a" or not clause or words[clause[0]].key not in ONE or any(is_finite(words, j) for j in clause):
        return None
    follows_link = at(words, clause[0] - 1).key in LINKS
    if clause[0] == i - 2 and noun.is_a("N"):
        if ONE[article.key] == "f" or not noun.is_a("Nm", "Ne"):
            not_masculine = [r.form for r in word.readings if not r.is_only("Pm", "Am")]
            return not_masculine[0] if len(not_masculine) == 1 else None
        if not follows_link and any(is_finite(words, j) for j in clause_after(words, i)):
            return word.pick("P", "A")
    after, then = at(words, i + 1), at(words, i + 2)
    if not follows_link and (_has_object(words, i) or (after.key in {"de", "d"} and then.is_a("I"))):
        return None if any(is_finite(words, j) for j in clause_after(words, i)) else word.pick("V")
    return None


def _after_name(words: Sequence[Word], i: int) -> str | None:
    """Between a name and what it acts on: "Rusmir elimine deux joueurs". "Rusmir elimine par Pablo" is a participle."""
    before = at(words, i - 1)
    if before.is_mark or before.is_number or not (before.is_name or (before.begins and not before.readings)):
        return None
    if _has_object(words, i):
        return words[i].pick("V")
    if at(words, i + 1).key == "par" and at(words, i + 2).is_name:
        return words[i].pick("P")
    return None


def _opening(words: Sequence[Word], i: int) -> str | None:
    """First in a sentence, before who did it or as which: "Elimine par Rusmir, Pablo sort", "elimine en 9e place"."""
    word, after, then = words[i], at(words, i + 1), at(words, i + 2)
    if not word.begins or word.key in {"passe", "commence", "termine", "finis", "entre"}:  # "Passe par Paris"
        return None
    passive = (after.key == "par" and then.is_name) or (after.key == "en" and then.is_number)
    return word.pick("P") if passive else None


def _has_object(words: Sequence[Word], i: int) -> bool:
    after, then = at(words, i + 1), at(words, i + 2)
    return after.is_name or ((after.is_number or after.key in OBJECTS) and then.key != "fois")


def _after_preposition(words: Sequence[Word], i: int) -> str | None:
    """After a preposition, which a noun follows or an infinitive: "sans regle"."""
    before = at(words, i - 1)
    in_order = before.key == "en" and at(words, i - 2).key in BE_ANY
    if not before.is_only("S") and before.key not in {"de", "d"} and not in_order:
        return None
    return words[i].pick("N", "I")


def _adverb(words: Sequence[Word], i: int) -> str | None:
    """An adverb or a preposition, wherever no article makes a noun of it: "pres de la table"."""
    first = words[i].readings[0]
    if first.is_a("R", "S") and not first.is_a("V", "N", "A") and at(words, i - 1).key not in MANY:
        return first.form if all(r is first or r.is_only("N") for r in words[i].readings) else None
    return None


RULES = (
    _verb,
    _participle,
    _opening,
    _degree,
    _noun,
    _plural,
    _subject,
    _after_name,
    _adverb,
    _after_preposition,
    _usual,
)
