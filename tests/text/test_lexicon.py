"""The venue's lexicon: what it matches, what it refuses, and how it is read again."""

from __future__ import annotations

import logging
import os
import threading
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from monica.errors import ConfigError
from monica.text import Lexicon, LexiconError, LexiconFile, Normaliser

POKER: dict[str, dict[str, str]] = {
    written: entry
    for section in tomllib.loads(resources.files("monica.text").joinpath("poker.toml").read_text("utf-8")).values()
    for written, entry in section.items()
}


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
def test_lexicon_matches_whole_words_whatever_their_case_and_accents(toml: Path, written: str, said: str) -> None:
    write(
        toml,
        '[names]\n"Nguyen" = "Nouyène"\n"Van" = "Vane"\n"Van Nguyen" = "Vanne Nouyène"\n'
        '"Bourg-en-Bresse" = "bourkambrèsse"\n"D\'Angelo" = "danngelo"\n',
    )
    assert Normaliser(lexicon=Lexicon.load_file(toml)).normalise(written).text == said


def test_venue_lexicon_overrides_the_poker_lexicon_and_keeps_the_rest(toml: Path) -> None:
    lexicon = Lexicon.load_file(write(toml, '[words]\n"river" = "rivère"\n"3-bet" = "sur-relance"\n'))
    assert lexicon.respell("river, turn, 3-bet") == "rivère, teurne, sur-relance"
    assert Lexicon.default().respell("river") == "riveur"


def test_venue_may_respell_a_word_of_a_poker_said_form(toml: Path) -> None:
    lexicon = Lexicon.load_file(write(toml, '[words]\n"go" = "gau"\n"turn" = "turn"\n'))
    assert lexicon.respell("sit and go, turn") == "site ène gau, turn"


def test_name_may_keep_a_poker_word_as_it_is(toml: Path) -> None:
    lexicon = Lexicon.load_file(write(toml, '[names]\n"River Café" = "River Café"\n'))
    assert lexicon.respell("au River Café, la river") == "au River Café, la riveur"


def test_initial_capital_is_kept_but_all_capitals_are_not() -> None:
    lexicon = Lexicon({"river": "riveur"})
    assert lexicon.respell("River RIVER river") == "Riveur riveur riveur"


def test_entry_may_change_nothing_but_the_case() -> None:
    assert Lexicon({"EPT": "ept"}).respell("EPT ept") == "ept ept"


def test_said_form_is_not_respelled_again() -> None:
    lexicon = Lexicon({"a b": "c d", "b e": "f"})
    assert lexicon.respell("a b e") == "c d e"


def test_empty_file_leaves_the_poker_lexicon(toml: Path) -> None:
    empty, default = Lexicon.load_file(write(toml, "")), Lexicon.default()
    assert [empty.respell(written) for written in POKER] == [default.respell(written) for written in POKER]
    assert empty.respell("river") == "riveur"


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
            "line 3: 'un': its said form 'deux' contains another entry",
        ),
        ('[names]\n"jean" = "jean-paul"\n', "line 2: 'jean': its said form 'jean-paul' contains another entry"),
        (b"[names]\na = '\xff\xfe'\n", "line 2: not UTF-8 text"),
        (b"\x7fELF\x00\x01\x02", "lexique.toml"),
        (bytes(range(256)), "lexique.toml"),
    ],
)
def test_invalid_lexicon_is_refused_with_file_and_line(toml: Path, content: str | bytes, complaint: str) -> None:
    with pytest.raises(LexiconError) as error:
        Lexicon.load_file(write(toml, content))
    assert complaint in str(error.value)
    assert str(toml) in str(error.value)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, ConfigError)


def test_missing_file_is_refused(toml: Path) -> None:
    with pytest.raises(LexiconError, match=r"lexique\.toml: No such file"):
        Lexicon.load_file(toml)


def test_comments_order_section_and_case_do_not_change_the_speech(toml: Path) -> None:
    text = "a c A C river"
    one = Lexicon.load_file(write(toml, '[names]\n"a" = "b"\n"c" = "d"\n')).respell(text)
    same = Lexicon.load_file(write(toml, '# a comment\n[words]\n"C" = "d"\n"a" = "b"\n')).respell(text)
    other = Lexicon.load_file(write(toml, '[names]\n"a" = "bé"\n"c" = "d"\n')).respell(text)
    assert one == same != other
    assert Lexicon().respell(text) == text != Lexicon.default().respell(text)


def test_changed_file_is_read_again(toml: Path) -> None:
    lexicon = LexiconFile(write(toml, '[names]\n"Dupont" = "Dupon"\n'))
    normaliser = Normaliser(lexicon=lexicon)
    before = lexicon.current()
    assert normaliser.normalise("Dupont").text == "Dupon"
    assert lexicon.current() is before
    write(toml, '[names]\n"Dupont" = "Dupontte"\n')
    assert normaliser.normalise("Dupont").text == "Dupontte"
    assert lexicon.current() is not before  # prepared texts are cached by this object


def test_broken_edit_keeps_the_last_good_lexicon_and_warns_once(toml: Path, caplog: pytest.LogCaptureFixture) -> None:
    lexicon = LexiconFile(write(toml, '[names]\n"Dupont" = "Dupon"\n'))
    write(toml, '[names]\n"Dupont" = \n')
    with caplog.at_level(logging.WARNING, "monica.text.lexicon"):
        assert [lexicon.current().respell("Dupont") for _ in range(3)] == ["Dupon"] * 3
    assert len(caplog.records) == 1
    assert "line 2" in caplog.text
    write(toml, '[names]\n"Dupont" = "Dupontte"\n')
    assert lexicon.current().respell("Dupont") == "Dupontte"


def test_removed_file_keeps_the_last_good_lexicon(toml: Path, caplog: pytest.LogCaptureFixture) -> None:
    lexicon = LexiconFile(write(toml, '[names]\n"Dupont" = "Dupon"\n'))
    toml.unlink()
    with caplog.at_level(logging.WARNING, "monica.text.lexicon"):
        assert [lexicon.current().respell("Dupont") for _ in range(2)] == ["Dupon", "Dupon"]
    assert len(caplog.records) == 1


def test_server_does_not_start_with_a_broken_file(toml: Path) -> None:
    with pytest.raises(LexiconError):
        LexiconFile(write(toml, "[names"))


def test_many_threads_read_while_the_file_changes(toml: Path) -> None:
    lexicon = LexiconFile(write(toml, '[names]\n"Dupont" = "un"\n'))
    wrong: list[str] = []

    def read() -> None:
        for _ in range(200):
            if (said := lexicon.current().respell("Dupont")) not in {"Un", "Deux"}:
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
    assert lexicon.current().respell("Dupont") == "Deux"


def test_said_forms_of_the_poker_lexicon_are_left_alone_by_the_other_rules() -> None:
    normaliser = Normaliser()
    for entry in POKER.values():
        assert normaliser.normalise(entry["said"]).text == entry["said"]


def test_every_poker_entry_has_letters_and_phonemes() -> None:
    """A venue may respell a word of a said form: phonemes keep that from reaching an engine that speaks them."""
    assert [written for written, entry in POKER.items() if entry.keys() != {"said", "ipa"}] == []
    assert len(POKER) > 150


@pytest.mark.parametrize(
    ("value", "none", "espeak", "chatterbox"),
    [
        ('"blaïnede"', "blaïnede", "blaïnede", "blaïnede"),
        ('{ said = "blaïnede" }', "blaïnede", "blaïnede", "blaïnede"),
        ('{ ipa = "blajnd" }', "mot", "⟦blajnd⟧", "mot"),
        ('{ ipa = "blajnd", chatterbox = "blaïnde" }', "mot", "⟦blajnd⟧", "blaïnde"),
        ('{ said = "blaïnede", ipa = "blajnd" }', "blaïnede", "⟦blajnd⟧", "blaïnede"),
        ('{ said = "a", ipa = "blajnd", espeak = "b" }', "a", "b", "a"),
        ('{ said = "a", espeak = { ipa = "blajnd" } }', "a", "⟦blajnd⟧", "a"),
        ('{ said = "a", espeak = { said = "b", ipa = "biɡ blajnd" } }', "a", "⟦biɡ⟧ ⟦blajnd⟧", "a"),
        ('{ chatterbox = { said = "b" } }', "mot", "mot", "b"),
    ],
)
def test_each_engine_has_its_reading(toml: Path, value: str, none: str, espeak: str, chatterbox: str) -> None:
    lexicon = Lexicon.load_file(write(toml, f'[words]\n"mot" = {value}\n'))
    said = [lexicon.respell("un mot", engine) for engine in (None, "espeak", "chatterbox", "an engine of tomorrow")]
    assert said == [f"un {word}" for word in (none, espeak, chatterbox, none)]
    normaliser = Normaliser(lexicon=lexicon)
    said = [normaliser.normalise("un mot", engine).text for engine in (None, "espeak", "chatterbox")]
    assert said == [f"un {word}" for word in (none, espeak, chatterbox)]


def test_entry_for_another_engine_still_keeps_shorter_entries_out(toml: Path) -> None:
    lexicon = Lexicon.load_file(write(toml, '[names]\n"River Café" = { chatterbox = "Riveur Café" }\n'))
    assert lexicon.respell("River Café", "espeak") == "River Café"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ('{ klatterbox = "x" }', "'mot': 'klatterbox' is not an engine; an entry may have said, ipa, "),
        ("{}", "'mot' must be said as words, not {}"),
        ('{ said = "" }', "'mot' must be said as words, not ''"),
        ("{ said = 5 }", "'mot' must be said as words, not 5"),
        ('["a"]', "'mot' must be said as words"),
        ("{ ipa = 5 }", "'mot': its IPA must be text, not 5"),
        ('{ ipa = " " }', "'mot': its IPA must be text"),
        ('{ ipa = "blaʊnd" }', "'mot': IPA 'blaʊnd': the voices cannot say 'ʊ' (U+028A)"),
        ('{ ipa = "bl" }', "'mot': IPA 'bl': 'bl' has no vowel"),
        ('{ espeak = { ipa = "b☃" } }', "'mot': IPA 'b☃': the voices cannot say '☃'"),
        ('{ chatterbox = { ipa = "ba" } }', "'mot': chatterbox speaks no phonemes; write a respelling for it"),
        ('{ espeak = { sag = "ba" } }', "'mot': {'sag': 'ba'} is neither a respelling nor { said = ..., ipa = ... }"),
        ("{ espeak = 5 }", "'mot': 5 is neither a respelling nor"),
        ("{ espeak = {} }", "'mot': {} is neither a respelling nor"),
        ('{ espeak = "mot juste" }', "'mot': its said form 'mot juste' contains another entry"),
    ],
)
def test_invalid_entry_is_named_by_its_line(toml: Path, value: str, complaint: str) -> None:
    content = f'# a comment\n[names]\n"avant" = "avant"\n\n[words]\n"mot" = {value}\n"juste" = "juste"\n'
    if "juste" not in value:
        content = content.replace('"juste" = "juste"\n', "")
    content = content.replace('"juste" = "juste"', '"mot juste" = "autre"') if "juste" in value else content
    with pytest.raises(LexiconError) as error:
        Lexicon.load_file(write(toml, content))
    assert f"line 6: {complaint}" in str(error.value)
    assert "\n" not in str(error.value)


def test_one_written_form_is_in_one_section_only(toml: Path) -> None:
    with pytest.raises(LexiconError, match=r"line 2: 'a': is there twice, in \[names\] and in \[words\]"):
        Lexicon.load_file(write(toml, '[names]\n"a" = "b"\n[words]\n"a" = "b"\n'))


NAMES = [
    "M. Call à la table 3", "M. CALL", "Mme Turn", "Mme TURN", "Monsieur River", "Mlle. Deal", "Dr Check",
    "Seat Ibiza", "une Seat Leon", "Paul River gagne", "avec Jean-Luc Call", "HU Wei, siège 1", "Hu Wei", "CALL Thomas",
    "River Plate", "Naomi Flush et Marie Bet", "Me Fold", "Les joueurs Anna Board, Luc Raise", "avec Bet Martine",
    "Siège 8 : Check Nathan", "Bravo à Call Rusmir", "Call Martine, table 4", "Full Metal Jacket", "Call of Duty",
    "Madame Marie Floor", "Paul Dealer, siège 2", "Dealer Rusmir, siège 2",
]  # fmt: skip
WORDS = [
    "call", "Call !", "le call de Rusmir", "Call de Rusmir", "La River", "Le Turn", "River Dame de pique", "RIVER",
    "Turn : As", "Un Call, Pablo", "ALL-IN Rusmir !", "BB Rusmir", "SB Pablo, BB Rusmir", "HU entre deux", "le HU",
    "Seat open", "Seat Open table 7", "Main Event", "Bourly Main Event", "Deepstack Bounty", "Dealer Rusmir",
    "Il me call", "TABLE FINALE, BOARD", "Nouveau Call", "Grosse Raise de Pablo", "Le flop. Turn, river",
    "Monsieur, call ?", "Call Rusmir", "Raise Rusmir à 4k", "Il hésite. Fold Rusmir !", "Table 5 : Check Rusmir",
    "CALL Rusmir", "Full Rusmir", "Le Dealer Rusmir", "Floor Rusmir attendu",
]  # fmt: skip


@pytest.mark.parametrize("text", NAMES)
@pytest.mark.parametrize("engine", ["espeak", "chatterbox"])
def test_name_is_never_a_poker_word(text: str, engine: str) -> None:
    normaliser = Normaliser()
    said = normaliser.normalise(text, engine).text
    poker = {entry["said"] for entry in POKER.values() if " " not in entry["said"]}
    assert "⟦" not in said.replace("⟦seat⟧ ⟦ibiza⟧", "").replace("⟦seat⟧ ⟦leɔn⟧", "")
    assert not {word.strip(",.!").lower() for word in said.split()} & poker
    assert normaliser.normalise(said, engine).text == said


@pytest.mark.parametrize("text", WORDS)
def test_poker_word_beside_a_capital_is_still_one(text: str) -> None:
    assert "⟦" in Normaliser().normalise(text, "espeak").text


def test_names_of_a_venue_match_wherever_they_stand(toml: Path) -> None:
    lexicon = Lexicon.load_file(write(toml, '[names]\n"Call" = "Kol"\n[words]\n"Moulin" = "moulain"\n'))
    assert lexicon.respell("M. Call, M. Moulin, le moulin") == "M. Kol, M. Moulin, le moulain"


def test_phonemes_pass_through_the_rules_untouched() -> None:
    normaliser = Normaliser()
    said = normaliser.normalise("L'all-in (25 BB) de M. Dupont : 3-bet !!", "espeak")
    assert said.text == "L'⟦ɔlin⟧, vingt-cinq ⟦biɡ⟧ ⟦blajnd⟧, de Monsieur Dupont: ⟦tʁwa⟧ ⟦bɛt⟧!"
    assert normaliser.normalise(said.text, "espeak").text == said.text


@pytest.mark.parametrize("text", ["⟦☃⟧ ici", "⟦⟧ ici", "⟦bl⟧ ici", "⟦a b⟧ ici", "⟦" * 9 + "ici", "𒀀 ici"])
def test_brackets_that_are_no_phonemes_are_dropped_like_others(text: str) -> None:
    said = Normaliser().normalise(text, "espeak").text
    assert said.endswith("ici")
    assert Normaliser().normalise(said, "espeak").text == said


def test_more_phonemes_than_stand_ins_do_not_raise() -> None:
    vowels = "iyueøoəɛœɔa"
    words = " ".join(f"⟦{a}{b}{c}⟧" for a in vowels for b in vowels for c in vowels)
    assert Normaliser().normalise(words, "espeak").text.startswith("⟦iii⟧ ⟦iiy⟧")
