"""Texts in the phonemes of a voice, and their numbers."""

from __future__ import annotations

import hashlib
import logging
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from monica.engine.french_ipa import CONSONANTS, VOWELS
from monica.engine.piper.phonemes import MAX_PHONEMES, SILENT, PhonemeWriter
from monica.engine.piper.published import PUBLISHED
from monica.engine.piper.voice_config import VoiceConfig, read_config
from monica.text.phonemes import in_brackets
from tests.text.test_pairs import PAIRS

# As it is published: the symbols that the French voices were trained on. The test below compares its checksum.
SIWIS = Path(__file__).with_name("fr_FR-siwis-medium.onnx.json")


@pytest.fixture(scope="module")
def config() -> VoiceConfig:
    return read_config(SIWIS)


@pytest.fixture
def writer(config: VoiceConfig) -> PhonemeWriter:
    return PhonemeWriter(config)


def test_the_list_of_symbols_is_the_published_one(config: VoiceConfig) -> None:
    assert hashlib.sha256(SIWIS.read_bytes()).hexdigest() == PUBLISHED["fr_FR-siwis-medium"].config_sha256
    assert (config.name, config.sample_rate, config.espeak_voice) == ("fr_FR-siwis-medium", 22050, "fr")
    assert (len(config.ids), config.scales, config.speakers) == (154, (0.667, 1, 0.8), {})


def test_ids_follow_pipers_rule(writer: PhonemeWriter, config: VoiceConfig) -> None:
    assert writer.ids("a.") == [1, 0, 14, 0, 10, 0, 2]
    assert writer.ids("ɔ̃") == [1, 0, *config.ids["ɔ"], 0, *config.ids["\N{COMBINING TILDE}"], 0, 2]


def test_a_text_is_a_piece_for_each_sentence_with_its_marks(writer: PhonemeWriter) -> None:
    pieces = writer.write_pieces("Bonjour à tous, ici Monica. La pause commence ! Vraiment ?! Oui : voilà")
    assert [unicodedata.normalize("NFC", piece) for piece in pieces] == [
        "bɔ̃ʒˈuʁ a tˈus, isˈi monikˈa.", "la- pˈoz kɔmˈɑ̃s!", "vʁɛmˈɑ̃?", "wˈi: vwalˈa.",
    ]  # fmt: skip


def test_lexicon_entries_arrive_as_they_are_written(writer: PhonemeWriter) -> None:
    assert writer.write_pieces("Les ⟦blajnd⟧ montent, l'⟦ɔlin⟧ aussi.") == [
        unicodedata.normalize("NFD", "le- blˈajnd mˈɔ̃t, lɔlˈin osˈi.")
    ]


def test_words_of_another_language_are_said_without_their_marks(writer: PhonemeWriter) -> None:
    assert writer.write_pieces("Le week-end") == ["lə- wˈiːkˈɛnd."]


@pytest.mark.parametrize("text", ["x" * 300, "1" * 300, "oui " * 1000, "é" * 5000, ", ".join(["oui"] * 999)])
def test_no_piece_is_too_long(writer: PhonemeWriter, text: str) -> None:
    pieces = writer.write_pieces(text)
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= MAX_PHONEMES + 1


@pytest.mark.parametrize("text", ["", "-", "…", "?!", "⟦⟧", "\ua960"])
def test_nothing_to_say_is_no_piece(writer: PhonemeWriter, text: str) -> None:
    assert writer.write_pieces(text) == []


def test_every_french_phoneme_is_one_of_the_published_symbols(
    writer: PhonemeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the texts that the text preparation is tested with, and of all that a lexicon may hold."""
    texts = [" ".join(in_brackets(consonant + vowel) for vowel in VOWELS for consonant in CONSONANTS)]
    texts += [said for _, _, said in PAIRS]
    pieces = [piece for text in texts for piece in writer.write_pieces(text)]
    assert len(pieces) > 300
    assert caplog.text == ""
    assert len({symbol for piece in pieces for symbol in piece}) > 40


def test_a_phoneme_it_lacks_is_told_once_and_the_nearest_is_said(
    config: VoiceConfig, caplog: pytest.LogCaptureFixture
) -> None:
    ids = {symbol: numbers for symbol, numbers in config.ids.items() if symbol not in "ʁˈ\N{COMBINING TILDE}ʒ"}
    writer = PhonemeWriter(replace(config, ids=ids))
    with caplog.at_level(logging.INFO):
        assert writer.write_pieces("Bonjour.") == writer.write_pieces("Bonjour.") == ["bɔnzuʀ."]
    assert [record.message for record in caplog.records] == [
        f"piper: fr_FR-siwis-medium has no phoneme {lacks}: {said} is said in its place"
        for lacks, said in (("\N{COMBINING TILDE}", "n"), ("ʒ", "z"), ("ʁ", "ʀ"))
    ]


def test_a_phoneme_without_any_like_it_is_told_too(config: VoiceConfig, caplog: pytest.LogCaptureFixture) -> None:
    ids = {symbol: numbers for symbol, numbers in config.ids.items() if symbol != "b"}
    assert PhonemeWriter(replace(config, ids=ids)).write_pieces("Bonjour.") == ["ɔ̃ʒˈuʁ."]
    assert caplog.messages == ["piper: fr_FR-siwis-medium has no phoneme b: nothing is said in its place"]


def test_only_stress_and_length_are_left_out_without_a_word() -> None:
    assert not any(re.match(r"\w", symbol) for symbol in SILENT - set("ˈˌːˑ"))
