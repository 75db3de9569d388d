"""A real Prometheus with the repository's configuration, made faster for tests; and promtool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import requests

from tests.support.server import ROOT, free_port
from tests.support.system import program
from tests.support.wire import until

FOLDER = ROOT / "prometheus"
TARGET = "monica:8080"


def promtool(*arguments: str, input: str | None = None) -> str:
    """Run promtool and return its output. Raises AssertionError with that output if it fails."""
    done = subprocess.run([program("promtool"), *arguments], input=input, capture_output=True, text=True, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def changed(text: str, pattern: str, replacement: str) -> str:
    """Replace a pattern. Raises AssertionError if it does not occur."""
    new, count = re.subn(pattern, replacement, text)
    assert count > 0, pattern
    return new


class Prometheus:
    """A running Prometheus that scrapes `target`, a host and port. Use as a context manager.

    Its files are the repository's except for three things: the target, an interval of one second instead of fifteen,
    and alerts that fire at once instead of being `pending` first, because their `for:` is set to zero.
    """

    def __init__(self, folder: Path, target: str) -> None:
        folder.mkdir()
        config = (FOLDER / "prometheus.yml").read_text()
        config = changed(config, re.escape(TARGET), target)
        (folder / "prometheus.yml").write_text(changed(config, r"_interval: 15s", "_interval: 1s"))
        alerts = (FOLDER / "alerts.yml").read_text()
        (folder / "alerts.yml").write_text(changed(alerts, r"(?m)^( +for:) \w+", r"\1 0s"))
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "log.txt"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> Prometheus:
        until(self._is_ready)
        return self

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """Query its HTTP API. Raises AssertionError with the answer if that is an error."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, expression: str) -> list[float]:
        """Return the current values of an expression; an empty list if it has no samples."""
        data = self.get("query", query=expression)
        assert data["resultType"] == "vector", expression
        return [float(sample["value"][1]) for sample in data["result"]]

    def history(self, selector: str) -> list[float]:
        """Return the values of a series in the last five minutes; an empty list if there is no such series."""
        data = self.get("query", query=f"{selector}[5m]")
        return [float(value) for series in data["result"] for _, value in series["values"]]

    def firing(self) -> dict[str, dict[str, str]]:
        """Return the annotations of the firing alerts, by name."""
        alerts = self.get("alerts")["alerts"]
        return {alert["labels"]["alertname"]: alert["annotations"] for alert in alerts if alert["state"] == "firing"}

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)
