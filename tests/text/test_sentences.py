"""Where a text may be cut, and where it must not."""

from __future__ import annotations

import pytest

from monica.text import Normaliser, split_sentences

LONG = "Ce premier morceau est assez long pour rester seul dans son coin"


@pytest.mark.parametrize(
    "whole",
    [
        f"{LONG} avec M. Dupont qui est assez long pour rester seul lui aussi.",
        f"{LONG} avec M. et Mme. Dupont qui sont assez longs pour rester seuls.",
        f"{LONG} au n°. 12 qui est assez long pour rester seul lui aussi, voilà.",
        f"{LONG} pour 3.5 points et 12.50 euros, ce qui est bien assez long aussi.",
        f"{LONG} à 20.30 précises, ce qui est bien assez long pour rester seul aussi.",
        f"{LONG} avec J. Dupont et J.-P. Durand, qui sont bien assez longs ensemble.",
        f"{LONG} avec A. B. Dupont, qui est bien assez long pour rester seul aussi.",
        f"{LONG} avec des sodas, des bières, etc. qui sont bien assez longs pour rester seuls.",
        f"{LONG}… puis une suite qui est bien assez longue pour rester seule elle aussi.",
        f"{LONG} sur exemple.com qui est bien assez long pour rester seul lui aussi.",
        f"{LONG} avec le Dr. Dupont qui est bien assez long pour rester seul lui aussi.",
        f"{LONG} vs. Durand et ses amis, qui sont bien assez longs pour rester seuls.",
        f"{LONG} av. Foch et bd. Voltaire, qui sont bien assez longs pour rester seuls.",
    ],
)
def test_abbreviation_or_decimal_does_not_end_a_sentence(whole: str) -> None:
    assert split_sentences(whole, limit=250) == [whole]


@pytest.mark.parametrize("mark", [".", "!", "?", "…", "?!", ".)"])
def test_text_is_cut_at_the_end_of_a_sentence(mark: str) -> None:
    first, second = f"{LONG}{mark}", f"Et {LONG.lower()} encore."
    assert split_sentences(f"{first} {second}") == [first, second]


def test_sentence_may_begin_with_a_number_in_words() -> None:
    said = Normaliser().normalise(f"{LONG}. 21 joueurs se partagent les places qui restent encore.").text
    assert split_sentences(said)[1] == "vingt et un joueurs se partagent les places qui restent encore."


def test_etc_ends_a_sentence_before_a_capital() -> None:
    first, second = f"{LONG}, etc.", f"Et {LONG.lower()}."
    assert split_sentences(f"{first} {second}") == [first, second]


def test_short_fragment_is_joined_to_its_neighbour() -> None:
    assert split_sentences("Attention ! La pause commence.") == ["Attention ! La pause commence."]
    assert split_sentences(f"Attention ! {LONG}. Merci.") == [f"Attention ! {LONG}. Merci."]
    assert split_sentences(f"{LONG}. Merci. {LONG}.") == [f"{LONG}. Merci.", f"{LONG}."]


def test_long_sentence_is_cut_at_clauses_near_the_limit() -> None:
    clause = "les joueurs de la table douze rejoignent la table cinq"
    pieces = split_sentences(", ".join([clause] * 8) + ".", limit=250)
    assert all(piece.endswith((",", ".")) for piece in pieces)
    assert all(100 < len(piece) <= 250 for piece in pieces)


def test_strong_mark_is_preferred_to_a_comma() -> None:
    text = f"{LONG}, {LONG.lower()}: {LONG.lower()}, {LONG.lower()}"
    assert split_sentences(text, limit=150)[0].endswith(":")


def test_text_without_marks_is_cut_before_a_link_word_or_else_between_words() -> None:
    assert split_sentences("mot " * 20 + "et " + "mot " * 20, limit=100)[1].startswith("et ")
    pieces = split_sentences("mot " * 100, limit=50)
    assert all(len(piece) <= 50 for piece in pieces)


def test_word_longer_than_the_limit_stays_whole() -> None:
    assert split_sentences("x" * 400 + " fin", limit=100) == ["x" * 400, "fin"]


def test_empty_text_has_no_sentences() -> None:
    assert split_sentences("") == split_sentences("  \n ") == []


def test_page_is_cut_into_pieces_of_a_good_length() -> None:
    page = " ".join([f"{LONG}, {LONG.lower()}. Bravo ! {LONG}, et {LONG.lower()}."] * 18)
    pieces = split_sentences(page)
    assert len(page) > 4800
    assert all(40 <= len(piece) <= 250 for piece in pieces)
