"""One run of a job with a toy engine: what is made, skipped, retried, listed as failed, and given up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from monica.config import Settings
from monica.engine import SynthesisParams, Utterance
from monica.errors import DeadlineExceeded, MonicaError, NotReady, Overloaded, SynthesisFailed
from monica.service import Service
from monica.speech import Announcement, SpeechRequest
from monica.synthesis.take import Lane, WaitFor
from monica.warming import job_run
from monica.warming.job import MAX_FAILURES, Job, JobSource, State
from monica.warming.job_run import MAX_UNKEPT, JobRun, Rate
from monica.warming.making import SPARE_WORKERS
from monica.warming.warmer import Warmer
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.jobs import NAMES, PAIRS, counts, ended, texts
from tests.support.takes import new_warmer
from tests.support.wire import until

BOOK = """
[rosters]
players = ["Ana", "Bo", "Chloé"]

[[phrases]]
text = ["{player} relance.", "Ana relance."]
player = "players"

[[phrases]]
priority = 5
text = "Le tournoi commence."
"""


def test_every_phrase_is_made_once_and_is_then_a_hit(warmer: Warmer, service: Service, toy: ToyEngine) -> None:
    job = ended(warmer.submit(texts(*PAIRS)))
    assert (job.state, counts(job), job.failures, job.reason) == (State.DONE, (0, 90, 0, 0), [], None)
    assert sorted(toy.spoken) == sorted(PAIRS)
    assert {service.announcer.announce(SpeechRequest(text)).source for text in PAIRS} == {"hit"}
    assert job.created <= (job.started or 0) <= (job.ended or 0)


def test_a_book_is_made_by_priority_and_duplicates_once(warmer: Warmer, toy: ToyEngine) -> None:
    job = warmer.submit(JobSource("tournoi.toml", book=BOOK))
    ended(job)
    assert (job.total, counts(job)) == (4, (0, 4, 0, 0))
    # Several workers make phrases, and may overtake each other by that many.
    assert "Le tournoi commence." in toy.spoken[: 1 + SPARE_WORKERS]
    assert sorted(toy.spoken) == ["Ana relance.", "Bo relance.", "Chloé relance.", "Le tournoi commence."]


def test_a_phrase_is_made_with_its_own_parameters(warmer: Warmer, service: Service) -> None:
    ended(warmer.submit(JobSource("b", book='[[phrases]]\ntext = "Tapis !"\nseed = 7\nexaggeration = 1')))
    request = SpeechRequest("Tapis !", seed=7, params=SynthesisParams(exaggeration=1.0))
    assert service.announcer.announce(request).source == "hit"
    assert service.announcer.announce(replace(request, seed=None)).source == "miss"


def test_kept_phrases_are_skipped(warmer: Warmer, service: Service, toy: ToyEngine) -> None:
    for text in PAIRS[:30]:
        service.announcer.announce(SpeechRequest(text))
    job = ended(warmer.submit(texts(*PAIRS)))
    assert counts(job) == (30, 60, 0, 0)
    assert sorted(toy.spoken) == sorted(PAIRS)
    again = ended(warmer.submit(texts(*PAIRS)))
    assert counts(again) == (90, 0, 0, 0)
    assert len(toy.spoken) == 90


def test_phrases_spoken_in_the_same_words_are_one_take(warmer: Warmer, toy: ToyEngine) -> None:
    job = ended(warmer.submit(texts("Il reste 3 joueurs.", "Il reste trois joueurs.", "Il  reste 3 joueurs.")))
    assert counts(job) == (1, 1, 0, 0)  # the first and the last are the same phrase
    assert toy.spoken == ["Il reste trois joueurs."]


def test_a_take_that_is_already_running_is_not_counted_twice(
    warmer: Warmer, service: Service, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    announce = service.announcer.announce

    def spy(request: SpeechRequest, wait_for: WaitFor) -> Announcement:
        asked.append(request.text)
        return announce(request, wait_for)

    monkeypatch.setattr(service.announcer, "announce", spy)
    toy.gate.clear()
    job = warmer.submit(texts("Il reste 3 joueurs.", "Il reste trois joueurs."))
    until(lambda: len(asked) == 2)
    toy.gate.set()
    assert counts(ended(job)) == (1, 1, 0, 0)
    assert len(toy.spoken) == 1


def test_takes_are_made_in_the_background_lane(
    warmer: Warmer, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SpeechRequest] = []
    announce = service.announcer.announce

    def spy(request: SpeechRequest, wait_for: WaitFor) -> Announcement:
        asked.append(request)
        return announce(request, wait_for)

    monkeypatch.setattr(service.announcer, "announce", spy)
    ended(warmer.submit(texts("Tapis !", "Parole.")))
    assert {(request.lane, request.fallback, request.deadline_s) for request in asked} == {
        (Lane.BACKGROUND, False, 3600.0)
    }


def test_the_engine_always_has_takes_waiting(settings: Settings) -> None:
    toy = ToyEngine()
    toy.slots = 3
    service = started(settings, toy)
    warmer = new_warmer(service)
    warmer.start()
    toy.gate.clear()
    try:
        job = warmer.submit(texts(*PAIRS))
        until(lambda: len(toy.utterances) == 3 and service.health.report()["queue_depth"] == SPARE_WORKERS)
        toy.gate.set()
        assert counts(ended(job)) == (0, 90, 0, 0)
    finally:
        toy.gate.set()
        warmer.close()
        service.close()


class FailingToy(ToyEngine):
    """Fails on texts that contain `raté`."""

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        if "raté" in text:
            raise SynthesisFailed("The engine does not like it.")
        return super().begin(text, voice=voice, params=params, seed=seed)


def test_a_failed_phrase_is_listed_and_the_others_are_made(settings: Settings) -> None:
    service = started(settings, FailingToy())
    warmer = new_warmer(service)
    warmer.start()
    missed = [f"{name}, c'est raté." for name in NAMES * 3]
    job = ended(warmer.submit(JobSource("b", book=f"[[phrases]]\ntext = {json.dumps([*missed, *PAIRS])}")))
    assert (job.state, counts(job)) == (State.DONE, (0, 90, 10, 0))
    many = ended(warmer.submit(texts(*(f"Raté {n} fois, raté." for n in range(MAX_FAILURES + 5)))))
    assert (many.failed, len(many.failures)) == (MAX_FAILURES + 5, MAX_FAILURES)
    assert {(failure.code, failure.message) for failure in job.failures} == {
        ("synthesis_failed", "The engine does not like it.")
    }
    assert sorted(failure.text for failure in job.failures) == sorted(set(missed))
    unknown = ended(warmer.submit(JobSource("b", book='[[phrases]]\ntext = "Tapis !"\nvoice = "personne"')))
    assert (counts(unknown), unknown.failures[0].code) == ((0, 0, 1, 0), "voice_unknown")
    warmer.close()
    service.close()


@pytest.mark.parametrize(
    "error",
    [Overloaded("Full.", retry_after=90), NotReady("Loading.", retry_after=5), DeadlineExceeded("Live ones came.")],
)
def test_temporary_errors_are_retried(
    error: MonicaError, warmer: Warmer, service: Service, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce, key_of = service.announcer.announce, service.announcer.key_of
    refusals = iter([error] * 7)
    reasons = []

    def failing_at_first(action: Callable[..., Any]) -> Callable[..., Any]:
        def attempt(*args: object) -> object:
            reasons.append(job.reason)
            for refusal in refusals:
                raise refusal
            return action(*args)

        return attempt

    monkeypatch.setattr(service.announcer, "announce", failing_at_first(announce))
    monkeypatch.setattr(service.announcer, "key_of", failing_at_first(key_of))
    with warmer._changed:  # the job does not start before `job` is assigned
        job = warmer.submit(texts(*PAIRS[:20]))
    assert counts(ended(job)) == (0, 20, 0, 0)
    assert error.message in reasons
    assert (job.reason, len(toy.spoken)) == (None, 20)


def test_a_job_waits_for_the_engine_to_load(settings: Settings, toy: ToyEngine) -> None:
    service = Service(settings, toy)
    warmer = new_warmer(service)
    warmer.start()
    job = warmer.submit(texts("Tapis !"))
    until(lambda: (job.reason, job.reason_code) == ("The model is being loaded.", "model_loading"))
    assert job.state is State.RUNNING
    service.start_and_wait()
    assert counts(ended(job)) == (0, 1, 0, 0)
    warmer.close()
    service.close()


def test_a_live_announcement_goes_first(warmer: Warmer, service: Service, toy: ToyEngine) -> None:
    toy.gate.clear()
    job = warmer.submit(texts(*PAIRS))
    assert toy.began.acquire(timeout=30)
    heard: Future[Announcement] = Future()
    threading.Thread(
        target=lambda: heard.set_result(service.announcer.announce(SpeechRequest("Tapis !"))), daemon=True
    ).start()
    assert toy.began.acquire(timeout=30)
    assert (toy.spoken[1], len(toy.paused)) == ("Tapis!", 1)
    toy.gate.set()
    assert heard.result(60).source == "miss"
    assert counts(ended(job)) == (0, 90, 0, 0)
    assert len(toy.spoken) == len(set(toy.spoken)) == 91


@pytest.mark.parametrize(("every_s", "paused_s"), [(None, 0.25), (0.2, 1.0), (0.3, 0.25)])
def test_the_job_pauses_while_live_announcements_come(
    service: Service, monkeypatch: pytest.MonkeyPatch, every_s: float | None, paused_s: float
) -> None:
    now = service.announcer.last_live = 1000.0
    run = JobRun(
        Job("0", texts("Tapis !"), 1, 0.0), service.announcer, service.catalogue, service.settings, lambda _: None
    )

    def pause(seconds: float) -> None:
        nonlocal now
        now += seconds
        if every_s is not None:
            service.announcer.last_live = 1000.0 + (now - 1000.0) // every_s * every_s

    monkeypatch.setattr(run, "_pause", pause)
    monkeypatch.setattr("monica.warming.job_run.time", SimpleNamespace(monotonic=lambda: now))
    run._yield_to_live()
    assert now == pytest.approx(1000.0 + paused_s)
    run._yield_to_live()
    assert now == pytest.approx(1000.0 + 2 * paused_s) if every_s == 0.2 else 1000.0 + paused_s


def test_the_job_goes_on_however_many_live_announcements_come(
    warmer: Warmer, service: Service, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_run, "MAX_QUIET_S", 0.05)
    service.announcer.last_live = float("inf")
    job = ended(warmer.submit(texts(*PAIRS[:10])))
    assert counts(job) == (0, 10, 0, 0)
    assert (job.ended or 0) - (job.started or 0) > 10 * 0.04


def test_a_cache_that_keeps_nothing_ends_the_job(warmer: Warmer, service: Service, toy: ToyEngine) -> None:
    service._takes.put = lambda *_: False  # type: ignore[method-assign]
    job = ended(warmer.submit(texts(*PAIRS)))
    assert (job.state, job.reason_code) == (State.FAILED, "cache_unusable")
    assert job.reason == "The cache does not keep what is made: is the disk full?"
    assert MAX_UNKEPT <= len(toy.spoken) <= MAX_UNKEPT + 5
    assert (job.made, job.failed >= MAX_UNKEPT, job.left > 0) == (0, True, True)
    assert {failure.code for failure in job.failures} == {"not_kept"}


def test_suspect_takes_are_listed_and_the_job_goes_on(warmer: Warmer, toy: ToyEngine) -> None:
    toy.hasty.update(PAIRS[: MAX_UNKEPT + 5])
    job = ended(warmer.submit(texts(*PAIRS)))
    assert (job.state, counts(job)) == (State.DONE, (0, len(PAIRS) - MAX_UNKEPT - 5, MAX_UNKEPT + 5, 0))
    assert {(failure.code, failure.message) for failure in job.failures} == {
        ("take_suspect", "The sound of this phrase is too short for its text.")
    }


def test_the_rate_is_recent_and_falls_while_nothing_is_made() -> None:
    rate = Rate()
    assert rate.per_second(0.0) is None
    rate.record(0.0)
    assert rate.per_second(5.0) is None
    for tick in range(1, 11):
        rate.record(tick / 10)
    assert rate.per_second(1.0) == pytest.approx(10)
    assert rate.per_second(2.0) == pytest.approx(5)
    for tick in range(200):
        rate.record(100 + tick / 100)
    assert rate.per_second(101.99) == pytest.approx(100)
