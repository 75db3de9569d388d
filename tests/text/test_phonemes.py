"""espeak-ng pronounces a number and the words Monica writes for it alike."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

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
# How French players say it, in espeak's phonemes.
RESPELLED = {
    "all-in": "ol'in", "river": "riv'Wr", "turn": "t'Wrn", "rebuy": "rib'aj", "bet": "b'Et", "check": "tS'Ek",
    "raise": "r'Ez", "chip leader": "tS'ip lid'Wr", "bad beat": "b'ad b'it", "bounty": "baunt'i",
    "big blind": "b'ig bla'ind", "add-on": "ad'On", "full": "f'ul", "buy-in": "b'aj'in",
}  # fmt: skip
ACRONYMS = ["TVA", "TV", "BPT", "WPT", "MTT", "UTG", "PSG", "GPS", "DJ", "ITM", "KO", "VIP"]


@pytest.fixture(autouse=True)
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


@pytest.mark.parametrize("text", TEXTS)
def test_number_sounds_as_espeak_reads_it(text: str) -> None:
    said = NORMALISER.normalise(text).text
    assert said != text or not any(c.isdigit() for c in text)
    assert sounds(said) == sounds(text)


@pytest.mark.parametrize("acronym", ACRONYMS)
def test_acronym_sounds_like_its_letters(acronym: str) -> None:
    assert sounds(NORMALISER.normalise(acronym).text) == sounds(" ".join(acronym))


@pytest.mark.parametrize(("word", "sound"), RESPELLED.items())
def test_respelled_word_sounds_as_french_players_say_it(word: str, sound: str) -> None:
    assert phonemes(Lexicon.default().respell(word)) == sound
