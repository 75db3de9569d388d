"""Estimates of what a book would take: what was measured, and first guesses that say that they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monica.config import Settings
from monica.engine.registry import engine_spec
from monica.service import Service
from monica.speech import SpeechRequest
from monica.store.phrase import OVERHEAD_BYTES
from monica.warming.estimate import MIN_KNOWN_SOUNDS, SAMPLE_SIZE
from monica.warming.job import JobSource
from monica.warming.warmer import Warmer
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.jobs import ended
from tests.support.takes import new_warmer
from tests.support.wire import until

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
WORDS = tuple(f"{a}{b}{c} relance." for a in ALPHABET for b in ALPHABET for c in ALPHABET)  # spoken as they are written
SOUND_S = 0.06 * len(WORDS[0])  # seconds that the toy engine speaks
BYTES = 16000 * SOUND_S + 44 + OVERHEAD_BYTES


def source(count: int) -> JobSource:
    return JobSource("liste", phrases=WORDS[:count])


def make_phrases(warmer: Warmer, count: int) -> None:
    ended(warmer.submit(source(count)))


def test_what_was_not_measured_yet_is_a_first_guess(warmer: Warmer, toy: ToyEngine) -> None:
    estimate = warmer.estimate(source(50))
    assert (estimate.cached, estimate.fits, estimate.measured) == (0, True, False)
    assert estimate.sound_s == pytest.approx(50 * SOUND_S, rel=0.5)  # of a voice that no one has heard yet
    assert estimate.bytes == pytest.approx(16000 * estimate.sound_s + 50 * OVERHEAD_BYTES, rel=0.01)
    assert estimate.time_s == pytest.approx(engine_spec("espeak").work_per_sound["cpu"] * estimate.sound_s)
    make_phrases(warmer, MIN_KNOWN_SOUNDS - 1)
    few = warmer.estimate(source(50))
    assert (few.cached, few.measured) == (MIN_KNOWN_SOUNDS - 1, False)
    assert len(toy.spoken) == MIN_KNOWN_SOUNDS - 1


def test_the_estimate_comes_from_kept_sounds_and_the_pace_so_far(
    warmer: Warmer, service: Service, toy: ToyEngine
) -> None:
    toy.gate.clear()
    job = warmer.submit(source(40))
    until(lambda: service.health.report()["queue_depth"] > 0)  # the pace is measured while takes wait
    toy.gate.set()
    ended(job)
    estimate = warmer.estimate(source(100))
    assert (estimate.phrases, estimate.looked_at, estimate.cached, estimate.fits) == (100, 100, 40, True)
    assert estimate.measured
    assert estimate.sound_s == pytest.approx(100 * SOUND_S, rel=0.01)
    assert estimate.bytes == pytest.approx(100 * BYTES, rel=0.01)
    characters = sum(len(text) for text in WORDS[40:100])
    assert estimate.time_s == service.announcer.seconds_for(characters)
    assert estimate.time_s is not None
    assert 0 < estimate.time_s < 60


def test_kept_phrases_take_no_time(warmer: Warmer) -> None:
    make_phrases(warmer, 5)
    estimate = warmer.estimate(source(5))
    assert (estimate.cached, estimate.time_s, estimate.fits) == (5, 0, True)
    assert estimate.measured
    assert estimate.sound_s == pytest.approx(5 * SOUND_S, rel=0.01)


def test_only_a_sample_of_a_large_book_is_looked_up(warmer: Warmer) -> None:
    make_phrases(warmer, 600)
    estimate = warmer.estimate(source(2500))
    assert (estimate.phrases, estimate.looked_at) == (2500, 834)
    assert SAMPLE_SIZE / 2 < estimate.looked_at <= SAMPLE_SIZE
    assert estimate.cached == pytest.approx(600, abs=3)
    assert estimate.sound_s == pytest.approx(2500 * SOUND_S, rel=0.01)
    assert estimate.bytes == pytest.approx(2500 * BYTES, rel=0.01)


def test_a_cache_that_is_too_small_is_reported(tmp_path: Path, toy: ToyEngine) -> None:
    service = started(Settings(engine="espeak", cache_dir=tmp_path, cache_mb=1), toy)
    warmer = new_warmer(service)
    for text in WORDS[:20]:
        service.announcer.announce(SpeechRequest(text))
    most = int(2**20 / BYTES)
    assert [warmer.estimate(source(count)).fits for count in (most - 2, most + 2)] == [True, False]
    catalogue = service.catalogue
    catalogue.pin(catalogue.phrases())
    # Pinned phrases that the book wants too are not counted twice.
    assert [warmer.estimate(source(count)).fits for count in (most - 2, most + 2)] == [True, False]
    others = JobSource("liste", phrases=WORDS[1000 : 1000 + most - 18])
    assert warmer.estimate(others).fits is False  # the pinned phrases need room beside them
    service.close()


def test_takes_of_another_engine_are_not_used(service: Service, warmer: Warmer, settings: Settings) -> None:
    make_phrases(warmer, 20)
    toy = ToyEngine()
    toy.name, toy.fingerprint = "chatterbox", "toy 2"
    other = started(replace(settings), toy)
    estimate = new_warmer(other).estimate(source(30))
    assert (estimate.cached, estimate.measured) == (0, False)
    other.close()


def test_before_the_engine_is_ready_no_one_knows_what_is_kept(settings: Settings, toy: ToyEngine) -> None:
    service = Service(settings, toy)
    estimate = new_warmer(service).estimate(source(30))
    assert (estimate.phrases, estimate.cached, estimate.measured) == (30, None, False)
    assert estimate.sound_s == pytest.approx(30 * SOUND_S, rel=0.5)
    assert estimate.time_s == pytest.approx(engine_spec("espeak").work_per_sound["cpu"] * estimate.sound_s)
    service.close()


def test_time_is_not_known_until_the_engine_is_chosen(settings: Settings) -> None:
    service = Service(replace(settings, engine="auto"))
    assert new_warmer(service).estimate(source(30)).time_s is None
    service.close()
