"""Which seconds of a recording are its prompt: made recordings whose best part is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from monica.cli import main
from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.espeak import EspeakEngine
from monica.errors import ConfigError
from monica.service import Service
from monica.voices.recording import read_recording, read_reference
from monica.voices.window import PROMPT_S, choose_window
from tests.conftest import started
from tests.support.engines import CloningToy
from tests.support.recordings import encoded
from tests.support.sounds import Sound, noise, silence, sine

RATE = 22_050
PHRASES = (
    "Bonsoir à tous, et bienvenue à la finale du tournoi.",
    "Les blindes montent à mille, deux mille.",
    "Rusmir relance, Pablo suit, et Nadia passe.",
    "La pause est terminée, merci de regagner vos places.",
    "Le leader est assis à la table numéro sept.",
)


@cache
def interview() -> Sound:
    """Return good speech of about 26 s."""
    engine = EspeakEngine(Settings())
    engine.load()
    parts = []
    for text in PHRASES * 2:
        said = speak(engine, text, voice="", params=SynthesisParams(), seed=0)
        loud = np.flatnonzero(np.abs(said) > 0.01)
        parts += [said[loud[0] : loud[-1]], silence(0.4, RATE)]
    sound = np.concatenate(parts)
    sound = sound / np.abs(sound).max() * 0.5 + noise(len(sound) / RATE, RATE, 0.0005)[: len(sound)]
    return np.asarray(sound, np.float32)


def music(seconds: float, level: float = 0.3) -> Sound:
    """Return chords that are struck twice a second and ring off."""
    random = np.random.default_rng(1)
    time = np.arange(RATE // 2) / RATE
    chords = []
    for _ in range(int(2 * seconds)):
        notes = random.choice([220, 247, 262, 294, 330, 392], 3, replace=False)
        chords.append(sum(np.sin(2 * np.pi * f * h * time) / h for f in notes for h in (1, 2, 3)) * np.exp(-2 * time))
    sound = np.concatenate(chords)
    return np.asarray(level * sound / np.abs(sound).max(), np.float32)


def noisy(seconds: float) -> Sound:
    """Return the speech beside a fan."""
    return interview()[: int(seconds * RATE)] + noise(seconds, RATE, 0.05)[: int(seconds * RATE)]


def clipped(seconds: float) -> Sound:
    """Return the speech as an overdriven input makes it, made quieter afterwards."""
    return 0.6 * np.clip(8 * interview()[: int(seconds * RATE)], -0.5, 0.5)


@pytest.mark.parametrize(
    ("bad", "quiet"),
    [
        (noise(12, RATE, 0.1), False),
        (silence(8, RATE), True),
        (clipped(13), False),
        (music(13), False),
        (music(13, 0.9), False),
        (sine(440, 13, RATE), False),
        (noisy(13), False),
        (0.06 * interview()[: 13 * RATE], True),
        (np.concatenate([interview()[: 4 * RATE], silence(5, RATE)]), True),
    ],
    ids=["noise", "silence", "clipped", "music", "loud music", "tone", "noisy speech", "far speech", "a long pause"],
)
def test_what_is_bad_at_the_beginning_is_left_out(bad: Sound, quiet: bool) -> None:
    sound = np.concatenate([bad, interview()]).astype(np.float32)
    window = choose_window(sound, RATE)
    assert window.chosen == "signal"
    # It begins in the good speech, in a pause; that may be one the bad part ends with.
    begins = len(bad) / RATE
    assert window.start_s >= begins - (0.3 if quiet else 0.0)
    around = sound[int((window.start_s - 0.02) * RATE) :][: RATE // 25]
    assert np.abs(around).max() < 0.01
    assert 6.0 <= window.end_s - window.start_s <= PROMPT_S
    assert window.speech > 0.8
    assert window.above_noise_db > 35


def test_it_ends_where_a_phrase_does_and_is_whole_tokens_long() -> None:
    speech = interview()
    window = choose_window(np.concatenate([noise(12, RATE), speech]), RATE)
    after = speech[int((window.end_s - 12) * RATE) :][: RATE // 10]
    assert np.abs(after).max() < 0.02
    assert (window.end_s - window.start_s) / 0.04 == pytest.approx(round((window.end_s - window.start_s) / 0.04))


@pytest.mark.parametrize("seconds", [1.0, 4.0, 7.0, 10.0, 26.0])
def test_good_speech_keeps_its_first_seconds(seconds: float) -> None:
    speech = interview()[: int(seconds * RATE)]
    window = choose_window(speech, RATE)
    assert (window.chosen, window.start_s) == ("first", 0.0)
    assert window.end_s == pytest.approx(min(PROMPT_S, len(speech) / RATE))


@pytest.mark.parametrize("sound", [noise(25, RATE), music(25), silence(25, RATE), sine(200, 25, RATE)])
def test_first_seconds_are_kept_if_nothing_is_better(sound: Sound) -> None:
    assert choose_window(sound, RATE).chosen == "first"


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_any_sample_rate(rate: int) -> None:
    speech = interview()
    sound = np.concatenate([noise(12, RATE), speech])
    at = np.arange(int(len(sound) * rate / RATE)) * RATE / rate
    window = choose_window(np.interp(at, np.arange(len(sound)), sound).astype(np.float32), rate)
    assert window.start_s >= 12
    assert window.chosen == "signal"


def test_setting_decides() -> None:
    speech = interview()
    window = choose_window(speech, RATE, 3.5)
    assert (window.start_s, window.end_s, window.chosen) == (3.5, 13.5, "setting")
    assert choose_window(speech[: 9 * RATE], RATE, 3.5).end_s == pytest.approx(9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "monica.wav"
    path.write_bytes(encoded(np.concatenate([noise(12, RATE), interview()]), RATE))
    return path


def test_key_follows_the_prompt_and_stays_where_it_begins_as_before(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        chosen = read_recording(path, 120, "voice anna")
    assert chosen.prompt_start_s >= 12
    assert f"voice anna: its prompt is {chosen.prompt_start_s:.1f} s to" in caplog.text
    digests = {read_reference(path, 120, start).digest for start in (None, 0.0, 13.0, 20.0)}
    assert len(digests) == 4
    # What was kept under the samples alone is still found if the first seconds are the prompt.
    good = tmp_path / "good.wav"
    good.write_bytes(encoded(interview(), RATE))
    assert read_reference(good, 120).digest == read_reference(good, 120, 0.0).digest
    assert read_reference(path, 12.5).digest == read_reference(path, 12.5, 0.0).digest


def test_setting_beyond_the_recording_says_so(path: Path) -> None:
    seconds = soundfile.info(path).duration
    for start in (seconds - 0.5, 500.0):
        with pytest.raises(
            ConfigError, match=r"REFERENCE_AUDIO=.*: Only \d+\.\d s of it are used: MONICA_REFERENCE_START_S"
        ):
            read_reference(path, 120, start)
    assert read_reference(path, 120, seconds - 2).prompt_start_s == seconds - 2


@pytest.fixture
def cloning(path: Path, tmp_path: Path) -> Settings:
    (tmp_path / "voices").mkdir()
    return Settings(
        engine="chatterbox",
        reference_audio=path,
        reference_start_s=13.0,
        voices_dir=tmp_path / "voices",
        voice_uploads=True,
        api_key="secret",
        cache_dir=tmp_path / "cache",
    )


class HearingToy(CloningToy):
    """Notes which seconds of each recording it heard."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[float] = []

    def make_conditionals(self, reference: object) -> bytes:
        self.prompts.append(reference.prompt_start_s)  # type: ignore[attr-defined]
        return super().make_conditionals(reference)  # type: ignore[arg-type]


@pytest.fixture
def services() -> Iterator[list[Service]]:
    services: list[Service] = []
    yield services
    for service in services:
        service.close()


def test_setting_is_about_reference_audio_and_uploads_are_chosen_by_signal(
    cloning: Settings, path: Path, services: list[Service]
) -> None:
    toy = HearingToy()
    services.append(started(cloning, toy))
    with path.open("rb") as upload:
        services[0].uploads.add("anna", upload)
    voices = services[0]._loader.voices
    assert toy.prompts[0] == 13.0
    assert toy.prompts[1] > 13.0
    assert voices["monica"] != voices["anna"]
    services[0].close()
    again = HearingToy()
    services.append(started(cloning, again))
    assert services[1]._loader.voices == voices
    assert again.prompts == []  # all kept under the same keys
    other = HearingToy()
    services.append(started(replace(cloning, reference_start_s=None), other))
    assert services[2]._loader.voices["monica"] == voices["anna"]
    assert other.prompts == []  # anna's conditionals are those of the same seconds


def test_doctor_tells_it(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = CloningToy()
    toy.name = "espeak"  # whose own checks need nothing
    monkeypatch.setattr("monica.cli.doctor.choose_engine", lambda settings: toy)
    environment = {
        "MONICA_CACHE_DIR": str(tmp_path / "cache"),
        "REFERENCE_AUDIO": str(path),
        "MONICA_REFERENCE_START_S": "14",
    }
    said = CliRunner(env=environment).invoke(main, ["doctor"]).output
    assert "its prompt is 14.0 s to 24.0 s (as MONICA_REFERENCE_START_S asks: " in said
