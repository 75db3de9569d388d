"""Estimates of what a book would take: given if known, and never invented."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monica.config import Settings
from monica.service import Service
from monica.speech import SpeechRequest
from monica.store.phrase import OVERHEAD_BYTES
from monica.warming.estimate import MIN_KNOWN_SOUNDS, SAMPLE_SIZE, Estimate
from monica.warming.job import JobSource
from monica.warming.warmer import Warmer
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.jobs import ended
from tests.support.takes import new_warmer

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
WORDS = tuple(f"{a}{b}{c} relance." for a in ALPHABET for b in ALPHABET for c in ALPHABET)  # spoken as they are written
SOUND_S = 0.06 * len(WORDS[0])  # seconds that the toy engine speaks
BYTES = 16000 * SOUND_S + 44 + OVERHEAD_BYTES


def source(count: int) -> JobSource:
    return JobSource("liste", phrases=WORDS[:count])


def make_phrases(warmer: Warmer, count: int) -> None:
    ended(warmer.submit(source(count)))


def test_an_unknown_size_is_not_invented(warmer: Warmer, toy: ToyEngine) -> None:
    assert warmer.estimate(source(50)) == Estimate(50, 50, 0, None, None, None, None)
    make_phrases(warmer, MIN_KNOWN_SOUNDS - 1)
    few = warmer.estimate(source(50))
    assert (few.cached, few.sound_s, few.bytes, few.fits) == (MIN_KNOWN_SOUNDS - 1, None, None, None)
    assert len(toy.spoken) == MIN_KNOWN_SOUNDS - 1


def test_the_estimate_comes_from_kept_sounds_and_the_pace_so_far(warmer: Warmer, service: Service) -> None:
    make_phrases(warmer, 40)
    estimate = warmer.estimate(source(100))
    assert (estimate.phrases, estimate.looked_at, estimate.cached, estimate.fits) == (100, 100, 40, True)
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
    assert (estimate.cached, estimate.sound_s, estimate.bytes) == (0, None, None)
    other.close()


def test_only_the_count_is_known_before_the_engine_is_ready(settings: Settings, toy: ToyEngine) -> None:
    service = Service(settings, toy)
    assert new_warmer(service).estimate(source(30)) == Estimate(30, 30, None, None, None, None, None)
    service.close()
