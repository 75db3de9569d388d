"""Properties of any text whatever: it is said, in words, and normalising it again changes nothing."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import monica.text
from monica.text import Normaliser, has_words, split_sentences
from monica.text.markup import drop_markup, split_at_pauses

PARSER: Any = importlib.import_module("re._parser")

FRENCH = Normaliser()
ENGLISH = Normaliser(language="en")

TABLE = [
    line.partition(" => ")[0]
    for path in sorted((Path(__file__).parent / "pairs").glob("*.txt"))
    for line in path.read_text(encoding="utf-8").splitlines()
    if " => " in line
]
BITS = [
    *" ,.;:!?-/()'\n\t0123456789%€$£°²³^♠♥♦♣AKQJTsohkKMxXIVe+*#@&=~|<>[]{}…–—«»\"_\\",
    "\u202f", "\xa0", "[pause:1s]", "[pause:", "<break time=\"1s\"/>", "<think>", "</think>", "·", "'s", "EL", "HU",
    "Wei",
    "flop ", "9h", "Kh", "m.", "·e·s", "1. ", "2) ", ",400", "'500", "Sam.", "p.", "/j", "\\n", "avr.", "PLO ",
    "\u0301", "\u200d", "M.", "n°", "etc.", "BB", "www.", ".fr", "https://", "00", "1 000",
    "1er", "2e", "Paul", "DUPONT", "table", "une", "de", "h", "min", "vs", "XIV", "Louis", "&amp;", "<b>",
    "⟦", "⟧", "⟦blajnd⟧", "l'⟦ɔlin⟧", "blind", "BBs", "𒀀",
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(TABLE), st.sampled_from(BITS), st.text(max_size=4)), max_size=9).map("".join)
ANY = settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(TEXTS)
@ANY
def test_any_text_is_said_in_words_and_the_same_again(text: str) -> None:
    said = FRENCH.normalise(text).text
    assert not any(c.isdecimal() for c in said)
    assert has_words(said) or not has_words(drop_markup(text))
    assert FRENCH.normalise(said).text == said


@given(TEXTS)
@ANY
def test_any_text_is_said_in_phonemes_and_the_same_again(text: str) -> None:
    said = FRENCH.normalise(text, "espeak").text
    assert not any(c.isdecimal() for c in said)
    assert has_words(said) or not has_words(drop_markup(text))
    assert FRENCH.normalise(said, "espeak").text == said


@given(TEXTS)
@ANY
def test_other_languages_keep_their_words_too(text: str) -> None:
    said = ENGLISH.normalise(text).text
    assert has_words(said) or not has_words(drop_markup(text))
    assert ENGLISH.normalise(said).text == said


@given(TEXTS)
@example('Bonjour <break time="1s"/> à tous[pause:Roi♠Dame♠ ')
@ANY
def test_pauses_cut_a_text_without_losing_or_adding_words(text: str) -> None:
    parts = split_at_pauses(text)
    assert all(0 < pause <= 10 for _, pause in parts[:-1])
    assert parts[-1][1] == 0
    assert sum(pause for _, pause in parts) <= 60
    joined = " ".join(drop_markup(part) for part, _ in parts)
    assert re.findall(r"\w+", joined) == re.findall(r"\w+", drop_markup(text))


@given(TEXTS, st.integers(min_value=1, max_value=300))
@ANY
def test_splitting_loses_nothing(text: str, limit: int) -> None:
    pieces = split_sentences(text, limit=limit)
    assert " ".join(pieces) == " ".join(text.split())
    assert all(len(piece) <= limit or " " not in piece for piece in pieces)


BAD = {
    "mixed scripts": "Bonjour Привет 你好 table 5",
    "right to left": "الطاولة ٥ مكسورة, table 5",
    "marks by the hundred": "e" + "\u0301" * 300 + " table 5",
    "400 digits": "7" * 400,
    "400 digits in euros": "7" * 400 + " €",
    "400 digits grouped": "1" + " 000" * 133,
    "400 digits after the comma": "1," + "7" * 400,
    "division by zero": "1/0",
    "no such time": "25:99",
    "no such day": "32/13/2026",
    "nested brackets": "(" * 200 + "table 5" + ")" * 200,
    "lone surrogate": "table \ud800 5",
    "null": "table\x005",
    "ideographic numbers": "三百 joueurs",
    "superscripts alone": "²³¹",
    "a link without end": "www." * 1250,
    "a number in endless groups": "1 000 " * 800,
    "signs without end": "+1-" * 1600,
    "capitals without end": "AB " * 1600,
    "only marks": "!!! ???",
    "nothing": "",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_bad_input_is_still_said(text: str) -> None:
    said = FRENCH.normalise(text).text
    assert has_words(said) == has_words(text)
    assert not any(c.isdecimal() for c in said)
    assert FRENCH.normalise(said).text == said


def test_number_too_long_for_words_is_read_digit_by_digit() -> None:
    assert FRENCH.normalise("1234567890123456").text.startswith("un deux trois quatre")
    assert FRENCH.normalise("7" * 400).text == " ".join(["sept"] * 400)


def test_excess_marks_on_a_letter_are_dropped() -> None:
    assert len(FRENCH.normalise("e" + "\u0301" * 300).text) <= 3


def patterns() -> dict[str, re.Pattern[str]]:
    """Return every compiled expression of the package, by name."""
    found = {}
    for module in pkgutil.iter_modules(monica.text.__path__, "monica.text."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                found[f"{module.name}.{name}"] = value
    return found


def may_backtrack(tokens: Any, *, last: bool = True) -> bool:
    """Return whether an unbounded repeat is followed by anything that can fail and make it backtrack."""
    for position, (op, argument) in enumerate(tokens, 1):
        at_the_end = last and position == len(tokens)
        if op is PARSER.SUBPATTERN and may_backtrack(argument[3], last=at_the_end):
            return True
        if op is PARSER.BRANCH and any(may_backtrack(branch, last=at_the_end) for branch in argument[1]):
            return True
        if op in {PARSER.ASSERT, PARSER.ASSERT_NOT} and may_backtrack(argument[1]):
            return True
        if op in {PARSER.MAX_REPEAT, PARSER.MIN_REPEAT}:
            _, most, body = argument
            once_at_the_end = most == 1 and at_the_end
            if (most is PARSER.MAXREPEAT and not at_the_end) or may_backtrack(body, last=once_at_the_end):
                return True
    return False


@pytest.mark.parametrize("name", patterns())
def test_no_expression_can_be_made_slow(name: str) -> None:
    expression = patterns()[name]
    assert not may_backtrack(PARSER.parse(expression.pattern, expression.flags & ~re.UNICODE))


@pytest.mark.parametrize(("expression", "slow"), [("a+b", True), ("(?:a+)+", True), ("a{1,9}b", False), ("ba+", False)])
def test_slow_expression_is_recognised(expression: str, slow: bool) -> None:
    assert may_backtrack(PARSER.parse(expression)) is slow


def test_there_are_expressions_to_check() -> None:
    assert len(patterns()) > 80
