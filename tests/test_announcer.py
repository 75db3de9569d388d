"""The announcer with a toy engine: sharing, caching, refusing, deadlines, failures and shutdown."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from monica.config import Settings
from monica.errors import (
    DeadlineExceeded,
    ModelUnavailable,
    MonicaError,
    NotReady,
    Overloaded,
    SynthesisFailed,
    UnknownVoice,
)
from monica.service import Service
from monica.speech import Announcement, SpeechRequest
from monica.synthesis.take import Lane
from tests.conftest import started
from tests.support.engines import ToyEngine


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as pool:
        yield pool


class Background:
    """Requests announcements in threads, and can wait until the engine has started one."""

    def __init__(self, service: Service, toy: ToyEngine, pool: ThreadPoolExecutor) -> None:
        self.service, self.toy, self.pool = service, toy, pool

    def ask(self, request: SpeechRequest) -> Future[Announcement]:
        return self.pool.submit(self.service.announcer.announce, request)

    def occupy(self) -> Future[Announcement]:
        """Start a take in the engine and hold it there."""
        self.toy.gate.clear()
        future = self.ask(SpeechRequest("occupied"))
        assert self.toy.began.acquire(timeout=5)
        return future

    def wait_depth(self, depth: int) -> None:
        until = time.monotonic() + 5
        while self.service.health.report()["queue_depth"] != depth:
            assert time.monotonic() < until, self.service.health.report()
            time.sleep(0.002)


@pytest.fixture
def background(service: Service, toy: ToyEngine, pool: ThreadPoolExecutor) -> Iterator[Background]:
    yield Background(service, toy, pool)
    toy.gate.set()


def test_identical_requests_make_one_take(background: Background, toy: ToyEngine) -> None:
    first = background.occupy()
    others = [background.ask(SpeechRequest("occupied")) for _ in range(10)]
    time.sleep(0.1)
    toy.gate.set()
    assert first.result().source == "miss"
    assert {other.result().source for other in others} <= {"joined", "hit"}
    assert {other.result().wav for other in others} == {first.result().wav}
    assert toy.spoken == ["occupied"]


def test_many_identical_requests_at_once_make_one_take_each_time(service: Service, toy: ToyEngine) -> None:
    """A take that ends between the look-up and the join is not made again."""
    for n in range(50):
        barrier = threading.Barrier(8)

        def ask(text: str, barrier: threading.Barrier = barrier) -> str:
            barrier.wait()
            return service.announcer.announce(SpeechRequest(text)).source

        with ThreadPoolExecutor(8) as pool:
            caches = list(pool.map(ask, [f"phrase {n}"] * 8))
        assert caches.count("miss") == 1
    assert len(toy.spoken) == 50


def test_different_seed_makes_a_different_take(background: Background, toy: ToyEngine) -> None:
    background.occupy()
    other = background.ask(SpeechRequest("occupied", seed=7))
    background.wait_depth(1)
    toy.gate.set()
    assert other.result().source == "miss"
    assert toy.seeds[1] == 7


def test_without_a_seed_each_take_has_a_new_one(service: Service, toy: ToyEngine) -> None:
    for _ in range(5):
        service.announcer.announce(SpeechRequest("hello", fresh=True))
    assert len(set(toy.seeds)) == 5


def test_fresh_request_never_joins_and_replaces_the_kept_take(
    background: Background, service: Service, toy: ToyEngine
) -> None:
    first = background.occupy()
    second = background.ask(SpeechRequest("occupied", fresh=True, seed=None))
    background.wait_depth(1)
    toy.gate.set()
    assert (first.result().source, second.result().source) == ("miss", "miss")
    assert service.announcer.announce(SpeechRequest("occupied")).wav == second.result().wav


def test_take_is_kept_if_one_of_its_requests_allows_it(
    background: Background, service: Service, toy: ToyEngine
) -> None:
    toy.gate.clear()
    not_keeping = background.ask(SpeechRequest("hello", keep=False))
    assert toy.began.acquire(timeout=5)
    keeping = background.ask(SpeechRequest("hello"))
    time.sleep(0.1)
    toy.gate.set()
    assert not_keeping.result().wav == keeping.result().wav
    assert service.announcer.announce(SpeechRequest("hello")).source == "hit"


def test_live_goes_before_background(background: Background, toy: ToyEngine) -> None:
    background.occupy()
    background_takes = [background.ask(SpeechRequest(f"background {n}", lane=Lane.BACKGROUND)) for n in range(3)]
    background.wait_depth(3)
    live = background.ask(SpeechRequest("live"))
    background.wait_depth(4)
    toy.gate.set()
    for future in [live, *background_takes]:
        future.result()
    assert toy.spoken[1] == "live"


def test_full_queue_refuses(settings: Settings, pool: ThreadPoolExecutor) -> None:
    toy = ToyEngine()
    service = started(replace(settings, queue_size=2), toy)
    background = Background(service, toy, pool)
    background.occupy()
    waiting = [background.ask(SpeechRequest(f"waiting {n}")) for n in range(2)]
    background.wait_depth(2)
    with pytest.raises(Overloaded) as caught:
        service.announcer.announce(SpeechRequest("one too many"))
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 1
    toy.gate.set()
    assert {future.result().source for future in waiting} == {"miss"}
    assert service.announcer.announce(SpeechRequest("one too many")).source == "miss"


def test_number_of_requests_waiting_for_one_take_is_limited(settings: Settings, pool: ThreadPoolExecutor) -> None:
    """Otherwise they would occupy every thread, and even /health would not be answered."""
    toy = ToyEngine()
    background = Background(started(replace(settings, queue_size=2, threads=4), toy), toy, pool)
    waiting = [background.occupy(), *(background.ask(SpeechRequest("occupied")) for _ in range(4))]
    (take,) = background.service.announcer._renderer._in_progress.values()
    until = time.monotonic() + 20
    while len(take.waiters) < len(waiting):
        assert time.monotonic() < until
        time.sleep(0.005)
    with pytest.raises(Overloaded, match="Too many requests already wait"):
        background.service.announcer.announce(SpeechRequest("occupied"))
    toy.gate.set()
    assert {future.result().source for future in waiting} <= {"miss", "joined", "hit"}
    assert background.service.announcer.announce(SpeechRequest("another")).source == "miss"


def test_deadline_in_the_engine(settings: Settings, toy: ToyEngine) -> None:
    service = started(replace(settings, deadline_s=0.1), toy)
    toy.gate.clear()
    with pytest.raises(DeadlineExceeded):
        service.announcer.announce(SpeechRequest("slow"))
    toy.gate.set()
    assert service.announcer.announce(SpeechRequest("quick")).source == "miss"
    assert service.health.report()["failures_in_a_row"] == 0


def test_deadline_in_the_queue(settings: Settings, toy: ToyEngine, pool: ThreadPoolExecutor) -> None:
    service = started(replace(settings, deadline_s=0.2), toy)
    toy.gate.clear()
    futures = [pool.submit(service.announcer.announce, SpeechRequest(f"slow {n}")) for n in range(4)]
    for future in futures:
        with pytest.raises(DeadlineExceeded):
            future.result(timeout=5)
    toy.gate.set()
    until = time.monotonic() + 5
    while True:
        try:
            service.announcer.announce(SpeechRequest("next"))
            break
        except Overloaded:  # until the one that was begun has left the engine
            assert time.monotonic() < until
    assert len(toy.spoken) < 5  # those that were queued past their deadline never reached the engine


def test_failure_affects_only_its_take(service: Service, toy: ToyEngine) -> None:
    for error in (ValueError("out of cheese"), MemoryError(), SynthesisFailed("no numbers")):
        toy.fail_with = error
        with pytest.raises(SynthesisFailed):
            service.announcer.announce(SpeechRequest("hello"))
    assert service.health.report()["failures_in_a_row"] == 3
    toy.fail_with = None
    assert service.announcer.announce(SpeechRequest("hello")).source == "miss"
    assert service.health.report()["failures_in_a_row"] == 0


def test_silence_is_a_failure(service: Service, toy: ToyEngine) -> None:
    toy.silent = True
    with pytest.raises(SynthesisFailed, match="silent"):
        service.announcer.announce(SpeechRequest("hello"))


@pytest.mark.parametrize("streamed", [False, True])
def test_text_with_a_suspect_sentence_is_not_kept(service: Service, toy: ToyEngine, streamed: bool) -> None:
    page = " ".join(f"Sentence number {n} of this page is long enough to be said alone." for n in range(5))

    def hear() -> str:
        if not streamed:
            return service.announcer.announce(SpeechRequest(page)).source
        audio = service.announcer.stream(SpeechRequest(page))
        assert sum(map(len, audio.chunks)) > 0
        return audio.source

    toy.hasty.add(service.frontend.prepare(page).sentences[1])
    assert [hear(), hear()] == ["miss", "miss"]
    sentences = len(service.frontend.prepare(page).sentences)
    assert len(toy.spoken) == sentences + 1 + 2  # the suspect one is attempted twice each time; the others are kept
    toy.hasty.clear()
    assert [hear(), hear()] == ["miss", "hit"]


def test_failure_reaches_every_joined_request(background: Background, toy: ToyEngine) -> None:
    first = background.occupy()
    joined = [background.ask(SpeechRequest("occupied")) for _ in range(3)]
    time.sleep(0.1)
    toy.fail_with = ValueError("broken")
    toy.gate.set()
    for future in [first, *joined]:
        with pytest.raises(SynthesisFailed):
            future.result()


def test_unknown_voice(service: Service) -> None:
    with pytest.raises(UnknownVoice, match="Known: monica"):
        service.announcer.announce(SpeechRequest("hello", voice="nobody"))


def test_shutdown_finishes_admitted_takes_and_refuses_new_ones(
    background: Background, service: Service, toy: ToyEngine, pool: ThreadPoolExecutor
) -> None:
    service.announcer.announce(SpeechRequest("kept"))
    toy.began.acquire()
    running = background.occupy()
    queued = background.ask(SpeechRequest("queued"))
    background.wait_depth(1)
    drained = pool.submit(service.drain, 10)
    until = time.monotonic() + 5
    while service.health.report()["status"] != "stopping":
        assert time.monotonic() < until
    with pytest.raises(NotReady) as caught:
        service.announcer.announce(SpeechRequest("too late"))
    assert (caught.value.code, caught.value.status) == ("shutting_down", 503)
    assert service.announcer.announce(SpeechRequest("kept")).source == "hit"
    assert not drained.done()
    toy.gate.set()
    assert (running.result().source, queued.result().source) == ("miss", "miss")
    drained.result(timeout=5)


def test_loading_then_failing_then_ready(settings: Settings, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monica.synthesis.loader.FIRST_RETRY_S", 0.2)
    toy.fail_load_with = [ModelUnavailable("The hub cannot be reached."), RuntimeError("surprise")]
    service = Service(settings, toy)
    health = service.health.report()
    assert (health["status"], health["model_loaded"], health["reason"]) == (
        "loading",
        False,
        "The model is being loaded.",
    )
    with pytest.raises(NotReady) as caught:
        service.announcer.announce(SpeechRequest("hello"))
    assert (caught.value.code, caught.value.retry_after) == ("model_loading", 5)
    service.start(on_config_error=lambda error: pytest.fail(str(error)), on_lost=pytest.fail)
    codes = set()
    until = time.monotonic() + 10
    while service.health.report()["status"] != "ok":
        assert time.monotonic() < until
        try:
            service.announcer.announce(SpeechRequest("hello"))
        except MonicaError as error:
            codes.add(error.code)
        time.sleep(0.01)
    assert "model_failed" in codes
    assert service.announcer.announce(SpeechRequest("ready")).source == "miss"


def test_shutdown_while_loading_is_not_a_failure(
    settings: Settings, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(settings, toy)
    returned = threading.Event()
    load_until_ready = service._loader.load

    def load() -> None:
        service.drain(1)
        raise ModelUnavailable("Monica is shutting down.")

    def load_and_tell() -> None:
        load_until_ready()
        returned.set()

    monkeypatch.setattr(toy, "load", load)
    monkeypatch.setattr(service._loader, "load", load_and_tell)
    service.start(on_config_error=lambda error: pytest.fail(str(error)), on_lost=pytest.fail)
    assert returned.wait(5)
    assert service.health.report()["status"] == "stopping"
    assert "trying again" not in caplog.text


def test_restart_keeps_the_takes(settings: Settings, toy: ToyEngine) -> None:
    service = started(settings, toy)
    first = service.announcer.announce(SpeechRequest("hello"))
    service.close()
    again = started(settings, toy).announcer.announce(SpeechRequest("hello"))
    assert (again.source, again.wav) == ("hit", first.wav)


def test_corrupt_take_is_made_again(settings: Settings, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monica.store.recent.RECENT_SECONDS", 0)
    service = started(settings, toy)
    first = service.announcer.announce(SpeechRequest("hello " * 40))
    path: Path
    (path,) = (settings.cache_dir / "takes").rglob("*.val")
    path.write_bytes(path.read_bytes()[:100])
    assert service.announcer.announce(SpeechRequest("hello " * 40)).source == "miss"
    assert service.announcer.announce(SpeechRequest("hello " * 40)).source == "hit"
    assert len(toy.spoken) == 2
    assert first.duration_s > 0
