"""A Ray of one machine with Ray Serve, in processes of its own. The tests' process never imports Ray."""

from __future__ import annotations

import importlib
import json
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from tests.support import system
from tests.support.server import ROOT, clean_environment, free_port


class RayCluster:
    """Runs `replicas` replicas of tests/support/ray_replica.py; without any, no Ray Serve. Use as a context manager."""

    def __init__(
        self, folder: Path, replicas: int, deployment: str = "tests.support.ray_replica:app", engine: str = "espeak"
    ) -> None:
        self.port = free_port()
        self.faults = folder / "faults"
        self.faults.mkdir()
        self.token = folder / "ray-token"
        self.token.write_text("a-token-of-tests")
        self.log = folder / "ray.log"
        # Ray's sockets have no room for pytest's long paths.
        self._temp = Path(tempfile.mkdtemp(prefix="ray-"))
        self._environ = clean_environment(
            MONICA_ENGINE=engine,
            MONICA_RAY_TOKEN_FILE=str(self.token),
            MONICA_CACHE_DIR=str(folder / "replica"),
            FAULTS=str(self.faults),
            FAULTS_STUCK_S="5",
            PYTHONPATH=str(ROOT),
            RAY_USAGE_STATS_ENABLED="0",
            # Whoever reaches its ports could run code in it.
            RAY_AUTH_MODE="token",
            RAY_AUTH_TOKEN=secrets.token_hex(32),
            # On a loaded machine Ray's processes would give up on each other.
            RAY_agent_register_timeout_ms="200000",
            RAY_raylet_start_wait_time_s="200",
            # Below `uv run`, Ray would start each worker with it, in a copy of this folder that has no environment.
            RAY_ENABLE_UV_RUN_RUNTIME_ENV="0",
        )
        self._replicas, self._deployment = replicas, deployment
        self._family: dict[int, psutil.Process] = {}

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a Monica that has this cluster speak."""
        return {
            "MONICA_ENGINE": "ray",
            "MONICA_RAY_ADDRESS": f"http://127.0.0.1:{self.port}",
            "MONICA_RAY_TOKEN_FILE": str(self.token),
        }

    def replicas(self) -> list[psutil.Process]:
        """Return the processes of the replicas that run."""
        return self._actors("ServeReplica")

    def studios(self) -> list[psutil.Process]:
        """Return the processes of the studios of a render."""
        return self._actors("Studio")

    def render(self, book: Path, out: Path, *options: str, log: Path, **environ: str) -> subprocess.Popen[bytes]:
        """Start `monica render`. log: the file for what it says."""
        command = (sys.executable, "-c", "from monica.cli import main; main()", "render", str(book), "--out", str(out))
        return self._run(*command, f"--ray=127.0.0.1:{self._gcs}", *options, log=log, **environ)

    def _actors(self, name: str) -> list[psutil.Process]:
        return [each for each in self.processes() if _arguments(each).startswith(f"ray::{name}")]

    def __enter__(self) -> RayCluster:
        self._gcs = free_port()
        # Ports that are given are ports that Ray's processes need not wait to be told.
        ports = ("dashboard-agent-grpc-port", "metrics-export-port", "runtime-env-agent-port", "ray-client-server-port")
        self._agent_port = free_port()
        options = {name: free_port() for name in ports} | {
            "port": self._gcs,
            "dashboard-agent-listen-port": self._agent_port,
            "num-cpus": 4,
            "object-store-memory": 80 * 2**20,
            "include-dashboard": "false",
            "include-log-monitor": "false",
            "temp-dir": self._temp,
        }
        ray = str(Path(sys.executable).parent / "ray")
        self._head = self._run(
            ray, "start", "--head", "--block", *(f"--{name}={each}" for name, each in options.items())
        )
        try:
            self.scale(self._replicas)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def scale(self, replicas: int) -> None:
        """Run that many replicas. Returns once they are ready."""
        options = {
            "head": f"127.0.0.1:{self._gcs}", "port": self.port, "replicas": replicas, "deployment": self._deployment,
        }  # fmt: skip
        deploying = self._run(sys.executable, "-m", "tests.support.ray_cluster", json.dumps(options))
        while deploying.poll() is None:
            assert self._head.poll() is None, self.log.read_text()
            self._tell_agent_port()
            time.sleep(0.2)
        assert deploying.returncode == 0, self.log.read_text()
        self.processes()

    def _tell_agent_port(self) -> None:
        """Write the file in which Ray's agent tells its port.

        Ray ends if that has not come up after fifteen seconds. On a loaded machine it needs thirty to import itself.
        """
        for arguments in map(_arguments, self.processes()):
            if node := re.search(r"dashboard/agent\.py.* --node-id=(\w+)", arguments):
                for session in self._temp.glob("session_2*"):
                    file = session / f"dashboard_agent_listen_port_{node[1]}"
                    if not file.exists():
                        file.write_text(str(self._agent_port))

    def _run(self, *command: str, log: Path | None = None, **environ: str) -> subprocess.Popen[bytes]:
        with (log or self.log).open("ab") as out:
            return subprocess.Popen(
                command, cwd=ROOT, env=self._environ | environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def processes(self) -> list[psutil.Process]:
        """Return the processes of this Ray, and remember them."""
        if self._head.poll() is None:
            head = psutil.Process(self._head.pid)
            self._family |= {each.pid: each for each in (head, *head.children(recursive=True))}
        return [each for each in self._family.values() if each.is_running()]

    def _end(self) -> None:
        """Kill this Ray. Asked to end, it would take half a minute."""
        self.processes()
        for process in self._family.values():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._head.wait()
        psutil.wait_procs(list(self._family.values()), 15)
        shutil.rmtree(self._temp, ignore_errors=True)


def require_ray() -> None:
    """Skip the test if Ray is not installed, or fail it if all programs are required."""
    if find_spec("ray") is None:
        reason = "Ray is not installed (the extra `ray`)"
        if system.REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)


def _arguments(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def main(head: str, port: int, replicas: int, deployment: str) -> None:
    """Deploy the replicas, if any, once Ray is up."""
    import ray
    from ray import serve

    until = time.monotonic() + 120
    while True:
        try:
            ray.init(head, log_to_driver=False)
            break
        except ConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
    if not replicas:
        return
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    module, _, name = deployment.partition(":")
    app = getattr(importlib.import_module(module), name)
    options = {
        "name": "Replica", "num_replicas": replicas, "max_ongoing_requests": 40, "max_queued_requests": 40,
        "ray_actor_options": {"num_cpus": 0.1}, "graceful_shutdown_timeout_s": 20,
        "graceful_shutdown_wait_loop_s": 0.2,
    }  # fmt: skip
    serve.run(app.options(**options).bind(), name="monica", route_prefix="/")


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
