"""A real Monica: gunicorn with the project's own configuration, in a process of its own, on a real socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import requests

from monica.this_machine import read_token

ROOT = Path(__file__).parent.parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with `settings` in place of Monica's settings in it."""
    ours = ("PORT", "HOST", "LOG_LEVEL", "REFERENCE_AUDIO", "REFERENCE_DURATION_S", "MAX_TEXT_LENGTH")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MONICA_") and k not in ours}
    return kept | settings


class Server:
    """A running Monica. Use as a context manager. `log()` returns what it has written so far."""

    def __init__(self, folder: Path, settings: Mapping[str, str], port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.cache_setting = (
            {"MONICA_CACHE_DIR": settings["MONICA_CACHE_DIR"]} if "MONICA_CACHE_DIR" in settings else {}
        )
        """What a command on the same machine needs to find this server's cache folder."""
        self._log = folder / f"log-{self.port}.txt"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn"],
                cwd=ROOT,
                env=clean_environment(**{"PORT": str(self.port), "HOST": "127.0.0.1", **settings}),
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_ready(self, timeout: float = 60.0) -> Server:
        """Wait until /health is 200. Raises AssertionError with the log if that does not happen in time."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log()
            try:
                if requests.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return self
            except (requests.ConnectionError, requests.Timeout):
                pass
            time.sleep(0.02)
        raise AssertionError(f"not ready within {timeout} s:\n{self.log()}")

    def token(self) -> dict[str, str]:
        """Return the header that proves to this server, if it has no API key, that a request is from this machine."""
        return {"Authorization": f"Bearer {read_token(Path(self.cache_setting['MONICA_CACHE_DIR']))}"}

    def wait_exit(self, timeout: float = 60.0) -> int:
        return self.process.wait(timeout)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def say(self, text: str, *, timeout: float = 60.0, headers: Mapping[str, str] | None = None) -> requests.Response:
        return requests.post(f"{self.url}/blabla", json={"text": text}, headers=dict(headers or {}), timeout=timeout)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def run_to_failure(folder: Path, settings: dict[str, str]) -> str:
    """Start a Monica that cannot start, and return its log."""
    with Server(folder, settings) as server:
        assert server.wait_exit(30) != 0
        return server.log()
