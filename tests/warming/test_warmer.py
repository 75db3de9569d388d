"""The warmer with a toy engine: jobs run in turn, are stopped, resume after a restart, and report their progress."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from monica import metrics
from monica.config import Settings
from monica.service import Service
from monica.speech import SpeechRequest
from monica.warming import job_run
from monica.warming.book import BookError
from monica.warming.job import Job, JobSource, State
from monica.warming.jobs import MAX_CRASHES, MAX_WAITING, Jobs, TooManyJobs, UnknownJob
from monica.warming.warmer import Warmer
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.jobs import NAMES, PAIRS, counts, ended, texts
from tests.support.takes import new_warmer
from tests.support.wire import until


@pytest.mark.parametrize("pinned", [0, 8])
def test_a_cache_that_is_too_small_ends_the_job_before_it_evicts_the_first_phrases(tmp_path: Path, pinned: int) -> None:
    toy = ToyEngine()
    service = started(Settings(engine="espeak", cache_dir=tmp_path, cache_mb=1), toy)
    warmer = new_warmer(service)
    warmer.start()
    for number in range(60):  # these may be evicted
        service.announcer.announce(SpeechRequest(f"Une autre phrase, la numéro {number}, d'un autre soir."))
    catalogue = service.catalogue
    catalogue.pin(catalogue.phrases()[:pinned])
    wanted = [f"{text} C'est un beau coup." for text in PAIRS]
    job = ended(warmer.submit(texts(*wanted)))
    assert (job.state, job.reason_code, job.reason) == (
        State.FAILED,
        "cache_full",
        "The cache is full: MONICA_CACHE_MB=1 is too small for 90 phrases.",
    )
    assert pinned or (job.warning or "").endswith(" for them: the last ones will not be made.")
    # It ended before the cache was full, but not long before; nothing that was made was evicted.
    assert 5 < job.made < 40
    kept = {card.text for card in catalogue.phrases()} & set(wanted)
    assert len(kept) >= job.made
    assert set(wanted[:4]) <= kept
    assert len([card for card in catalogue.phrases() if card.pinned]) == pinned
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
    assert counts(ended(warmer.submit(texts(*PAIRS)))) == (0, 90, 0, 0)


def test_a_waiting_job_is_stopped_and_a_done_one_stays_done(warmer: Warmer, toy: ToyEngine) -> None:
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


def test_the_number_of_waiting_jobs_is_limited(warmer: Warmer, toy: ToyEngine) -> None:
    toy.gate.clear()
    first = warmer.submit(texts("Parole."))
    until(lambda: first.state is State.RUNNING)
    waiting = [warmer.submit(texts("Tapis !")) for _ in range(MAX_WAITING)]
    with pytest.raises(TooManyJobs, match=f"^{MAX_WAITING} jobs already wait"):
        warmer.submit(texts("Tapis !"))
    warmer.stop(waiting[3].id)
    warmer.submit(texts("Tapis !"))


def test_a_wrong_book_is_refused_and_adds_no_job(warmer: Warmer) -> None:
    with pytest.raises(BookError, match="there is no text"):
        warmer.submit(JobSource("b.toml", book="[[phrases]]\npriority = 1"))
    assert warmer.jobs.all() == []


def test_a_job_resumes_after_a_shutdown(settings: Settings) -> None:
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
    service.drain(30)  # takes already submitted are kept, too
    made = {card.said for card in service.catalogue.phrases()}
    service.close()

    again = ToyEngine()
    service = started(settings, again)
    warmer = new_warmer(service)
    assert [(found.id, found.crashes) for found in warmer.jobs.all()] == [(job.id, 0)]
    warmer.start()
    resumed = ended(warmer.jobs.get(job.id))
    assert counts(resumed) == (len(made), 90 - len(made), 0, 0)
    assert sorted(again.spoken) == sorted(set(PAIRS) - made)
    warmer.close()
    service.close()


def test_a_job_interrupted_by_a_crash_resumes_but_not_for_ever(settings: Settings) -> None:
    folder = settings.cache_dir / "jobs"
    jobs = Jobs(folder)
    job = jobs.add(texts("Tapis !"), 1)
    for crash in range(1, MAX_CRASHES + 1):
        job.start()
        jobs.save(job)
        jobs = Jobs(folder)
        job = jobs.get(job.id)
        assert (job.state, job.crashes) == (State.WAITING, crash)
    job.start()
    jobs.save(job)
    job = Jobs(folder).get(job.id)
    assert (job.state, job.reason) == (State.FAILED, "Monica has ended 5 times in the middle of it; her log says why.")


def test_a_job_that_a_changed_setting_forbids_fails_with_the_reason(settings: Settings, toy: ToyEngine) -> None:
    Jobs(settings.cache_dir / "jobs").add(texts("Une phrase de trente-trois lettres."), 1)
    service = started(replace(settings, max_text_length=20), toy)
    warmer = new_warmer(service)
    warmer.start()
    (job,) = warmer.jobs.all()
    assert ended(job).state is State.FAILED
    assert job.reason_code == "book_invalid"
    assert job.reason == "phrases[0]: a phrase may come to 35 characters, at most 20"
    warmer.close()
    service.close()


def test_an_unexpected_error_ends_the_job_but_not_the_warmer(
    warmer: Warmer, service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for part, method in ((service.announcer, "kept"), (service.catalogue, "phrases")):
        with monkeypatch.context() as patch:
            patch.setattr(part, method, lambda *_: 1 / 0)
            job = ended(warmer.submit(texts("Tapis !")))
        assert (job.state, job.reason) == (State.FAILED, "Monica failed on this job; her log says why.")
        assert "ZeroDivisionError" in caplog.text
        caplog.clear()
    assert ended(warmer.submit(texts("Tapis !"))).state is State.DONE


def test_the_metrics_show_the_progress(warmer: Warmer, toy: ToyEngine, service: Service) -> None:
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
    until(lambda: warmer.jobs.next_waiting() is None and warmer._run is None, 60)
    assert set(gauges().values()) == {0}


def test_the_file_holds_the_progress(warmer: Warmer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_run, "SAVE_EVERY_S", 0.0)
    written = []
    write = warmer.jobs._write_file

    def spy(job: Job, durably: bool) -> None:
        write(job, durably)
        found = Job.from_json((settings.cache_dir / "jobs" / f"{job.id}.json").read_text())
        written.append((found.state, found.made, durably))

    monkeypatch.setattr(warmer.jobs, "_write_file", spy)
    ended(warmer.submit(texts(*PAIRS[:5])))
    until(lambda: len(written) == 8)
    assert written[:2] == [(State.WAITING, 0, True), (State.RUNNING, 0, True)]
    assert written[2:7] == [(State.RUNNING, made, False) for made in range(1, 6)]
    assert written[7] == (State.DONE, 5, True)
