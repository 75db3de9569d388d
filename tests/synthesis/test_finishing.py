"""What happens to takes after the engine, in the finishing thread: order, pressure, failures, shutdown."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine import SynthesisParams, Utterance
from monica.errors import NotReady, SynthesisFailed
from monica.service import Service
from monica.speech import SpeechRequest
from monica.synthesis.finishing import MAX_JOBS, FinishingQueue
from monica.synthesis.health import STUCK_S, Health
from monica.synthesis.loader import Status
from monica.synthesis.renderer import Renderer
from monica.synthesis.scheduler import Scheduler
from monica.synthesis.take import Take
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.stepping import ScriptedUtterance, SteppingEngine, sound
from tests.support.takes import new_take
from tests.support.wire import until
from tests.synthesis.test_scheduler import Harness, error_of


@pytest.fixture
def harness() -> Harness:
    return Harness()


def test_engine_goes_on_while_a_take_is_finished(harness: Harness) -> None:
    first, second = harness.ask("one"), harness.ask("second")
    for _ in range(10):
        harness.scheduler.turn()
    assert [utterance.text for utterance in harness.engine.begun] == ["one", "second"]
    assert harness.engine.held == []
    assert not first.sound.done()
    assert not second.sound.done()
    assert harness.scheduler.finishing.takes == (first, second)
    harness.scheduler.finishing.do_next()
    assert (first.sound.done(), second.sound.done()) == (True, False)
    harness.finish()
    assert harness.kept == ["one", "second"]


def test_take_that_was_made_is_kept_though_its_deadline_has_passed(harness: Harness) -> None:
    late, left = harness.ask("late", seconds=5), harness.ask("left")
    for _ in range(6):
        harness.scheduler.turn()
    harness.clock.now += 10
    left.leave(left.waiters[0])
    harness.turns(1)
    assert (late.sound.result(0), left.sound.result(0)) == (b"late", b"left")
    assert harness.kept == ["late", "left"]


def test_no_take_is_started_while_too_many_wait_to_be_finished() -> None:
    harness = Harness(slots=2, queue_size=2 * MAX_JOBS)
    takes = [harness.ask(f"{n:02}") for n in range(MAX_JOBS + 6)]
    for _ in range(3 * len(takes)):
        harness.scheduler.turn()
    # Those in the engine when the limit was reached could not be held up there.
    assert MAX_JOBS <= len(harness.scheduler.finishing.takes) <= MAX_JOBS + 1
    begun = len(harness.engine.begun)
    assert begun == len(harness.scheduler.finishing.takes)
    assert not harness.scheduler._has_work()  # or the engine thread would spin
    harness.scheduler.finishing.do_next()
    harness.scheduler.finishing.do_next()
    assert harness.scheduler._has_work()
    harness.turns(3 * len(takes))
    assert all(take.sound.done() for take in takes)


def test_error_fails_that_take_only_and_does_not_blame_the_engine(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    finish = harness.scheduler.settling._finish

    def fail(take: Take, samples: NDArray[np.float32], took_s: float) -> bytes:
        if take.text == "bad":
            raise OSError("no space left on device")
        return finish(take, samples, took_s)

    monkeypatch.setattr(harness.scheduler.settling, "_finish", fail)
    good, bad = harness.ask("good"), harness.ask("bad")
    harness.turns(10)
    assert good.sound.result(0) == b"good"
    assert str(error_of(bad)) == "The sound of this sentence could not be finished."
    assert isinstance(error_of(bad), SynthesisFailed)
    assert "no space left on device" in caplog.text
    assert [utterance.text for utterance in harness.engine.begun] == ["good", "bad"]  # to make it again would not help
    assert harness.scheduler.settling.breakdowns_in_a_row == 0
    assert harness.scheduler.failures_in_a_row == 1


def test_no_exception_ends_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    progress: list[None] = []
    queue = FinishingQueue(lambda: 0.0, lambda: progress.append(None))
    take = new_take("a")
    queue.add_end(take, lambda: done.append(1 // 0))
    queue.add_end(take, lambda: done.append(2))
    assert queue.do_next()
    assert queue.do_next()
    assert not queue.do_next()
    assert (done, queue.takes, queue.job_began) == ([2], (), None)
    assert len(progress) == 2
    assert "ZeroDivisionError" in caplog.text


def test_chunks_go_before_the_ends_of_other_takes_and_never_before_their_own() -> None:
    done: list[str] = []
    queue = FinishingQueue(lambda: 0.0, lambda: None)
    whole, stream = new_take("whole"), new_take("stream")
    queue.add_end(whole, lambda: done.append("end of the whole take"))
    for n in (1, 2):
        queue.add_chunk(stream, lambda n=n: done.append(f"chunk {n}"))  # type: ignore[misc]
    queue.add_end(stream, lambda: done.append("end of the stream"))
    while queue.do_next():
        pass
    assert done == ["chunk 1", "chunk 2", "end of the whole take", "end of the stream"]


def test_giving_up_ends_takes_that_are_being_finished(harness: Harness) -> None:
    made = harness.ask("made")
    for _ in range(6):
        harness.scheduler.turn()
    error = NotReady("The disk is stuck.", code="model_failed")
    harness.scheduler.give_up(error)
    assert error_of(made) is error
    harness.turns(1)  # the disk came back after all: nothing breaks, and nothing is kept
    assert harness.kept == []


class ChunkedEngine(SteppingEngine):
    """Hands out a chunk in every step. The first attempt of "torn" fails at its third."""

    def step(self) -> None:
        for utterance in self.held:
            assert isinstance(utterance, ScriptedUtterance)
            utterance.chunks.append(sound(utterance.text, "ok"))
            if utterance.text == "torn" and len(self.begun) == 1 and len(utterance.chunks) == 3:
                utterance.error = SynthesisFailed("It broke.")
            elif len(utterance.chunks) == 4:
                utterance.samples = np.concatenate(utterance.chunks)

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        return super().begin(text, voice=voice, params=params, seed=seed)


class StreamHarness(Harness):
    """Streams. `holds_back`: how many chunks of a take are received before anything of it is published."""

    def __init__(self, holds_back: int = 0) -> None:
        super().__init__()
        self.holds_back = holds_back
        self.received: list[tuple[int, int]] = []
        """Seed and number of each chunk that was published, or held back."""
        self.engine = ChunkedEngine()
        self.scheduler = Scheduler(lambda: self.engine, self._finish, 8, self.clock, self._publish)

    def _publish(self, take: Take, samples: NDArray[np.float32]) -> None:
        if take.text == "unpublishable":
            raise ValueError("a chunk")
        self.received.append((take.seed, len(samples)))
        if sum(seed == take.seed for seed, _ in self.received) > self.holds_back:
            take.publish(b"..")


def test_stream_that_broke_before_anything_was_heard_is_made_again_after_its_chunks() -> None:
    """The engine may fail before the finishing thread has come to a chunk. It decides then, not the engine thread."""
    harness = StreamHarness(holds_back=3)
    take = harness.ask("torn")
    for _ in range(4):
        harness.scheduler.turn()
    assert len(harness.engine.begun) == 1
    assert harness.scheduler.finishing.takes == (take,) * 3
    harness.finish()
    assert (take.attempts, take.chunks) == (2, ())
    harness.turns(5)
    assert take.sound.result(0) == b"torn"
    seeds = [seed for seed, _ in harness.received]
    assert seeds == sorted(seeds, key=seeds.index)
    assert len(set(seeds)) == 2


def test_stream_that_broke_after_something_was_heard_fails() -> None:
    harness = StreamHarness()
    take = harness.ask("torn")
    for _ in range(4):
        harness.scheduler.turn()
    assert take.chunks == ()  # not heard yet: with the chunks alone, it would pass for one that can be made again
    harness.finish()
    assert len(take.chunks) == 2
    assert isinstance(error_of(take), SynthesisFailed)
    harness.turns(3)
    assert len(harness.engine.begun) == 1


def test_stream_whose_chunk_cannot_be_finished_fails_and_leaves_the_engine() -> None:
    harness = StreamHarness()
    bad, good = harness.ask("unpublishable"), harness.ask("good")
    harness.turns(2)
    assert isinstance(error_of(bad), SynthesisFailed)
    assert harness.speaking() == ["good"]
    harness.turns(6)
    assert good.sound.done()
    assert harness.scheduler.settling.breakdowns_in_a_row == 0


def test_stuck_finishing_shows_in_health_like_a_stuck_step(harness: Harness) -> None:
    loader: Any = SimpleNamespace(status=Status.OK, reason=None, chosen=harness.engine, device_lost=None)
    health = Health(Settings(deadline_s=30), loader, harness.scheduler)
    seen: list[tuple[Status, str | None]] = []
    lost: list[str | None] = []

    def finish(*_: object) -> bytes:
        began = harness.clock.now
        seen.extend(health.diagnose(began + seconds) for seconds in (1, STUCK_S["cpu"] / 4 + 1))
        lost.extend(health.lost(began + seconds) for seconds in (STUCK_S["cpu"] - 1, STUCK_S["cpu"] + 1))
        return b""

    harness.scheduler.settling._finish = finish
    harness.ask("a")
    harness.turns(1)
    assert [status for status, _ in seen] == [Status.OK, Status.DEGRADED]
    assert "not finished and kept for 76 s" in str(seen[1][1])
    assert lost[0] is None
    assert "has not been finished and kept for 301 s" in str(lost[1])
    assert health.diagnose(harness.clock.now + 1) == (Status.OK, None)


class Brake:
    """Holds up the finishing of every take until `release` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.release = threading.Event()
        self.reached = threading.Semaphore(0)
        self.threads: set[str] = set()
        finish = Renderer._finish

        def held_up(*arguments: Any) -> bytes:
            self.threads.add(threading.current_thread().name)
            self.reached.release()
            assert self.release.wait(20)
            return finish(*arguments)

        monkeypatch.setattr(Renderer, "_finish", held_up)


@pytest.fixture
def brake(monkeypatch: pytest.MonkeyPatch) -> Brake:
    return Brake(monkeypatch)


@pytest.fixture
def braked(brake: Brake, settings: Settings, toy: ToyEngine) -> Iterator[Service]:
    service = started(settings, toy)
    yield service
    brake.release.set()
    service.close()


def test_takes_are_made_meanwhile_and_shutdown_waits_for_the_last(
    braked: Service, brake: Brake, toy: ToyEngine
) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(braked.announcer.announce, SpeechRequest("première"))
        assert brake.reached.acquire(timeout=10)
        second = pool.submit(braked.announcer.announce, SpeechRequest("seconde"))
        until(lambda: len(braked._scheduler.finishing.takes) == 2)
        assert toy.utterances == []  # the engine has made both
        assert not braked._scheduler.drain(0.05)
        drained = pool.submit(braked.drain, 20)
        brake.release.set()
        assert (first.result(10).source, second.result(10).source) == ("miss", "miss")
        drained.result(10)
    assert braked._scheduler.finishing.takes == ()
    assert brake.threads == {"finishing"}
    assert braked.announcer.announce(SpeechRequest("seconde")).source == "hit"


def test_request_joins_a_take_that_is_being_finished(braked: Service, brake: Brake, toy: ToyEngine) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(braked.announcer.announce, SpeechRequest("bonjour"))
        assert brake.reached.acquire(timeout=10)
        second = pool.submit(braked.announcer.announce, SpeechRequest("bonjour"))
        until(lambda: sum(len(take.waiters) for take in braked._scheduler.finishing.takes) == 2)
        brake.release.set()
        assert (first.result(10).source, second.result(10).source) == ("miss", "joined")
    assert toy.spoken == ["bonjour"]


def test_engine_thread_waits_for_room_and_goes_on(
    braked: Service, brake: Brake, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monica.synthesis.finishing.MAX_JOBS", 2)
    with ThreadPoolExecutor() as pool:
        takes = [pool.submit(braked.announcer.announce, SpeechRequest(f"phrase {n}")) for n in range(5)]
        # One is being finished, one waits for it; then no other is begun.
        until(lambda: len(braked._scheduler.finishing.takes) == 2)
        until(lambda: braked._scheduler._idle)
        assert len(toy.spoken) == 2
        assert braked._scheduler.wanted_since is not None
        brake.release.set()
        assert [take.result(10).source for take in takes] == ["miss"] * 5
    until(lambda: braked._scheduler.wanted_since is None)  # or an idle Monica would pass for one that is late
