"""Servers to measure: gunicorn in a process of its own, with Monica or with what she is compared with."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from monica.this_machine import read_token

ROOT = Path(__file__).parent.parent
PLAIN = ("-k", "gthread", "--threads", "32", "--keep-alive", "75", "--timeout", "120", "--log-level", "warning")
"""Arguments that give another application Monica's gunicorn settings."""
WATCHED, FAULTY = "python:benchmarks.watched", "python:benchmarks.faults"
"""Values for gunicorn's -c: Monica's own settings with a look inside, or with an engine that fails."""
ESPEAK = {"MONICA_ENGINE": "espeak"}


@dataclass(frozen=True)
class Server:
    """A server that is ready. log: the file it writes to. cache: the folder of its cache."""

    port: int
    pid: int
    log: Path
    cache: Path

    def worker(self) -> psutil.Process:
        """Return the worker process."""
        (worker,) = psutil.Process(self.pid).children()
        return worker

    def token(self) -> dict[str, str]:
        """Return the header that proves to a Monica without an API key that a request is from this machine."""
        return {"Authorization": f"Bearer {read_token(self.cache)}"}

    def get(self, path: str) -> tuple[int, str]:
        """Send a GET request. Returns the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """Return the value of a series in /metrics, or 0 if there is none. name: with its labels."""
        lines = self.get("/metrics")[1].splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(
    folder: Path, cwd: Path, *arguments: str, settings: Mapping[str, str] = ESPEAK, patience_s: float = 300
) -> Iterator[Server]:
    """Run gunicorn in `cwd`, where it looks for its configuration, and yield it once /health is 200.

    folder: for the log and the cache. settings: environment variables. Raises RuntimeError if it does not become ready.
    """
    port = free_port()
    log = folder / f"log-{port}.txt"
    environ = os.environ | {"MONICA_CACHE_DIR": str(folder / f"cache-{port}"), "PYTHONPATH": str(ROOT)}
    environ |= {"HOST": "127.0.0.1", "PORT": str(port), **settings}
    command = [sys.executable, "-m", "gunicorn", *arguments, "-b", f"127.0.0.1:{port}"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=cwd, env=environ, stdout=file, stderr=file)
    server = Server(port, process.pid, log, Path(environ["MONICA_CACHE_DIR"]))
    try:
        until = time.monotonic() + patience_s
        while not _ready(server):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the server does not become ready:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait()


def _ready(server: Server) -> bool:
    try:
        return server.get("/health")[0] == 200
    except OSError:
        return False
