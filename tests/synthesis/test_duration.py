"""The duration models: what they expect, how they are fitted, and how they are kept."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monica.audio.wav import encode_wav
from monica.engine import SynthesisParams
from monica.store.recipe import Recipe
from monica.synthesis.duration import (
    MAX_TOLERANCE,
    MIN_TAKES,
    MIN_TOLERANCE,
    OFFSET_S,
    PRIOR,
    SPREADS,
    DurationModel,
    Point,
    parse_script,
)
from monica.synthesis.durations import MAX_ALIKE, MAX_VOICES, NAME, DurationModels, voice_of
from tests.support.takes import recipe_of

SLOW = (0.3, 0.11, 0.6, 1.0)


def points(count: int, coefficients: tuple[float, ...] = SLOW, spread: float = 0.05, seed: int = 0) -> list[Point]:
    drawn = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        sounds, commas, stops = int(drawn.integers(5, 120)), int(drawn.integers(0, 4)), int(drawn.integers(0, 3))
        seconds = float(np.dot(coefficients, (1, sounds, commas, stops)) * np.exp(spread * drawn.standard_normal()))
        found.append(Point(sounds, commas, stops, seconds))
    return found


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("beau", (2, 0, 0)),
        ("Un, deux. Trois !", (6, 1, 1)),
        ("dit K O", (6, 0, 0)),
        ("⟦tʃip⟧ ⟦lidœ̃⟧", (8, 0, 0)),
        ("« Oui ! », dit-il.", (7, 1, 1)),
        ("牌局开始", (12, 0, 0)),
        ("", (0, 0, 0)),
        ("...", (0, 0, 0)),
    ],
)
def test_sounds_and_pauses_of_a_text(text: str, counts: tuple[int, int, int]) -> None:
    assert parse_script(text)[:3] == counts


def test_pauses_have_places() -> None:
    assert parse_script("Bon, bon. Bon.").marks == pytest.approx((1 / 3, 2 / 3))


def test_voice_with_few_takes_has_the_prior() -> None:
    assert DurationModel.fit(points(MIN_TAKES - 1)) is PRIOR


def test_model_finds_the_pace_of_the_voice() -> None:
    model = DurationModel.fit(points(200))
    assert model.coefficients == pytest.approx(SLOW, rel=0.15)
    assert model.tolerance == pytest.approx(MIN_TOLERANCE, abs=0.03)
    few = DurationModel.fit(points(MIN_TAKES))
    assert few.coefficients[1] == pytest.approx(SLOW[1], rel=0.15)
    assert few.tolerance > model.tolerance
    assert DurationModel.fit(points(200, spread=0.3)).tolerance == MAX_TOLERANCE


@pytest.mark.parametrize("count", [12, 60, 250])
def test_a_fifth_of_bad_takes_changes_little(count: int) -> None:
    bad = [each._replace(seconds=2.5 * each.seconds) if n % 5 == 0 else each for n, each in enumerate(points(count))]
    model = DurationModel.fit(bad)
    for each in points(50, spread=0, seed=1):
        expected = float(np.dot(model.coefficients, (1, *each[:3])))
        assert abs(np.log(expected / each.seconds)) < 0.15
    assert model.tolerance < np.log(2.5)


def test_one_text_said_over_and_over_is_not_all_that_a_model_knows() -> None:
    models = DurationModels()
    texts = [f"Phrase {'la ' * n}" for n in range(1, 30)]
    for text in texts:
        models.learn(recipe_of(text), 0.1 * parse_script(text).sounds)
    before = models.model(voice_of(recipe_of(texts[0]))).coefficients
    for _ in range(300):
        models.learn(recipe_of("Non !"), 3.0)
    assert models.model(voice_of(recipe_of(texts[0]))).coefficients == pytest.approx(before, rel=0.2)
    assert len(models._points[voice_of(recipe_of("Non !"))]) <= len(texts) + MAX_ALIKE


def spoken_by(voice: str, text: str) -> Recipe:
    return replace(recipe_of(text), voice_digest=voice)


def test_models_are_of_voices_and_outlast_the_process(tmp_path: Path) -> None:
    models = DurationModels(tmp_path / NAME)
    for n in range(1, 30):
        models.learn(spoken_by("slow", "la " * n), 0.3 + 0.22 * n)
        models.learn(spoken_by("fast", "la " * n), 0.1 + 0.1 * n)
    again = DurationModels(tmp_path / NAME)
    text = "la " * 20
    assert again.expect(spoken_by("slow", text)).seconds == pytest.approx(4.7, rel=0.05)
    assert again.expect(spoken_by("fast", text)).seconds == pytest.approx(2.1, rel=0.05)
    assert again.expect(spoken_by("unknown", text)) == PRIOR.expect(text)
    hasty = replace(spoken_by("fast", text), params=SynthesisParams(exaggeration=1.5))
    assert again.expect(hasty) == PRIOR.expect(text)


def test_spreads_of_a_sound() -> None:
    models = DurationModels()
    said = spoken_by("slow", "la " * 10)

    def wav(seconds: float) -> bytes:
        return encode_wav(0.1 * np.sin(np.arange(round(seconds * 8000))).astype(np.float32), 8000)

    assert models.spreads(said, wav(30)) == 0, "nothing is known of the voice yet"
    for n in range(1, 30):
        models.learn(spoken_by("slow", "la " * n), 0.3 + 0.22 * n)
    model = models.model(voice_of(said))
    assert models.spreads(said, wav(2.5)) == pytest.approx(0, abs=0.3)
    assert models.spreads(said, wav(2.5 * 1.5)) > 2.5
    assert models.spreads(said, wav(2.5 / 1.5)) < -2.5
    longest = (2.5 + OFFSET_S) * np.exp(model.tolerance) - OFFSET_S
    assert model.expect(said.said).spreads(longest) == pytest.approx(SPREADS, abs=0.3)


def test_voices_that_spoke_long_ago_are_forgotten() -> None:
    models = DurationModels()
    for n in range(MAX_VOICES + 5):
        models.learn(spoken_by(f"voice {n}", "Bonjour."), 1.0)
    assert len(models._points) == MAX_VOICES
    assert voice_of(spoken_by("voice 0", "")) not in models._points


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff", b"[]", b"{}", b'{"version": 1}', b'{"version": 1, "voices": []}', b'{"version": 2, "voices": {}}',
        b'{"version": 1, "voices": {"a": [[1, 2, 3]]}}', b'{"version": 1, "voices": {"a": [[1, 2, 3, NaN]]}}',
        b'{"version": 1, "voices": {"a": [[1, 2, 3, "x"]]}}', b'{"version": 1, "voices": {"a": [[-1, 2, 3, 1]]}}',
        b'{"version": 1, "voices": {"a": 5}}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_file_that_is_no_file_of_ours_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    models = DurationModels(tmp_path / NAME)
    assert models.expect(recipe_of("Bonjour.")) == PRIOR.expect("Bonjour.")
    models.learn(recipe_of("Bonjour."), 1.0)
    models.save()
    assert list(json.loads((tmp_path / NAME).read_text())["voices"].values()) == [
        [[*parse_script("Bonjour.")[:3], 1.0]]
    ]


def test_folder_that_cannot_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = DurationModels(tmp_path / "gone" / NAME)
    models.learn(recipe_of("Bonjour."), 1.0)
    models.save()
    assert "cannot be noted" in caplog.text


def test_two_threads_may_save_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At the end of the service, one that learns and the one that ends it."""
    models = DurationModels(tmp_path / NAME)
    models.learn(recipe_of("Bonjour."), 1.0)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(400):
            pool.submit(models.save)
    assert caplog.text == ""
    assert json.loads((tmp_path / NAME).read_text())["voices"]
