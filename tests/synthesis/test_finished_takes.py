"""The finish of takes: applied once to each, whichever voice speaks, as the settings say."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from prometheus_client import REGISTRY

from monica.audio.level import amplitude_ratio, integrated_loudness
from monica.audio.peaks import true_peaks
from monica.audio.silence import AFTER_S, BEFORE_S
from monica.audio.wav import to_pcm
from monica.config import Settings
from monica.errors import ConfigError, ModelUnavailable, SynthesisFailed
from monica.service import Service
from monica.speech import SpeechRequest
from monica.synthesis.loader import WARM_UP_TEXT
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.sounds import Sound, noise, silence, sine

OFF: dict[str, Any] = {"loudness": None, "peak": None, "trim": False}
PAGE = " ".join(f"La phrase numéro {n} de la page est assez longue pour être dite toute seule." for n in range(5))

Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    services = []

    def start(engine: ToyEngine | None = None, **settings: Any) -> Service:
        made = Settings(engine="espeak", cache_dir=tmp_path / "cache")
        services.append(started(replace(made, **settings), engine))
        return services[-1]

    yield start
    for service in services:
        service.close()


def hear(wav: bytes) -> tuple[Sound, int]:
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    return samples, rate


@pytest.mark.parametrize("text", ["Tapis !", "Pablo vient de se faire éliminer par Rusmir !", PAGE])
def test_take_has_the_wanted_loudness_and_peak_and_is_trimmed(start: Start, text: str) -> None:
    samples, rate = hear(start().announcer.announce(SpeechRequest(text)).wav)
    assert integrated_loudness(samples, rate) == pytest.approx(-16, abs=0.5)
    assert true_peaks(samples).max() <= amplitude_ratio(-1) * 1.01
    quiet = np.abs(samples[::-1]) < 1e-3
    assert np.argmin(quiet) / rate < AFTER_S + 0.05


@pytest.mark.parametrize(
    ("settings", "level", "peak"),
    [({"loudness": -23.0, "trim": False}, -23.0, -1), ({"peak": -6.5, "loudness": -20.0}, -20.0, -6.5)],
)
def test_settings_of_level_and_peak_apply(start: Start, settings: dict[str, Any], level: float, peak: float) -> None:
    samples, rate = hear(start(**settings).announcer.announce(SpeechRequest("Tapis de Rusmir !")).wav)
    assert integrated_loudness(samples, rate) == pytest.approx(level, abs=0.5)
    assert true_peaks(samples).max() <= amplitude_ratio(peak) * 1.01


def test_all_off_leaves_the_sound_of_the_engine(start: Start) -> None:
    toy = ToyEngine()
    samples, _ = hear(start(toy, **OFF).announcer.announce(SpeechRequest("Tapis !", seed=0)).wav)
    np.testing.assert_allclose(samples, 0.1 * np.sin(np.arange(len(samples)) / 10), atol=1e-4)


def test_different_finish_makes_a_different_take(start: Start, tmp_path: Path) -> None:
    request = SpeechRequest("Tapis !", seed=1)
    keys, noted = set(), set()
    changes: tuple[dict[str, Any], ...] = ({}, OFF, {"loudness": -18.0}, {"peak": -2.0}, {"trim": False})
    for settings in changes:
        said = start(ToyEngine(), **settings).announcer.announce(request)
        assert said.source == "miss"
        keys.add(said.key)
        noted.add(json.loads((tmp_path / "cache" / "identity.json").read_bytes())["audio"])
    assert len(keys) == len(noted) == 5
    again = start(ToyEngine())
    assert again.announcer.announce(request).source == "hit"
    (card,) = [card for card in again.catalogue.phrases() if card.key == again.announcer.key_of(request)]
    assert json.loads(card.metadata_json)["audio"] == again._loader.finisher.version


def test_take_is_finished_once_and_a_hit_is_not(start: Start) -> None:
    def finished() -> float:
        labels = {"stage": "finish"}
        return REGISTRY.get_sample_value("monica_stage_duration_seconds_count", labels) or 0.0

    service = start(ToyEngine())
    before = finished()
    for _ in range(3):
        service.announcer.announce(SpeechRequest("Tapis !"))
    assert finished() == before + 1


def test_embedded_voice_that_stands_in_is_as_loud(start: Start) -> None:
    toy = ToyEngine()
    toy.name = "chatterbox"
    toy.fail_with = ModelUnavailable("away")
    service = start(toy, fallback="espeak")
    toy.fail_with = RuntimeError("away")
    for _ in range(2):
        said = service.announcer.announce(SpeechRequest("Tapis de Rusmir !"))
        assert said.engine == "espeak"
        samples, rate = hear(said.wav)
        assert integrated_loudness(samples, rate) == pytest.approx(-16, abs=0.3)


class StreamingToy(ToyEngine):
    """Speaks in chunks. Its first attempt fails after one that is too short for anything of it to be published."""

    sound = np.concatenate([silence(0.5, 8000), sine(300, 2, 8000, 0.05), silence(0.5, 8000)])

    def step(self) -> None:
        for utterance in self.utterances:
            if utterance.text == WARM_UP_TEXT:
                super().step()
            elif len(self.seeds) == 1:
                if utterance.chunks:
                    utterance.error = SynthesisFailed("It broke.")
                else:
                    utterance.chunks.append(noise(0.2, 8000, 0.5))
            else:
                chunks = np.array_split(self.sound, 8)
                utterance.chunks.append(chunks[len(utterance.chunks)])
                if len(utterance.chunks) == len(chunks):
                    utterance.samples = self.sound


def test_streamed_take_is_finished_too(start: Start) -> None:
    """Its first attempt failed before any of it was published. The second one is kept as it was published."""
    toy = StreamingToy()
    service = start(toy)
    rate = toy.sample_rate
    stream = service.announcer.stream(SpeechRequest("Tapis de Rusmir !"))
    heard = list(stream.chunks)
    assert len(toy.seeds) == 2
    assert len(heard) > 1
    assert stream.key is not None
    wav = service.announcer.kept(stream.key)
    assert wav is not None
    assert wav.endswith(b"".join(heard))
    finished, _ = hear(wav)
    alone = service._loader.finisher.start_stream(rate).finish_chunk(toy.sound, True)
    np.testing.assert_array_equal(finished, to_pcm(alone) / np.float32(32768))
    assert integrated_loudness(finished, rate) == pytest.approx(-16, abs=1)
    assert len(finished) / rate == pytest.approx(2 + BEFORE_S + AFTER_S, abs=0.02)


def test_finisher_warms_up_before_the_model_is_loaded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    toy = ToyEngine()
    monkeypatch.setattr("monica.audio.finish.Finisher.warm_up", lambda _: order.append("finish"))
    monkeypatch.setattr(toy, "load", lambda: order.append("model"))
    start(toy)
    assert order == ["finish", "model"]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for field in fields(Settings):
        monkeypatch.delenv(field.metadata["name"], raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MONICA_LOUDNESS", "loud", "Must be -40 to -6 (LUFS), or off."),
        ("MONICA_LOUDNESS", "16", "Must be -40 to -6 (LUFS), or off."),
        ("MONICA_LOUDNESS", "-41", "Must be -40 to -6 (LUFS), or off."),
        ("MONICA_LOUDNESS", "nan", "Must be -40 to -6 (LUFS), or off."),
        ("MONICA_LOUDNESS", "-16,5", "Must be -40 to -6 (LUFS), or off."),
        ("MONICA_PEAK", "1", "Must be -20 to 0 (dBTP), or off."),
        ("MONICA_PEAK", "none", "Must be -20 to 0 (dBTP), or off."),
        ("MONICA_TRIM", "yes", "Must be one of: on, off."),
    ],
)
def test_wrong_level_stops_the_start(environment: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        Settings.from_env()
    assert str(caught.value) == f"{name}={value!r}: {says}"


def test_levels_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MONICA_LOUDNESS", "-18.5")
    environment.setenv("MONICA_PEAK", "off")
    environment.setenv("MONICA_TRIM", "off")
    settings = Settings.from_env()
    assert (settings.loudness, settings.peak, settings.trim) == (-18.5, None, False)
