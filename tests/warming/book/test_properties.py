"""Properties of any book: it makes exactly the phrases it counts, or it is refused with a BookError."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monica.text import tidy
from monica.warming.book import BookError, PhraseBook

ANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
VALUES = st.one_of(st.sampled_from(["Ana", "Bo", "Chloé", "{a}", "a  b"]), st.integers(-3, 30))
RECORDS = st.fixed_dictionaries({"x": VALUES, "y": VALUES})
WORDS = ["bat ", " ", "{{", "}}", "é", "e", "\u0301", "\n"]
BRACES = re.compile(r"(\{\{)|(\}\})|\{([a-d])\.?([xy]?)\}")


def distinct(values: Any) -> Any:
    return st.lists(values, min_size=1, max_size=4, unique_by=lambda value: json.dumps(value, sort_keys=True))


@st.composite
def books(draw: st.DrawFn) -> dict[str, Any]:
    """Generate valid books, as tomllib would return them."""
    rosters = {"plain": draw(distinct(VALUES)), "records": draw(distinct(RECORDS))}
    blocks = []
    for _ in range(draw(st.integers(1, 4))):
        placeholders = draw(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(sorted(rosters)), max_size=3))
        for roster, values in rosters.items():
            for name in [name for name in placeholders if placeholders[name] == roster][len(values) :]:
                del placeholders[name]
        insertions = [
            f"{{{name}{field}}}"
            for name in placeholders
            for field in ([""] if placeholders[name] == "plain" else [".x", ".y"])
        ]
        parts = st.sampled_from([*WORDS, *insertions])
        texts = ["Pause" + "".join(draw(st.lists(parts, max_size=5))) for _ in range(draw(st.integers(0, 3)))]
        block: dict[str, Any] = {
            "text": draw(st.permutations([*texts, "".join(["Tous ", *insertions])])),
            **placeholders,
        }
        if draw(st.booleans()):
            block["priority"] = draw(st.integers(-2, 2))
        blocks.append(block)
    return {"rosters": rosters, "phrases": blocks}


def toml(value: Any) -> str:
    """Write a value as TOML, which is JSON for everything but tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def source_of(book: dict[str, Any]) -> str:
    lines = ["[rosters]", *(f"{name} = {toml(values)}" for name, values in book["rosters"].items())]
    for block in book["phrases"]:
        lines += ["[[phrases]]", *(f"{key} = {toml(value)}" for key, value in block.items())]
    return "\n".join(lines)


def expected(book: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Make every phrase the slow way: all combinations, then only those without a value of a roster twice."""
    for block in sorted(book["phrases"], key=lambda block: -block.get("priority", 0)):
        for text in block["text"]:
            names = list(dict.fromkeys(m[3] for m in BRACES.finditer(text) if m[3]))
            rosters = [block[name] for name in names]
            for indices in itertools.product(*(range(len(book["rosters"][roster])) for roster in rosters)):
                if len(set(zip(rosters, indices, strict=True))) == len(names):
                    values = {n: book["rosters"][r][i] for n, r, i in zip(names, rosters, indices, strict=True)}
                    yield tidy(BRACES.sub(functools.partial(fill, values), text)), block.get("priority", 0)


def fill(values: dict[str, Any], match: re.Match[str]) -> str:
    if match[3] is None:
        return match[0][0]
    value = values[match[3]]
    return tidy(str(value[match[4]] if match[4] else value))


@given(books())
@ANY
def test_a_book_makes_as_many_phrases_as_it_counts_and_each_once(book: dict[str, Any]) -> None:
    parsed = PhraseBook.parse(source_of(book), "book.toml")
    everything = list(expected(book))
    assert parsed.count() == len(everything)
    priorities = dict(reversed(everything))  # the first of each wins
    made = [(phrase.text, phrase.priority) for phrase in parsed.phrases()]
    assert made == [(text, priorities[text]) for text in dict.fromkeys(text for text, _ in everything)]


FRAGMENTS = [
    "[rosters]", "[[phrases]]", "[[rosters.a]]", "text = ", "a = ", "b = ", "priority = ", "seed = ", '"a"', '"b"',
    "1", "-1", "nan", '"{a}"', '"{a.x}"', '"{"', '"Pause"', '["{a}", "{b}"]', "[1, 2]", "[{x = 1}, {x = 2}]",
    "[[1]]", "{x = 1}", "x = 1", "#", "1979-05-27", "true", "[]", "{}", '"""', "'''", "\r\n", "\x00", "\ud800",
    "\u202e", "é", ".", ",", "=",
]  # fmt: skip
SOURCES = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.just("\n"), st.text(max_size=3)), max_size=30).map("".join)


def refusal(source: str | bytes) -> str | None:
    """Return the message of the BookError, or None if the book is accepted. Other exceptions propagate."""
    try:
        book = PhraseBook.parse(source, "book.toml")
    except BookError as error:
        return error.message
    assert len(list(book.phrases())) <= book.count()
    return None


def check_accepted_or_refused(source: str | bytes) -> None:
    message = refusal(source)
    if message is not None:
        where = re.match(r"book\.toml(?:, line (\d+)(?:, .+?)?)?: .", message)
        assert where
        assert int(where[1] or 1) <= len(source) + 1
        assert message.splitlines() == [message]


@given(SOURCES)
@ANY
def test_any_text_is_accepted_or_refused(source: str) -> None:
    check_accepted_or_refused(source)


@given(st.binary(max_size=60))
@ANY
def test_any_bytes_are_accepted_or_refused(source: bytes) -> None:
    check_accepted_or_refused(source)


@given(books(), st.data())
@ANY
def test_a_book_with_one_change_is_accepted_or_refused(book: dict[str, Any], data: st.DataObject) -> None:
    source = source_of(book)
    start = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(start, min(start + 8, len(source))))
    check_accepted_or_refused(
        source[:start] + data.draw(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=3))) + source[end:]
    )
