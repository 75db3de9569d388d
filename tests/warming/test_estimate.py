"""What a book would take: told where it is known, and not where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monica.config import Settings
from monica.service import Service
from monica.speech import SpeechRequest
from monica.warming.estimate import ROW_BYTES, SAMPLE, TELLING, Estimate
from monica.warming.jobs import Script
from monica.warming.warmer import Warmer
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.takes import new_warmer
from tests.support.wire import until

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
WORDS = tuple(f"{a}{b}{c} relance." for a in ALPHABET for b in ALPHABET for c in ALPHABET)  # said as they are written
SOUND_S = 0.06 * len(WORDS[0])  # of the toy
BYTES = 16000 * SOUND_S + 44 + ROW_BYTES


def script(count: int) -> Script:
    return Script("liste", phrases=WORDS[:count])


@pytest.fixture
def warmer(service: Service) -> Iterator[Warmer]:
    warmer = new_warmer(service)
    warmer.start()
    yield warmer
    warmer.close()


def make(warmer: Warmer, count: int) -> None:
    job = warmer.submit(script(count))
    until(lambda: job.state.ended, 120)


def test_nothing_is_invented(warmer: Warmer, toy: ToyEngine) -> None:
    assert warmer.estimate(script(50)) == Estimate(50, 50, 0, None, None, None, None)
    make(warmer, TELLING - 1)
    few = warmer.estimate(script(50))
    assert (few.cached, few.sound_s, few.bytes, few.fits) == (TELLING - 1, None, None, None)
    assert len(toy.spoken) == TELLING - 1


def test_it_is_known_from_what_is_kept_and_from_the_pace_so_far(warmer: Warmer, service: Service) -> None:
    make(warmer, 40)
    estimate = warmer.estimate(script(100))
    assert (estimate.phrases, estimate.looked_at, estimate.cached, estimate.fits) == (100, 100, 40, True)
    assert estimate.sound_s == pytest.approx(100 * SOUND_S, rel=0.01)
    assert estimate.bytes == pytest.approx(100 * BYTES, rel=0.01)
    characters = sum(len(text) for text in WORDS[40:100])
    assert estimate.time_s == service.announcer.seconds_for(characters)
    assert estimate.time_s is not None
    assert 0 < estimate.time_s < 60


def test_what_is_kept_takes_no_time(warmer: Warmer) -> None:
    make(warmer, 5)
    estimate = warmer.estimate(script(5))
    assert (estimate.cached, estimate.time_s, estimate.fits) == (5, 0, True)
    assert estimate.sound_s == pytest.approx(5 * SOUND_S, rel=0.01)


def test_of_a_large_book_a_sample_is_looked_at(warmer: Warmer) -> None:
    make(warmer, 600)
    estimate = warmer.estimate(script(2500))
    assert (estimate.phrases, estimate.looked_at) == (2500, 834)
    assert SAMPLE / 2 < estimate.looked_at <= SAMPLE
    assert estimate.cached == pytest.approx(600, abs=3)
    assert estimate.sound_s == pytest.approx(2500 * SOUND_S, rel=0.01)
    assert estimate.bytes == pytest.approx(2500 * BYTES, rel=0.01)


def test_a_cache_that_is_too_small_is_told(tmp_path: Path, toy: ToyEngine) -> None:
    service = started(Settings(engine="espeak", cache_dir=tmp_path, cache_mb=1), toy)
    warmer = new_warmer(service)
    for text in WORDS[:20]:
        service.announcer.announce(SpeechRequest(text))
    most = int(2**20 / BYTES)
    assert [warmer.estimate(script(count)).fits for count in (most - 2, most + 2)] == [True, False]
    catalogue = service.catalogue
    catalogue.pin(catalogue.cards())
    # Pinned, and wanted.
    assert [warmer.estimate(script(count)).fits for count in (most - 2, most + 2)] == [True, False]
    others = Script("liste", phrases=WORDS[1000 : 1000 + most - 18])
    assert warmer.estimate(others).fits is False  # the pinned ones stay beside them
    service.close()


def test_takes_of_another_engine_tell_nothing(service: Service, warmer: Warmer, settings: Settings) -> None:
    make(warmer, 20)
    toy = ToyEngine()
    toy.name, toy.fingerprint = "chatterbox", "toy 2"
    other = started(replace(settings), toy)
    estimate = new_warmer(other).estimate(script(30))
    assert (estimate.cached, estimate.sound_s, estimate.bytes) == (0, None, None)
    other.close()


def test_before_the_engine_is_ready_only_the_count_is_known(settings: Settings, toy: ToyEngine) -> None:
    service = Service(settings, toy)
    assert new_warmer(service).estimate(script(30)) == Estimate(30, 30, None, None, None, None, None)
    service.close()
