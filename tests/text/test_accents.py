"""Accents given back: how many come back, how few are wrong, and what is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.accents import HELD_OUT as HELD_OUT_FILES
from benchmarks.accents import read_sentences, score
from monica.config import Settings
from monica.text import Lexicon, Normaliser
from monica.text.accents import has_accents, restore_accents
from monica.text.accents_table import strip_accents
from monica.text.frontend import TextFrontend

FRENCH = Normaliser()
HELD_OUT = [sentence for name in HELD_OUT_FILES for sentence in read_sentences(name)]
UNACCENTED = read_sentences("unaccented.txt")

GIVEN_BACK = {
    "La pause est terminee, reprise a 21h, bonne chance a tous": (
        "La pause est terminée, reprise à 21h, bonne chance à tous"
    ),
    "Pablo vient de se faire eliminer par Rusmir!": "Pablo vient de se faire éliminer par Rusmir!",
    # participles, by what stands before them
    "Il est elimine": "Il est éliminé",
    "Elle a ete eliminee": "Elle a été éliminée",
    "Il a deja paye": "Il a déjà payé",
    "Avez-vous paye ?": "Avez-vous payé ?",
    "Les joueurs elimines sont pries de sortir": "Les joueurs éliminés sont priés de sortir",
    "Rusmir elimine deux joueurs": "Rusmir élimine deux joueurs",
    "Rusmir elimine par Pablo": "Rusmir éliminé par Pablo",
    "Il elimine Paul": "Il élimine Paul",
    "Le tableau a ete complete": "Le tableau a été complété",
    "La salle est complete": "La salle est complète",
    "Les 21 equipes sont pretes": "Les 21 équipes sont prêtes",
    # a and à
    "A vos places": "À vos places",
    "de 14h a 18h": "de 14h à 18h",
    "Il reste a payer": "Il reste à payer",
    "a vingt et une heures": "à vingt et une heures",
    # ou and où, la and là, du and dû, des and dès, sur and sûr
    "Ou est la table ?": "Où est la table ?",
    "la table ou il joue": "la table où il joue",
    "Il est la.": "Il est là.",
    "a ce moment-la": "à ce moment-là",
    "Il a du partir": "Il a dû partir",
    "des la reprise": "dès la reprise",
    "Bien sur, venez": "Bien sûr, venez",
    "du cote du bar, a cote de la table": "du côté du bar, à côté de la table",
    "un cafe ou du the": "un café ou du thé",
    # either apostrophe
    "Il s’est fait eliminer, l’equipe est prete a l’etage": "Il s’est fait éliminer, l’équipe est prête à l’étage",
    "Il s'est fait eliminer, l'equipe est prete a l'etage": "Il s'est fait éliminer, l'équipe est prête à l'étage",
    # capitals
    "PAUSE TERMINEE, REPRISE A 21H": "PAUSE TERMINÉE, REPRISE À 21H",
    "Etes-vous prets ?": "Êtes-vous prêts ?",
    "Reprise. Apres la pause": "Reprise. Après la pause",
    # a word beside what is no word
    "Niveau 3 : cafe offert (the aussi)": "Niveau 3 : café offert (the aussi)",
}
LEFT_ALONE = [
    "Pablo a la main et il a deux as.",
    "Pierre a la parole",
    "Claire a une paire",
    "Karim a call, Paul a fold",
    "Il a un full ou une couleur",
    "Paul ou Marie",
    "la table du fond",
    "Il passe, elle paie",
    "Une paire ou une suite, peu importe",
    "vingt blindes",
    "Il a du retard",
    "des jetons sur la table",
    "Il est sur la bulle",
    "Paul a AK, Luc a QQ",
    "A5s contre KQo",
    "Table 5 a 9 joueurs",
    "Marco a 20 bb, Luis a 35 bb",
    # names: capitals that no beginning of a sentence explains, and the word before one
    "Bravo Rene, bravo Helene",
    "Rene Dupont gagne",
    "Desire gagne",
    "RENE",
    # a text that has an accent already was typed with care
    "José est elimine a la bulle",
    "Ça passe a la table 5",
    # addresses
    "www.club-ete.fr et joueur@ete.fr",
    "https://ete.fr/resultats",
    "",
    "!!!",
]


@pytest.mark.parametrize("plain", GIVEN_BACK)
def test_accents_are_given_back(plain: str) -> None:
    assert restore_accents(plain) == GIVEN_BACK[plain]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_text_is_left_alone(text: str) -> None:
    assert restore_accents(text) == text


def test_held_out_sentences_come_back() -> None:
    """A wrong accent is worse than a missing one."""
    result = score(HELD_OUT)
    assert len(HELD_OUT) >= 800
    assert result.right >= 1600
    assert result.precision >= 0.995, result.wrong
    assert result.recall >= 0.92, result.missed


@pytest.mark.parametrize("sentence", UNACCENTED)
def test_sentence_that_needs_no_accent_gets_none(sentence: str) -> None:
    assert restore_accents(sentence) == sentence


def test_there_are_enough_sentences_that_need_no_accent() -> None:
    assert len(UNACCENTED) >= 200
    assert not any(map(has_accents, UNACCENTED))


def test_score_can_fail() -> None:
    result = score(["Il est là.", "la table", "Il a payé."], lambda text: text.replace("la", "là"))
    assert (result.right, len(result.wrong), len(result.missed)) == (1, 1, 1)


def test_rule_is_named() -> None:
    prepared = TextFrontend(Settings()).prepare("La pause est terminee, reprise a 21h")
    assert prepared.text == "La pause est terminée, reprise à vingt et une heures"
    assert prepared.rules == ("accents", "clock")


def test_other_languages_are_left_alone() -> None:
    english = Normaliser(language="en")
    for text in (*map(strip_accents, HELD_OUT), "The resume of the elite, a cafe and a debut"):
        assert "accents" not in english.normalise(text).rules


def test_rules_after_it_see_the_accents() -> None:
    assert FRENCH.normalise("21 defaites").text == "vingt et une défaites"


def test_poker_is_not_french() -> None:
    """The lexicon has call and bet said "colle" and "bette", which no second round may make "collé"."""
    said = FRENCH.normalise("Karim a call, Paul a bet").text
    assert said == "Karim a colle, Paul a bette"
    assert FRENCH.normalise(said).text == said


def test_words_of_the_venue_are_left_alone() -> None:
    lexicon = Lexicon({"reveil": "reveil", "la cafe": "le bar"})
    assert Normaliser(lexicon=lexicon).normalise("Le reveil est fini").text == "Le reveil est fini"
    assert FRENCH.normalise("Le reveil est fini").text == "Le réveil est fini"
    assert Normaliser(lexicon=lexicon).normalise("Par la, a tous").text == "Par là, à tous"


def test_a_word_in_capitals_stays_in_capitals() -> None:
    assert restore_accents("La pause est finie. TERMINEE, la pause") == "La pause est finie. TERMINÉE, la pause"


@given(st.lists(st.sampled_from([*HELD_OUT, *UNACCENTED, *GIVEN_BACK]), min_size=1, max_size=4), st.data())
@settings(deadline=None, max_examples=200)
def test_once_is_enough(sentences: list[str], data: st.DataObject) -> None:
    words = strip_accents(" ".join(sentences)).split()
    text = " ".join(data.draw(st.permutations(words)))
    restored = restore_accents(text)
    assert restore_accents(restored) == restored
    assert len(restored) == len(text)
    assert strip_accents(restored) == strip_accents(text)
    said = FRENCH.normalise(text).text
    assert FRENCH.normalise(said).text == said


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_text_is_taken(text: str) -> None:
    assert len(restore_accents(text)) == len(text)


@pytest.mark.parametrize(
    "unit",
    [
        "a ",
        "le elimine ",
        "est tres plus bien elimine ",
        "n a ete ",
        "a-",
        "la-",
        "ou il ",
        "ete",
        "wing and a ",
        "le cafe a cafe ",
        "ne reste que un ",
    ],
)
def test_long_text_takes_its_share(unit: str) -> None:
    """5 000 characters take no more per character than 500. The factor of three is for a busy machine."""

    def best(text: str) -> float:
        times = []
        for _ in range(5):
            start = time.process_time_ns()
            restore_accents(text)
            times.append(time.process_time_ns() - start)
        return min(times)

    short, long = (unit * 500)[:500], (unit * 5000)[:5000]
    assert best(long) <= 3 * 10 * best(short)
