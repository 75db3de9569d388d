"""Jobs worked off around a toy engine: what is made, skipped, tried again, given up, stopped and gone on with."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monica import metrics
from monica.config import Settings
from monica.engine import SynthesisParams, Utterance
from monica.errors import DeadlineExceeded, MonicaError, NotReady, Overloaded, SynthesisFailed
from monica.service import Service
from monica.speech import Announcement, SpeechRequest
from monica.synthesis.take import Lane, WaitFor
from monica.warming import job_run
from monica.warming.book import BookError
from monica.warming.job_run import UNKEPT, JobRun, Rate
from monica.warming.jobs import MOST_CRASHES, MOST_TOLD, MOST_WAITING, Job, Jobs, Script, State, TooManyJobs, UnknownJob
from monica.warming.warmer import Warmer
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.takes import new_warmer
from tests.support.wire import until

NAMES = ("Ana", "Bo", "Chloé", "Denis", "Elsa", "Farid", "Gina", "Hugo", "Inès", "Jo")
PAIRS = tuple(f"{a} élimine {b}." for a in NAMES for b in NAMES if a != b)
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


def texts(*phrases: str) -> Script:
    return Script("une liste", phrases=phrases)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_run, "LONGEST_PAUSE_S", 0.02)


@pytest.fixture
def warmer(service: Service) -> Iterator[Warmer]:
    warmer = new_warmer(service)
    warmer.start()
    yield warmer
    warmer.close()


def ended(job: Job) -> Job:
    until(lambda: job.state.ended, 120)
    return job


def count(job: Job) -> tuple[int, int, int, int]:
    return job.cached, job.made, job.failed, job.left


def test_every_phrase_is_made_once_and_then_a_hit(warmer: Warmer, service: Service, toy: ToyEngine) -> None:
    job = ended(warmer.submit(texts(*PAIRS)))
    assert (job.state, count(job), job.failures, job.reason) == (State.DONE, (0, 90, 0, 0), [], None)
    assert sorted(toy.spoken) == sorted(PAIRS)
    assert {service.announcer.announce(SpeechRequest(text)).source for text in PAIRS} == {"hit"}
    assert job.created <= (job.started or 0) <= (job.ended or 0)


def test_a_book_goes_by_priority_and_its_duplicates_are_one(warmer: Warmer, toy: ToyEngine) -> None:
    job = warmer.submit(Script("tournoi.toml", book=BOOK))
    ended(job)
    assert (job.total, count(job)) == (4, (0, 4, 0, 0))
    # Several look for what is missing, and may overtake each other by as much.
    assert "Le tournoi commence." in toy.spoken[: 1 + job_run.SPARE]
    assert sorted(toy.spoken) == ["Ana relance.", "Bo relance.", "Chloé relance.", "Le tournoi commence."]


def test_what_a_phrase_says_of_itself_is_asked_for(warmer: Warmer, service: Service) -> None:
    ended(warmer.submit(Script("b", book='[[phrases]]\ntext = "Tapis !"\nseed = 7\nexaggeration = 1')))
    request = SpeechRequest("Tapis !", seed=7, params=SynthesisParams(exaggeration=1.0))
    assert service.announcer.announce(request).source == "hit"
    assert service.announcer.announce(replace(request, seed=None)).source == "miss"


def test_what_is_kept_is_skipped(warmer: Warmer, service: Service, toy: ToyEngine) -> None:
    for text in PAIRS[:30]:
        service.announcer.announce(SpeechRequest(text))
    job = ended(warmer.submit(texts(*PAIRS)))
    assert count(job) == (30, 60, 0, 0)
    assert sorted(toy.spoken) == sorted(PAIRS)
    again = ended(warmer.submit(texts(*PAIRS)))
    assert count(again) == (90, 0, 0, 0)
    assert len(toy.spoken) == 90


def test_phrases_that_are_said_in_the_same_words_are_one_take(warmer: Warmer, toy: ToyEngine) -> None:
    job = ended(warmer.submit(texts("Il reste 3 joueurs.", "Il reste trois joueurs.", "Il  reste 3 joueurs.")))
    assert count(job) == (1, 1, 0, 0)  # the first and the last are one phrase already
    assert toy.spoken == ["Il reste trois joueurs."]


def test_a_take_that_is_under_way_already_is_not_counted_twice(
    warmer: Warmer, service: Service, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    announce = service.announcer.announce

    def spy(request: SpeechRequest, patience: WaitFor) -> Announcement:
        asked.append(request.text)
        return announce(request, patience)

    monkeypatch.setattr(service.announcer, "announce", spy)
    toy.gate.clear()
    job = warmer.submit(texts("Il reste 3 joueurs.", "Il reste trois joueurs."))
    until(lambda: len(asked) == 2)
    toy.gate.set()
    assert count(ended(job)) == (1, 1, 0, 0)
    assert len(toy.spoken) == 1


def test_takes_are_made_in_the_background_lane(
    warmer: Warmer, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SpeechRequest] = []
    announce = service.announcer.announce

    def spy(request: SpeechRequest, patience: WaitFor) -> Announcement:
        asked.append(request)
        return announce(request, patience)

    monkeypatch.setattr(service.announcer, "announce", spy)
    ended(warmer.submit(texts("Tapis !", "Parole.")))
    assert {(request.lane, request.fallback, request.deadline_s) for request in asked} == {
        (Lane.BACKGROUND, False, 3600.0)
    }


def test_the_engine_always_has_one_more(settings: Settings) -> None:
    toy = ToyEngine()
    toy.slots = 3
    service = started(settings, toy)
    warmer = new_warmer(service)
    warmer.start()
    toy.gate.clear()
    try:
        job = warmer.submit(texts(*PAIRS))
        until(lambda: len(toy.utterances) == 3 and service.health.report()["queue_depth"] == job_run.SPARE)
        toy.gate.set()
        assert count(ended(job)) == (0, 90, 0, 0)
    finally:
        toy.gate.set()
        warmer.close()
        service.close()


class Picky(ToyEngine):
    """Fails on what has `raté` in it."""

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        if "raté" in text:
            raise SynthesisFailed("The engine does not like it.")
        return super().begin(text, voice=voice, params=params, seed=seed)


def test_a_phrase_that_fails_is_told_of_and_the_others_are_made(settings: Settings) -> None:
    service = started(settings, Picky())
    warmer = new_warmer(service)
    warmer.start()
    missed = [f"{name}, c'est raté." for name in NAMES * 3]
    job = ended(warmer.submit(Script("b", book=f"[[phrases]]\ntext = {json.dumps([*missed, *PAIRS])}")))
    assert (job.state, count(job)) == (State.DONE, (0, 90, 10, 0))
    many = ended(warmer.submit(texts(*(f"Raté {n} fois, raté." for n in range(MOST_TOLD + 5)))))
    assert (many.failed, len(many.failures)) == (MOST_TOLD + 5, MOST_TOLD)
    assert {(failure.code, failure.message) for failure in job.failures} == {
        ("synthesis_failed", "The engine does not like it.")
    }
    assert sorted(failure.text for failure in job.failures) == sorted(set(missed))
    unknown = ended(warmer.submit(Script("b", book='[[phrases]]\ntext = "Tapis !"\nvoice = "personne"')))
    assert (count(unknown), unknown.failures[0].code) == ((0, 0, 1, 0), "voice_unknown")
    warmer.close()
    service.close()


@pytest.mark.parametrize(
    "error",
    [Overloaded("Full.", retry_after=90), NotReady("Loading.", retry_after=5), DeadlineExceeded("Live ones came.")],
)
def test_what_passes_is_waited_out(
    error: MonicaError, warmer: Warmer, service: Service, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce, key_of = service.announcer.announce, service.announcer.key_of
    refusals = iter([error] * 7)
    reasons = []

    def reluctant(action: Callable[..., Any]) -> Callable[..., Any]:
        def attempt(*args: object) -> object:
            reasons.append(job.reason)
            for refusal in refusals:
                raise refusal
            return action(*args)

        return attempt

    monkeypatch.setattr(service.announcer, "announce", reluctant(announce))
    monkeypatch.setattr(service.announcer, "key_of", reluctant(key_of))
    with warmer._changed:  # it begins once there is a `job`
        job = warmer.submit(texts(*PAIRS[:20]))
    assert count(ended(job)) == (0, 20, 0, 0)
    assert error.message in reasons
    assert (job.reason, len(toy.spoken)) == (None, 20)


def test_the_engine_may_come_later(settings: Settings, toy: ToyEngine) -> None:
    service = Service(settings, toy)
    warmer = new_warmer(service)
    warmer.start()
    job = warmer.submit(texts("Tapis !"))
    until(lambda: job.reason == "The model is being loaded.")
    assert job.state is State.RUNNING
    service.start_and_wait()
    assert count(ended(job)) == (0, 1, 0, 0)
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
    assert count(ended(job)) == (0, 90, 0, 0)
    assert len(toy.spoken) == len(set(toy.spoken)) == 91


@pytest.mark.parametrize(("every_s", "still_s"), [(None, 0.25), (0.2, 1.0), (0.3, 0.25)])
def test_while_live_announcements_come_the_job_keeps_still(
    service: Service, monkeypatch: pytest.MonkeyPatch, every_s: float | None, still_s: float
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
    run._give_way()
    assert now == pytest.approx(1000.0 + still_s)
    run._give_way()
    assert now == pytest.approx(1000.0 + 2 * still_s) if every_s == 0.2 else 1000.0 + still_s


def test_however_many_live_announcements_come_the_job_goes_on(
    warmer: Warmer, service: Service, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_run, "LONGEST_QUIET_S", 0.05)
    service.announcer.last_live = float("inf")
    job = ended(warmer.submit(texts(*PAIRS[:10])))
    assert count(job) == (0, 10, 0, 0)
    assert (job.ended or 0) - (job.started or 0) > 10 * 0.04


def test_a_cache_that_keeps_nothing_ends_the_job(warmer: Warmer, service: Service, toy: ToyEngine) -> None:
    service._takes.put = lambda *_: False  # type: ignore[method-assign]
    job = ended(warmer.submit(texts(*PAIRS)))
    assert (job.state, job.reason) == (State.FAILED, "The cache does not keep what is made: is the disk full?")
    assert UNKEPT <= len(toy.spoken) <= UNKEPT + 5
    assert (job.made, job.failed >= UNKEPT, job.left > 0) == (0, True, True)
    assert {failure.code for failure in job.failures} == {"not_kept"}


def test_doubtful_takes_are_told_of_and_the_job_goes_on(warmer: Warmer, toy: ToyEngine) -> None:
    toy.hasty.update(PAIRS[: UNKEPT + 5])
    job = ended(warmer.submit(texts(*PAIRS)))
    assert (job.state, count(job)) == (State.DONE, (0, len(PAIRS) - UNKEPT - 5, UNKEPT + 5, 0))
    assert {(failure.code, failure.message) for failure in job.failures} == {
        ("take_suspect", "The sound of this phrase is too short for its text.")
    }


@pytest.mark.parametrize("pinned", [0, 8])
def test_a_cache_that_is_too_small_ends_the_job_before_it_loses_its_first_phrases(tmp_path: Path, pinned: int) -> None:
    toy = ToyEngine()
    service = started(Settings(engine="espeak", cache_dir=tmp_path, cache_mb=1), toy)
    warmer = new_warmer(service)
    warmer.start()
    for number in range(60):  # what may go
        service.announcer.announce(SpeechRequest(f"Une autre phrase, la numéro {number}, d'un autre soir."))
    catalogue = service.catalogue
    catalogue.pin(catalogue.cards()[:pinned])
    wanted = [f"{text} C'est un beau coup." for text in PAIRS]
    job = ended(warmer.submit(texts(*wanted)))
    assert (job.state, job.reason) == (
        State.FAILED,
        "The cache is full: MONICA_CACHE_MB=1 is too small for 90 phrases.",
    )
    assert pinned or (job.warning or "").endswith(" for them: the last ones will not be made.")
    # Before it is full, and not long before; nothing of what was made is lost.
    assert 5 < job.made < 40
    kept = {card.text for card in catalogue.cards()} & set(wanted)
    assert len(kept) >= job.made
    assert set(wanted[:4]) <= kept
    assert len([card for card in catalogue.cards() if card.pinned]) == pinned
    warmer.close()
    service.close()


def test_a_job_is_stopped_at_once(warmer: Warmer, service: Service, toy: ToyEngine) -> None:
    toy.gate.clear()
    job = warmer.submit(texts(*PAIRS))
    assert toy.began.acquire(timeout=30)
    assert warmer.stop(job.id) is job
    assert (job.state, job.made, job.left) == (State.STOPPED, 0, 90)
    until(lambda: not toy.utterances and service.health.report()["queue_depth"] == 0)
    assert len(toy.spoken) == 1
    toy.gate.set()
    assert warmer.stop(job.id).state is State.STOPPED
    assert count(ended(warmer.submit(texts(*PAIRS)))) == (0, 90, 0, 0)


def test_a_job_that_waits_is_stopped_and_one_that_is_done_stays_done(warmer: Warmer, toy: ToyEngine) -> None:
    toy.gate.clear()
    first, second = warmer.submit(texts(*PAIRS)), warmer.submit(texts("Tapis !"))
    assert (warmer.stop(second.id).state, second.started) == (State.STOPPED, None)
    toy.gate.set()
    ended(first)
    assert (warmer.stop(first.id).state, "Tapis !" in toy.spoken) == (State.DONE, False)
    with pytest.raises(UnknownJob):
        warmer.stop("0" * 16)


def test_jobs_run_one_after_the_other(warmer: Warmer, toy: ToyEngine) -> None:
    toy.gate.clear()
    jobs = [warmer.submit(texts(*(f"{name} {verb}." for name in NAMES))) for verb in ("suit", "passe", "relance")]
    until(lambda: jobs[0].state is State.RUNNING)
    assert [job.state for job in jobs[1:]] == [State.WAITING] * 2
    toy.gate.set()
    for job in jobs:
        ended(job)
    assert all((one.ended or 0) <= (other.started or 0) for one, other in pairwise(jobs))
    assert [text.split()[1] for text in toy.spoken] == ["suit."] * 10 + ["passe."] * 10 + ["relance."] * 10


def test_only_so_many_wait(warmer: Warmer, toy: ToyEngine) -> None:
    toy.gate.clear()
    first = warmer.submit(texts("Parole."))
    until(lambda: first.state is State.RUNNING)
    waiting = [warmer.submit(texts("Tapis !")) for _ in range(MOST_WAITING)]
    with pytest.raises(TooManyJobs, match=f"^{MOST_WAITING} jobs already wait"):
        warmer.submit(texts("Tapis !"))
    warmer.stop(waiting[3].id)
    warmer.submit(texts("Tapis !"))


def test_a_book_that_is_wrong_is_refused_before_there_is_a_job(warmer: Warmer) -> None:
    with pytest.raises(BookError, match="there is no text"):
        warmer.submit(Script("b.toml", book="[[phrases]]\npriority = 1"))
    assert warmer.jobs.all() == []


def test_a_job_goes_on_after_a_shutdown(settings: Settings) -> None:
    toy = ToyEngine()
    service = started(settings, toy)
    warmer = new_warmer(service)
    warmer.start()
    job = warmer.submit(texts(*PAIRS))
    until(lambda: job.made > 10)
    toy.gate.clear()
    warmer.close()
    assert job.state is State.WAITING
    toy.gate.set()
    service.drain(30)  # what was handed in is kept, too
    made = {card.said for card in service.catalogue.cards()}
    service.close()

    again = ToyEngine()
    service = started(settings, again)
    warmer = new_warmer(service)
    assert [(found.id, found.crashes) for found in warmer.jobs.all()] == [(job.id, 0)]
    warmer.start()
    resumed = ended(warmer.jobs.get(job.id))
    assert count(resumed) == (len(made), 90 - len(made), 0, 0)
    assert sorted(again.spoken) == sorted(set(PAIRS) - made)
    warmer.close()
    service.close()


def test_a_job_that_was_running_when_monica_died_goes_on_but_not_for_ever(settings: Settings) -> None:
    folder = settings.cache_dir / "jobs"
    jobs = Jobs(folder)
    job = jobs.add(texts("Tapis !"), 1)
    for crash in range(1, MOST_CRASHES + 1):
        job.begin()
        jobs.save(job)
        jobs = Jobs(folder)
        job = jobs.get(job.id)
        assert (job.state, job.crashes) == (State.WAITING, crash)
    job.begin()
    jobs.save(job)
    job = Jobs(folder).get(job.id)
    assert (job.state, job.reason) == (State.FAILED, "Monica has ended 5 times in the middle of it; her log says why.")


def test_a_setting_that_changed_is_told(settings: Settings, toy: ToyEngine) -> None:
    Jobs(settings.cache_dir / "jobs").add(texts("Une phrase de trente-trois lettres."), 1)
    service = started(replace(settings, max_text_length=20), toy)
    warmer = new_warmer(service)
    warmer.start()
    (job,) = warmer.jobs.all()
    assert ended(job).state is State.FAILED
    assert job.reason == "phrases[1]: a phrase may come to 35 characters, at most 20"
    warmer.close()
    service.close()


def test_what_nobody_foresaw_ends_the_job_and_not_the_warmer(
    warmer: Warmer, service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for place, method in ((service.announcer, "kept"), (service.catalogue, "cards")):
        with monkeypatch.context() as patch:
            patch.setattr(place, method, lambda *_: 1 / 0)
            job = ended(warmer.submit(texts("Tapis !")))
        assert (job.state, job.reason) == (State.FAILED, "Monica failed on this job; her log says why.")
        assert "ZeroDivisionError" in caplog.text
        caplog.clear()
    assert ended(warmer.submit(texts("Tapis !"))).state is State.DONE


def test_progress_is_in_the_metrics(warmer: Warmer, toy: ToyEngine, service: Service) -> None:
    def gauges() -> dict[str, float]:
        return {s.labels["state"]: s.value for family in metrics.warm_phrases.collect() for s in family.samples}

    for text in PAIRS[:3]:
        service.announcer.announce(SpeechRequest(text))
    for _ in range(3):
        toy.began.acquire()
    toy.gate.clear()
    warmer.submit(texts(*PAIRS))
    assert toy.began.acquire(timeout=30)
    assert gauges() == {"cached": 3, "made": 0, "failed": 0, "left": 87}
    toy.gate.set()
    until(lambda: warmer.jobs.next() is None and warmer._rehearsal is None, 60)
    assert set(gauges().values()) == {0}


def test_the_file_says_how_far_it_is(warmer: Warmer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_run, "SAVE_EVERY_S", 0.0)
    written = []
    write = warmer.jobs._write

    def spy(job: Job, durably: bool) -> None:
        write(job, durably)
        found = Job.read((settings.cache_dir / "jobs" / f"{job.id}.json").read_text())
        written.append((found.state, found.made, durably))

    monkeypatch.setattr(warmer.jobs, "_write", spy)
    ended(warmer.submit(texts(*PAIRS[:5])))
    until(lambda: len(written) == 8)
    assert written[:2] == [(State.WAITING, 0, True), (State.RUNNING, 0, True)]
    assert written[2:7] == [(State.RUNNING, made, False) for made in range(1, 6)]
    assert written[7] == (State.DONE, 5, True)


def test_the_rate_is_of_late_and_falls_while_nothing_is_made() -> None:
    rate = Rate()
    assert rate.per_second(0.0) is None
    rate.tick(0.0)
    assert rate.per_second(5.0) is None
    for tick in range(1, 11):
        rate.tick(tick / 10)
    assert rate.per_second(1.0) == pytest.approx(10)
    assert rate.per_second(2.0) == pytest.approx(5)
    for tick in range(200):
        rate.tick(100 + tick / 100)
    assert rate.per_second(101.99) == pytest.approx(100)
