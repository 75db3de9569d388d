"""The example book that ships: Monica can say all of its phrases."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from monica.config import Settings
from monica.text import Normaliser, has_words
from monica.warming.book import Phrase, PhraseBook
from tests.support.server import ROOT

EXAMPLE = ROOT / "examples" / "bourly-poker-tour.toml"
DOCUMENT = ROOT / "docs" / "phrase-book.md"


@pytest.fixture(scope="module")
def phrases() -> list[Phrase]:
    return list(PhraseBook.read_file(EXAMPLE).phrases())


def test_every_phrase_can_be_said(phrases: list[Phrase]) -> None:
    normaliser = Normaliser()
    longest = Settings().max_text_length
    for phrase in phrases:
        said = normaliser.normalise(phrase.text).text
        assert len(phrase.text) <= longest
        assert has_words(said)
        assert not re.search(r"[\d/{}]", said), phrase.text


def test_no_phrase_is_written_twice(phrases: list[Phrase]) -> None:
    assert len(phrases) == PhraseBook.read_file(EXAMPLE).count()
    normaliser = Normaliser()
    said = Counter(normaliser.normalise(phrase.text).text for phrase in phrases)
    assert said.most_common(1)[0][1] == 1


def test_the_blinds_rise_to_the_last_level(phrases: list[Phrase]) -> None:
    announced = [re.search(r"Niveau (\d+) : les blinds sont à (\d+)/(\d+)", phrase.text) for phrase in phrases]
    levels = [tuple(map(int, level.groups())) for level in announced if level]
    assert [number for number, _, _ in levels] == list(range(1, len(levels) + 1))
    assert levels == sorted(levels)
    assert all(big == 2 * small for _, small, big in levels)
    assert (levels[0][1:], levels[-1][1:]) == ((10, 20), (10000, 20000))


def test_the_book_in_the_documentation_makes_eleven_phrases() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    source = re.findall(r"```toml\n(.*?)```", document, re.DOTALL)[0]
    assert PhraseBook.parse(source, "tournoi.toml").count() == 2 + 6 + 3
