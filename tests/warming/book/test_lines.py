"""Finding the line of a key, whatever TOML syntax the file uses."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monica.warming.book import BookError, PhraseBook
from monica.warming.book.lines import line_of

SOURCE = '''\
# [[phrases]]
rosters.a = [1, 2]
[rosters.b] # [[phrases]]
"c" = [
  "]", # "x",
  "x", """
[[phrases]]
d = 1
""", 'its',
  { e = 1, "f" = [2,
    3] },
]
[[ phrases ]]
text = "#[[phrases]]"
[phrases.g]
h.i = """a""\\"""""
[["phrases"]]
text = \'\'\'
[[phrases]]
it's\'\'\'\'\'
j = 1
[[phrases.k]]
[[phrases.k]]
l = 1979-05-27 07:32:00
m = 2
n = ["""a"""", # ", "x"
3]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("rosters",), 2),
        (("rosters", "a"), 2),
        (("rosters", "a", 1), 2),
        (("rosters", "b"), 3),
        (("rosters", "b", "c"), 4),
        (("rosters", "b", "c", 0), 5),
        (("rosters", "b", "c", 1), 6),
        (("rosters", "b", "c", 2), 6),
        (("rosters", "b", "c", 3), 9),
        (("rosters", "b", "c", 4), 10),
        (("rosters", "b", "c", 4, "f"), 10),
        (("rosters", "b", "c", 4, "f", 1), 11),
        (("phrases",), 13),
        (("phrases", 0), 13),
        (("phrases", 0, "text"), 14),
        (("phrases", 0, "g"), 15),
        (("phrases", 0, "g", "h"), 16),
        (("phrases", 1), 17),
        (("phrases", 1, "text"), 18),
        (("phrases", 1, "j"), 21),
        (("phrases", 1, "k", 0), 22),
        (("phrases", 1, "k", 1), 23),
        (("phrases", 1, "k", 1, "l"), 24),
        (("phrases", 1, "k", 1, "m"), 25),
        (("phrases", 1, "k", 1, "n", 0), 26),
        (("phrases", 1, "k", 1, "n", 1), 27),
        (("phrases", 1, "nowhere"), 17),
        (("phrases", 2), 13),
        (("nowhere",), 1),
    ],
)
def test_the_line_of_a_key_is_found(path: tuple[str | int, ...], line: int) -> None:
    assert line_of(SOURCE, path) == line
    assert line_of(SOURCE.replace("\n", "\r\n"), path) == line


BLOCKS = (
    '[[phrases]]\ntext = "Pause" # [[phrases]]',
    '[[phrases]]\n\n"text" = """\n[[phrases]]\nwrong = "nowhere"\n"""',
    '[[phrases]]\ntext = [\n  "[a", # ]\n  "\\"b]",\n' + "  '''\n[[phrases]]''''',\n]",
    '# wrong = "nowhere"\n[[ "phrases" ]]\n  priority = 1\n  \'text\' = "{ou}"\n  ou = "r"',
)


@given(st.lists(st.sampled_from(BLOCKS)), st.sampled_from(BLOCKS), st.lists(st.sampled_from(BLOCKS)))
@settings(max_examples=200, deadline=None)
def test_the_line_of_a_wrong_key_is_found_among_any_blocks(before: list[str], block: str, after: list[str]) -> None:
    head = "\n".join(['[rosters]\nr = ["x"]', *before, block])
    source = "\n".join([head, 'wrong = "nowhere"', *after])
    line = head.count("\n") + 2
    with pytest.raises(BookError) as error:
        PhraseBook.parse(source, "tournoi.toml")
    assert str(error.value).startswith(f"tournoi.toml, line {line}, phrases[{len(before)}].wrong: ")
    PhraseBook.parse("\n".join(['[rosters]\nr = ["x"]', *before, block, *after]), "tournoi.toml")


PARTS = [*"[]{}=,\n\"'#. \\", '"""', "'''", "[[", "]]", "a", "é", "\r"]


@given(st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
@settings(max_examples=500, deadline=None)
def test_the_search_ends_on_any_text(source: str) -> None:
    assert 1 <= line_of(source, ("a", 1, "a")) <= len(re.split("\n", source))
