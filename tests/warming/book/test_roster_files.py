"""Rosters in files of their own: CSV and JSON Lines, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from monica.warming.book import MAX_PHRASES, BookError, PhraseBook
from monica.warming.book.roster_file import MAX_LINE

Read = Callable[..., PhraseBook]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return what reads a book of one phrase whose roster is a file with this name and content."""

    def read(name: str, content: str | bytes, text: str = "{player}") -> PhraseBook:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        book = tmp_path / "book.toml"
        book.write_text(f'[rosters]\nr = {{ file = "{name}" }}\n[[phrases]]\ntext = "{text}"\nplayer = "r"\n')
        return PhraseBook.read_file(book, of_any_size=True)

    return read


def texts(book: PhraseBook) -> list[str]:
    return [phrase.text for phrase in book.phrases_with_repeats()]


@pytest.mark.parametrize(
    "content",
    [
        "name,club\nChloé,ACF\n\n Bo ,Winamax\n",
        "\ufeffname;club\r\nChloé;ACF\r\nBo;Winamax",
        '"name"\t"club"\n"Chloé"\t"ACF"\n"Bo"\t"Winamax"\n',
    ],
)
def test_a_csv_file_holds_records(read: Read, content: str) -> None:
    assert texts(read("r.csv", content, "{player.name} ({player.club})")) == ["Chloé (ACF)", "Bo (Winamax)"]


def test_a_json_lines_file_holds_values_or_records(read: Read) -> None:
    assert texts(read("r.jsonl", '"Chloé"\n\n1500\n')) == ["Chloé", "1500"]
    assert texts(read("r.NDJSON", '{"n": 10}\n{"n": 15}', "{player.n}")) == ["10", "15"]


def test_phrases_of_a_large_book_are_made_one_by_one(read: Read) -> None:
    many = "\n".join(str(number) for number in range(1000))
    book = read("r.jsonl", many, '{player} {other}"\nother = "r')
    assert book.count() == 999_000 > MAX_PHRASES
    assert next(book.phrases_with_repeats()).text == "0 1"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.txt", "x", "rosters.r.file: the name of a roster's file ends with .csv, .jsonl, .ndjson"),
        ("r.csv", "", "rosters.r: a roster is a list with at least one value"),
        ("r.csv", "name\n", "rosters.r: a roster is a list with at least one value"),
        ("r.csv", "a,a\nx,y\n", "r.csv, line 1: two fields have the same name"),
        ("r.csv", "a,b\nx,y\nx\n", "r.csv, line 3: it has 1 fields, and the first line 2"),
        ("r.csv", "a b\nx\n", "r.csv, line 2, 'a b': a name has letters, digits, _ and -, 40 at most"),
        ("r.csv", "a\nx\n!\n", "r.csv, line 3, a: a value is text with something to say in it, or a number"),
        ("r.csv", 'a\n"x', "r.csv, line 2: unexpected end of data"),
        ("r.csv", b"a\nx\n\xff\n", "r.csv, line 3: not UTF-8 text"),
        ("r.jsonl", '"x"\n"x"\n', "r.jsonl, line 2: 'x' is there twice"),
        ("r.jsonl", '"x"\n[', "r.jsonl, line 2: not JSON (Expecting value)"),
        ("r.jsonl", '"x"\n{"a": 1}', "r.jsonl, line 2: all values of a roster are plain, or all are records"),
        ("r.jsonl", "[" * 100_000, "r.jsonl, line 1: "),
        ("r.jsonl", "1" * 5000, "r.jsonl, line 1: "),
        ("r.jsonl", b" " * (MAX_LINE + 1), "r.jsonl, line 1: it is too long"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(read: Read, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(BookError) as error:
        read(name, content)
    assert str(error.value).startswith("book.toml, line 2, rosters.r")
    assert message in str(error.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    book = tmp_path / "book.toml"
    book.write_text('[rosters]\nr = { file = "gone.csv" }\n[[phrases]]\ntext = "x"\n')
    with pytest.raises(BookError, match=r"^book\.toml, line 2, rosters\.r\.file: gone\.csv: No such file"):
        PhraseBook.read_file(book, of_any_size=True)


def test_a_book_from_anyone_reads_no_file(tmp_path: Path, read: Read) -> None:
    read("r.csv", "name\nx\n", "{player.name}")
    with pytest.raises(BookError, match="only `monica render` reads rosters from files"):
        PhraseBook.read_file(tmp_path / "book.toml")
    with pytest.raises(BookError, match="only `monica render` reads rosters from files"):
        PhraseBook.parse((tmp_path / "book.toml").read_text(), "book.toml")
