"""Every path there is, asked by those who may and by those who may not: no endpoint is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from monica import create_app
from monica.config import Settings
from tests.api.test_auth import KEY
from tests.conftest import started
from tests.support.engines import ToyEngine

OUTSIDE = {"REMOTE_ADDR": "192.168.1.20"}
SPEAKING = {("POST", "/blabla"), ("POST", "/v1/audio/speech"), ("POST", "/v1/text")}
LIVE = ("GET", "/health/live")
Route = tuple[str, str]


@pytest.fixture
def open_app(tmp_path: Path) -> Iterator[Flask]:
    yield from made(Settings(engine="espeak", cache_dir=tmp_path))


@pytest.fixture
def locked_app(tmp_path: Path) -> Iterator[Flask]:
    yield from made(Settings(engine="espeak", cache_dir=tmp_path, api_key=KEY))


@pytest.fixture
def closed_app(tmp_path: Path) -> Iterator[Flask]:
    yield from made(Settings(engine="espeak", cache_dir=tmp_path, api_key=KEY, api_key_scope="all"))


def made(settings: Settings) -> Iterator[Flask]:
    service = started(settings, ToyEngine())
    yield create_app(service=service)
    service.close()


def routes(app: Flask) -> set[Route]:
    """List every method of every path; what stands in the place of a parameter names nothing."""
    found = {
        (method, re.sub("<.*?>", "0", rule.rule)) for rule in app.url_map.iter_rules() for method in rule.methods or ()
    }
    assert len(found) > 30
    return found


def refused(app: Flask, asked: set[Route], **more: Any) -> set[Route]:
    """Ask for each, and list those that the guard refuses; whatever else becomes of them, it is no failure."""
    client, found = app.test_client(), set()
    for method, path in asked:
        answer = client.open(path, method=method, **more)
        assert answer.status_code != 500, (method, path)
        # There are others who refuse, in other words.
        mine = method == "HEAD" or "Without MONICA_API_KEY" in answer.text
        if answer.status_code == 401 or (answer.status_code == 403 and mine):
            found.add((method, path))
    return found


def private(app: Flask) -> set[Route]:
    """List what changes something, and what shows what is kept."""
    return {
        (method, path)
        for method, path in routes(app)
        if method not in ("GET", "HEAD") or re.match("/v1/phrases(/|$)", path)
    }


def test_with_a_key_all_that_changes_something_needs_it(locked_app: Flask) -> None:
    asked = private(locked_app)
    assert asked >= SPEAKING | {("POST", "/v1/phrases/warm"), ("DELETE", "/v1/jobs/0"), ("PUT", "/v1/phrases/0/pin")}
    assert refused(locked_app, asked) == asked
    assert refused(locked_app, asked, headers={"Authorization": "Bearer x"}) == asked
    assert refused(locked_app, asked, headers={"Authorization": f"Bearer {KEY}"}, environ_base=OUTSIDE) == set()


def test_with_a_key_the_rest_is_open_to_all(locked_app: Flask) -> None:
    asked = routes(locked_app) - private(locked_app)
    assert asked >= {("GET", "/health"), ("GET", "/metrics"), ("GET", "/v1/jobs"), ("GET", "/docs"), LIVE}
    assert refused(locked_app, asked, environ_base=OUTSIDE) == set()


def test_by_choice_all_needs_the_key(closed_app: Flask) -> None:
    nowhere = {("GET", "/nowhere"), ("POST", "/nowhere"), ("PATCH", "/blabla")}
    asked = routes(closed_app) | nowhere
    assert asked - refused(closed_app, asked, environ_base=OUTSIDE) == {LIVE, ("HEAD", LIVE[1])}
    assert refused(closed_app, asked, headers={"Authorization": f"Bearer {KEY}"}) == set()


def test_the_machine_itself_may_watch_its_health(closed_app: Flask) -> None:
    """As a container's health check does."""
    client = closed_app.test_client()
    assert client.get("/health").status_code == 200
    assert client.get("/health", headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 401
    assert client.get("/metrics").status_code == 401


def test_without_a_key_others_may_do_no_more_than_speak(open_app: Flask) -> None:
    assert refused(open_app, routes(open_app), environ_base=OUTSIDE) == private(open_app) - SPEAKING
    assert refused(open_app, routes(open_app)) == set()


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8080", 404),
        ("http://127.0.0.1:3000", 404),
        ("http://[::1]:8080", 404),
        ("https://evil.example", 403),
        ("http://localhost.evil.example:8080", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_a_web_page_is_not_the_machine_it_is_read_on(open_app: Flask, origin: str, status: int) -> None:
    answer = open_app.test_client().post("/v1/phrases/0/remake", headers={"Origin": origin})
    assert answer.status_code == status


def test_who_may_not_is_refused_before_anything_is_read(locked_app: Flask) -> None:
    refused = locked_app.test_client().post(
        "/v1/phrases/bundle?nonsense", data=bytes(2**17), headers={"Content-Type": "text/plain"}
    )
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (401, "unauthorized")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.headers["X-Request-Id"]


def test_the_document_says_who_may(open_app: Flask) -> None:
    document = open_app.test_client().get("/openapi.json").get_json()
    told = {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if isinstance(operation, dict)
    }
    for route, operation in told.items():
        assert ("401" in operation["responses"]) == (route != LIVE), route
        assert operation.get("security") == (None if route == LIVE else [{"apiKey": []}, {}])
    named = {route: (route[0], re.sub("{.*?}", "0", route[1])) for route in told}
    asked = {route for route in private(open_app) if route[0] != "HEAD"}
    assert set(named.values()) >= asked
    assert {named[route] for route in told if "403" in told[route]["responses"]} == asked - SPEAKING


def test_the_scope_is_no_matter_where_there_is_no_key(tmp_path: Path) -> None:
    settings = replace(Settings(engine="espeak", cache_dir=tmp_path), api_key_scope="all")
    for app in made(settings):
        assert app.test_client().get("/metrics", environ_base=OUTSIDE).status_code == 200
