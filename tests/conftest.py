from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from monica import create_app
from monica.config import Settings
from monica.service import Service
from tests.support import system  # noqa: F401 - takes its own variable before they are all taken away
from tests.support.engines import ToyEngine
from tests.support.server import Server

# Each test chooses Monica's settings: those of the shell around the tests are not theirs.
for _name in [name for name in os.environ if name.startswith("MONICA_")]:
    del os.environ[_name]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(engine="espeak", cache_dir=tmp_path / "cache")


def started(settings: Settings, engine: ToyEngine | None = None) -> Service:
    service = Service(settings, engine)
    service.start_and_wait()
    return service


@pytest.fixture
def toy() -> ToyEngine:
    return ToyEngine()


@pytest.fixture
def service(settings: Settings, toy: ToyEngine) -> Iterator[Service]:
    service = started(settings, toy)
    yield service
    toy.gate.set()
    service.close()


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The real application with the embedded engine, ready."""
    service = started(settings)
    yield create_app(service=service)
    service.close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real gunicorn with the embedded engine, shared by the tests that do not end it."""
    folder = tmp_path_factory.mktemp("server")
    with Server(folder, {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(folder / "cache")}) as server:
        yield server.wait_ready()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, however it was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any


Call = Callable[..., Answer]


@pytest.fixture(params=["flask", "gunicorn"])
def call(request: pytest.FixtureRequest) -> Call:
    """Ask the Flask application, and again a real gunicorn over a real socket."""
    if request.param == "flask":
        client: FlaskClient = request.getfixturevalue("client")

        def ask(method: str, path: str, **kwargs: Any) -> Answer:
            with client.open(path, method=method, **kwargs) as response:
                parsed = response.get_json(silent=True) if response.is_json else None
                return Answer(response.status_code, dict(response.headers), response.data, parsed)

    else:
        server: Server = request.getfixturevalue("server")

        def ask(method: str, path: str, **kwargs: Any) -> Answer:
            response = requests.request(method, server.url + path, timeout=60, **kwargs)
            is_json = response.headers.get("Content-Type") == "application/json"
            return Answer(
                response.status_code, response.headers, response.content, response.json() if is_json else None
            )

    return ask
