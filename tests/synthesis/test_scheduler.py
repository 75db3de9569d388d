"""The scheduler turn by turn, with an engine without time: which takes go first, wait, are refused or dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from monica.errors import DeadlineExceeded, MonicaError, NotReady, Overloaded, SynthesisFailed
from monica.synthesis.scheduler import Scheduler
from monica.synthesis.settling import SEED_STEP
from monica.synthesis.take import Lane, Take, Waiter
from tests.support.stepping import SteppingEngine
from tests.support.takes import new_take


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Harness:
    """A scheduler whose turns the test makes."""

    def __init__(self, slots: int = 2, queue_size: int = 8, steps: Callable[[str], int] = len) -> None:
        self.clock = Clock()
        self.engine = SteppingEngine(slots, steps)
        self.kept: list[str] = []
        """Texts of the takes that may be kept."""
        self.scheduler = Scheduler(lambda: self.engine, self._finish, queue_size, self.clock)

    def _finish(self, take: Take, samples: NDArray[np.float32], _took: float) -> bytes:
        if take.keep and not take.faults:
            self.kept.append(take.text)
        return take.text.encode()

    def ask(self, text: str, lane: Lane = Lane.LIVE, seconds: float = 1000.0, *, keep: bool = True) -> Take:
        waiter = Waiter(self.clock.now + seconds, lane, keep)
        take = new_take(text, waiter)
        self.scheduler.submit([take])
        return take

    def turns(self, count: int, seconds: float = 0.0) -> None:
        """Make turns, and finish what each of them has made. seconds: how long each step of the engine takes."""

        def elapse() -> None:
            self.clock.now += seconds

        self.engine.elapse = elapse
        for _ in range(count):
            self.scheduler.turn()
            self.finish()

    def finish(self) -> None:
        """Do what the finishing thread has to do."""
        while self.scheduler.finishing.do_next():
            pass

    def speaking(self) -> list[str]:
        """Return the texts that the engine advances with every step."""
        return [utterance.text for utterance in self.engine.held if utterance not in self.engine.paused]


def error_of(take: Take) -> MonicaError:
    error = take.sound.exception(timeout=0)
    assert isinstance(error, MonicaError)
    return error


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("monica_takes_total", {"outcome": outcome}) or 0.0


def test_takes_run_side_by_side_and_one_starts_per_turn() -> None:
    harness = Harness(slots=2)
    takes = [harness.ask(text) for text in ("aaaa", "bbbb", "cccc")]
    harness.turns(1)
    assert harness.speaking() == ["aaaa"]
    harness.turns(1)
    assert harness.speaking() == ["aaaa", "bbbb"]
    harness.turns(10)
    assert [take.sound.result(0) for take in takes] == [b"aaaa", b"bbbb", b"cccc"]
    assert harness.engine.held == []


def test_live_take_preempts_background_takes_within_one_turn_and_they_resume_where_they_were() -> None:
    harness = Harness(slots=2, queue_size=20)
    background_takes = [harness.ask(f"background {n}", Lane.BACKGROUND) for n in range(10)]
    harness.turns(5)
    left = {utterance.text: utterance.left for utterance in harness.engine.held}
    live = harness.ask("live")
    harness.turns(1)
    assert harness.speaking() == ["live"]
    harness.turns(3)
    assert live.sound.result(0) == b"live"
    assert {utterance.text: utterance.left for utterance in harness.engine.held} == left
    harness.turns(60)
    assert [take.sound.result(0) for take in background_takes] == [f"background {n}".encode() for n in range(10)]
    assert len(harness.engine.begun) == 11  # none was started again


def test_background_take_is_live_while_a_live_request_waits_for_it() -> None:
    harness = Harness(slots=1)
    harness.ask("first background", Lane.BACKGROUND)
    second = harness.ask("second background", Lane.BACKGROUND)
    harness.turns(2)
    live = Waiter(harness.clock.now + 1000)
    assert second.join(live)
    harness.turns(1)
    assert harness.speaking() == ["second background"]
    second.leave(live)
    harness.turns(1)
    assert second.lane is Lane.BACKGROUND
    harness.turns(60)
    assert second.sound.result(0) == b"second background"


def test_full_queue_refuses_and_says_when_to_retry() -> None:
    harness = Harness(slots=1, queue_size=2)
    first = harness.ask("a" * 10)
    harness.turns(1)
    harness.ask("b" * 10)
    harness.ask("c" * 10)
    with pytest.raises(Overloaded, match="2 sentences already wait") as caught:
        harness.ask("d")
    assert caught.value.retry_after == 1  # the throughput is not known yet
    harness.turns(10, seconds=2.0)
    assert first.sound.done()
    harness.turns(1)
    harness.ask("e" * 10)
    with pytest.raises(Overloaded) as caught:
        harness.ask("f")
    assert caught.value.retry_after == pytest.approx(20, abs=2)  # ten characters, two seconds each


def test_takes_of_one_request_are_queued_together_or_not_at_all() -> None:
    harness = Harness(queue_size=2)
    waiter = Waiter(harness.clock.now + 10)
    takes = [new_take(text, waiter) for text in "abc"]
    with pytest.raises(Overloaded):
        harness.scheduler.submit(takes)
    assert harness.scheduler.depth() == 0
    harness.scheduler.submit(takes[:2])
    assert harness.scheduler.depth() == 2


def test_background_takes_are_refused_first() -> None:
    harness = Harness(slots=1, queue_size=2)
    old, new = (harness.ask(text, Lane.BACKGROUND) for text in ("old", "new"))
    with pytest.raises(Overloaded):
        harness.ask("another", Lane.BACKGROUND)
    harness.ask("live")
    assert isinstance(error_of(new), Overloaded)
    assert error_of(new).retry_after is not None
    harness.ask("live too")
    assert isinstance(error_of(old), Overloaded)
    with pytest.raises(Overloaded):
        harness.ask("one too many")


def test_wait_longer_than_the_deadline_is_refused_at_once() -> None:
    harness = Harness(slots=1, queue_size=50)
    for n in range(8):
        harness.ask(f"sentence {n}")
    harness.turns(30, seconds=1.0)  # ten characters in ten seconds
    ahead = harness.scheduler.depth() * 10
    with pytest.raises(Overloaded, match="longer than this sentence may wait") as caught:
        harness.ask("hasty", seconds=ahead - 20)
    assert caught.value.retry_after is not None
    assert 15 <= caught.value.retry_after <= 30
    harness.ask("patient", seconds=ahead + 60)


def test_background_take_waits_behind_all_and_live_take_only_behind_live_ones() -> None:
    harness = Harness(slots=1, queue_size=50)
    for n in range(8):
        harness.ask(f"sentence {n}", Lane.BACKGROUND)
    harness.turns(30, seconds=1.0)
    with pytest.raises(Overloaded):
        harness.ask("hasty", Lane.BACKGROUND, seconds=20)
    harness.ask("hasty", seconds=20)


def test_deadlines_end_takes_in_the_queue_and_in_the_engine() -> None:
    harness = Harness(slots=1)
    before = count("deadline")
    running = harness.ask("a" * 50, seconds=10)
    waiting = harness.ask("b" * 50, seconds=10)
    harness.turns(5, seconds=1.0)
    assert not running.sound.done()
    harness.turns(6, seconds=1.0)
    assert isinstance(error_of(running), DeadlineExceeded)
    assert isinstance(error_of(waiting), DeadlineExceeded)
    assert harness.engine.held == []
    assert count("deadline") - before == 2


def test_abandoned_take_leaves_its_slot_within_one_turn() -> None:
    harness = Harness(slots=1)
    before = count("abandoned")
    left, waiting, other = harness.ask("a" * 50), harness.ask("b" * 50), harness.ask("c")
    harness.turns(3)
    for take in (left, waiting):
        take.leave(take.waiters[0])
    harness.turns(1)
    assert other.sound.done()
    assert harness.engine.held == []
    assert count("abandoned") - before == 2


def test_abandoned_take_does_not_fill_the_queue() -> None:
    harness = Harness(slots=1, queue_size=1)
    waiting = harness.ask("waiting")
    with pytest.raises(Overloaded):
        harness.ask("another")
    waiting.leave(waiting.waiters[0])
    harness.ask("another")


@pytest.mark.parametrize("kind", ["silent", "empty", "no numbers", "endless", "hasty", "long", "error", "refuse"])
def test_bad_take_is_made_again_with_another_seed(kind: str) -> None:
    harness = Harness()
    before = count("remade")
    harness.engine.script["hello"] = [kind]
    take = harness.ask("hello")
    harness.turns(20)
    assert take.sound.result(0) == b"hello"
    assert [utterance.seed for utterance in harness.engine.begun] == [7, 7 + SEED_STEP]
    assert harness.kept == ["hello"]
    assert count("remade") - before == 1
    assert harness.scheduler.failures_in_a_row == 0


@pytest.mark.parametrize("kind", ["silent", "empty", "no numbers", "endless", "error", "refuse"])
def test_two_bad_takes_are_a_failure(kind: str) -> None:
    harness = Harness()
    harness.engine.script["hello"] = [kind, kind]
    take = harness.ask("hello")
    harness.turns(20)
    assert isinstance(error_of(take), SynthesisFailed)
    assert (len(harness.engine.begun), harness.kept, harness.engine.held) == (2, [], [])
    assert harness.scheduler.failures_in_a_row == 1


@pytest.mark.parametrize("kind", ["hasty", "long"])
def test_take_out_of_proportion_twice_is_served_and_not_kept(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness()
    before = count("suspect")
    harness.engine.script["hello"] = [kind, kind]
    take = harness.ask("hello")
    harness.turns(20)
    assert take.sound.result(0) == b"hello"
    assert harness.kept == []
    assert count("suspect") - before == 1
    assert "for its text: it is served, but not kept" in caplog.text


def test_no_second_attempt_without_time_for_it() -> None:
    harness = Harness()
    harness.engine.script["hello"] = ["silent"]
    take = harness.ask("hello", seconds=8)
    harness.turns(5, seconds=1.0)
    assert isinstance(error_of(take), SynthesisFailed)
    assert len(harness.engine.begun) == 1


def test_second_attempt_comes_before_other_takes() -> None:
    harness = Harness(slots=1)
    harness.engine.script["first"] = ["silent"]
    for text in ("first", "second"):
        harness.ask(text)
    harness.turns(6)
    assert [utterance.text for utterance in harness.engine.begun] == ["first", "first"]


@pytest.mark.parametrize("kind", ["crash begin", "crash step"])
def test_exception_of_the_engine_ends_takes_and_not_the_thread(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness(slots=2)
    harness.engine.script["crash"] = [kind]
    fine, crash = harness.ask("fine" * 5), harness.ask("crash")
    harness.turns(30)
    assert isinstance(error_of(crash), SynthesisFailed)
    assert fine.sound.done()
    assert (fine.sound.exception() is None) == (kind == "crash begin")  # a failed step fails every take in it
    assert harness.engine.held == []
    assert "RuntimeError" in caplog.text
    assert "RuntimeError" not in str(error_of(crash))
    assert harness.ask("next").sound.done() is False
    harness.turns(6)
    assert harness.scheduler.failures_in_a_row == 0


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_take_that_cannot_be_paused_or_resumed_fails_alone(action: str) -> None:
    harness = Harness(slots=1)
    harness.engine.fail_to = {action}
    background = harness.ask("background" * 3, Lane.BACKGROUND, seconds=1.5)
    harness.turns(2, seconds=0.5)
    live = harness.ask("live")
    harness.turns(4, seconds=0.1)
    assert live.sound.result(0) == b"live"
    harness.turns(2, seconds=0.1)
    assert isinstance(error_of(background), MonicaError)
    harness.engine.fail_to = set()
    assert harness.engine.held == []


def test_take_that_cannot_be_kept_or_encoded_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness()

    def fail(*_: object) -> bytes:
        raise OSError("no space left on device")

    monkeypatch.setattr(harness.scheduler.settling, "_finish", fail)
    take = harness.ask("hello")
    harness.turns(10)
    assert isinstance(error_of(take), SynthesisFailed)


def test_giving_up_ends_every_take_even_the_one_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(slots=1)
    error = NotReady("The engine is stuck.", code="model_failed")
    waiting: list[Take] = []
    begin = harness.engine.begin

    def stuck(text: str, **other: object) -> object:
        harness.scheduler.give_up(error)  # as the watchdog does from its own thread
        return begin(text, **other)  # type: ignore[arg-type]

    monkeypatch.setattr(harness.engine, "begin", stuck)
    begun = harness.ask("begun")
    waiting = [harness.ask(f"waiting {n}") for n in range(3)]
    harness.turns(1)
    assert [error_of(take) for take in [begun, *waiting]] == [error] * 4
    with pytest.raises(NotReady, match="stuck"):
        harness.ask("another")
    harness.turns(10)  # the engine came back after all: nothing breaks


def test_log_line_of_a_take_carries_its_request_id(caplog: pytest.LogCaptureFixture) -> None:
    from monica.logs import RequestIdFilter, request_id

    caplog.handler.addFilter(RequestIdFilter())
    harness = Harness()
    harness.engine.script["hello"] = ["silent", "silent"]
    with caplog.at_level(logging.WARNING):
        token = request_id.set("the-request")
        harness.ask("hello")
        request_id.reset(token)
        harness.turns(20)
    assert {getattr(record, "request_id", None) for record in caplog.records} == {"the-request"}
