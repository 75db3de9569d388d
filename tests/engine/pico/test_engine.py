"""Pico behind the Engine protocol."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.fuzz_pico import fuzz
from monica.config import Settings
from monica.engine import SynthesisParams, Utterance, speak
from monica.engine.pico import engine as module
from monica.engine.pico import spec
from monica.engine.pico.engine import VOICES, PicoEngine
from monica.engine.pico.process import find_installation
from monica.errors import ConfigError, InvalidText, SynthesisFailed

pytestmark = pytest.mark.skipif(find_installation() is None, reason="Pico has no package for this system")
LONG = "Pablo vient de se faire éliminer par Rusmir, à la table deux, avec une paire de rois, puis une pause."


@pytest.fixture(scope="module")
def engine() -> PicoEngine:
    engine = PicoEngine(Settings())
    engine.load()
    return engine


def say(engine: PicoEngine, text: str, seed: int = 0) -> NDArray[np.float32]:
    return speak(engine, text, voice="monica", params=SynthesisParams(), seed=seed)


def begin(engine: PicoEngine, text: str, *, stream: bool = False) -> Utterance:
    return engine.begin(text, voice="monica", params=SynthesisParams(), seed=0, stream=stream)


def test_pico_speaks(engine: PicoEngine) -> None:
    samples = say(engine, "Pablo vient de se faire éliminer par Rusmir!")
    assert (samples.dtype.name, samples.ndim, engine.sample_rate) == ("float32", 1, 16000)
    assert 2 < len(samples) / engine.sample_rate < 5
    assert 0.1 < np.abs(samples).max() <= 1


def test_the_seed_changes_nothing(engine: PicoEngine) -> None:
    first = say(engine, "Rusmir gagne.", seed=1)
    say(engine, "Pablo perd.")
    assert np.array_equal(say(engine, "Rusmir gagne.", seed=2), first)
    assert spec.SPEC.parameters == frozenset()


@pytest.mark.parametrize("language", VOICES)
def test_every_language_has_a_voice_of_its_own(language: str) -> None:
    engine = PicoEngine(Settings(language=language))
    engine.load()
    french = PicoEngine(Settings())
    french.load()
    text = "Monica radio animal"
    assert len(say(engine, text)) > 8000
    if language != "fr":
        assert not np.array_equal(say(engine, text), say(french, text))
        assert engine.fingerprint != french.fingerprint


def test_a_language_it_does_not_speak_is_refused() -> None:
    settings = Settings(engine="pico", language="pl")
    with pytest.raises(ConfigError, match="MONICA_LANGUAGE=pl: Pico speaks fr, en, de, es, it"):
        PicoEngine(settings).load()
    assert spec.why_not(settings) == "it does not speak pl"
    assert [(finding.ok, finding.name) for finding in spec.examine(settings)] == [(False, "pico")]


def test_a_system_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_installation", lambda: None)
    monkeypatch.setattr(spec, "find_installation", lambda: None)
    with pytest.raises(ConfigError, match="not installed here"):
        PicoEngine(Settings()).load()
    assert spec.why_not(Settings()) == "it has no package for this system"


def test_a_stream_is_heard_clause_by_clause(engine: PicoEngine) -> None:
    utterance = begin(engine, LONG, stream=True)
    counts = []
    while not utterance.done:
        engine.step()
        counts.append(len(utterance.chunks))
    engine.drop(utterance)
    assert counts == [1, 2]
    assert utterance.samples is not None
    assert np.array_equal(np.concatenate(utterance.chunks), utterance.samples)
    first = utterance.chunks[0]
    quiet = int(module.PAUSE_S * engine.sample_rate)
    assert np.abs(first[-quiet:]).max() < 0.001 <= np.abs(first[: -quiet - 1]).max()
    whole = say(engine, LONG)
    assert abs(len(whole) - len(utterance.samples)) < 0.5 * engine.sample_rate


def test_a_text_of_sentences_lasts_as_long_in_pieces(engine: PicoEngine) -> None:
    """Pico begins anew after each sentence, so nothing is lost by giving it one at a time."""
    utterance = begin(engine, "Rusmir gagne le pot. Pablo est éliminé ! À vous de jouer.", stream=True)
    while not utterance.done:
        engine.step()
    engine.drop(utterance)
    assert utterance.samples is not None
    assert len(utterance.chunks) == 3
    assert engine._process is not None
    at_once = engine._process.say("Rusmir gagne le pot. Pablo est éliminé! À vous de jouer.")
    assert len(at_once) == len(utterance.samples)


def test_a_paused_text_waits_and_a_dropped_one_is_never_spoken(engine: PicoEngine) -> None:
    first, second, third = (begin(engine, text) for text in ("Un. Un. Un.", "Deux.", "Trois."))
    engine.step()
    engine.pause(first)
    assert first.paused
    engine.drop(second)
    engine.step()
    assert (first.done, second.done, third.done) == (False, False, True)
    engine.drop(third)
    engine.step()
    assert not first.done
    engine.resume(first)
    while not first.done:
        engine.step()
    engine.drop(first)
    assert first.samples is not None
    assert np.array_equal(first.samples, say(engine, "Un. Un. Un."))


@pytest.mark.parametrize("text", ["-", "\ua960", "你好", "…", "⟦⟧", "<>"])
def test_a_text_without_a_sound_is_invalid(engine: PicoEngine, text: str) -> None:
    with pytest.raises(InvalidText, match="nothing to say"):
        say(engine, text)


@pytest.mark.parametrize(
    "text", ["É" * 300, "x" * 300, "1" * 300, ")" * 300 + "a", "W" * 200, "é" * 500, "<b>gras</b>"]
)
def test_odd_texts_are_said_by_the_same_process(engine: PicoEngine, text: str) -> None:
    before = engine.pid
    assert np.isfinite(say(engine, text)).all()
    assert engine.pid == before


def test_each_step_says_a_sentence(engine: PicoEngine) -> None:
    text = "Pablo vient de se faire éliminer par Rusmir. " * 9
    utterance = begin(engine, text)
    steps = 0
    while not utterance.done:
        engine.step()
        steps += 1
    engine.drop(utterance)
    assert utterance.samples is not None
    assert steps == 9
    assert len(utterance.samples) == 9 * len(say(engine, "Pablo vient de se faire éliminer par Rusmir."))


def test_a_piece_that_pico_fails_on_is_said_in_halves(engine: PicoEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine._process is not None
    given: list[str] = []
    real = engine._process.say

    def refuse_long(text: str) -> NDArray[np.int16]:
        given.append(text)
        if len(text) > 12:
            raise SynthesisFailed("Too much.")
        return real(text)

    monkeypatch.setattr(engine._process, "say", refuse_long)
    assert len(say(engine, "Rusmir gagne le pot.")) > 8000
    assert given == ["Rusmir gagne le pot.", "Rusmir gagne", "le pot."]
    monkeypatch.setattr(engine._process, "say", lambda text: refuse_long("x" * 13))
    with pytest.raises(SynthesisFailed, match="Too much"):
        say(engine, "Oui.")


def test_a_killed_process_costs_no_text(engine: PicoEngine) -> None:
    utterance = begin(engine, "Un. Deux. Trois.")
    engine.step()
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    while not utterance.done:
        engine.step()
    engine.drop(utterance)
    assert utterance.samples is not None
    assert np.array_equal(utterance.samples, say(engine, "Un. Deux. Trois."))


def test_a_phoneme_it_lacks_is_told_once(engine: PicoEngine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        say(engine, "le ⟦xa⟧ et le ⟦xo⟧.")
        say(engine, "le ⟦xa⟧.")
    assert [r.message for r in caplog.records] == ["Pico has no phoneme x: R is said in its place"]


def test_odd_texts_neither_hang_it_nor_get_lost() -> None:
    """A few of those that `python -m benchmarks.fuzz_pico` gives it."""
    tally = fuzz(60, seed=2)
    assert (tally.wrong, tally.replaced) == ([], 0)
    assert tally.spoken > 30
    disturbed = fuzz(20, seed=3, disturb_every=5)
    assert disturbed.wrong == []
    assert disturbed.killed > 0
