"""/health of an engine that fails, is slow or hangs, and what the watchdog does about it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest

from monica.config import Settings
from monica.errors import DeviceLost, ModelUnavailable, NotReady, SynthesisFailed
from monica.service import Service
from monica.speech import SpeechRequest
from monica.synthesis.health import MAX_BREAKDOWNS, MAX_FAILURES, STUCK_S, Health
from monica.synthesis.loader import Status
from monica.voices.recording import read_recording
from tests.conftest import started
from tests.support.engines import CloningToy, ToyEngine
from tests.support.recordings import record
from tests.synthesis.test_scheduler import Harness


@pytest.fixture
def harness() -> Harness:
    return Harness()


@pytest.fixture
def health(harness: Harness) -> Health:
    loader: Any = SimpleNamespace(status=Status.OK, reason=None, chosen=harness.engine, device_lost=None)
    return Health(Settings(deadline_s=30), loader, harness.scheduler)


def test_idle_service_is_ok(harness: Harness, health: Health) -> None:
    assert health.diagnose(harness.clock.now) == (Status.OK, None)
    assert health.diagnose(harness.clock.now + 1e6) == (Status.OK, None)


def test_failures_in_a_row_degrade_it_until_a_take_succeeds(harness: Harness, health: Health) -> None:
    for n in range(MAX_FAILURES):
        assert health.diagnose(harness.clock.now)[0] is Status.OK
        harness.engine.script[f"bad {n}"] = ["error", "error"]
        harness.ask(f"bad {n}")
        harness.turns(30)
    assert health.diagnose(harness.clock.now) == (Status.DEGRADED, "The last 3 takes failed.")
    harness.ask("good")
    harness.turns(10)
    assert health.diagnose(harness.clock.now)[0] is Status.OK


def test_invalid_texts_do_not_count_as_failures(
    harness: Harness, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monica.errors import InvalidText

    def refuse(*_: object, **__: object) -> None:
        raise InvalidText("too many tokens")

    monkeypatch.setattr(harness.engine, "begin", refuse)
    for n in range(2 * MAX_FAILURES):
        take = harness.ask(f"long {n}")
        harness.turns(2)
        assert isinstance(take.sound.exception(0), InvalidText)
    assert health.diagnose(harness.clock.now)[0] is Status.OK


def test_takes_that_never_finish_degrade_it(harness: Harness, health: Health) -> None:
    harness.ask("a" * 500)
    harness.turns(50, seconds=1.0)
    assert health.diagnose(harness.clock.now)[0] is Status.OK
    harness.turns(20, seconds=1.0)
    status, reason = health.diagnose(harness.clock.now)
    assert status is Status.DEGRADED
    assert "none has ended well for 70 s" in str(reason)


def test_slow_step_degrades_it_and_stuck_step_fails_it(harness: Harness, health: Health) -> None:
    seen = []

    def elapse() -> None:
        began = harness.clock.now
        for seconds in (1, STUCK_S["cpu"] / 4 + 1, STUCK_S["cpu"] + 1):
            seen.append(health.diagnose(began + seconds))
        assert health.lost(began + STUCK_S["cpu"] - 1) is None
        assert health.lost(began + STUCK_S["cpu"] + 1) is not None

    harness.ask("hello")
    harness.engine.elapse = elapse
    harness.scheduler.turn()
    assert [status for status, _ in seen] == [Status.OK, Status.DEGRADED, Status.FAILED]
    assert "at one step for 76 s" in str(seen[1][1])
    assert "has not come back from a step for 301 s" in str(seen[2][1])
    assert health.diagnose(harness.clock.now + 1) == (Status.OK, None)  # the step returned


def test_engine_that_breaks_down_repeatedly_is_lost(harness: Harness, health: Health) -> None:
    for n in range(MAX_BREAKDOWNS):
        assert health.lost(harness.clock.now) is None
        harness.engine.script[f"crash {n}"] = ["crash step"]
        harness.ask(f"crash {n}")
        harness.turns(3)
    assert "broke down 5 times" in str(health.lost(harness.clock.now))
    assert health.diagnose(harness.clock.now)[0] is Status.FAILED


@pytest.mark.parametrize("kind", ["lost begin", "lost step"])
def test_lost_device_is_told_at_once(harness: Harness, health: Health, kind: str) -> None:
    """A second take could not succeed, so there is none, and the engine is not given five chances to break down."""
    harness.engine.script["hello"] = [kind]
    take = harness.ask("hello")
    harness.turns(2)
    error = take.sound.exception(0)
    assert isinstance(error, DeviceLost)
    assert (error.status, error.code, error.retry_after) == (503, "model_failed", 15)
    assert len(harness.engine.begun) == 1
    assert health.lost(harness.clock.now) == "an illegal memory access"
    assert health.diagnose(harness.clock.now) == (Status.FAILED, "an illegal memory access")


def test_device_that_is_lost_in_an_engine_call_is_told_too(harness: Harness, health: Health) -> None:
    def clone() -> bytes:
        raise DeviceLost("an illegal memory access")

    call = harness.scheduler.call(clone)
    harness.scheduler.turn()
    assert isinstance(call.exception(0), DeviceLost)
    assert health.lost(harness.clock.now) == "an illegal memory access"


def test_device_that_is_lost_while_loading_ends_the_process_and_is_not_tried_again(
    settings: Settings, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monica.synthesis.loader.FIRST_RETRY_S", 0.0)
    monkeypatch.setattr("monica.synthesis.watchdog.INTERVAL_S", 0.02)
    monkeypatch.setattr("monica.synthesis.watchdog.FAREWELL_S", 0.0)
    reasons: Queue[str] = Queue()
    # Out of memory is tried again: another process may have used it. The lost device is not.
    toy.fail_load_with = [ModelUnavailable("no memory"), MemoryError(), DeviceLost("a failed launch"), MemoryError()]
    service = Service(settings, toy)
    service.start(on_config_error=lambda error: pytest.fail(str(error)), on_lost=reasons.put)
    assert reasons.get(timeout=10) == "a failed launch"
    assert len(toy.fail_load_with) == 1
    report = service.health.report()
    assert (report["status"], report["reason"]) == ("failed", "a failed launch")
    with pytest.raises(NotReady) as caught:
        service.announcer.announce(SpeechRequest("hello"))
    assert caught.value.code == "model_failed"
    service.close()


@pytest.mark.parametrize("where", ["warm-up", "another voice"])
def test_device_that_is_lost_after_the_model_is_loaded_is_no_other_error(
    settings: Settings, tmp_path: Path, where: str
) -> None:
    """A failed warm-up is tried again, and a voice that cannot be cloned is left out: but not for this reason."""
    record(tmp_path / "voices", "monica.wav", "anna.wav")
    (tmp_path / "monica.wav").write_bytes((tmp_path / "voices" / "monica.wav").read_bytes())
    (tmp_path / "voices" / "monica.wav").unlink()
    toy, lost = CloningToy(), DeviceLost("a failed launch")
    service = Service(replace(settings, reference_audio=tmp_path / "monica.wav", voices_dir=tmp_path / "voices"), toy)
    if where == "warm-up":
        toy.fail_warm_up_with = lost
    else:
        toy.break_on = {read_recording(tmp_path / "voices" / "anna.wav", 120, "anna").digest: lost}
    with pytest.raises(DeviceLost):
        service.start_and_wait()
    service.close()


@pytest.mark.parametrize("status", [Status.LOADING, Status.FAILED, Status.STOPPING])
def test_status_of_the_loader_takes_precedence(harness: Harness, status: Status) -> None:
    loader: Any = SimpleNamespace(status=status, reason="because", chosen=None)
    assert Health(Settings(deadline_s=30), loader, harness.scheduler).diagnose(0.0) == (status, "because")


def test_watchdog_answers_every_request_and_ends_the_process(
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
        if any(utterance.text != "Bonjour à tous, ici Monica." for utterance in toy.utterances):
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


def test_failing_engine_shows_in_health_and_recovers(settings: Settings, toy: ToyEngine) -> None:
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
