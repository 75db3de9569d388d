"""Access rules of every path, with and without permission, so that no endpoint is forgotten."""

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
from tests.conftest import local_client, started
from tests.support.engines import ToyEngine

OUTSIDE = {"REMOTE_ADDR": "192.168.1.20"}
SPEAKING = {("POST", "/blabla"), ("POST", "/v1/audio/speech"), ("POST", "/v1/text")}
LIVE = ("GET", "/health/live")
Route = tuple[str, str]


@pytest.fixture
def open_app(tmp_path: Path) -> Iterator[Flask]:
    yield from app_of(Settings(engine="espeak", cache_dir=tmp_path))


@pytest.fixture
def locked_app(tmp_path: Path) -> Iterator[Flask]:
    yield from app_of(Settings(engine="espeak", cache_dir=tmp_path, api_key=KEY))


@pytest.fixture
def closed_app(tmp_path: Path) -> Iterator[Flask]:
    yield from app_of(Settings(engine="espeak", cache_dir=tmp_path, api_key=KEY, api_key_scope="all"))


def app_of(settings: Settings) -> Iterator[Flask]:
    service = started(settings, ToyEngine())
    yield create_app(service=service)
    service.close()


def routes(app: Flask) -> set[Route]:
    """Return every method of every path. The value in place of a path parameter matches nothing.

    The pages for people are left out: they ask for the key themselves, and have tests of their own.
    """
    found = {
        (method, re.sub("<.*?>", "0", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if not rule.endpoint.startswith("pages.")
    }
    assert len(found) > 30
    return found


def refused(app: Flask, asked: set[Route], **more: Any) -> set[Route]:
    """Request each route and return those that the access check refuses. No other outcome may be an internal error."""
    client, found = local_client(app), set()
    for method, path in asked:
        answer = client.open(path, method=method, **more)
        assert answer.status_code != 500, (method, path)
        if answer.mimetype == "text/event-stream":  # it does not end
            answer.close()
            continue
        # Other checks answer 403 too, with other messages.
        by_access_check = method == "HEAD" or "Without MONICA_API_KEY" in answer.text
        if answer.status_code == 401 or (answer.status_code == 403 and by_access_check):
            found.add((method, path))
    return found


def private(app: Flask) -> set[Route]:
    """Return the routes that change something, or show kept phrases, names or what is about to be announced."""
    return {
        (method, path)
        for method, path in routes(app)
        if method not in ("GET", "HEAD")
        or re.match("/v1/(phrases|lexicon|announcements|chimes|clock|books|events)(/|$)", path)
    }


def test_with_a_key_every_change_needs_it(locked_app: Flask) -> None:
    asked = private(locked_app)
    assert asked >= SPEAKING | {
        ("POST", "/v1/phrases/warm"),
        ("DELETE", "/v1/jobs/0"),
        ("PUT", "/v1/phrases/0/pin"),
        ("PUT", "/v1/lexicon"),
    }
    assert refused(locked_app, asked) == asked
    assert refused(locked_app, asked, headers={"Authorization": "Bearer x"}) == asked
    assert refused(locked_app, asked, headers={"Authorization": f"Bearer {KEY}"}, environ_base=OUTSIDE) == set()


def test_with_a_key_other_routes_stay_open(locked_app: Flask) -> None:
    asked = routes(locked_app) - private(locked_app)
    assert asked >= {("GET", "/health"), ("GET", "/metrics"), ("GET", "/v1/jobs"), ("GET", "/docs"), LIVE}
    assert refused(locked_app, asked, environ_base=OUTSIDE) == set()


def test_scope_all_closes_every_route(closed_app: Flask) -> None:
    nowhere = {("GET", "/nowhere"), ("POST", "/nowhere"), ("PATCH", "/blabla")}
    asked = routes(closed_app) | nowhere
    assert asked - refused(closed_app, asked, environ_base=OUTSIDE) == {LIVE, ("HEAD", LIVE[1])}
    assert refused(closed_app, asked, headers={"Authorization": f"Bearer {KEY}"}) == set()


def test_this_machine_may_check_health_without_the_key(closed_app: Flask) -> None:
    """A container's health check has no key."""
    client = local_client(closed_app)
    assert client.get("/health").status_code == 200
    assert client.get("/health", headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 401
    assert client.get("/metrics").status_code == 401


def test_without_a_key_other_machines_may_only_speak(open_app: Flask) -> None:
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
def test_foreign_web_page_in_a_local_browser_is_refused(open_app: Flask, origin: str, status: int) -> None:
    answer = local_client(open_app).post("/v1/phrases/0/remake", headers={"Origin": origin})
    assert answer.status_code == status


def test_refusal_comes_before_anything_is_parsed(locked_app: Flask) -> None:
    refused = local_client(locked_app).post(
        "/v1/phrases/bundle?nonsense", data=bytes(2**17), headers={"Content-Type": "text/plain"}
    )
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (401, "unauthorized")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.headers["X-Request-Id"]


def test_openapi_document_has_the_access_rules(open_app: Flask) -> None:
    document = local_client(open_app).get("/openapi.json").get_json()
    described = {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if isinstance(operation, dict)
    }
    for route, operation in described.items():
        assert ("401" in operation["responses"]) == (route != LIVE), route
        assert operation.get("security") == (None if route == LIVE else [{"apiKey": []}, {"apiKeyHeader": []}, {}])
    named = {route: (route[0], re.sub("{.*?}", "0", route[1])) for route in described}
    asked = {route for route in private(open_app) if route[0] != "HEAD"}
    assert set(named.values()) >= asked
    # Anyone may have a sentence spoken, but not on air.
    forbidden = (asked - SPEAKING) | {("POST", "/blabla")}
    assert {named[route] for route in described if "403" in described[route]["responses"]} == forbidden


def test_scope_has_no_effect_without_a_key(tmp_path: Path) -> None:
    settings = replace(Settings(engine="espeak", cache_dir=tmp_path), api_key_scope="all")
    for app in app_of(settings):
        assert local_client(app).get("/metrics", environ_base=OUTSIDE).status_code == 200
