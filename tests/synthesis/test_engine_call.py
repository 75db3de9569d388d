"""Work for the engine thread other than takes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from monica.errors import MonicaError, NotReady, Overloaded, SynthesisFailed
from monica.logs import request_id
from monica.service import Service
from monica.speech import SpeechRequest
from monica.synthesis.scheduler import MAX_ENGINE_CALLS, Scheduler
from monica.synthesis.take import Take, Waiter
from tests.support.engines import ToyEngine
from tests.support.stepping import SteppingEngine
from tests.support.takes import new_take


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine() -> SteppingEngine:
    return SteppingEngine()


@pytest.fixture
def scheduler(engine: SteppingEngine) -> Scheduler:
    """A scheduler without its thread: the test makes the turns."""
    return Scheduler(lambda: engine, lambda *_: b"wav", 4, Clock())


def turn(scheduler: Scheduler) -> None:
    """Make a turn, and finish what it has made."""
    scheduler.turn()
    while scheduler.finishing.do_next():
        pass


def take(text: str) -> Take:
    return new_take(text, Waiter(deadline=1000.0))


def test_call_runs_between_two_steps_and_the_take_continues(scheduler: Scheduler, engine: SteppingEngine) -> None:
    spoken = take("bonjour")
    scheduler.submit([spoken])
    turn(scheduler)
    before = engine.begun[0].left
    seen = scheduler.call(lambda: engine.begun[0].left)
    assert not seen.done()
    turn(scheduler)
    assert seen.result(0) == before
    assert engine.begun[0].left == before - 1
    while not spoken.sound.done():
        turn(scheduler)
    assert spoken.sound.result() == b"wav"


def test_one_call_runs_per_turn(scheduler: Scheduler) -> None:
    calls = [scheduler.call(lambda n=n: n) for n in range(3)]  # type: ignore[misc]
    for made in range(3):
        turn(scheduler)
        assert [call.done() for call in calls] == [n <= made for n in range(3)]
    assert [call.result() for call in calls] == [0, 1, 2]


def test_number_of_waiting_calls_is_limited(scheduler: Scheduler) -> None:
    for _ in range(MAX_ENGINE_CALLS):
        scheduler.call(dict)
    with pytest.raises(Overloaded) as caught:
        scheduler.call(dict)
    assert caught.value.retry_after == 5
    turn(scheduler)
    scheduler.call(dict)


def test_exception_reaches_only_the_caller(scheduler: Scheduler) -> None:
    failed = scheduler.call(lambda: 1 // 0)
    turn(scheduler)
    with pytest.raises(ZeroDivisionError):
        failed.result(0)
    assert scheduler.settling.breakdowns_in_a_row == 0
    spoken = take("a")
    scheduler.submit([spoken])
    turn(scheduler)
    assert spoken.sound.done()


def test_cancelled_call_does_not_run(scheduler: Scheduler) -> None:
    done: list[int] = []
    assert scheduler.call(lambda: done.append(1)).cancel()
    turn(scheduler)
    assert done == []


def test_call_does_not_count_into_the_throughput(scheduler: Scheduler) -> None:
    clock = scheduler._clock
    assert isinstance(clock, Clock)

    def work() -> None:
        clock.now += 100

    scheduler.submit([take("a"), take("b")])
    scheduler.call(work)
    turn(scheduler)
    assert scheduler.seconds_for(1000) in (None, 0)


def test_call_is_refused_while_shutting_down(scheduler: Scheduler) -> None:
    scheduler.refuse()
    with pytest.raises(NotReady):
        scheduler.call(dict)


def test_waiting_callers_get_the_error_when_the_engine_is_given_up(scheduler: Scheduler) -> None:
    waiting, left = scheduler.call(lambda: 1), scheduler.call(lambda: 2)
    left.cancel()
    lost = SynthesisFailed("lost")
    scheduler.give_up(lost)
    assert waiting.exception(0) is lost
    with pytest.raises(MonicaError):
        scheduler.call(dict)


@pytest.fixture
def running(service: Service) -> Scheduler:
    return service._scheduler


def test_engine_thread_runs_calls_while_idle_and_while_busy(
    running: Scheduler, service: Service, toy: ToyEngine
) -> None:
    token = request_id.set("the-request")
    seen = running.call(lambda: (threading.current_thread().name, request_id.get()))
    request_id.reset(token)
    assert seen.result(10) == ("engine", "the-request")
    toy.gate.clear()
    with ThreadPoolExecutor() as pool:
        said = pool.submit(service.announcer.announce, SpeechRequest("bonjour"))
        assert toy.began.acquire(timeout=10)
        assert running.call(lambda: 7).result(10) == 7
        assert not said.done()
        toy.gate.set()
        assert said.result(10).source == "miss"
    assert running.drain(10)
