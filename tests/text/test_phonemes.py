"""espeak-ng pronounces a number and the words Monica writes for it alike, and poker words as French players do."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from benchmarks.phonemes import NATIVE, Listener, distance, readings
from monica.text import Lexicon, Normaliser
from tests.support.system import program

ESPEAK = shutil.which("espeak-ng")
NORMALISER = Normaliser()

NUMBERS = [
    *range(131), 180, 199, 200, 201, 280, 300, 500, 999, 1000, 1001, 1100, 1500, 1998, 2000, 2026, 2100,
    10000, 12500, 21000, 80000, 99999, 100000, 200000, 215300, 1_000_000, 2_000_000,
]  # fmt: skip
TEXTS = [
    *map(str, NUMBERS), "3,5", "0,05", "12,75", "3,14", "100 %", "1er", "Mme Dupont", "10 km",
    "14 juillet 2026",
]  # fmt: skip
ACRONYMS = ["TVA", "TV", "BPT", "WPT", "MTT", "UTG", "PSG", "GPS", "DJ", "ITM", "KO", "VIP"]


@pytest.fixture
def espeak() -> None:
    program("espeak-ng")


def phonemes(text: str) -> str:
    assert ESPEAK is not None
    result = subprocess.run([ESPEAK, "-x", "-q", "-v", "fr", text], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def sounds(text: str) -> str:
    """Return phonemes without stress, pauses and mute e, and with open and closed e alike.

    espeak pronounces the t of "quatre-vingt-deux" if it is written out, but not in 82. No one else pronounces it.
    """
    bare = re.sub(r"[\s',_!:|;@\-^]", "", phonemes(text))
    return re.sub(r"katrvE~t(?!rwa)", "katrvE~", bare).replace("E", "e")


@pytest.mark.usefixtures("espeak")
@pytest.mark.parametrize("text", TEXTS)
def test_number_sounds_as_espeak_reads_it(text: str) -> None:
    said = NORMALISER.normalise(text).text
    assert said != text or not any(c.isdigit() for c in text)
    assert sounds(said) == sounds(text)


@pytest.mark.usefixtures("espeak")
@pytest.mark.parametrize("acronym", ACRONYMS)
def test_acronym_sounds_like_its_letters(acronym: str) -> None:
    assert sounds(NORMALISER.normalise(acronym).text) == sounds(" ".join(acronym))


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener()


@pytest.mark.parametrize("word", NATIVE)
def test_entry_sounds_as_french_players_say_it_and_never_worse_than_before(listener: Listener, word: str) -> None:
    old, new = readings(listener, word)
    native = NATIVE[word][0]
    assert distance(native, new) == 0
    assert distance(native, new) <= distance(native, old)


@pytest.mark.parametrize(("word", "respelled"), [(word, old) for word, (_, old) in NATIVE.items() if old])
def test_engines_that_read_letters_still_get_the_respelling(word: str, respelled: str) -> None:
    assert Lexicon.default().respell(word, "chatterbox") == Lexicon.default().respell(word)
    assert Lexicon.default().respell(word).lower() == respelled.lower()


def test_sample_is_large_and_has_words_that_were_mangled() -> None:
    assert len(NATIVE) >= 40
    assert {"knockout", "nuts", "limp", "hijack", "donkbet", "coin flip", "runner-runner", "hand for hand", "offsuit",
            "level", "Las Vegas", "McDonald", "bets", "checks", "rivers", "addons", "bigblind", "cbet", "Head's up",
            "Sit'n'Go", "BBs"} < NATIVE.keys()  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("blajnd", "blˈajnd", 0),
        ("blajnd", "blaˈind", 1),
        ("bɑ̃", "ba", 1),
        ("", "abc", 3),
        ("abc", "", 3),
        ("ab", "ba", 2),
    ],
)
def test_distance_counts_phonemes(one: str, other: str, apart: int) -> None:
    assert distance(one, other) == apart
