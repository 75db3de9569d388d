"""MONICA_FALLBACK: if the engine cannot speak, an embedded voice does, and the answer says so."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from flask import Flask
from flask.testing import FlaskClient
from numpy.typing import NDArray
from prometheus_client import REGISTRY
from werkzeug.test import TestResponse

from monica import create_app
from monica.config import Settings
from monica.engine.espeak import EspeakEngine
from monica.engine.pico import spec as pico
from monica.engine.pico.process import find_installation
from monica.errors import ConfigError, InvalidText, ModelUnavailable, SynthesisFailed
from monica.service import Service
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.wire import until


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(engine="espeak", cache_dir=tmp_path / "cache", fallback="espeak", queue_size=1)


@pytest.fixture
def toy() -> ToyEngine:
    toy = ToyEngine()
    toy.name = "chatterbox"
    return toy


@pytest.fixture
def app(service: Service) -> Flask:
    return create_app(service=service)


@pytest.fixture
def not_started(settings: Settings, toy: ToyEngine) -> Iterator[Service]:
    service = Service(settings, toy)
    yield service
    service.drain(0)
    service.close()


def say(
    client: FlaskClient, text: str = "Bonjour à tous.", headers: dict[str, str] | None = None, **body: Any
) -> TestResponse:
    return client.post("/blabla", json={"text": text} | body, headers=headers or {})


@contextmanager
def held(app: Flask, toy: ToyEngine, waiting: int = 0) -> Iterator[list[Future[TestResponse]]]:
    """Hold a take in the engine, and `waiting` more in the queue."""
    toy.gate.clear()
    with ThreadPoolExecutor(1 + waiting) as pool:
        futures = [pool.submit(say, app.test_client(), "Occupée.", fallback=False)]
        assert toy.began.acquire(timeout=30)
        futures += [pool.submit(say, app.test_client(), f"Suivante {n}.", fallback=False) for n in range(waiting)]
        until(lambda: app.extensions["monica"].health.report()["queue_depth"] == waiting)
        try:
            yield futures
        finally:
            toy.gate.set()


def counted(code: str) -> float:
    return REGISTRY.get_sample_value("monica_fallbacks_total", {"code": code}) or 0.0


StandsIn = Callable[[str, Callable[[], TestResponse]], TestResponse]


@pytest.fixture
def stands_in(caplog: pytest.LogCaptureFixture) -> StandsIn:
    """Check that the embedded voice answers a request instead of the error with this code."""

    def check(code: str, ask: Callable[[], TestResponse]) -> TestResponse:
        before = counted(code)
        caplog.clear()
        answer = ask()
        assert answer.status_code == 200, answer.data
        assert answer.headers["X-Monica-Engine"] == "espeak"
        assert answer.headers["X-Monica-Cache"] == "miss"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers
        samples, rate = soundfile.read(io.BytesIO(answer.data))
        assert rate == 22050  # espeak-ng's; the toy's is another
        assert abs(samples).max() > 0.1
        assert answer.headers["X-Audio-Duration"] == f"{len(samples) / rate:.2f}s"
        assert counted(code) == before + 1
        assert [r.levelname for r in caplog.records if "the embedded voice stands in: " in r.message] == ["WARNING"]
        return answer

    return check


def assert_error(answer: TestResponse, status: int, code: str) -> None:
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("error", [SynthesisFailed("no numbers"), RuntimeError("CUDA"), MemoryError()])
def test_stands_in_for_a_failing_engine(
    client: FlaskClient, toy: ToyEngine, stands_in: StandsIn, error: Exception
) -> None:
    toy.fail_with = error
    stands_in("synthesis_failed", lambda: say(client))
    assert_error(say(client, fallback=False), 500, "synthesis_failed")
    toy.fail_with = None
    answer = say(client)  # the embedded voice's sound was not kept: the engine speaks again
    assert (answer.headers["X-Monica-Engine"], answer.headers["X-Monica-Cache"]) == ("chatterbox", "miss")
    assert answer.headers["ETag"]
    assert "Cache-Control" not in answer.headers


def test_stands_in_for_silence(client: FlaskClient, toy: ToyEngine, stands_in: StandsIn) -> None:
    toy.silent = True
    stands_in("synthesis_failed", lambda: say(client))


def test_stands_in_for_a_busy_engine(app: Flask, client: FlaskClient, toy: ToyEngine, stands_in: StandsIn) -> None:
    with held(app, toy, waiting=1) as others:
        stands_in("overloaded", lambda: say(client))
        refused = say(client, fallback=False)
        assert_error(refused, 503, "overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
    assert {other.result().headers["X-Monica-Engine"] for other in others} == {"chatterbox"}


def test_stands_in_for_a_slow_engine(app: Flask, client: FlaskClient, toy: ToyEngine, stands_in: StandsIn) -> None:
    with held(app, toy):
        stands_in("deadline_exceeded", lambda: say(client, headers={"X-Deadline-Ms": "400"}))
        assert_error(say(client, headers={"X-Deadline-Ms": "100"}, fallback=False), 504, "deadline_exceeded")


def test_stands_in_while_the_model_is_loading(not_started: Service, stands_in: StandsIn) -> None:
    client = create_app(service=not_started).test_client()
    assert client.get("/health").status_code == 503
    stands_in("model_loading", lambda: say(client))
    assert_error(say(client, fallback=False), 503, "model_loading")


def test_stands_in_while_the_model_cannot_be_loaded(not_started: Service, toy: ToyEngine, stands_in: StandsIn) -> None:
    toy.fail_load_with = [ModelUnavailable("The hub cannot be reached.")]
    not_started.start(on_config_error=lambda error: pytest.fail(str(error)), on_lost=pytest.fail)
    until(lambda: not_started.health.report()["status"] == "failed")
    client = create_app(service=not_started).test_client()
    stands_in("model_failed", lambda: say(client))
    assert_error(say(client, fallback=False), 503, "model_failed")


@pytest.mark.parametrize("named", ['"' + "0" * 64 + '"', "*", "nonsense"])
def test_if_none_match_while_the_model_is_loading(not_started: Service, stands_in: StandsIn, named: str) -> None:
    client = create_app(service=not_started).test_client()
    stands_in("model_loading", lambda: say(client, headers={"If-None-Match": named}))
    assert_error(say(client, headers={"If-None-Match": named}, fallback=False), 503, "model_loading")


def test_every_sentence_of_a_long_text_is_spoken(client: FlaskClient, toy: ToyEngine, stands_in: StandsIn) -> None:
    toy.fail_with = SynthesisFailed("no numbers")
    sentence = "Pablo vient de se faire éliminer par Rusmir. "
    whole = stands_in("synthesis_failed", lambda: say(client, sentence * 8))
    one = stands_in("synthesis_failed", lambda: say(client, sentence))
    assert len(whole.data) > 6 * len(one.data)


def test_it_has_its_own_reading_of_the_lexicon(
    client: FlaskClient, toy: ToyEngine, stands_in: StandsIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded voice speaks phonemes; the engine it stands in for is given letters."""
    spoken: list[str] = []
    say_aloud = EspeakEngine._say

    def listen(engine: EspeakEngine, text: str) -> NDArray[np.float32]:
        spoken.append(text)
        return say_aloud(engine, text)

    monkeypatch.setattr(EspeakEngine, "_say", listen)
    toy.fail_with = SynthesisFailed("no")
    stands_in("synthesis_failed", lambda: say(client, "Les blinds montent."))
    assert spoken == ["Les ⟦blajnd⟧ montent."]
    toy.fail_with = None
    assert say(client, "Les blinds montent.").status_code == 200
    assert toy.spoken[-1] == "Les blaïnedes montent."


def test_never_for_a_background_take(client: FlaskClient, toy: ToyEngine) -> None:
    toy.fail_with = SynthesisFailed("no numbers")
    assert_error(say(client, priority="background"), 500, "synthesis_failed")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": ""}, 400, "text_empty"),
        ({"text": "a" * 501}, 400, "text_too_long"),
        ({"voice": "nobody"}, 404, "voice_unknown"),
        ({"seed": -1}, 422, "request_invalid"),
        ({"fallback": "yes"}, 422, "request_invalid"),
    ],
)
def test_never_for_an_invalid_request(client: FlaskClient, body: dict[str, Any], status: int, code: str) -> None:
    assert_error(client.post("/blabla", json={"text": "Bonjour."} | body), status, code)


def test_never_for_a_text_that_the_engine_refuses(client: FlaskClient, toy: ToyEngine) -> None:
    toy.fail_with = InvalidText("It has no tokens.", param="text")
    assert_error(say(client), 400, "text_empty")


def test_never_while_shutting_down(client: FlaskClient, service: Service) -> None:
    assert say(client, "Gardée.").status_code == 200
    service.drain(0)
    assert_error(say(client), 503, "shutting_down")
    assert say(client, "Gardée.").headers["X-Monica-Cache"] == "hit"


def test_never_unless_the_setting_is_on(settings: Settings, toy: ToyEngine) -> None:
    service = started(replace(settings, fallback=None), toy)
    client = create_app(service=service).test_client()
    toy.fail_with = SynthesisFailed("no numbers")
    assert client.get("/health").get_json()["fallback"] is None
    assert_error(say(client), 500, "synthesis_failed")
    assert_error(say(client, fallback=True), 500, "synthesis_failed")
    service.close()


@pytest.mark.skipif(find_installation() is None, reason="Pico has no package for this system")
def test_pico_may_stand_in(settings: Settings, toy: ToyEngine) -> None:
    service = started(replace(settings, fallback="pico"), toy)
    client = create_app(service=service).test_client()
    toy.fail_with = SynthesisFailed("no numbers")
    answer = say(client, "Les blinds montent.")
    assert (answer.status_code, answer.headers["X-Monica-Engine"]) == (200, "pico")
    assert answer.headers["Cache-Control"] == "no-store"
    assert soundfile.read(io.BytesIO(answer.data))[1] == 16000
    assert client.get("/health").get_json()["fallback"] == "pico"
    service.close()


def test_a_voice_that_cannot_stand_in_stops_the_start(
    settings: Settings, toy: ToyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="MONICA_LANGUAGE=pl: Pico speaks fr"):
        Service(replace(settings, fallback="pico", language="pl"), toy)
    monkeypatch.setattr(pico, "find_installation", lambda: None)
    with pytest.raises(ConfigError, match=r"Pico is not installed \(MONICA_FALLBACK=pico\)"):
        Service(replace(settings, fallback="pico"), toy)


def test_embedded_voice_never_stands_in_for_itself(settings: Settings) -> None:
    engine = ToyEngine()  # its name is espeak
    service = started(settings, engine)
    engine.fail_with = SynthesisFailed("no numbers")
    assert_error(say(create_app(service=service).test_client()), 500, "synthesis_failed")
    service.close()


def test_health_reports_the_fallback_and_failures(client: FlaskClient, toy: ToyEngine) -> None:
    healthy = client.get("/health")
    assert (healthy.status_code, healthy.get_json()["status"]) == (200, "ok")
    assert (healthy.get_json()["engine"], healthy.get_json()["fallback"]) == ("chatterbox", "espeak")
    toy.fail_with = SynthesisFailed("no numbers")
    for n in range(3):
        assert say(client, f"Phrase {n}.").headers["X-Monica-Engine"] == "espeak"
    degraded = client.get("/health")
    assert (degraded.status_code, degraded.get_json()["status"]) == (200, "degraded")
    assert degraded.get_json()["reason"]
    toy.fail_with = None
    assert say(client).headers["X-Monica-Engine"] == "chatterbox"
    assert (client.get("/health").get_json()["status"], client.get("/health").get_json()["reason"]) == ("ok", None)
