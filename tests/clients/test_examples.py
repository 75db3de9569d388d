"""The example clients, run as documented, against a real Monica and against a server that is busy."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import soundfile

from tests.support.server import ROOT, Server, clean_environment, free_port
from tests.support.system import program

TEXT = "Rusmir mise tapis."


class BusyMonica(ThreadingHTTPServer):
    """Answers with some 503s and a Retry-After of one second, then with a sound. seen: the headers of each request."""

    def __init__(self, refusals: int) -> None:
        super().__init__(("127.0.0.1", 0), BusyHandler)
        self.refusals = refusals
        self.seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class BusyHandler(BaseHTTPRequestHandler):
    server: BusyMonica

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(dict(self.headers))
        busy = len(self.server.seen) <= self.server.refusals
        error = {"code": "overloaded", "message": "Too many takes are waiting.", "param": None}
        body = json.dumps({"error": error}).encode() if busy else b"RIFF"
        self.send_response(503 if busy else 200)
        if busy:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def busy() -> Iterator[BusyMonica]:
    with BusyMonica(refusals=1) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=["client.py", "client.mjs"])
def command(request: pytest.FixtureRequest) -> list[str]:
    interpreter = sys.executable if request.param.endswith(".py") else program("node")
    return [interpreter, str(ROOT / "examples" / request.param)]


def run(command: list[str], text: str, path: Path, url: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(**settings)
    return subprocess.run([*command, text, str(path), url], capture_output=True, text=True, timeout=60, env=environment)


def test_a_sentence_becomes_a_file(command: list[str], server: Server, tmp_path: Path) -> None:
    path = tmp_path / "tapis.wav"
    done = run(command, TEXT, path, server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{path}: {path.stat().st_size} bytes\n"
    assert soundfile.info(path).duration > 0.5


def test_a_refusal_is_reported_and_not_retried(command: list[str], server: Server, tmp_path: Path) -> None:
    done = run(command, "  ", tmp_path / "none.wav", server.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no sound: text_empty: The text has nothing to say.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_is_retried_after_the_pause_it_asks_for(
    command: list[str], busy: BusyMonica, tmp_path: Path
) -> None:
    began = time.monotonic()
    done = run(command, TEXT, tmp_path / "tapis.wav", busy.url, MONICA_API_KEY="secret")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began >= 1
    assert [headers["Authorization"] for headers in busy.seen] == ["Bearer secret"] * 2
    assert {headers["X-Deadline-Ms"] for headers in busy.seen} == {"10000"}


def test_gives_up_on_a_server_that_stays_busy(command: list[str], busy: BusyMonica, tmp_path: Path) -> None:
    busy.refusals = 100
    done = run(command, TEXT, tmp_path / "tapis.wav", busy.url)
    assert (done.returncode, done.stderr) == (1, "no sound: overloaded: Too many takes are waiting.\n")
    assert len(busy.seen) == 3


def test_a_missing_server_is_reported_in_one_line(command: list[str], tmp_path: Path) -> None:
    done = run(command, TEXT, tmp_path / "tapis.wav", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stderr.startswith("no sound: ")
    assert len(done.stderr.splitlines()) == 1
