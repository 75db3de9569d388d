from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from monica.config import LANGUAGES, Settings
from monica.engine import SynthesisParams, speak
from monica.engine.espeak import EspeakEngine
from monica.errors import InvalidText


@pytest.fixture(scope="module")
def engine() -> EspeakEngine:
    engine = EspeakEngine(Settings())
    engine.load()
    return engine


def say(engine: EspeakEngine, text: str, seed: int = 0) -> NDArray[np.float32]:
    return speak(engine, text, voice="monica", params=SynthesisParams(), seed=seed)


def test_espeak_speaks(engine: EspeakEngine) -> None:
    samples = say(engine, "Pablo vient de se faire éliminer par Rusmir!")
    assert (samples.dtype.name, samples.ndim, engine.sample_rate) == ("float32", 1, 22050)
    assert 1.5 < len(samples) / engine.sample_rate < 5
    assert 0.1 < np.abs(samples).max() <= 1


def test_espeak_speaks_french(engine: EspeakEngine) -> None:
    english = EspeakEngine(Settings(language="en"))
    english.load()
    in_english = say(english, "Pablo vient de se faire éliminer.")
    engine.load()
    in_french = say(engine, "Pablo vient de se faire éliminer.")
    assert len(in_french) != len(in_english)
    assert not np.array_equal(in_french, say(engine, "Rusmir vient de se faire éliminer."))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_voice(language: str) -> None:
    engine = EspeakEngine(Settings(language=language))
    engine.load()
    assert len(say(engine, "1 2 3")) > 5000


def test_threads_do_not_mix_their_sound(engine: EspeakEngine) -> None:
    engine.load()
    texts = ["oui " * (1 + n) for n in range(24)]
    alone = [len(say(engine, text)) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: len(say(EspeakEngine(Settings()), text)), texts))
    assert together == alone
    assert min(b - a for a, b in itertools.pairwise(alone)) > 200


def test_equal_texts_give_equal_samples_whatever_was_said_before(engine: EspeakEngine) -> None:
    """The library keeps the phase of its oscillators from text to text."""
    first = say(engine, "Rusmir gagne la main.", seed=7)
    for other in ("Oui.", "Les jeux sont faits, rien ne va plus."):
        say(engine, other)
        assert np.array_equal(say(engine, "Rusmir gagne la main.", seed=8), first)


def test_it_speaks_at_an_announcers_pace(engine: EspeakEngine) -> None:
    text = "Pablo vient de se faire éliminer par Rusmir, à la table deux."
    assert 15 < len(text) / (len(say(engine, text)) / engine.sample_rate) < 20


def test_a_paused_text_waits_and_a_dropped_one_is_never_spoken(engine: EspeakEngine) -> None:
    first, second, third = (
        engine.begin(text, voice="monica", params=SynthesisParams(), seed=0) for text in ("Un.", "Deux.", "Trois.")
    )
    engine.pause(first)
    engine.drop(second)
    engine.step()
    assert (first.done, second.done, third.done) == (False, False, True)
    engine.step()
    assert not first.done
    engine.resume(first)
    engine.step()
    assert first.done
    engine.drop(first)


@pytest.mark.parametrize("text", ["x" * 5000, "é" * 500, "a b " * 1000, "مرحبا", "你好", "<b>gras</b>", "[[h@loU]]"])
def test_odd_texts(engine: EspeakEngine, text: str) -> None:
    assert np.isfinite(say(engine, text)).all()


@pytest.mark.parametrize("text", ["-", "\ua960", "\u0301"])
def test_a_text_without_a_sound_is_invalid(engine: EspeakEngine, text: str) -> None:
    """For example letters of Old Korean, or a mark without a letter: neither silence nor a failure of the engine."""
    with pytest.raises(InvalidText, match="nothing to say"):
        say(engine, text)
