"""Uploads of voices that are too large, too slow, or not possible with these settings."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from monica.api.voices import MAX_RECORDING
from monica.config import Settings
from monica.errors import ConfigError
from monica.voices.registry import VoiceRegistry
from monica.voices.uploads import Uploads
from tests.support.server import Server, run_to_failure
from tests.support.wire import Heard, connect, listen

KEY = "une-clef"
PATH = "/v1/audio/voices"
HEAD = (
    f"POST {PATH} HTTP/1.1\r\nHost: monica\r\nAuthorization: Bearer {KEY}\r\n"
    "Content-Type: multipart/form-data; boundary=x\r\n"
)
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nanna\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
)
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("uploads")
    (folder / "voices").mkdir()
    return {
        "MONICA_ENGINE": "espeak",
        "MONICA_CACHE_DIR": str(folder / "cache"),
        "MONICA_VOICES_DIR": str(folder / "voices"),
        "MONICA_VOICE_UPLOADS": "on",
        "MONICA_API_KEY": KEY,
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("log"), environment) as server:
        yield server.wait_ready()


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(server: Server, environment: dict[str, str]) -> Iterator[None]:
    yield
    assert requests.get(f"{server.url}/health", timeout=10).status_code == 200
    assert list(Path(environment["MONICA_VOICES_DIR"]).iterdir()) == []
    assert "Traceback" not in server.log()


def test_two_gigabytes_are_refused_unread(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(f"{HEAD}Content-Length: {2 * 2**30}\r\n\r\n".encode() + FORM)
        heard = listen(connection)
        assert (heard.status, heard.code) == (413, "body_too_large")
        assert b"51264 KiB" in heard.body


def test_an_upload_without_content_length_is_counted(server: Server) -> None:
    """It is sent in chunks, and stopped soon after the limit."""
    sent = 0
    chunk = f"{MEGABYTE:x}\r\n".encode() + bytes(MEGABYTE) + b"\r\n"
    heard: Heard | None = None
    with connect(server) as connection:
        with suppress(OSError):  # the server has stopped reading
            connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
            connection.sendall(f"{len(FORM):x}\r\n".encode() + FORM + b"\r\n")
            while sent < 4 * MAX_RECORDING:
                connection.sendall(chunk)
                sent += MEGABYTE
        with suppress(OSError):  # a client that went on sending may not receive the reason
            heard = listen(connection)
    assert MAX_RECORDING <= sent < 2 * MAX_RECORDING
    assert heard is None or (heard.status, heard.code) == (413, "body_too_large")


def test_an_upload_of_the_largest_size_is_read(server: Server) -> None:
    """It is refused for another reason: the embedded engine clones no voices."""
    answer = requests.post(
        f"{server.url}{PATH}",
        data={"name": "anna"},
        files={"file": bytes(MAX_RECORDING)},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=60,
    )
    assert answer.status_code in (403, 422)


def test_a_form_that_breaks_off_is_refused(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(f"{HEAD}Content-Length: 5000\r\n\r\n".encode() + FORM)
        connection.shutdown(socket.SHUT_WR)
        heard = listen(connection)
        assert (heard.status, heard.code) == (422, "request_invalid")


def test_a_form_that_stalls_times_out(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(f"{HEAD}Content-Length: 5000\r\n\r\n".encode() + FORM)
        heard = listen(connection)
        assert (heard.status, heard.code) == (408, "request_timeout")


def test_monica_does_not_start_with_uploads_and_no_key(tmp_path: Path, environment: dict[str, str]) -> None:
    log = run_to_failure(tmp_path, {k: v for k, v in environment.items() if k != "MONICA_API_KEY"})
    assert "Monica cannot start: MONICA_VOICE_UPLOADS=on needs MONICA_API_KEY" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"voices_dir": None}, "MONICA_VOICE_UPLOADS=on needs MONICA_VOICES_DIR"),
        ({"api_key": None}, "MONICA_VOICE_UPLOADS=on needs MONICA_API_KEY"),
        ({"voices_dir": Path("/proc")}, "MONICA_VOICES_DIR='/proc' cannot be written"),
    ],
)
def test_settings_that_contradict_each_other(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    if change.get("voices_dir") == Path("/proc") and not Path("/proc").is_dir():
        pytest.skip("this system has no folder that no one can write to")
    settings = replace(Settings(voices_dir=tmp_path, voice_uploads=True, api_key=KEY), **change)
    store: Any = None
    with pytest.raises(ConfigError) as caught:
        Uploads(settings, VoiceRegistry(settings, store), lambda: None, lambda work: work(), lambda: None)
    assert str(caught.value).startswith(says)
