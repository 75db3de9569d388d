"""What espeak-ng's French voice speaks when it is given IPA, and which letters it is spared."""

from __future__ import annotations

import itertools
import re
import unicodedata

import pytest

from benchmarks.phonemes import Listener
from monica.engine.espeak_ipa import CONSONANTS, VOWELS, write_for_espeak, write_mnemonics
from monica.engine.french_ipa import check_ipa

MERGED = {"ɑ": "a", "õ": "ɔ̃", "ã": "ɑ̃", "g": "ɡ", "r": "ʁ", "ɥ": "y"}
BEFORE = ["", "(", "«", "'", '"', "-", "a ", "« ", ", ", "... ", "[ ", "!", "a-", "a'", "/"]
AFTER = ["", ")", "»", "'", '"', "-", "!", ".", ",", "s", " s", "-la", " ]", ";", ":", "…", "?!", "/"]


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener()


@pytest.mark.parametrize("symbol", VOWELS)
def test_vowel_is_spoken_as_it_is_written(listener: Listener, symbol: str) -> None:
    assert listener.hear(f"⟦t{symbol}t⟧") == unicodedata.normalize("NFC", f"tˈ{MERGED.get(symbol, symbol)}t")


@pytest.mark.parametrize("symbol", CONSONANTS)
def test_consonant_is_spoken_as_it_is_written(listener: Listener, symbol: str) -> None:
    heard = listener.hear(f"⟦a{symbol}a⟧").replace("ˈ", "")
    assert heard == f"a{MERGED.get(symbol, symbol)}a"


@pytest.mark.parametrize(
    ("ipa", "heard"),
    [
        ("blajnd", "blˈajnd"),
        ("ˈblajnd", "blˈajnd"),
        ("ˈti.mid", "tˈimid"),
        ("ˌti.ˈmid", "tˌimˈid"),
        ("timidə", "timˈidə"),
        ("t͡ʃɛk", "tʃˈɛk"),
        ("baːd", "bˈad"),
    ],
)
def test_last_vowel_is_stressed_unless_a_mark_says_otherwise(listener: Listener, ipa: str, heard: str) -> None:
    assert listener.hear(f"⟦{ipa}⟧") == heard


@pytest.mark.parametrize("ipa", ["ɛ̃", "ɑ̃", "ã"])
def test_nasal_vowels_may_be_composed_or_not(ipa: str) -> None:
    assert write_mnemonics(unicodedata.normalize("NFC", ipa)) == write_mnemonics(unicodedata.normalize("NFD", ipa))


@pytest.mark.parametrize(
    ("ipa", "complaint"),
    [
        ("blaʊnd", r"cannot say 'ʊ' \(U\+028A\)"),
        ("/blajnd/", r"cannot say '/'"),
        ("bl5nd", r"cannot say '5'"),
        ("Blajnd", r"cannot say 'B'"),
        ("p̃a", r"cannot say"),
        ("biɡ bl", "'bl' has no vowel"),
        ("tʃ]]", r"cannot say '\]'"),
    ],
)
def test_what_the_voice_cannot_say_is_named(ipa: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_ipa(ipa)


def test_phonemes_are_heard_beside_every_mark(listener: Listener) -> None:
    """The library ignores phonemes that come right after a bracket or a quote."""
    for before, after in itertools.product(BEFORE, AFTER):
        assert "ɔlˈin" in listener.hear(f"{before}⟦ɔlin⟧{after}"), (before, after)


def test_elided_word_before_phonemes_is_not_spelled(listener: Listener) -> None:
    heard = [listener.hear(f"{word}⟦ɔlin⟧") for word in ("l'", "L’", "d'", "qu'", "c'", "j'")]
    assert heard == ["lɔlˈin", "lɔlˈin", "dɔlˈin", "kɔlˈin", "sɔlˈin", "ʒɔlˈin"]


def test_double_brackets_of_a_text_are_no_phonemes(listener: Listener) -> None:
    assert "[[" not in write_for_espeak("[[h@loU]] [[[x")
    assert listener.hear("[[bal]]") == listener.hear("[ [bal]]")


@pytest.mark.parametrize("text", ["⟦", "⟧", "⟦⟧ ici", "⟦☃⟧ ici", "⟦ɔlin", "⟦⟦ɔlin⟧⟧", "⟦" * 500, "⟦zzzz" * 900])
def test_odd_brackets_are_still_said(listener: Listener, text: str) -> None:
    assert isinstance(listener.hear(text + " fin"), str)
    assert "fˈɛ̃" in unicodedata.normalize("NFC", listener.hear(text + " fin"))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Nguyễn Thị Hương", "Nguyen Thi Hương"),
        ("Phạm Văn Đồng", "Pham Văn Đong"),
        ("Lê Thánh Tông", "Lê Thánh Tông"),
        ("Trần Hưng Đạo", "Tran Hưng Đao"),
        ("Straẞe", "Straẞe"),
        ("e\u0323t\u030ae\u0301", "eté"),
    ],
)
def test_marks_that_would_be_spelled_out_are_dropped(listener: Listener, name: str, plain: str) -> None:
    written = write_for_espeak(name)
    assert written == plain
    assert not re.search("lˈɛtʁ|aksˈɑ̃", listener.hear(name))
