"""What /health says of an engine that fails, is slow, or does not come back; and what the watchdog does then."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from monica.config import Settings
from monica.errors import NotReady, SynthesisFailed
from monica.service import Service
from monica.speech import SpeechRequest
from monica.synthesis.health import MAX_BREAKDOWNS, MAX_FAILURES, STUCK_S, Health
from monica.synthesis.loader import Status
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.synthesis.test_scheduler import Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def health(desk: Desk) -> Health:
    loader: Any = SimpleNamespace(status=Status.OK, reason=None, chosen=desk.engine)
    return Health(Settings(deadline_s=30), loader, desk.scheduler)


def test_a_service_that_has_nothing_to_do_is_well(desk: Desk, health: Health) -> None:
    assert health.diagnose(desk.clock.now) == (Status.OK, None)
    assert health.diagnose(desk.clock.now + 1e6) == (Status.OK, None)


def test_failures_in_a_row_degrade_it_until_a_take_ends_well(desk: Desk, health: Health) -> None:
    for n in range(MAX_FAILURES):
        assert health.diagnose(desk.clock.now)[0] is Status.OK
        desk.engine.parts[f"bad {n}"] = ["error", "error"]
        desk.ask(f"bad {n}")
        desk.turns(30)
    assert health.diagnose(desk.clock.now) == (Status.DEGRADED, "The last 3 takes failed.")
    desk.ask("good")
    desk.turns(10)
    assert health.diagnose(desk.clock.now)[0] is Status.OK


def test_texts_that_cannot_be_said_are_no_failures_of_the_engine(
    desk: Desk, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monica.errors import InvalidText

    def refuse(*_: object, **__: object) -> None:
        raise InvalidText("too many tokens")

    monkeypatch.setattr(desk.engine, "begin", refuse)
    for n in range(2 * MAX_FAILURES):
        take = desk.ask(f"long {n}")
        desk.turns(2)
        assert isinstance(take.sound.exception(0), InvalidText)
    assert health.diagnose(desk.clock.now)[0] is Status.OK


def test_takes_that_are_waited_for_and_do_not_come_degrade_it(desk: Desk, health: Health) -> None:
    desk.ask("a" * 500)
    desk.turns(50, seconds=1.0)
    assert health.diagnose(desk.clock.now)[0] is Status.OK
    desk.turns(20, seconds=1.0)
    status, reason = health.diagnose(desk.clock.now)
    assert status is Status.DEGRADED
    assert "none has ended well for 70 s" in str(reason)


def test_a_step_that_takes_long_degrades_it_and_one_that_never_ends_is_the_end(desk: Desk, health: Health) -> None:
    seen = []

    def elapse() -> None:
        began = desk.clock.now
        for seconds in (1, STUCK_S["cpu"] / 4 + 1, STUCK_S["cpu"] + 1):
            seen.append(health.diagnose(began + seconds))
        assert health.lost(began + STUCK_S["cpu"] - 1) is None
        assert health.lost(began + STUCK_S["cpu"] + 1) is not None

    desk.ask("hello")
    desk.engine.elapse = elapse
    desk.scheduler.turn()
    assert [status for status, _ in seen] == [Status.OK, Status.DEGRADED, Status.FAILED]
    assert "at one step for 76 s" in str(seen[1][1])
    assert "has not come back from a step for 301 s" in str(seen[2][1])
    assert health.diagnose(desk.clock.now + 1) == (Status.OK, None)  # it came back


def test_an_engine_that_breaks_down_again_and_again_is_lost(desk: Desk, health: Health) -> None:
    for n in range(MAX_BREAKDOWNS):
        assert health.lost(desk.clock.now) is None
        desk.engine.parts[f"crash {n}"] = ["crash step"]
        desk.ask(f"crash {n}")
        desk.turns(3)
    assert "broke down 5 times" in str(health.lost(desk.clock.now))
    assert health.diagnose(desk.clock.now)[0] is Status.FAILED


@pytest.mark.parametrize("status", [Status.LOADING, Status.FAILED, Status.STOPPING])
def test_what_the_loader_says_comes_first(desk: Desk, status: Status) -> None:
    loader: Any = SimpleNamespace(status=status, reason="because", chosen=None)
    assert Health(Settings(deadline_s=30), loader, desk.scheduler).diagnose(0.0) == (status, "because")


def test_the_watchdog_answers_everyone_and_ends_the_process(
    settings: Settings, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(STUCK_S, "cpu", 0.3)
    monkeypatch.setattr("monica.synthesis.watchdog.INTERVAL_S", 0.02)
    monkeypatch.setattr("monica.synthesis.watchdog.FAREWELL_S", 0.05)
    lost, reasons, back = threading.Event(), [], threading.Event()
    service = Service(settings, toy)

    def end(reason: str) -> None:
        reasons.append(reason)
        lost.set()

    def stuck() -> None:
        if any(part.text != "Bonjour à tous, ici Monica." for part in toy.utterances):
            back.wait(20)
        step()

    step = toy.step
    monkeypatch.setattr(toy, "step", stuck)
    service.start(on_config_error=lambda error: pytest.fail(str(error)), on_lost=end)
    while service.health.report()["status"] != "ok":
        pass
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(service.announcer.announce, SpeechRequest(f"hello {n}")) for n in range(4)]
        assert lost.wait(10)
        assert service.health.report()["status"] == "failed"
        for answer in answers:
            with pytest.raises(NotReady, match="not come back") as caught:
                answer.result(5)
            assert caught.value.code == "model_failed"
    assert "has not come back" in reasons[0]
    assert "the engine is lost" in caplog.text
    back.set()
    service.close()


def test_a_failing_engine_shows_on_health_and_recovers(settings: Settings, toy: ToyEngine) -> None:
    service = started(settings, toy)
    toy.fail_with = SynthesisFailed("no numbers")
    for n in range(MAX_FAILURES):
        with pytest.raises(SynthesisFailed):
            service.announcer.announce(SpeechRequest(f"hello {n}"))
    health = service.health.report()
    assert (health["status"], health["failures_in_a_row"]) == ("degraded", 3)
    toy.fail_with = None
    service.announcer.announce(SpeechRequest("hello again"))
    health = service.health.report()
    assert (health["status"], health["reason"]) == ("ok", None)
    service.close()
