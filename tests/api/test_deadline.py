"""X-Deadline-Ms: how long the answer is of use to the caller."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from monica import create_app
from monica.api.schemas import parse_deadline
from monica.config import Settings
from monica.errors import InvalidRequest
from monica.service import Service
from tests.conftest import started
from tests.support.engines import ToyEngine
from tests.support.faulty import Faults
from tests.support.server import Server
from tests.support.wire import ask, listen, metric, until

NEVER_S = 60.0
"""Upper bound in assertions about time. Only waiting for the deadline of the settings would take longer."""


@pytest.fixture
def long_deadline_service(tmp_path: Path, toy: ToyEngine) -> Iterator[Service]:
    """A service with a deadline of one hour, so that no test can pass by waiting for it."""
    service = started(Settings(engine="espeak", cache_dir=tmp_path / "cache", deadline_s=3600), toy)
    yield service
    toy.gate.set()
    service.close()


@pytest.fixture
def app(long_deadline_service: Service) -> Flask:
    return create_app(service=long_deadline_service)


def say(client: FlaskClient, text: str = "Bonjour.", deadline: str | None = None, **headers: str) -> TestResponse:
    if deadline is not None:
        headers["HTTP_X_DEADLINE_MS"] = deadline
    return client.post("/blabla", json={"text": text}, environ_overrides=headers)


def assert_refused(answer: TestResponse, longest: int) -> None:
    assert answer.status_code == 422
    error = answer.get_json()["error"]
    assert (error["code"], error["param"]) == ("request_invalid", "X-Deadline-Ms")
    assert error["message"] == f"X-Deadline-Ms must be a whole number of milliseconds, 1 to {longest}."


MALFORMED = [
    "", " ", "0", "00", "-0", "-1", "+5", "05", "1.5", "1.0", "1e3", "0x10", "1_000", "1 000", "5, 6", "5s", "5\n",
    "soon", "null", "inf", "NaN", "\xb2", "\xbd", "\u0663", "\uff13\uff10", "3600001", "9" * 20, "9" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("deadline", MALFORMED)
def test_malformed_deadline_is_refused(client: FlaskClient, deadline: str) -> None:
    assert_refused(say(client, deadline=deadline), 3_600_000)


@pytest.mark.parametrize("deadline", ["5000", "3600000"])
def test_deadline_may_be_as_long_as_the_servers_own(client: FlaskClient, deadline: str) -> None:
    assert say(client, deadline=deadline).status_code == 200


def test_deadline_longer_than_the_servers_own_is_refused(settings: Settings, toy: ToyEngine) -> None:
    service = started(settings, toy)
    client = create_app(service=service).test_client()
    assert say(client, deadline="30000").status_code == 200
    assert_refused(say(client, deadline="30001"), 30_000)
    service.close()


@pytest.mark.parametrize(
    ("own_s", "longest"), [(0.1, 100), (0.3, 300), (1.001, 1001), (4.35, 4350), (3600.0, 3_600_000)]
)
def test_servers_own_deadline_is_itself_valid(own_s: float, longest: int) -> None:
    assert parse_deadline(str(longest), own_s) == own_s
    with pytest.raises(InvalidRequest):
        parse_deadline(str(longest + 1), own_s)


@given(st.text(st.characters(max_codepoint=255), max_size=12) | st.from_regex(r"\d{1,9}", fullmatch=True))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_either_a_deadline_or_refused(client: FlaskClient, deadline: str) -> None:
    say(client)  # it is kept now, so that even the shortest deadline suffices
    answer = say(client, deadline=deadline)
    if answer.status_code == 422:
        assert_refused(answer, 3_600_000)
    else:
        assert answer.status_code == 200
        assert 1 <= int(deadline) <= 3_600_000


def test_passed_deadline_is_answered_504(client: FlaskClient, toy: ToyEngine) -> None:
    toy.gate.clear()
    began = time.monotonic()
    answer = say(client, deadline="200")
    assert 0.2 <= time.monotonic() - began < NEVER_S
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (504, "deadline_exceeded")
    toy.gate.set()
    assert say(client).status_code == 200


def test_deadline_is_not_cached_with_the_parsed_body(
    client: FlaskClient, long_deadline_service: Service, toy: ToyEngine
) -> None:
    toy.gate.clear()
    assert say(client, "Une fois.", deadline="50").status_code == 504
    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(say, client, "Une fois.")
        assert toy.began.acquire(timeout=NEVER_S)
        assert toy.began.acquire(timeout=NEVER_S)
        time.sleep(0.2)
        assert not again.done()
        toy.gate.set()
        assert again.result().status_code == 200


def test_short_deadline_of_one_request_does_not_end_a_shared_take(app: Flask, toy: ToyEngine) -> None:
    toy.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(say, app.test_client(), "Ensemble.", "60000")
        assert toy.began.acquire(timeout=NEVER_S)
        assert say(app.test_client(), "Ensemble.", "100").status_code == 504
        toy.gate.set()
        assert patient.result().status_code == 200
    assert toy.spoken == ["Ensemble."]


def test_kept_phrase_needs_no_time(client: FlaskClient, toy: ToyEngine) -> None:
    assert say(client).status_code == 200
    toy.gate.clear()
    answer = say(client, deadline="1")
    assert (answer.status_code, answer.headers["X-Monica-Cache"]) == (200, "hit")


def test_deadline_in_a_real_server(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults")
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache"), "MONICA_DEADLINE_S": "3600"}
    with Server(tmp_path, settings | faults.settings) as server:
        server.wait_ready()
        for nonsense in ("²", "٣", "3600001"):
            with ask(server, "Bonjour.", X_Deadline_Ms=nonsense) as connection:
                assert listen(connection).status == 422
        with ask(server, "Bonjour.", X_Deadline_Ms="100\r\nX-Deadline-Ms: 200") as connection:
            assert listen(connection).status == 422
        with faults.on("held"):
            with ask(server, "Trop long.", X_Deadline_Ms=300) as connection:
                heard = listen(connection)
            assert (heard.status, heard.code) == (504, "deadline_exceeded")
            until(lambda: metric(server, "monica_takes_under_way") == 0)  # the engine has dropped it
        with ask(server, "Trop long.", X_Deadline_Ms=60_000) as connection:
            assert listen(connection).status == 200
        assert "Traceback" not in server.log()
