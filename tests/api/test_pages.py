"""The pages for people: who gets in, and that nothing else does what only they may do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from monica import create_app, session
from monica.config import Settings
from monica.this_machine import ensure_token
from tests.conftest import started

KEY = "une-clef-pour-la-salle"
Open = Callable[[str | None], FlaskClient]


@pytest.fixture
def open_client(settings: Settings) -> Open:
    """Return a function that gives a browser without a session, for a Monica with or without an API key."""
    services = []

    def client(key: str | None) -> FlaskClient:
        service = started(replace(settings, api_key=key))
        services.append(service)
        return create_app(service=service).test_client()

    return client


def enter(client: FlaskClient, key: str) -> str:
    """Give the key, and return the token of the page."""
    answer = client.post("/session", data={"cle": key, "page": "regie"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    page = client.get("/")
    assert page.status_code == 200
    found = re.search(r'name="csrf" content="(\w+)"', page.text)
    assert found is not None
    return found[1]


def test_without_a_session_a_page_asks_for_the_key(open_client: Open) -> None:
    client = open_client(KEY)
    for path in ("/", "/salle"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert "La clé" in answer.text
    assert client.post("/session", data={"cle": "faux"}).status_code == 403
    assert client.post("/session", data={}).status_code == 403
    assert client.get("/v1/announcements").status_code == 401


def test_with_the_key_a_page_may_do_what_the_key_may(open_client: Open) -> None:
    client = open_client(KEY)
    token = enter(client, KEY)
    assert client.get("/salle").status_code == 200
    assert client.get("/v1/announcements").status_code == 200
    body = {"text": "À vos places."}
    answer = client.post("/v1/announcements", json=body, headers={session.CSRF_HEADER: token})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {session.CSRF_HEADER: "0" * 64},
        {session.CSRF_HEADER: "é"},
        {session.CSRF_HEADER: "{token}", "Origin": "https://evil.example"},
        {session.CSRF_HEADER: "{token}", "Origin": "null"},
    ],
)
def test_another_page_may_not_use_the_session(open_client: Open, headers: dict[str, str]) -> None:
    client = open_client(KEY)
    token = enter(client, KEY)
    sent = {name: value.format(token=token) for name, value in headers.items()}
    answer = client.post("/v1/announcements", json={"text": "À vos places."}, headers=sent)
    assert answer.status_code == 401


def test_a_session_ends(open_client: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    client = open_client(KEY)
    enter(client, KEY)
    now = time.time()
    monkeypatch.setattr("monica.session.time.time", lambda: now + session.LIFETIME_S + 1)
    assert client.get("/").status_code == 401
    assert client.get("/v1/announcements").status_code == 401


def test_a_session_can_be_closed(open_client: Open) -> None:
    client = open_client(KEY)
    enter(client, KEY)
    assert client.post("/session/fin").status_code == 303
    assert client.get("/").status_code == 401


def test_the_host_may_come_without_its_port(open_client: Open) -> None:
    """As nginx passes it on."""
    client = open_client(KEY)
    headers = {session.CSRF_HEADER: enter(client, KEY), "Host": "localhost", "Origin": "https://localhost:8443"}
    assert client.post("/v1/announcements", json={"text": "À vos places."}, headers=headers).status_code == 201


@pytest.mark.parametrize("value", ["", ".", "9999999999.", "9999999999." + "0" * 64, "x.y", "9" * 40 + ".a", "é.é"])
def test_a_forged_session_is_none(value: str) -> None:
    assert not session.is_session(value, KEY)


def test_another_key_ends_all_sessions() -> None:
    opened = session.open_session(KEY)
    assert session.is_session(opened, KEY)
    assert not session.is_session(opened, "another")
    assert not session.is_session("9" + opened, KEY)


def test_without_a_key_the_pages_are_for_this_machine(open_client: Open, settings: Settings) -> None:
    client = open_client(None)
    token = enter(client, str(ensure_token(settings.cache_dir)))
    headers = {session.CSRF_HEADER: token}
    body = {"text": "À vos places."}
    assert client.post("/v1/announcements", json=body, headers=headers).status_code == 201
    proxied = {"X-Forwarded-For": "192.0.2.1"}
    assert client.get("/", headers=proxied).status_code == 401
    assert client.post("/v1/announcements", json=body, headers=headers | proxied).status_code == 403


def test_a_page_loads_nothing_from_elsewhere(open_client: Open) -> None:
    client = open_client(KEY)
    enter(client, KEY)
    for path in ("/", "/salle"):
        page = client.get(path)
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        sources = re.findall(r'(?:src|href|action)="([^"]*)"', page.text)
        assert sources
        assert all(source.startswith("/") and not source.startswith("//") for source in sources)
        assert "<style" not in page.text
        assert " onclick" not in page.text
        assert "<script>" not in page.text
        for source in sources:
            with client.get(source) as answer:
                assert answer.status_code in (200, 405), source
