"""What Pico is given to read, and that its French voice knows every phoneme it is given."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from numpy.typing import NDArray

from monica.engine.french_ipa import CONSONANTS, VOWELS
from monica.engine.pico.process import PicoProcess, find_installation
from monica.engine.pico.wording import (
    CLAUSE,
    MAX_PIECE,
    MAX_WORD,
    NEAREST,
    halve,
    replaced_in,
    write_markup,
    write_pieces,
    write_xsampa,
)

pytestmark = pytest.mark.skipif(find_installation() is None, reason="Pico has no package for this system")


@pytest.fixture(scope="module")
def process() -> PicoProcess:
    installation = find_installation()
    assert installation is not None
    return PicoProcess(installation, "fr-FR")


def say(process: PicoProcess, xsampa: str) -> NDArray[np.int16]:
    return process.say(f'<phoneme ph="{xsampa}"/>')


@pytest.mark.parametrize("symbol", [each for each in (*VOWELS, *CONSONANTS) if each != "h"])
def test_pico_says_every_phoneme(process: PicoProcess, symbol: str) -> None:
    """It passes over a symbol it does not know, so what it does with one differs from what it does with nothing."""
    written = write_xsampa(symbol)
    assert len(say(process, f"ta{written}ta")) != len(say(process, "tata"))
    if symbol in VOWELS:
        assert len(say(process, f"t{written}k")) > len(say(process, "tk")) / 2


def test_pico_passes_over_a_symbol_it_does_not_know(process: PicoProcess) -> None:
    assert np.array_equal(say(process, "taVta"), say(process, "tata"))


def test_nasal_vowels_are_others_than_the_oral_ones(process: PicoProcess) -> None:
    pairs = [("ɛ̃", "ɛ"), ("œ̃", "œ"), ("ɔ̃", "ɔ"), ("ɑ̃", "a")]
    for nasal, oral in pairs:
        a, b = (say(process, write_xsampa(f"t{each}t")) for each in (nasal, oral))
        assert len(a) != len(b) or not np.array_equal(a, b)


def test_phonemes_sound_like_the_word_they_spell(process: PicoProcess) -> None:
    """Pico's own reading of French words, written in its phonemes, gives the same samples."""
    for word, ipa in {"roi": "ʁwa", "bon": "bɔ̃", "pain": "pɛ̃", "chat": "ʃa", "feu": "fø"}.items():
        spoken, in_phonemes = (
            process.say(f"la {word} verte."),
            process.say(f"la {write_markup(f'⟦{write_xsampa(ipa)}⟧')} verte."),
        )
        assert abs(len(spoken) - len(in_phonemes)) < 0.1 * len(spoken), word


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Les ⟦blajnd⟧ montent.", ["Les ⟦blajnd⟧ montent."]),
        ("l'⟦ɔlin⟧ de Rusmir", ["⟦lOlin⟧ de Rusmir"]),
        ("Le ⟦ˈflɔp⟧, la ⟦ʁivœʁ⟧!", ["Le ⟦flOp⟧, la ⟦Riv9R⟧!"]),
        ("⟦hoʎ⟧", ["⟦oj⟧"]),
        ("Oui ! Et Pablo perd… tout.", ["Oui!", "Et Pablo perd.", "tout."]),
        ("M. Dupont. Table 3. Le n° 4, à 3,5 % ou 20:30.", ["M. Dupont.", "Table 3.", "Le n° 4, à 3,5 % ou 20:30."]),
        ("l’été « oui » — non", ["l'été oui, non"]),
        ("Nguyễn, ñandú, Škoda, Łódź", ["Nguyen, nandú, Skoda, Lódz"]),
        ("e\u0301te\u0301", ["été"]),
        ("(Dealer) : Rusmir ?!...", [", Dealer, Rusmir?"]),
        ("a\x00b\ufffd\u202ec", ["a b c"]),
        ("12345678901234567890", ["123 456 789 012 345 678 90"]),
        ("123456789", ["123456789"]),
        ("))))((((----''''", []),
        ("你好 مرحبا ☃ …", []),
        ("", []),
    ],
)
def test_pieces(text: str, pieces: list[str]) -> None:
    assert write_pieces(text) == pieces


@pytest.mark.parametrize(
    "markup",
    ['<genfile file="/etc/passwd">a</genfile>', '⟦a"/><genfile file="/x">⟧', "a<b>c", "&lt;play file='x'&gt;", "⟦⟦a⟧"],
)
def test_markup_of_a_text_is_never_passed_on(markup: str) -> None:
    """Pico's <genfile> writes files, <play> reads them. Only the tags that Monica writes reach it."""
    pieces = write_pieces(markup)
    assert pieces
    assert not set('<>&"') & set("".join(pieces))


def test_phonemes_that_were_not_checked_are_read_as_letters() -> None:
    assert write_pieces("Le ⟦bl5☃⟧.") == ["Le bl5."]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", ["x" * 5000, "É" * 300, "a b " * 1250, "un, deux, trois, " * 300, "⟦blajnd⟧ " * 500])
def test_pieces_are_short_and_none_is_lost(text: str, stream: bool) -> None:
    pieces = write_pieces(text, stream=stream)
    assert max(map(len, pieces)) <= MAX_PIECE
    assert max(len(word) for piece in pieces for word in piece.split()) <= MAX_WORD
    said = "".join(pieces).replace(" ", "").rstrip(",")
    assert said == text.replace(" ", "").replace("blajnd", write_xsampa("blajnd")).rstrip(",")


def test_a_stream_is_cut_at_commas_and_a_whole_sentence_is_not() -> None:
    text = "Pablo vient de se faire éliminer par Rusmir, à la table deux, avec une paire de rois, puis une pause."
    assert write_pieces(text) == [text]
    pieces = write_pieces(text, stream=True)
    assert len(pieces) == 2
    assert " ".join(pieces) == text
    assert max(map(len, pieces)) <= CLAUSE


def test_replaced_phonemes_are_known() -> None:
    assert replaced_in("⟦blajnd⟧ et ⟦hoʎ⟧ h") == {"h", "ʎ"}
    assert {unicodedata.normalize("NFC", each) for each in NEAREST} <= set(CONSONANTS)


@pytest.mark.parametrize(
    ("piece", "halves"),
    [("a b c", ["a", "b c"]), ("abcd", ["ab", "cd"]), ("abc", []), ("⟦blajnd⟧", []), ("⟦a⟧ ⟦b⟧", ["⟦a⟧", "⟦b⟧"])],
)
def test_halves(piece: str, halves: list[str]) -> None:
    assert halve(piece) == halves
