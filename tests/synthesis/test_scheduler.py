"""The scheduler turn by turn, around an engine without time: who goes first, who waits, is refused, is dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from monica.errors import DeadlineExceeded, MonicaError, NotReady, Overloaded, SynthesisFailed
from monica.synthesis.running import SEED_STEP
from monica.synthesis.scheduler import Scheduler
from monica.synthesis.take import Lane, Take, Waiter
from tests.support.stepping import SteppingEngine
from tests.support.takes import new_take


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A scheduler whose turns a test makes. kept: the texts whose takes may be kept."""

    def __init__(self, slots: int = 2, queue_size: int = 8, steps: Callable[[str], int] = len) -> None:
        self.clock = Clock()
        self.engine = SteppingEngine(slots, steps)
        self.kept: list[str] = []
        self.scheduler = Scheduler(lambda: self.engine, self._deliver, queue_size, self.clock)

    def _deliver(self, take: Take, samples: NDArray[np.float32], _took: float) -> bytes:
        if take.keep and take.defect is None:
            self.kept.append(take.text)
        return take.text.encode()

    def ask(self, text: str, lane: Lane = Lane.LIVE, seconds: float = 1000.0, *, keep: bool = True) -> Take:
        waiter = Waiter(self.clock.now + seconds, lane, keep)
        take = new_take(text, waiter)
        self.scheduler.submit([take])
        return take

    def turns(self, count: int, seconds: float = 0.0) -> None:
        """Make turns; the engine's step takes so many seconds."""

        def elapse() -> None:
            self.clock.now += seconds

        self.engine.elapse = elapse
        for _ in range(count):
            self.scheduler.turn()

    def saying(self) -> list[str]:
        """What the engine advances with every step."""
        return [part.text for part in self.engine.held if part not in self.engine.paused]


def error_of(take: Take) -> MonicaError:
    error = take.sound.exception(timeout=0)
    assert isinstance(error, MonicaError)
    return error


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("monica_takes_total", {"outcome": outcome}) or 0.0


def test_takes_are_made_side_by_side_and_one_is_begun_a_turn() -> None:
    desk = Desk(slots=2)
    takes = [desk.ask(text) for text in ("aaaa", "bbbb", "cccc")]
    desk.turns(1)
    assert desk.saying() == ["aaaa"]
    desk.turns(1)
    assert desk.saying() == ["aaaa", "bbbb"]
    desk.turns(10)
    assert [take.sound.result(0) for take in takes] == [b"aaaa", b"bbbb", b"cccc"]
    assert desk.engine.held == []


def test_a_live_take_behind_ten_rehearsals_begins_within_one_turn_and_they_go_on_where_they_were() -> None:
    desk = Desk(slots=2, queue_size=20)
    rehearsals = [desk.ask(f"rehearsal {n}", Lane.BACKGROUND) for n in range(10)]
    desk.turns(5)
    left = {part.text: part.left for part in desk.engine.held}
    live = desk.ask("live")
    desk.turns(1)
    assert desk.saying() == ["live"]
    desk.turns(3)
    assert live.sound.result(0) == b"live"
    assert {part.text: part.left for part in desk.engine.held} == left
    desk.turns(60)
    assert [take.sound.result(0) for take in rehearsals] == [f"rehearsal {n}".encode() for n in range(10)]
    assert len(desk.engine.begun) == 11  # none was begun anew


def test_a_rehearsal_that_a_live_request_joins_is_live() -> None:
    desk = Desk(slots=1)
    desk.ask("first rehearsal", Lane.BACKGROUND)
    second = desk.ask("second rehearsal", Lane.BACKGROUND)
    desk.turns(2)
    live = Waiter(desk.clock.now + 1000)
    assert second.join(live)
    desk.turns(1)
    assert desk.saying() == ["second rehearsal"]
    second.leave(live)
    desk.turns(1)
    assert second.lane is Lane.BACKGROUND
    desk.turns(60)
    assert second.sound.result(0) == b"second rehearsal"


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    desk = Desk(slots=1, queue_size=2)
    first = desk.ask("a" * 10)
    desk.turns(1)
    desk.ask("b" * 10)
    desk.ask("c" * 10)
    with pytest.raises(Overloaded, match="2 sentences already wait") as caught:
        desk.ask("d")
    assert caught.value.retry_after == 1  # nothing is known yet
    desk.turns(10, seconds=2.0)
    assert first.sound.done()
    desk.turns(1)
    desk.ask("e" * 10)
    with pytest.raises(Overloaded) as caught:
        desk.ask("f")
    assert caught.value.retry_after == pytest.approx(20, abs=2)  # ten characters, two seconds each


def test_takes_of_one_request_are_queued_all_or_none() -> None:
    desk = Desk(queue_size=2)
    waiter = Waiter(desk.clock.now + 10)
    takes = [new_take(text, waiter) for text in "abc"]
    with pytest.raises(Overloaded):
        desk.scheduler.submit(takes)
    assert desk.scheduler.depth() == 0
    desk.scheduler.submit(takes[:2])
    assert desk.scheduler.depth() == 2


def test_rehearsals_are_refused_first() -> None:
    desk = Desk(slots=1, queue_size=2)
    old, new = (desk.ask(text, Lane.BACKGROUND) for text in ("old", "new"))
    with pytest.raises(Overloaded):
        desk.ask("another", Lane.BACKGROUND)
    desk.ask("live")
    assert isinstance(error_of(new), Overloaded)
    assert error_of(new).retry_after is not None
    desk.ask("live too")
    assert isinstance(error_of(old), Overloaded)
    with pytest.raises(Overloaded):
        desk.ask("one too many")


def test_a_wait_that_is_longer_than_the_deadline_is_refused_at_once() -> None:
    desk = Desk(slots=1, queue_size=50)
    for n in range(8):
        desk.ask(f"sentence {n}")
    desk.turns(30, seconds=1.0)  # ten characters in ten seconds
    ahead = desk.scheduler.depth() * 10
    with pytest.raises(Overloaded, match="longer than this sentence may wait") as caught:
        desk.ask("hasty", seconds=ahead - 20)
    assert caught.value.retry_after is not None
    assert 15 <= caught.value.retry_after <= 30
    desk.ask("patient", seconds=ahead + 60)


def test_a_rehearsal_waits_behind_all_a_live_take_only_behind_live_ones() -> None:
    desk = Desk(slots=1, queue_size=50)
    for n in range(8):
        desk.ask(f"sentence {n}", Lane.BACKGROUND)
    desk.turns(30, seconds=1.0)
    with pytest.raises(Overloaded):
        desk.ask("hasty", Lane.BACKGROUND, seconds=20)
    desk.ask("hasty", seconds=20)


def test_deadlines_end_takes_in_the_queue_and_in_the_engine() -> None:
    desk = Desk(slots=1)
    before = count("deadline")
    under_way = desk.ask("a" * 50, seconds=10)
    waiting = desk.ask("b" * 50, seconds=10)
    desk.turns(5, seconds=1.0)
    assert not under_way.sound.done()
    desk.turns(6, seconds=1.0)
    assert isinstance(error_of(under_way), DeadlineExceeded)
    assert isinstance(error_of(waiting), DeadlineExceeded)
    assert desk.engine.held == []
    assert count("deadline") - before == 2


def test_a_take_nobody_waits_for_leaves_its_slot_within_one_turn() -> None:
    desk = Desk(slots=1)
    before = count("abandoned")
    left, waiting, other = desk.ask("a" * 50), desk.ask("b" * 50), desk.ask("c")
    desk.turns(3)
    for take in (left, waiting):
        take.leave(take.waiters[0])
    desk.turns(1)
    assert other.sound.done()
    assert desk.engine.held == []
    assert count("abandoned") - before == 2


def test_an_abandoned_take_does_not_fill_the_queue() -> None:
    desk = Desk(slots=1, queue_size=1)
    waiting = desk.ask("waiting")
    with pytest.raises(Overloaded):
        desk.ask("another")
    waiting.leave(waiting.waiters[0])
    desk.ask("another")


@pytest.mark.parametrize("kind", ["silent", "empty", "no numbers", "endless", "hasty", "long", "error", "refuse"])
def test_a_bad_take_is_made_again_with_another_seed(kind: str) -> None:
    desk = Desk()
    before = count("remade")
    desk.engine.parts["hello"] = [kind]
    take = desk.ask("hello")
    desk.turns(20)
    assert take.sound.result(0) == b"hello"
    assert [part.seed for part in desk.engine.begun] == [7, 7 + SEED_STEP]
    assert desk.kept == ["hello"]
    assert count("remade") - before == 1
    assert desk.scheduler.failures_in_a_row == 0


@pytest.mark.parametrize("kind", ["silent", "empty", "no numbers", "endless", "error", "refuse"])
def test_two_bad_takes_are_a_failure(kind: str) -> None:
    desk = Desk()
    desk.engine.parts["hello"] = [kind, kind]
    take = desk.ask("hello")
    desk.turns(20)
    assert isinstance(error_of(take), SynthesisFailed)
    assert (len(desk.engine.begun), desk.kept, desk.engine.held) == (2, [], [])
    assert desk.scheduler.failures_in_a_row == 1


@pytest.mark.parametrize("kind", ["hasty", "long"])
def test_a_take_out_of_proportion_twice_is_served_and_not_kept(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    before = count("suspect")
    desk.engine.parts["hello"] = [kind, kind]
    take = desk.ask("hello")
    desk.turns(20)
    assert take.sound.result(0) == b"hello"
    assert desk.kept == []
    assert count("suspect") - before == 1
    assert "for its text: it is served, but not kept" in caplog.text


def test_there_is_no_second_attempt_without_time_for_it() -> None:
    desk = Desk()
    desk.engine.parts["hello"] = ["silent"]
    take = desk.ask("hello", seconds=8)
    desk.turns(5, seconds=1.0)
    assert isinstance(error_of(take), SynthesisFailed)
    assert len(desk.engine.begun) == 1


def test_the_second_attempt_comes_before_others() -> None:
    desk = Desk(slots=1)
    desk.engine.parts["first"] = ["silent"]
    for text in ("first", "second"):
        desk.ask(text)
    desk.turns(6)
    assert [part.text for part in desk.engine.begun] == ["first", "first"]


@pytest.mark.parametrize("kind", ["crash begin", "crash step"])
def test_what_an_engine_throws_ends_takes_and_not_the_thread(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(slots=2)
    desk.engine.parts["crash"] = [kind]
    fine, crash = desk.ask("fine" * 5), desk.ask("crash")
    desk.turns(30)
    assert isinstance(error_of(crash), SynthesisFailed)
    assert fine.sound.done()
    assert (fine.sound.exception() is None) == (kind == "crash begin")  # a step that fails fails for all in it
    assert desk.engine.held == []
    assert "RuntimeError" in caplog.text
    assert "RuntimeError" not in str(error_of(crash))
    assert desk.ask("next").sound.done() is False
    desk.turns(6)
    assert desk.scheduler.failures_in_a_row == 0


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_a_take_that_cannot_be_set_aside_or_resumed_fails_alone(action: str) -> None:
    desk = Desk(slots=1)
    desk.engine.fail_to = {action}
    rehearsal = desk.ask("rehearsal" * 3, Lane.BACKGROUND, seconds=1.5)
    desk.turns(2, seconds=0.5)
    live = desk.ask("live")
    desk.turns(4, seconds=0.1)
    assert live.sound.result(0) == b"live"
    desk.turns(2, seconds=0.1)
    assert isinstance(error_of(rehearsal), MonicaError)
    desk.engine.fail_to = set()
    assert desk.engine.held == []


def test_what_cannot_be_kept_or_encoded_is_that_takes_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()

    def fail(*_: object) -> bytes:
        raise OSError("no space left on device")

    monkeypatch.setattr(desk.scheduler.running, "_finish", fail)
    take = desk.ask("hello")
    desk.turns(10)
    assert isinstance(error_of(take), SynthesisFailed)


def test_giving_up_ends_every_take_even_the_one_that_is_being_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(slots=1)
    error = NotReady("The engine is stuck.", code="model_failed")
    waiting: list[Take] = []
    begin = desk.engine.begin

    def stuck(text: str, **other: object) -> object:
        desk.scheduler.give_up(error)  # as the watchdog does, in a thread of its own
        return begin(text, **other)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.engine, "begin", stuck)
    begun = desk.ask("begun")
    waiting = [desk.ask(f"waiting {n}") for n in range(3)]
    desk.turns(1)
    assert [error_of(take) for take in [begun, *waiting]] == [error] * 4
    with pytest.raises(NotReady, match="stuck"):
        desk.ask("another")
    desk.turns(10)  # it came back after all: nothing breaks


def test_a_log_line_of_a_take_carries_the_request_that_asked_for_it(caplog: pytest.LogCaptureFixture) -> None:
    from monica.logs import RequestIdFilter, request_id

    caplog.handler.addFilter(RequestIdFilter())
    desk = Desk()
    desk.engine.parts["hello"] = ["silent", "silent"]
    with caplog.at_level(logging.WARNING):
        token = request_id.set("the-request")
        desk.ask("hello")
        request_id.reset(token)
        desk.turns(20)
    assert {getattr(record, "request_id", None) for record in caplog.records} == {"the-request"}
