"""What holds for any book: it makes exactly what it counts, or it is refused by the one error."""

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
    """Books without a mistake, as tomllib would give them."""
    rosters = {"plain": draw(distinct(VALUES)), "records": draw(distinct(RECORDS))}
    blocks = []
    for _ in range(draw(st.integers(1, 4))):
        slots = draw(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(sorted(rosters)), max_size=3))
        for roster, values in rosters.items():
            for slot in [slot for slot in slots if slots[slot] == roster][len(values) :]:
                del slots[slot]
        places = [
            f"{{{slot}{field}}}" for slot in slots for field in ([""] if slots[slot] == "plain" else [".x", ".y"])
        ]
        pieces = st.sampled_from([*WORDS, *places])
        texts = ["Pause" + "".join(draw(st.lists(pieces, max_size=5))) for _ in range(draw(st.integers(0, 3)))]
        block: dict[str, Any] = {"text": draw(st.permutations([*texts, "".join(["Tous ", *places])])), **slots}
        if draw(st.booleans()):
            block["priority"] = draw(st.integers(-2, 2))
        blocks.append(block)
    return {"rosters": rosters, "phrases": blocks}


def toml(value: Any) -> str:
    """Write a value as TOML; JSON does for all but tables."""
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
    """Make every phrase the long way: all products, then those in which no value of a roster comes twice."""
    for block in sorted(book["phrases"], key=lambda block: -block.get("priority", 0)):
        for text in block["text"]:
            slots = list(dict.fromkeys(m[3] for m in BRACES.finditer(text) if m[3]))
            rosters = [block[slot] for slot in slots]
            for indices in itertools.product(*(range(len(book["rosters"][roster])) for roster in rosters)):
                if len(set(zip(rosters, indices, strict=True))) == len(slots):
                    values = {s: book["rosters"][r][i] for s, r, i in zip(slots, rosters, indices, strict=True)}
                    yield tidy(BRACES.sub(functools.partial(fill, values), text)), block.get("priority", 0)


def fill(values: dict[str, Any], match: re.Match[str]) -> str:
    if match[3] is None:
        return match[0][0]
    value = values[match[3]]
    return tidy(str(value[match[4]] if match[4] else value))


@given(books())
@ANY
def test_a_book_makes_what_it_counts_and_each_phrase_once(book: dict[str, Any]) -> None:
    parsed = PhraseBook.parse(source_of(book), "book.toml")
    everything = list(expected(book))
    assert parsed.count() == len(everything)
    once = dict(reversed(everything))  # the first of each wins
    made = [(phrase.text, phrase.priority) for phrase in parsed.phrases()]
    assert made == [(text, once[text]) for text in dict.fromkeys(text for text, _ in everything)]


FRAGMENTS = [
    "[rosters]", "[[phrases]]", "[[rosters.a]]", "text = ", "a = ", "b = ", "priority = ", "seed = ", '"a"', '"b"',
    "1", "-1", "nan", '"{a}"', '"{a.x}"', '"{"', '"Pause"', '["{a}", "{b}"]', "[1, 2]", "[{x = 1}, {x = 2}]",
    "[[1]]", "{x = 1}", "x = 1", "#", "1979-05-27", "true", "[]", "{}", '"""', "'''", "\r\n", "\x00", "\ud800",
    "\u202e", "é", ".", ",", "=",
]  # fmt: skip
SOURCES = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.just("\n"), st.text(max_size=3)), max_size=30).map("".join)


def refusal(source: str | bytes) -> str | None:
    """Give the message that a book is refused with; an error of any other kind goes through."""
    try:
        book = PhraseBook.parse(source, "book.toml")
    except BookError as error:
        return error.message
    assert len(list(book.phrases())) <= book.count()
    return None


def check(source: str | bytes) -> None:
    message = refusal(source)
    if message is not None:
        where = re.match(r"book\.toml(?:, line (\d+)(?:, .+?)?)?: .", message)
        assert where
        assert int(where[1] or 1) <= len(source) + 1
        assert message.splitlines() == [message]


@given(SOURCES)
@ANY
def test_any_text_is_a_book_or_is_refused(source: str) -> None:
    check(source)


@given(st.binary(max_size=60))
@ANY
def test_any_bytes_are_a_book_or_are_refused(source: bytes) -> None:
    check(source)


@given(books(), st.data())
@ANY
def test_a_book_with_a_piece_changed_is_a_book_or_is_refused(book: dict[str, Any], data: st.DataObject) -> None:
    source = source_of(book)
    start = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(start, min(start + 8, len(source))))
    check(source[:start] + data.draw(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=3))) + source[end:])
