"""The server under siege: it is killed and started again, its disk is filled and freed, and its clock is moved."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.servers import ROOT, free_port
from benchmarks.siege.tally import Tally
from monica.config import Settings
from monica.store.catalogue import Catalogue

DISK_MB, CACHE_MB = 96, 24
READY_S = 90
ORPHAN_S = 40
"""A worker whose master was killed must end by itself within this time."""


class Fortress:
    """A server with the embedded engine on a small disk, on loopback only."""

    def __init__(self, folder: Path, tally: Tally) -> None:
        self.port = free_port()
        self.changed = time.monotonic()
        """When the server was last killed, or was ready again after that."""
        self.down = True
        self._folder, self._tally = folder, tally
        self.disk = folder / "disk"
        self._filler = self.disk / "filler"
        self._clock = folder / "clock"
        self._log = folder / "log.txt"
        self.can_fill = self._mount()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self.move_clock(0)

    def _mount(self) -> bool:
        self.disk.mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(self.disk)]
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def start(self) -> None:
        """Start the server and wait until /health is 200. Raises RuntimeError if it does not become ready."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("MONICA_")} | {
            "HOST": "127.0.0.1", "PORT": str(self.port), "LOG_LEVEL": "warning", "MONICA_ENGINE": "espeak",
            "PYTHONPATH": str(ROOT), "SIEGE_CLOCK": str(self._clock),
            "MONICA_CACHE_DIR": str(self.disk / "cache"), "MONICA_CACHE_MB": str(CACHE_MB),
        }  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "python:benchmarks.siege.clock"],
                cwd=ROOT,
                env=environ,
                stdout=log,
                stderr=log,
            )
        self._wait_ready()

    def _wait_ready(self) -> None:
        began = time.monotonic()
        while not self._is_ready():
            if time.monotonic() - began > READY_S or (self._process and self._process.poll() is not None):
                raise RuntimeError(
                    f"the server does not become ready:\n{self._log.read_text(errors='replace')[-3000:]}"
                )
            time.sleep(0.05)
        self.changed, self.down = time.monotonic(), False

    def _is_ready(self) -> bool:
        try:
            return self.get("/health")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def worker(self) -> psutil.Process | None:
        """Return the worker process; None if there is none just now."""
        with suppress(psutil.Error):
            if self._process is not None:
                return next(iter(psutil.Process(self._process.pid).children()), None)
        return None

    def kill(self, what: str) -> None:
        """Kill the worker or the master, see what is kept, and wait until it serves again."""
        with self._lock:
            worker, began = self.worker(), time.monotonic()
            if worker is None or self._process is None:
                return
            self.changed, self.down = began, True
            if what == "worker":
                worker.kill()
                time.sleep(0.05)
            else:
                self._process.kill()
                self._process.wait()
                with suppress(psutil.NoSuchProcess):
                    self._end_of_orphan(worker)
                self.verify()
                began = time.monotonic()
                self.start()
            self._wait_ready()
            self._tally.kills[what] += 1
            self._tally.recovery = max(self._tally.recovery, time.monotonic() - began)

    def _end_of_orphan(self, worker: psutil.Process) -> None:
        try:
            worker.wait(ORPHAN_S)
        except psutil.TimeoutExpired:
            self._tally.fault(f"a worker without a master lives on after {ORPHAN_S} s")
            worker.kill()
            worker.wait(10)

    def verify(self) -> None:
        """Read every kept sound and compare it with its checksum. Only while no server runs."""
        self.free()
        settings = Settings(engine="espeak", cache_dir=self.disk / "cache", cache_mb=CACHE_MB)
        with Catalogue.open(settings) as catalogue:
            for phrase, wrong in catalogue.verify_sounds():
                self._tally.verified += 1
                if wrong is not None:
                    self._tally.bad += 1
                    self._tally.fault(f"kept sound {phrase.key:.12}: {wrong}")

    def fill(self) -> None:
        """Take all the room on the disk."""
        with suppress(OSError), self._filler.open("ab") as file:
            while True:
                file.write(bytes(65536))
                file.flush()

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def move_clock(self, offset: float) -> None:
        """Move the wall clock. offset: from the true time, in seconds."""
        part = self._folder / "clock.part"
        part.write_text(f"{offset}")
        part.replace(self._clock)

    def close(self) -> None:
        """Stop the server, verify what it kept, and look for what its log must not have."""
        with self._lock:
            if self._process is not None:
                self._process.terminate()
                try:
                    self._process.wait(60)
                except subprocess.TimeoutExpired:
                    self._tally.fault("the server does not end after SIGTERM")
                    for process in (*psutil.Process(self._process.pid).children(), psutil.Process(self._process.pid)):
                        process.kill()
            self.verify()
            log = self._log.read_text(errors="replace")
            for wrong in ("unexpected error", "Traceback"):
                if wrong in log:
                    at = log.index(wrong)
                    self._tally.fault(f"in the log: {log[at : at + 1500]}")

    def unmount(self) -> None:
        if self.can_fill:
            subprocess.run(["umount", "--lazy", str(self.disk)], check=False)
