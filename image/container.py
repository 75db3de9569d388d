"""A container of one of Monica's images, run by podman and runc with the options of docker-compose.yml."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from tests.support.server import free_port

STORE = Path(os.environ.get("IMAGE_STORE", "/var/tmp/monica-image-test"))
# podman's own default is more than root may set on some machines.
FILES = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)
HARDENED = (
    "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges",
    "--network=host", f"--ulimit=nofile={FILES}:{FILES}", "--ulimit=nproc=4096:4096",
    "--no-healthcheck",  # podman would need systemd to run it; the tests run it themselves
)  # fmt: skip


def podman(*arguments: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    store = ("--root", str(STORE / "storage"), "--runroot", str(STORE / "run"))
    command = ["podman", *store, "--runtime=runc", "--cgroup-manager=cgroupfs", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert not check or done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done


def inspect(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(podman("image", "inspect", image).stdout)[0]
    return found


class Container:
    """A running Monica. volumes: each as podman takes it, `SOURCE:TARGET[:ro]`."""

    def __init__(self, image: str, settings: Mapping[str, str] | None = None, volumes: tuple[str, ...] = ()) -> None:
        self.port = int((settings or {}).get("PORT") or free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {"HOST": "127.0.0.1", "PORT": str(self.port)} | dict(settings or {})
        options = [f"--env={name}={value}" for name, value in environment.items()]
        options += [f"--volume={volume}" for volume in volumes]
        self.id = podman("run", "--detach", *HARDENED, *options, image).stdout.strip()

    def log(self) -> str:
        done = podman("logs", self.id)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(podman("container", "inspect", self.id).stdout)[0]["State"]
        return found

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        return podman("exec", self.id, *command, check=False)

    def wait_ready(self, timeout: float = 300) -> Container:
        """Wait for /health to be 200. Raises AssertionError with the log if that does not happen in time."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            assert self.state()["Status"] == "running", self.log()
            try:
                if requests.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return self
            except requests.ConnectionError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"not ready within {timeout} s:\n{self.log()}")

    def say(self, text: str) -> requests.Response:
        return requests.post(f"{self.url}/blabla", json={"text": text}, timeout=120)

    def wait_exit(self, timeout: float = 120) -> int:
        return int(podman("wait", self.id, timeout=timeout).stdout)

    def stop(self) -> int:
        """Stop as `docker stop` does, and return the exit code: 137 if it had to be killed."""
        podman("stop", "--time=60", self.id)
        return int(self.state()["ExitCode"])

    def __enter__(self) -> Container:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is not None:
            print(self.log())
        podman("rm", "--force", "--time=10", "--volumes", self.id)
