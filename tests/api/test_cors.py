"""Web pages of other origins: those that MONICA_CORS_ORIGINS names may use the API, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from monica import create_app
from monica.config import Settings
from tests.api.test_auth import KEY
from tests.conftest import started
from tests.support.engines import ToyEngine

PAGE, OTHER, STRANGER = "https://scores.example", "http://localhost:5173", "https://evil.example"
ALLOWED, VARY = "Access-Control-Allow-Origin", "Vary"


@pytest.fixture
def origins() -> tuple[str, ...]:
    return PAGE, OTHER


@pytest.fixture
def locked(settings: Settings, origins: tuple[str, ...]) -> Iterator[FlaskClient]:
    service = started(replace(settings, api_key=KEY, cors_origins=origins), ToyEngine())
    yield create_app(service=service).test_client()
    service.close()


def preflight(client: FlaskClient, path: str, method: str, origin: str) -> dict[str, str]:
    asked = {"Origin": origin, "Access-Control-Request-Method": method,
             "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang"}  # fmt: skip
    answer = client.options(path, headers=asked)
    assert (answer.status_code, answer.data) == (204, b"")
    assert "Content-Type" not in answer.headers
    return dict(answer.headers)


@pytest.mark.parametrize(
    ("path", "method"),
    [("/blabla", "POST"), ("/v1/phrases/0/pin", "PUT"), ("/v1/jobs/0", "DELETE"), ("/docs", "GET")],
)
def test_preflight_is_answered_before_the_key_is_asked_for(locked: FlaskClient, path: str, method: str) -> None:
    headers = preflight(locked, path, method, PAGE)
    assert headers[ALLOWED] == PAGE
    assert method in headers["Access-Control-Allow-Methods"].split(", ")
    assert headers["Access-Control-Allow-Headers"] == "authorization, content-type, x-stainless-lang"
    assert headers["Access-Control-Max-Age"] == "3600"
    assert "Access-Control-Allow-Credentials" not in headers
    assert "Origin" in headers[VARY]


def test_preflight_of_a_foreign_page_allows_nothing(locked: FlaskClient) -> None:
    headers = preflight(locked, "/blabla", "POST", STRANGER)
    assert [name for name in headers if name.startswith("Access-Control-")] == []
    assert headers[VARY] == "Origin"


def test_answers_and_errors_may_be_read_by_the_page(locked: FlaskClient) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    for headers, json, status in (
        (key, {"text": "Tapis !"}, 200),
        (key, {"text": ""}, 400),
        (key, {"text": "x" * 70_000}, 413),
        ({}, {"text": "Tapis !"}, 401),
    ):
        answer = locked.post("/blabla", json=json, headers={**headers, "Origin": OTHER})
        assert (answer.status_code, answer.headers.getlist(ALLOWED)) == (status, [OTHER])
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "X-Monica-Cache", "X-Request-Id", "Retry-After"} <= set(exposed)
        assert "Origin" in answer.vary
    assert locked.get("/nowhere", headers={"Origin": PAGE}).headers[ALLOWED] == PAGE
    assert (
        locked.options("/nowhere", headers={"Origin": PAGE, "Access-Control-Request-Method": "GET"}).status_code == 404
    )


@pytest.mark.parametrize("origin", [None, STRANGER, "null", "https://scores.example.evil.example", "*"])
def test_answer_to_no_page_or_a_foreign_one_varies_by_origin(locked: FlaskClient, origin: str | None) -> None:
    """Or a cache would hand it to a page that needs the headers."""
    answer = locked.get("/health", headers={"Origin": origin} if origin else {})
    assert (answer.status_code, answer.headers.getlist(ALLOWED)) == (200, [])
    assert "Origin" in answer.vary


def test_one_origin_varies_too(settings: Settings) -> None:
    service = started(replace(settings, cors_origins=(PAGE,)), ToyEngine())
    client = create_app(service=service).test_client()
    said = client.post("/blabla", json={"text": "Tapis !"}, headers={"Origin": PAGE})
    again = {"Origin": PAGE, "If-None-Match": said.headers["ETag"]}
    kept = client.post("/blabla", json={"text": "Tapis !"}, headers=again)
    service.close()
    for answer, status in ((said, 200), (kept, 304)):
        assert (answer.status_code, answer.headers[ALLOWED]) == (status, PAGE)
        assert set(answer.vary) == {"Accept", "Origin"}


def test_any_origin(settings: Settings) -> None:
    service = started(replace(settings, cors_origins=("*",)), ToyEngine())
    client = create_app(service=service).test_client()
    answers = [client.get("/health", headers=headers) for headers in ({}, {"Origin": STRANGER})]
    refused = client.delete("/v1/phrases/0", headers={"Origin": STRANGER})
    service.close()
    for answer in answers:
        assert answer.headers.getlist(ALLOWED) == ["*"]
        assert VARY not in answer.headers
    assert refused.status_code == 403, "a page is not this machine"


def test_without_the_setting_there_is_no_cors(client: FlaskClient) -> None:
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    assert client.options("/blabla", headers=headers).status_code == 405
    answer = client.get("/health", headers={"Origin": PAGE})
    assert not {name for name, _ in answer.headers if name.startswith("Access-Control") or name == VARY}


def test_origins_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "MONICA_CORS_ORIGINS", f" {PAGE.upper()}, {OTHER} http://[::1]:3000,capacitor://localhost,{PAGE}"
    )
    read = Settings.from_env().cors_origins
    assert read == (PAGE, OTHER, "http://[::1]:3000", "capacitor://localhost")
