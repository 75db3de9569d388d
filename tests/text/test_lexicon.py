"""The venue's lexicon: what it matches, what it refuses and how it is read again."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

from monica.errors import ConfigError
from monica.text import Lexicon, LexiconError, LexiconFile, Normaliser


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "lexique.toml"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Nguyen gagne", "Nouyène gagne"),
        ("NGUYEN gagne", "Nouyène gagne"),
        ("nguyên gagne", "Nouyène gagne"),
        ("Nguyễn, bravo", "Nouyène, bravo"),
        ("l'équipe Nguyen.", "l'équipe Nouyène."),
        ("Nguyenne gagne", "Nguyenne gagne"),
        ("Le Van Nguyen", "Le Vanne Nouyène"),
        ("Le Van joue", "Le Vane joue"),
        ("Bourg-en-Bresse", "Bourkambrèsse"),
        ("bourg en bresse", "bourkambrèsse"),
        ("D’Angelo", "Danngelo"),
    ],
)
def test_matches_whole_words_whatever_their_case_and_accents(toml: Path, written: str, said: str) -> None:
    write(
        toml,
        '[names]\n"Nguyen" = "Nouyène"\n"Van" = "Vane"\n"Van Nguyen" = "Vanne Nouyène"\n'
        '"Bourg-en-Bresse" = "bourkambrèsse"\n"D\'Angelo" = "danngelo"\n',
    )
    assert Normaliser(lexicon=Lexicon.load(toml)).normalise(written).text == said


def test_the_venue_wins_over_the_poker_lexicon_and_keeps_the_rest_of_it(toml: Path) -> None:
    lexicon = Lexicon.load(write(toml, '[words]\n"river" = "rivère"\n"3-bet" = "sur-relance"\n'))
    assert lexicon.say("river, turn, 3-bet") == "rivère, teurne, sur-relance"
    assert Lexicon.default().say("river") == "riveur"


def test_the_venue_may_respell_a_word_that_the_poker_lexicon_says(toml: Path) -> None:
    lexicon = Lexicon.load(write(toml, '[words]\n"go" = "gau"\n"turn" = "turn"\n'))
    assert lexicon.say("sit and go, turn") == "site ène gau, turn"


def test_a_name_may_keep_a_word_of_poker_as_it_is(toml: Path) -> None:
    lexicon = Lexicon.load(write(toml, '[names]\n"River Café" = "River Café"\n'))
    assert lexicon.say("au River Café, la river") == "au River Café, la riveur"


def test_a_capital_is_kept_at_the_head_of_a_word_but_not_of_a_shout() -> None:
    lexicon = Lexicon({"river": "riveur"})
    assert lexicon.say("River RIVER river") == "Riveur riveur riveur"


def test_an_entry_may_only_change_the_case() -> None:
    assert Lexicon({"EPT": "ept"}).say("EPT ept") == "ept ept"


def test_what_is_said_is_not_said_again() -> None:
    lexicon = Lexicon({"a b": "c d", "b e": "f"})
    assert lexicon.say("a b e") == "c d e"


def test_an_empty_file_is_the_poker_lexicon(toml: Path) -> None:
    assert Lexicon.load(write(toml, "")).digest == Lexicon.default().digest


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('[names]\n"a" = "b"\n"c = "d"\n', "line 3"),
        ('[names]\n"a" = "b"\nc = 5\n', "line 3: 'c' must be said as words, not 5"),
        ('[names]\na = ""\n', "line 2: 'a' must be said as words, not ''"),
        ('[names]\na = "!"\n', "line 2: 'a' must be said as words"),
        ('[nmaes]\na = "b"\n', "line 1: 'nmaes' is neither [names] nor [words]"),
        ('dupont = "Dupon"\n', "line 1: 'dupont' is neither [names] nor [words]"),
        ('[names]\n"a" = "b"\n"a" = "c"\n', "line 3"),
        ('[names]\nbe = "x"\n"Bé" = "y"\n', "is there twice"),
        ('[names]\n"&co" = "et compagnie"\n', "line 2: '&co': an entry must begin with a letter or a digit"),
        (
            '[names]\n\n"un" = "deux"\n"deux" = "un"\n',
            "line 3: 'un': its said form 'deux' holds another entry",
        ),
        ('[names]\n"jean" = "jean-paul"\n', "line 2: 'jean': its said form 'jean-paul' holds another entry"),
        (b"[names]\na = '\xff\xfe'\n", "line 2: not UTF-8 text"),
        (b"\x7fELF\x00\x01\x02", "lexique.toml"),
        (bytes(range(256)), "lexique.toml"),
    ],
)
def test_a_wrong_lexicon_is_refused_by_file_and_line(toml: Path, content: str | bytes, complaint: str) -> None:
    with pytest.raises(LexiconError) as error:
        Lexicon.load(write(toml, content))
    assert complaint in str(error.value)
    assert str(toml) in str(error.value)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, ConfigError)


def test_a_missing_file_is_refused(toml: Path) -> None:
    with pytest.raises(LexiconError, match=r"lexique\.toml: No such file"):
        Lexicon.load(toml)


def test_the_digest_tells_what_changes_the_speech(toml: Path) -> None:
    one = Lexicon.load(write(toml, '[names]\n"a" = "b"\n"c" = "d"\n')).digest
    same = Lexicon.load(write(toml, '# a comment\n[words]\n"C" = "d"\n"a" = "b"\n')).digest
    other = Lexicon.load(write(toml, '[names]\n"a" = "bé"\n"c" = "d"\n')).digest
    assert one == same != other
    assert len(one) == 64
    assert Lexicon().digest != Lexicon.default().digest


def test_a_changed_file_is_read_again(toml: Path) -> None:
    lexicon = LexiconFile(write(toml, '[names]\n"Dupont" = "Dupon"\n'))
    normaliser = Normaliser(lexicon=lexicon)
    before = lexicon.digest
    assert normaliser.normalise("Dupont").text == "Dupon"
    write(toml, '[names]\n"Dupont" = "Dupontte"\n')
    assert normaliser.normalise("Dupont").text == "Dupontte"
    assert lexicon.digest != before


def test_a_broken_edit_keeps_the_last_good_lexicon_and_warns_once(toml: Path, caplog: pytest.LogCaptureFixture) -> None:
    lexicon = LexiconFile(write(toml, '[names]\n"Dupont" = "Dupon"\n'))
    write(toml, '[names]\n"Dupont" = \n')
    with caplog.at_level(logging.WARNING, "monica.text.lexicon"):
        assert [lexicon.say("Dupont") for _ in range(3)] == ["Dupon"] * 3
    assert len(caplog.records) == 1
    assert "line 2" in caplog.text
    write(toml, '[names]\n"Dupont" = "Dupontte"\n')
    assert lexicon.say("Dupont") == "Dupontte"


def test_a_file_taken_away_keeps_the_last_good_lexicon(toml: Path, caplog: pytest.LogCaptureFixture) -> None:
    lexicon = LexiconFile(write(toml, '[names]\n"Dupont" = "Dupon"\n'))
    toml.unlink()
    with caplog.at_level(logging.WARNING, "monica.text.lexicon"):
        assert [lexicon.say("Dupont"), lexicon.say("Dupont")] == ["Dupon", "Dupon"]
    assert len(caplog.records) == 1


def test_a_server_does_not_start_on_a_broken_file(toml: Path) -> None:
    with pytest.raises(LexiconError):
        LexiconFile(write(toml, "[names"))


def test_many_threads_read_while_the_file_changes(toml: Path) -> None:
    lexicon = LexiconFile(write(toml, '[names]\n"Dupont" = "un"\n'))
    wrong: list[str] = []

    def read() -> None:
        for _ in range(200):
            if (said := lexicon.say("Dupont")) not in {"Un", "Deux"}:
                wrong.append(said)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    fresh = toml.with_name("fresh.toml")
    for said in ("deux", "un", "deux"):
        os.replace(write(fresh, f'[names]\n"Dupont" = "{said}"\n'), toml)  # noqa: PTH105 - atomic, as editors do
    for thread in threads:
        thread.join()
    assert not wrong
    assert lexicon.say("Dupont") == "Deux"


def test_every_poker_entry_is_said_in_words_the_other_rules_leave_alone() -> None:
    normaliser = Normaliser()
    for said in Lexicon.default()._said.values():
        assert normaliser.normalise(said).text == said
