from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from monica import create_app
from monica.config import Settings
from monica.service import Service
from monica.this_machine import ensure_token
from tests.support import system  # reads its own variable before they are all removed
from tests.support.engines import ToyEngine
from tests.support.server import Server

# Each test chooses Monica's settings. Those of the shell that started the tests must not reach them.
for _name in [name for name in os.environ if name.startswith("MONICA_")]:
    del os.environ[_name]

# What tests need or cost, by the beginning of their name under tests/. pyproject.toml says what each marker means.
# A test that calls `program` and is not listed here is skipped by itself if the program is missing. A `slow` test takes
# two seconds or more, mostly for a server of its own or for hundreds of examples; so do files of jobs that wait.
MARKERS = {
    "engine/chatterbox/": "torch",
    "engine/torch/": "torch",
    "engine/pico/test_engine.py::test_odd_texts_neither_hang_it_nor_get_lost": "slow",
    "engine/pico/test_process.py": "slow",
    "engine/test_selection.py::test_chatterbox_on_a_cpu_that_was_asked_for": "torch",
    "engine/test_selection.py::test_auto_with_an_accelerator_is_chatterbox": "torch",
    "clients/": "system",
    "pages/": "system",
    "deployment/nginx/": "system",
    "deployment/test_grafana.py": "system",
    "deployment/test_kinds.py::test_ray_serve_takes_its_configurations_and_no_wrong_ones": "system",
    "deployment/test_kuberay.py::test_probes_ask_what_ray_answers_without_a_token": "system",
    "deployment/test_kubernetes.py::test_queries_are_promql": "system",
    "deployment/test_prometheus.py": "system",
    "deployment/test_systemd.py": "system",
    "text/test_phonemes.py": "system",
    "audio/test_formats.py::test_ffprobe_recognises_every_format": "system",
    "process/test_siege.py": "system",
    "process/test_full_disk.py": "system",
    "process/test_ray.py": "system",
    "render/test_shared_shelf.py": "system",
    "listening/": "slow",
    "process/": "slow",
    "api/test_auth.py::test_key_appears_in_no_answer_log_or_file": "slow",
    "api/test_bundles.py::test_through_a_real_server": "slow",
    "api/test_deadline.py::test_deadline_in_a_real_server": "slow",
    "api/test_openapi.py::test_every_response_is_documented": "slow",
    "api/test_upload_limits.py": "slow",
    "cli/test_cache.py::test_running_server_remakes_a_phrase": "slow",
    "cli/test_commands.py": "slow",
    "cli/test_output.py::test_lost_output_is_told_in_one_line": "slow",
    "cli/test_render.py::test_into_the_shared_store": "system",
    "cli/test_speaker.py": "slow",
    "cli/test_warm.py": "slow",
    "antenna/test_antenna_machine.py": "slow",
    "tournament/test_clock_machine.py": "slow",
    "engine/test_registry.py": "slow",
    "store/test_hostile_bundles.py::test_only_whole_sounds_are_imported_from_any_bundle": "slow",
    "store/test_shared.py": "system",
    "store/test_migration.py::test_real_server_answers_from_what_an_old_one_kept": "slow",
    "synthesis/test_scheduler_machine.py": "slow",
    "test_audio_stream.py": "slow",
    "test_metrics.py::test_metrics_are_true_under_concurrency": "slow",
    "text/test_frontend.py::test_broken_lexicon_stops_the_start_and_names_the_line": "slow",
    "text/test_frontend.py::test_command_line_needs_no_cache_folder": "slow",
    "text/test_normaliser.py::test_any_unicode_gets_sound_or_a_clear_error": "slow",
    "warming/book/test_properties.py": "slow",
    "warming/test_job_run.py": "slow",
    "warming/test_warmer.py": "slow",
}
HAS_TORCH = find_spec("torch") is not None


def pytest_report_header() -> list[str]:
    return [] if HAS_TORCH else ["PyTorch is not installed: the tests marked `torch` are left out"]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out files that cannot be imported without PyTorch. CI gets their error instead: there it is installed."""
    path = collection_path.relative_to(Path(__file__).parent).as_posix() + "/"
    left_out = not HAS_TORCH and not system.REQUIRED and MARKERS.get(path) == "torch"
    return True if left_out else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests; for `make check`, and for pytest -m."""
    for item in items:
        name = item.nodeid.removeprefix("tests/")
        for beginning, marker in MARKERS.items():
            if name.startswith(beginning):
                item.add_marker(marker)


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
    return local_client(app)


def local_client(app: Flask) -> FlaskClient:
    """Return a client that sends the token of this machine, if no API key is set."""
    client, settings = app.test_client(), app.extensions["monica"].settings
    if settings.api_key is None:
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {ensure_token(settings.cache_dir)}"
    return client


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real gunicorn with the embedded engine, shared by all tests that do not stop it."""
    folder = tmp_path_factory.mktemp("server")
    with Server(folder, {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(folder / "cache")}) as server:
        yield server.wait_ready()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, from Flask's test client or from a real server."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any


Call = Callable[..., Answer]


@pytest.fixture(params=["flask", "gunicorn"])
def call(request: pytest.FixtureRequest) -> Call:
    """Run each test twice: on the Flask application, and on a real gunicorn over a real socket."""
    if request.param == "flask":
        client: FlaskClient = request.getfixturevalue("client")

        def ask(method: str, path: str, **kwargs: Any) -> Answer:
            with client.open(path, method=method, **kwargs) as response:
                parsed = response.get_json(silent=True) if response.is_json else None
                return Answer(response.status_code, dict(response.headers), response.data, parsed)

    else:
        server: Server = request.getfixturevalue("server")

        def ask(method: str, path: str, **kwargs: Any) -> Answer:
            kwargs["headers"] = server.token() | dict(kwargs.get("headers", {}))
            response = requests.request(method, server.url + path, timeout=60, **kwargs)
            is_json = response.headers.get("Content-Type") == "application/json"
            return Answer(
                response.status_code, response.headers, response.content, response.json() if is_json else None
            )

    return ask
