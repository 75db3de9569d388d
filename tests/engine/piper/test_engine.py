"""Piper behind the Engine protocol: with a toy voice, which is quick, and with a real one where its sound matters."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine import SynthesisParams, has_speakers, speak
from monica.engine.piper import spec
from monica.engine.piper.engine import PAUSE_S, PiperEngine
from monica.errors import ConfigError, InvalidText
from monica.synthesis.fallback import Fallback
from monica.voices.registry import VoiceRegistry
from tests.support.kept import server_store

from .toy_voice import RATE, SYMBOLS, write_voice

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def engine(toy_voice: Path, tmp_path_factory: pytest.TempPathFactory) -> PiperEngine:
    engine = PiperEngine(Settings(piper_voice=str(toy_voice), cache_dir=tmp_path_factory.mktemp("cache")))
    engine.load()
    return engine


def say(engine: PiperEngine, text: str, seed: int = 0, voice: str = "") -> NDArray[np.float32]:
    return speak(engine, text, voice=voice, params=SynthesisParams(), seed=seed)


def test_it_speaks_at_the_rate_of_its_voice(engine: PiperEngine) -> None:
    samples = say(engine, "Rusmir gagne.")
    assert (samples.dtype.name, samples.ndim, engine.sample_rate) == ("float32", 1, RATE)
    assert 0.05 < np.abs(samples).max() <= 1
    assert engine.model == "Piper toy, licence of its recordings: CC0"


def test_a_seed_decides_the_sound(engine: PiperEngine, toy_voice: Path, tmp_path: Path) -> None:
    text = "Rusmir gagne. Pablo perd."
    first = say(engine, text, seed=7)
    say(engine, "Une autre phrase.", seed=3)
    assert np.array_equal(say(engine, text, seed=7), first)
    assert not np.array_equal(say(engine, text, seed=8), first)
    other = PiperEngine(Settings(piper_voice=str(toy_voice), cache_dir=tmp_path))
    other.load()
    assert (other.fingerprint, say(other, text, seed=7).tobytes()) == (engine.fingerprint, first.tobytes())


def test_threads_do_not_mix_their_sound(engine: PiperEngine) -> None:
    assert engine._model is not None
    model, ids = engine._model, [list(range(1, 10 + n)) for n in range(12)]

    def one(numbers: list[int]) -> bytes:
        return model.say(numbers, 0, (0.5, 1.0, 0.5), np.random.default_rng(len(numbers))).tobytes()

    alone = [one(numbers) for numbers in ids]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, ids)) == alone


def test_a_stream_is_heard_clause_by_clause(engine: PiperEngine) -> None:
    text = (
        "Pablo vient de se faire éliminer par Rusmir, à la table deux, avec une paire de rois, puis vient une pause, "
    )
    text += "et la partie reprend dans une petite heure."
    utterance = engine.begin(text, voice="", params=SynthesisParams(), seed=1, stream=True)
    counts = []
    while not utterance.done:
        engine.step()
        counts.append(len(utterance.chunks))
    engine.drop(utterance)
    assert counts == [1, 2]
    assert utterance.samples is not None
    assert np.array_equal(np.concatenate(utterance.chunks), utterance.samples)


def test_sentences_are_said_one_at_a_time_with_a_pause(engine: PiperEngine) -> None:
    utterance = engine.begin("Un. Deux. Trois.", voice="", params=SynthesisParams(), seed=1)
    steps = 0
    while not utterance.done:
        engine.step()
        steps += 1
    engine.drop(utterance)
    assert steps == 3
    assert utterance.samples is not None
    quiet = (utterance.samples == 0).sum()
    assert quiet >= 2 * int(PAUSE_S * RATE)


@pytest.mark.parametrize("text", ["-", "…", "⟦⟧", "()", "\ua960"])
def test_a_text_without_a_sound_is_invalid(engine: PiperEngine, text: str) -> None:
    with pytest.raises(InvalidText, match="nothing to say that Piper knows"):
        say(engine, text)


@pytest.mark.parametrize("text", ["x" * 300, "1" * 300, "é" * 5000, "oui " * 1250, "你好", "<b>gras</b>", "[[h@loU]]"])
def test_odd_texts_are_said(engine: PiperEngine, text: str) -> None:
    assert np.isfinite(say(engine, text)).all()


def test_speakers_are_voices(tmp_path: Path) -> None:
    write_voice(tmp_path, speakers={"Jessica": 0, "Pierre": 1, "d'Artagnan": 2})
    engine = PiperEngine(Settings(piper_voice=str(tmp_path), cache_dir=tmp_path / "cache"))
    assert has_speakers(engine)
    assert engine.speakers == {}
    engine.load()
    registry = VoiceRegistry(Settings(), server_store(Settings(cache_dir=tmp_path)))
    registry.make_speakable(engine, lambda: None)
    assert sorted(registry.digests) == ["monica", "pierre"]
    assert registry.licenses == {"monica": "CC0", "pierre": "CC0"}
    first, pierre = (say(engine, "Bonjour.", voice=registry.digests[name]) for name in ("monica", "pierre"))
    assert np.allclose(pierre - first, 0.004, atol=1e-5)
    assert np.array_equal(say(engine, "Bonjour."), first)


def config(**changes: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / "toy.onnx.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "toy.onnx").unlink(), "holds 0 voices"),
        (lambda folder: (folder / "other.onnx").write_bytes(b""), "holds 2 voices"),
        (lambda folder: (folder / "toy.onnx.json").unlink(), "lacks toy.onnx.json"),
        (lambda folder: (folder / "toy.onnx.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "toy.onnx.json").write_text("[]"), "is not the configuration of a Piper voice"),
        (config(phoneme_id_map={"a": [1]}), "'\\^' is missing"),
        (config(audio={"sample_rate": 3}), "its sample rate is 3"),
        (config(phoneme_type="text"), "reads text instead of"),
        (config(espeak={"voice": "en-us"}), "toy speaks en, and MONICA_LANGUAGE is fr"),
        (config(espeak={"voice": "fr-x-elf"}), "espeak-ng has no voice fr-x-elf"),
        (lambda folder: (folder / "toy.onnx").write_bytes(b"no model"), "is not a model of Piper"),
        (lambda folder: (folder / "toy.onnx").write_bytes(b""), "is not a model of Piper"),
    ],
)
def test_a_broken_voice_is_refused_in_one_sentence(tmp_path: Path, change: Change, message: str) -> None:
    write_voice(tmp_path)
    change(tmp_path)
    settings = Settings(piper_voice=str(tmp_path), cache_dir=tmp_path / "cache")
    with pytest.raises(ConfigError, match=message) as caught:
        PiperEngine(settings).load()
    assert "\n" not in str(caught.value)
    assert [(finding.ok, finding.name) for finding in spec.examine(settings)] == [(False, "piper")]


def test_a_voice_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"MONICA_PIPER_VOICE='fr_FR-nobody' is neither a folder nor one of fr_FR-si"):
        PiperEngine(Settings(piper_voice="fr_FR-nobody", cache_dir=tmp_path)).load()


def test_a_cache_that_cannot_be_written_is_reported(toy_voice: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        PiperEngine(Settings(piper_voice=str(toy_voice), cache_dir=tmp_path / "file")).load()


def test_why_it_is_passed_over(
    engine: PiperEngine, toy_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(piper_voice=str(toy_voice))
    assert spec.why_not(settings) is None
    assert spec.why_not(replace(settings, language="en")) == "toy speaks fr, and MONICA_LANGUAGE is en"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert spec.why_not(Settings()) == "fr_FR-siwis-medium is not downloaded (for a better voice: monica prefetch)"
    monkeypatch.setattr(spec, "installed", lambda: False)
    assert spec.why_not(settings) == (
        "it is not installed (for a better voice: make install EXTRA=piper, then monica prefetch)"
    )
    assert [finding.advice for finding in spec.examine(settings)] == ["Install it: make install EXTRA=piper"]


def test_it_may_stand_in(toy_voice: Path, tmp_path: Path) -> None:
    fallback = Fallback("piper", Settings(piper_voice=str(toy_voice), cache_dir=tmp_path))
    first = fallback.speak_sentences(["Rusmir gagne.", "Pablo perd."], [0, 0.1, 0])
    assert soundfile.read(io.BytesIO(first))[1] == RATE
    assert fallback.speak_sentences(["Rusmir gagne.", "Pablo perd."], [0, 0.1, 0]) == first
    with pytest.raises(ConfigError, match="speaks fr, and MONICA_LANGUAGE is en"):
        Fallback("piper", Settings(piper_voice=str(toy_voice), cache_dir=tmp_path, language="en"))


def test_doctor_shows_the_licence(toy_voice: Path, tmp_path: Path) -> None:
    (finding,) = spec.examine(Settings(piper_voice=str(toy_voice), cache_dir=tmp_path))
    assert finding.ok
    assert "licence of its recordings: CC0 says « Bonjour » in" in finding.detail
    assert len(SYMBOLS) == len(set(SYMBOLS))
