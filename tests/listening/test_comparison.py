"""What sounds alike is alike, and what differs is found where it is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from monica.engine.espeak_library import pronounce
from monica.listening.comparison import compare
from monica.listening.heard import Heard
from monica.listening.verdict import FREE_LIMITS, FreeLimits, is_unintelligible, judge
from monica.listening.words import split_words
from monica.store.hearing import Hearing, Verdict
from tests.support.ears import spread

TEXT = "La table sept attend Rusmir dans cinq minutes."


def differences(said: str, heard: str) -> list[tuple[str, str, str]]:
    found = compare(split_words(said, "fr"), split_words(heard, "fr"))
    return [(each.said, each.heard, each.kind) for each in found.differences]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Rusmir gagne", "Rousmire gagne"),
        ("Bravo à Rusmir", "bravo, à Roussemir !"),
        ("cent joueurs", "sans joueur"),
        ("vingt-trois joueurs", "vingt trois joueurs"),
        ("l'annonce", "la nonce"),
        ("⟦biɡ⟧ ⟦blajnd⟧ à Pablo", "big blainde à Pablo"),
    ],
)
def test_what_sounds_alike_is_no_difference(said: str, heard: str) -> None:
    assert differences(said, heard) == []


@pytest.mark.parametrize(
    ("heard", "found"),
    [
        (TEXT.replace("sept", "douze"), [("sept", "douze", "number")]),
        (TEXT.replace("Rusmir", "Bernard"), [("Rusmir", "Bernard", "name")]),
        (TEXT.replace("attend ", ""), [("attend", "", "word")]),
        (TEXT.replace(" minutes", ""), [("minutes", "", "word")]),
        (TEXT + " minutes", [("", "minutes", "word")]),
        ("", [(word.text, "", word.kind) for word in split_words(TEXT, "fr")]),
    ],
)
def test_a_difference_is_found_where_it_is(heard: str, found: list[tuple[str, str, str]]) -> None:
    assert differences(TEXT, heard) == found


def test_the_lexicons_words_are_names_wherever_they_stand() -> None:
    assert split_words("Rousmir gagne", "fr")[0].kind == "word"
    assert split_words("Rousmir gagne", "fr", frozenset({"rousmir"}))[0].kind == "name"


def test_names_and_music_and_nothing_are_no_error() -> None:
    assert split_words("...", "fr") == ()
    assert differences("Rusmir, Pablo", "Rusmir Pablo") == []
    assert compare((), ()).distance == 0
    assert compare((), split_words("la musique", "fr")).distance > 1
    assert pronounce("", "fr") == ""


def heard(told: str, free: str | None = None) -> Heard:
    said = split_words(TEXT, "fr")
    return Heard(
        TEXT,
        free,
        told,
        None if free is None else compare(said, split_words(free, "fr")),
        compare(said, split_words(told, "fr")),
        spread(TEXT, 3.0),
    )


def test_one_wrong_word_is_doubtful_and_two_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = {
        TEXT: Verdict.GOOD,
        TEXT.replace("sept", "douze"): Verdict.DOUBTFUL,
        TEXT.replace("sept", "douze").replace("cinq", "deux"): Verdict.WRONG,
    }
    for told, verdict in verdicts.items():
        assert judge(heard(told, TEXT), "toy", "0" * 64, "base").verdict is verdict
    for spreads, verdict, fault in (
        (2.6, Verdict.WRONG, "too_long"), (2.1, Verdict.DOUBTFUL, "too_long"), (-2.6, Verdict.WRONG, "too_short"),
        (-1.9, Verdict.GOOD, None),
    ):  # fmt: skip
        found = judge(heard(TEXT), "toy", "0" * 64, "base", spreads)
        assert (found.verdict, found.fault) == (verdict, fault)
    # One word is enough if free hearing misses it too.
    both = heard(TEXT.replace("sept", "douze"), TEXT.replace("sept", "onze"))
    assert judge(both, "toy", "0" * 64, "base").verdict is Verdict.WRONG
    # Free hearing counts for voices that it was measured for, and only then.
    free = heard(TEXT, "La table sept")
    assert judge(free, "toy", "0" * 64, "base").verdict is Verdict.GOOD
    monkeypatch.setitem(FREE_LIMITS, "toy", FreeLimits(5, 0.5))
    assert judge(free, "toy", "0" * 64, "base").verdict is Verdict.DOUBTFUL
    assert is_unintelligible(heard("Zut"))
    assert not is_unintelligible(heard(TEXT.replace("sept", "douze")))


def test_what_was_heard_is_read_back_and_nothing_else_is() -> None:
    hearing = judge(heard(TEXT.replace("sept", "douze"), TEXT), "toy", "0" * 64, "base")
    assert len(hearing.words) > 5
    assert Hearing.from_fields(json.loads(json.dumps(hearing.to_fields()))) == hearing
    older = hearing.to_fields()
    del older["words"]
    assert Hearing.from_fields(older) == replace(hearing, words=())
    for change in (
        {"verdict": "fine"},
        {"sound": 3},
        {"free": 3},
        {"differences": "sept"},
        {"differences": [["a", "b"]]},
        {"told": "x" * 100_000},
        {"words": "sept"},
        {"words": [["sept", 0.1]]},
        {"words": [[7, 0.1, 0.2]]},
        {"words": [["sept", "0.1", 0.2]]},
        {"words": [["sept", False, 0.2]]},
        {"words": [["sept", 0.2, 0.1]]},
        {"words": [["sept", -0.1, 0.1]]},
        {"words": [["sept", 0.1, float("nan")]]},
        {"words": [["sept", 0.1, 1e9]]},
        {"words": [["sept", 0.1, 0.2]] * 6000},
    ):
        with pytest.raises(ValueError):
            Hearing.from_fields(hearing.to_fields() | change)
