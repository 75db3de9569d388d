"""The phrases a book makes: combinations, variants, records, order, duplicates, and their parameters."""

from __future__ import annotations

import itertools
import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from monica.api.schemas import parse_speech
from monica.engine import SynthesisParams
from monica.errors import InvalidRequest
from monica.speech import SpeechRequest
from monica.warming.book import MAX_PHRASES, BookError, Phrase, PhraseBook

ROSTERS = """
[rosters]
players = ["Ana", "Bo", "Chloé"]
levels = [{ small = 10, big = 20 }, { small = 100, big = 200 }]
tables = [1, 2]
"""


def book(blocks: str, rosters: str = ROSTERS) -> PhraseBook:
    return PhraseBook.parse(rosters + blocks, "tournoi.toml")


def texts(blocks: str, rosters: str = ROSTERS) -> list[str]:
    return [phrase.text for phrase in book(blocks, rosters).phrases()]


def test_two_placeholders_of_one_roster_never_take_the_same_value() -> None:
    blocks = '[[phrases]]\ntext = "{killer} élimine {victim} !"\nkiller = "players"\nvictim = "players"'
    assert book(blocks).count() == 6
    assert texts(blocks) == [
        "Ana élimine Bo !",
        "Ana élimine Chloé !",
        "Bo élimine Ana !",
        "Bo élimine Chloé !",
        "Chloé élimine Ana !",
        "Chloé élimine Bo !",
    ]


def test_placeholders_of_two_rosters_take_every_pair_even_of_equal_values() -> None:
    rosters = '[rosters]\na = ["x", "y"]\nb = ["x", "y"]\n'
    blocks = '[[phrases]]\ntext = "{p} {q}"\np = "a"\nq = "b"'
    assert texts(blocks, rosters) == ["x x", "x y", "y x", "y y"]


def test_a_placeholder_has_the_same_value_everywhere_in_the_text() -> None:
    blocks = '[[phrases]]\ntext = "{player} ! Oui, {player} !"\nplayer = "players"'
    assert texts(blocks)[0] == "Ana ! Oui, Ana !"
    assert book(blocks).count() == 3


def test_a_variant_is_multiplied_by_its_own_placeholders_only() -> None:
    blocks = '[[phrases]]\ntext = ["{a} bat {b}", "{b} sort", "Un départ"]\na = "players"\nb = "players"'
    assert book(blocks).count() == 6 + 3 + 1
    assert texts(blocks)[6:] == ["Ana sort", "Bo sort", "Chloé sort", "Un départ"]


def test_the_fields_of_a_record_stay_together() -> None:
    blocks = '[[phrases]]\ntext = "Table {table} : {level.small}/{level.big}"\nlevel = "levels"\ntable = "tables"'
    assert texts(blocks) == ["Table 1 : 10/20", "Table 1 : 100/200", "Table 2 : 10/20", "Table 2 : 100/200"]


def test_records_may_be_written_as_tables() -> None:
    rosters = "[[rosters.levels]]\nsmall = 10\nbig = 20\n[[rosters.levels]]\nsmall = 5.5\nbig = 1_000\n"
    assert texts('[[phrases]]\ntext = "{l.small}/{l.big}"\nl = "levels"', rosters) == ["10/20", "5.5/1000"]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("La {{vraie}} table {table}", "La {vraie} table 1"),
        ("{{{table}}}", "{1}"),
        ("{{table}} {table}", "{table} 1"),
        ("}}{{ {table}", "}{ 1"),
    ],
)
def test_doubled_braces_are_literal_braces(written: str, text: str) -> None:
    assert texts(f'[[phrases]]\ntext = "{written}"\ntable = "tables"')[0] == text


def test_a_value_is_never_read_as_a_template() -> None:
    rosters = '[rosters]\nplayers = ["{victim}", "{0.__class__}", "%s{{"]\n'
    assert texts('[[phrases]]\ntext = "{p} !"\np = "players"', rosters) == ["{victim} !", "{0.__class__} !", "%s{{ !"]


def test_texts_and_values_are_tidied() -> None:
    rosters = '[rosters]\nplayers = [" Ana\\u00a0Lou ", "Chloe\\u0301"]\n'
    assert texts('[[phrases]]\ntext = """\n  Bravo\n  {p} !\n"""\np = "players"', rosters) == [
        "Bravo Ana Lou !",
        "Bravo Chloé !",
    ]


def test_white_space_does_not_count_towards_the_length() -> None:
    assert texts(f'[[phrases]]\ntext = "{{p}}{" " * 600}\\n!"\np = "players"')[0] == "Ana !"


def test_the_highest_priority_comes_first_and_equal_ones_keep_their_order() -> None:
    blocks = "".join(
        f'[[phrases]]\ntext = ["{name} un", "{name} deux"]\n{priority}\n'
        for name, priority in [
            ("a", ""),
            ("b", "priority = 5"),
            ("c", "priority = -1"),
            ("d", "priority = 5"),
            ("e", ""),
        ]
    )
    assert [text[0] for text in texts(blocks)] == list("bbddaaeecc")
    assert {(p.text[0], p.priority) for p in book(blocks).phrases()} == {
        ("a", 0), ("b", 5), ("c", -1), ("d", 5), ("e", 0),
    }  # fmt: skip


def test_equal_texts_are_one_phrase_with_the_highest_priority() -> None:
    blocks = (
        '[[phrases]]\ntext = ["Pause", "{p} sort", " Pause\\t"]\np = "players"\n'
        '[[phrases]]\npriority = 1\ntext = "Bo  sort"'
    )
    assert book(blocks).count() == 6
    assert [(p.text, p.priority) for p in book(blocks).phrases()] == [
        ("Bo sort", 1),
        ("Pause", 0),
        ("Ana sort", 0),
        ("Chloé sort", 0),
    ]


def test_the_same_text_with_other_parameters_is_another_phrase() -> None:
    blocks = "".join(
        f'[[phrases]]\ntext = "Pause"\n{own}\n' for own in ["", "seed = 1", 'voice = "v"', "cfg_weight = 0"]
    )
    assert len(texts(blocks * 2)) == 4


def test_a_phrase_has_the_parameters_of_an_api_request() -> None:
    own = {"voice": "alto", "seed": 7, "exaggeration": 1, "cfg_weight": 0.25, "temperature": 0.5}
    blocks = '[[phrases]]\ntext = "Pause"\n' + "".join(f"{key} = {json.dumps(value)}\n" for key, value in own.items())
    (phrase,) = book(blocks).phrases()
    request = SpeechRequest(phrase.text, voice=phrase.voice, seed=phrase.seed, params=phrase.params)
    assert request == parse_speech(json.dumps({"text": "Pause", **own}).encode())
    assert repr(phrase.params) == repr(SynthesisParams(exaggeration=1.0, cfg_weight=0.25, temperature=0.5))


@pytest.mark.parametrize("key", ["seed", "exaggeration", "cfg_weight", "temperature"])
@pytest.mark.parametrize("value", [-1, -0.01, 0, 0.04, 0.05, 1, 1.01, 2, 2.01, 5, 5.01, 2**32 - 1, 2**32, "1", True])
def test_the_ranges_are_those_of_the_api(key: str, value: object) -> None:
    def api() -> SynthesisParams:
        return parse_speech(json.dumps({"text": "Pause", key: value}).encode()).params

    def toml() -> SynthesisParams:
        return next(book(f'[[phrases]]\ntext = "Pause"\n{key} = {json.dumps(value)}').phrases()).params

    try:
        expected = api()
    except InvalidRequest:
        with pytest.raises(BookError, match=rf"^tournoi.toml, line 8, phrases\[0\].{key}: must be a "):
            toml()
    else:
        assert toml() == expected


def test_the_defaults_are_those_of_a_request() -> None:
    (phrase,) = book('[[phrases]]\ntext = "Pause"').phrases()
    assert phrase == Phrase("Pause")
    assert SpeechRequest("Pause", voice=phrase.voice, seed=phrase.seed, params=phrase.params) == SpeechRequest("Pause")


def squares(side: int, placeholders: int) -> str:
    rosters = "".join(f"r{n} = {list(range(side))}\n" for n in range(placeholders))
    text = " ".join(f"{{s{n}}}" for n in range(placeholders))
    return f'[rosters]\n{rosters}[[phrases]]\ntext = "{text}"\n' + "".join(
        f's{n} = "r{n}"\n' for n in range(placeholders)
    )


def test_too_many_combinations_are_counted_but_never_made() -> None:
    began = time.thread_time()
    with pytest.raises(BookError, match=r"line 5, phrases\[0\]: .* 1000000000 phrases.* at most 200000"):
        PhraseBook.parse(squares(1000, 3), "tournoi.toml")
    assert time.thread_time() - began < 2


def test_the_block_with_the_most_phrases_is_named() -> None:
    small, large = '[[phrases]]\ntext = "{a}"\na = "n"\n', '[[phrases]]\ntext = "{a} {b}"\na = "n"\nb = "n"\n'
    with pytest.raises(BookError, match=r"line 6, phrases\[1\]: the book makes 251000 phrases, 249500 of them here"):
        book(small + large + small + small, f"[rosters]\nn = {list(range(500))}\n")


def test_the_limit_itself_is_allowed() -> None:
    rosters = f"[rosters]\na = {list(range(1000))}\nb = {list(range(MAX_PHRASES // 1000))}\n"
    blocks = '[[phrases]]\ntext = "{x} {y}"\nx = "a"\ny = "b"\n'
    assert book(blocks, rosters).count() == MAX_PHRASES
    with pytest.raises(BookError, match="200001"):
        book(blocks + '[[phrases]]\ntext = "Pause"', rosters)


def test_phrases_are_made_one_by_one() -> None:
    full = PhraseBook.parse(squares(58, 3), "tournoi.toml")
    assert full.count() == 58**3
    tracemalloc.start()
    try:
        phrases = full.phrases()
        assert isinstance(phrases, Iterator)
        assert len(list(itertools.islice(phrases, 100))) == 100
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_the_phrases_can_be_made_again() -> None:
    repeated = book('[[phrases]]\ntext = "{p}"\np = "players"')
    assert list(repeated.phrases()) == list(repeated.phrases())


def test_a_plain_list_is_taken_literally() -> None:
    listed = PhraseBook.from_texts(["Pause !", "{killer} gagne", " Pause  ! "], "texts")
    assert listed.count() == 3
    assert list(listed.phrases()) == [Phrase("Pause !"), Phrase("{killer} gagne")]
    assert PhraseBook.from_texts([]).count() == 0


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (["Pause", "!"], "texts[1]: there is nothing to say"),
        (["x" * 501], "texts[0]: a phrase may come to 501 characters, at most 500"),
    ],
)
def test_a_wrong_list_is_refused(listed: list[str], message: str) -> None:
    with pytest.raises(BookError) as error:
        PhraseBook.from_texts(listed, "texts")
    assert str(error.value) == message


def test_a_list_beyond_the_limit_is_refused() -> None:
    with pytest.raises(BookError, match=r"^texts: there are 200001, at most 200000$"):
        PhraseBook.from_texts(["Pause"] * (MAX_PHRASES + 1), "texts")


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tournoi.toml"
    path.write_bytes(b"\xef\xbb\xbf" + '[[phrases]]\r\ntext = "Chloé"\r\n'.encode())
    assert list(PhraseBook.read_file(path).phrases()) == [Phrase("Chloé")]
    path.write_text("text = [\n")
    with pytest.raises(BookError, match=r"^tournoi\.toml, line 1"):
        PhraseBook.read_file(path)


@pytest.mark.parametrize("name", ["", "missing.toml"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BookError) as error:
        PhraseBook.read_file(tmp_path / name)
    assert str(tmp_path) not in str(error.value)
