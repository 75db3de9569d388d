"""The use case around a toy engine: sharing, caching, refusing, giving up, shutting down."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from monica.announcer import Announcement, Announcer, SpeechRequest
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
from monica.synthesis.take import Lane
from tests.conftest import started
from tests.support.engines import ToyEngine


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as pool:
        yield pool


class Background:
    """Announcements asked for in threads; waits until the engine has begun where that matters."""

    def __init__(self, announcer: Announcer, toy: ToyEngine, pool: ThreadPoolExecutor) -> None:
        self.announcer, self.toy, self.pool = announcer, toy, pool

    def ask(self, request: SpeechRequest) -> Future[Announcement]:
        return self.pool.submit(self.announcer.announce, request)

    def occupy(self) -> Future[Announcement]:
        """Put a take into the engine and hold it there."""
        self.toy.gate.clear()
        future = self.ask(SpeechRequest("occupied"))
        assert self.toy.began.acquire(timeout=5)
        return future

    def wait_depth(self, depth: int) -> None:
        until = time.monotonic() + 5
        while self.announcer.health()["queue_depth"] != depth:
            assert time.monotonic() < until, self.announcer.health()
            time.sleep(0.002)


@pytest.fixture
def background(announcer: Announcer, toy: ToyEngine, pool: ThreadPoolExecutor) -> Iterator[Background]:
    yield Background(announcer, toy, pool)
    toy.gate.set()


def test_identical_requests_make_one_take(background: Background, toy: ToyEngine) -> None:
    first = background.occupy()
    others = [background.ask(SpeechRequest("occupied")) for _ in range(10)]
    time.sleep(0.1)
    toy.gate.set()
    assert first.result().cache == "miss"
    assert {other.result().cache for other in others} <= {"joined", "hit"}
    assert {other.result().wav for other in others} == {first.result().wav}
    assert toy.spoken == ["occupied"]


def test_many_identical_requests_at_once_make_one_take_each_time(announcer: Announcer, toy: ToyEngine) -> None:
    """The window between the look-up and the join: a take that ends inside it is not made again."""
    for n in range(50):
        barrier = threading.Barrier(8)

        def ask(text: str, barrier: threading.Barrier = barrier) -> str:
            barrier.wait()
            return announcer.announce(SpeechRequest(text)).cache

        with ThreadPoolExecutor(8) as pool:
            caches = list(pool.map(ask, [f"phrase {n}"] * 8))
        assert caches.count("miss") == 1
    assert len(toy.spoken) == 50


def test_a_different_seed_is_a_different_take(background: Background, toy: ToyEngine) -> None:
    background.occupy()
    other = background.ask(SpeechRequest("occupied", seed=7))
    background.wait_depth(1)
    toy.gate.set()
    assert other.result().cache == "miss"
    assert toy.seeds[1] == 7


def test_no_seed_means_a_new_seed_each_take(announcer: Announcer, toy: ToyEngine) -> None:
    for _ in range(5):
        announcer.announce(SpeechRequest("hello", fresh=True))
    assert len(set(toy.seeds)) == 5


def test_fresh_never_joins_and_replaces(background: Background, announcer: Announcer, toy: ToyEngine) -> None:
    first = background.occupy()
    second = background.ask(SpeechRequest("occupied", fresh=True, seed=None))
    background.wait_depth(1)
    toy.gate.set()
    assert (first.result().cache, second.result().cache) == ("miss", "miss")
    assert announcer.announce(SpeechRequest("occupied")).wav == second.result().wav


def test_a_joiner_that_keeps_makes_the_take_kept(background: Background, announcer: Announcer, toy: ToyEngine) -> None:
    toy.gate.clear()
    careless = background.ask(SpeechRequest("hello", keep=False))
    assert toy.began.acquire(timeout=5)
    keeper = background.ask(SpeechRequest("hello"))
    time.sleep(0.1)
    toy.gate.set()
    assert careless.result().wav == keeper.result().wav
    assert announcer.announce(SpeechRequest("hello")).cache == "hit"


def test_live_goes_before_background(background: Background, toy: ToyEngine) -> None:
    background.occupy()
    rehearsals = [background.ask(SpeechRequest(f"rehearsal {n}", lane=Lane.BACKGROUND)) for n in range(3)]
    background.wait_depth(3)
    live = background.ask(SpeechRequest("live"))
    background.wait_depth(4)
    toy.gate.set()
    for future in [live, *rehearsals]:
        future.result()
    assert toy.spoken[1] == "live"


def test_queue_full_is_refused(settings: Settings, pool: ThreadPoolExecutor) -> None:
    toy = ToyEngine()
    announcer = started(replace(settings, queue_size=2), toy)
    background = Background(announcer, toy, pool)
    background.occupy()
    waiting = [background.ask(SpeechRequest(f"waiting {n}")) for n in range(2)]
    background.wait_depth(2)
    with pytest.raises(Overloaded) as caught:
        announcer.announce(SpeechRequest("one too many"))
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 1
    toy.gate.set()
    assert {future.result().cache for future in waiting} == {"miss"}
    assert announcer.announce(SpeechRequest("one too many")).cache == "miss"


def test_so_many_may_wait_for_one_take_and_no_more(settings: Settings, pool: ThreadPoolExecutor) -> None:
    """Else they would take every thread, and nobody could ask how Monica is."""
    toy = ToyEngine()
    background = Background(started(replace(settings, queue_size=2, threads=4), toy), toy, pool)
    waiting = [background.occupy(), *(background.ask(SpeechRequest("occupied")) for _ in range(4))]
    (take,) = background.announcer._studio._under_way.values()
    until = time.monotonic() + 20
    while len(take.waiters) < len(waiting):
        assert time.monotonic() < until
        time.sleep(0.005)
    with pytest.raises(Overloaded, match="Too many requests already wait"):
        background.announcer.announce(SpeechRequest("occupied"))
    toy.gate.set()
    assert {future.result().cache for future in waiting} <= {"miss", "joined", "hit"}
    assert background.announcer.announce(SpeechRequest("another")).cache == "miss"


def test_deadline_in_the_engine(settings: Settings, toy: ToyEngine) -> None:
    announcer = started(replace(settings, deadline_s=0.1), toy)
    toy.gate.clear()
    with pytest.raises(DeadlineExceeded):
        announcer.announce(SpeechRequest("slow"))
    toy.gate.set()
    assert announcer.announce(SpeechRequest("quick")).cache == "miss"
    assert announcer.health()["failures_in_a_row"] == 0


def test_deadline_in_the_queue(settings: Settings, toy: ToyEngine, pool: ThreadPoolExecutor) -> None:
    announcer = started(replace(settings, deadline_s=0.2), toy)
    toy.gate.clear()
    futures = [pool.submit(announcer.announce, SpeechRequest(f"slow {n}")) for n in range(4)]
    for future in futures:
        with pytest.raises(DeadlineExceeded):
            future.result(timeout=5)
    toy.gate.set()
    announcer.announce(SpeechRequest("next"))
    assert len(toy.spoken) < 5  # those that waited past their deadline never reached the engine


def test_a_failure_is_the_takes_alone(announcer: Announcer, toy: ToyEngine) -> None:
    for error in (ValueError("out of cheese"), MemoryError(), SynthesisFailed("no numbers")):
        toy.fail_with = error
        with pytest.raises(SynthesisFailed):
            announcer.announce(SpeechRequest("hello"))
    assert announcer.health()["failures_in_a_row"] == 3
    toy.fail_with = None
    assert announcer.announce(SpeechRequest("hello")).cache == "miss"
    assert announcer.health()["failures_in_a_row"] == 0


def test_no_sound_is_a_failure_not_an_empty_wav(announcer: Announcer, toy: ToyEngine) -> None:
    toy.silent = True
    with pytest.raises(SynthesisFailed, match="silent"):
        announcer.announce(SpeechRequest("hello"))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_page_with_a_doubtful_sentence_is_not_kept(announcer: Announcer, toy: ToyEngine, streamed: bool) -> None:
    page = " ".join(f"Sentence number {n} of this page is long enough to be said alone." for n in range(5))

    def hear() -> str:
        if not streamed:
            return announcer.announce(SpeechRequest(page)).cache
        broadcast = announcer.broadcast(SpeechRequest(page))
        assert sum(map(len, broadcast.pieces)) > 0
        return broadcast.cache

    toy.hasty.add(announcer.spell(page).sentences[1])
    assert [hear(), hear()] == ["miss", "miss"]
    sentences = len(announcer.spell(page).sentences)
    assert len(toy.spoken) == sentences + 1 + 2  # each attempted twice, and the others are kept
    toy.hasty.clear()
    assert [hear(), hear()] == ["miss", "hit"]


def test_every_joiner_hears_of_the_failure(background: Background, toy: ToyEngine) -> None:
    first = background.occupy()
    joined = [background.ask(SpeechRequest("occupied")) for _ in range(3)]
    time.sleep(0.1)
    toy.fail_with = ValueError("broken")
    toy.gate.set()
    for future in [first, *joined]:
        with pytest.raises(SynthesisFailed):
            future.result()


def test_unknown_voice(announcer: Announcer) -> None:
    with pytest.raises(UnknownVoice, match="Known: monica"):
        announcer.announce(SpeechRequest("hello", voice="nobody"))


def test_shutdown_finishes_what_was_admitted_and_refuses_the_rest(
    background: Background, announcer: Announcer, toy: ToyEngine, pool: ThreadPoolExecutor
) -> None:
    announcer.announce(SpeechRequest("kept"))
    toy.began.acquire()
    under_way = background.occupy()
    queued = background.ask(SpeechRequest("queued"))
    background.wait_depth(1)
    drained = pool.submit(announcer.drain, 10)
    until = time.monotonic() + 5
    while announcer.health()["status"] != "stopping":
        assert time.monotonic() < until
    with pytest.raises(NotReady) as caught:
        announcer.announce(SpeechRequest("too late"))
    assert (caught.value.code, caught.value.status) == ("shutting_down", 503)
    assert announcer.announce(SpeechRequest("kept")).cache == "hit"
    assert not drained.done()
    toy.gate.set()
    assert (under_way.result().cache, queued.result().cache) == ("miss", "miss")
    drained.result(timeout=5)


def test_loading_then_failing_then_ready(settings: Settings, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monica.synthesis.loader.FIRST_PAUSE_S", 0.2)
    toy.fail_load_with = [ModelUnavailable("The hub cannot be reached."), RuntimeError("surprise")]
    announcer = Announcer(settings, toy)
    health = announcer.health()
    assert (health["status"], health["model_loaded"], health["reason"]) == (
        "loading",
        False,
        "The model is being loaded.",
    )
    with pytest.raises(NotReady) as caught:
        announcer.announce(SpeechRequest("hello"))
    assert (caught.value.code, caught.value.retry_after) == ("model_loading", 5)
    announcer.start(on_config_error=lambda error: pytest.fail(str(error)), on_lost=pytest.fail)
    codes = set()
    until = time.monotonic() + 10
    while announcer.health()["status"] != "ok":
        assert time.monotonic() < until
        try:
            announcer.announce(SpeechRequest("hello"))
        except MonicaError as error:
            codes.add(error.code)
        time.sleep(0.01)
    assert "model_failed" in codes
    assert announcer.announce(SpeechRequest("ready")).cache == "miss"


def test_a_shutdown_while_loading_is_no_failure(
    settings: Settings, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    announcer = Announcer(settings, toy)

    def load() -> None:
        announcer.drain(1)
        raise ModelUnavailable("Monica is shutting down.")

    monkeypatch.setattr(toy, "load", load)
    announcer.start(on_config_error=lambda error: pytest.fail(str(error)), on_lost=pytest.fail)
    until = time.monotonic() + 5
    while any(thread.name == "loader" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.005)
    assert announcer.health()["status"] == "stopping"
    assert "trying again" not in caplog.text


def test_a_restart_keeps_the_takes(settings: Settings, toy: ToyEngine) -> None:
    announcer = started(settings, toy)
    first = announcer.announce(SpeechRequest("hello"))
    announcer.close()
    again = started(settings, toy).announce(SpeechRequest("hello"))
    assert (again.cache, again.wav) == ("hit", first.wav)


def test_a_corrupt_take_is_made_again(settings: Settings, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monica.store.cache.RECENT_SECONDS", 0)
    announcer = started(settings, toy)
    first = announcer.announce(SpeechRequest("hello " * 40))
    path: Path
    (path,) = (settings.cache_dir / "takes").rglob("*.val")
    path.write_bytes(path.read_bytes()[:100])
    assert announcer.announce(SpeechRequest("hello " * 40)).cache == "miss"
    assert announcer.announce(SpeechRequest("hello " * 40)).cache == "hit"
    assert len(toy.spoken) == 2
    assert first.duration_s > 0
