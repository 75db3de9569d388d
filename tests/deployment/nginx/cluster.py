"""Three nodes to put behind nginx."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import requests

from tests.support.server import Server, free_port
from tests.support.wire import until

ESPEAK = {"MONICA_ENGINE": "espeak"}
UNLIMITED = {"rate=10r/s": "rate=100000r/s"}


class Cluster:
    """Three real nodes, each with a cache of its own."""

    def __init__(self, folder: Path, stack: ExitStack, settings: Mapping[str, str] = ESPEAK) -> None:
        self._folder, self._stack, self._settings = folder, stack, settings
        self.ports = [free_port() for _ in range(3)]
        self.nodes = {port: self._start(port) for port in self.ports}
        for node in self.nodes.values():
            wait_ready(node)

    def _start(self, port: int) -> Server:
        cache = {"MONICA_CACHE_DIR": str(self._folder / f"cache-{port}")}
        return self._stack.enter_context(Server(self._folder, {**self._settings, **cache}, port))

    def restart(self, port: int) -> None:
        self.nodes[port] = self._start(port)
        wait_ready(self.nodes[port])

    def kill(self, port: int) -> None:
        """Kill a node with its worker: nothing of it can end in an orderly way."""
        master = psutil.Process(self.nodes[port].process.pid)
        for process in (*master.children(recursive=True), master):
            with suppress(psutil.NoSuchProcess):  # the engine's process forks for each text
                process.kill()
        self.nodes[port].wait_exit()

    def drain(self, port: int) -> None:
        self.nodes[port].terminate()
        assert self.nodes[port].wait_exit() == 0


def wait_ready(node: Server) -> None:
    """Wait like `Server.wait_ready`, but longer: under load a starting worker answers late."""

    def is_ready() -> bool:
        assert node.process.poll() is None, node.log()
        try:
            return requests.get(f"{node.url}/health", timeout=60).status_code == 200
        except requests.ConnectionError:
            return False

    until(is_ready, 120)
