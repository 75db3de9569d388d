"""kill -9 in the middle of a queue of fifty, a hundred times: nothing is lost, and nothing said twice without a word.

    python -m benchmarks.antenna_kills

Before each kill the queue is filled up to fifty again, and a speaker plays it. The kill comes at a random moment. After
it every announcement that was ever accepted is looked for: it waits, is on air, or has ended; and one that the room
heard twice must say so.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.hardware import describe_cpu
from benchmarks.listeners import Room, send
from benchmarks.servers import ROOT, Server, serve

QUEUE = 50
PLAYS_S = 0.05
PATIENCE_S = 300.0
"""A busy machine takes its time to start a worker."""
GONE = (OSError, http.client.HTTPException, json.JSONDecodeError, RuntimeError)
"""What a request may raise while there is no worker."""


class Evening:
    """A server that is killed again and again, and what is known of its announcements."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.accepted: list[str] = []
        self.heard: Counter[str] = Counter()
        self.faults: list[str] = []
        self._last: dict[str, dict[str, Any]] = {}

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = send(self._server, "GET", "/v1/announcements?history=500")
        return found

    def fill(self) -> None:
        """Queue announcements until fifty wait."""
        for _ in range(QUEUE - len(self.state()["queue"])):
            number = len(self.accepted) % 20  # the sounds are kept: what is tried here is the queue
            self.accepted.append(send(self._server, "POST", "/v1/announcements", {"text": f"Annonce {number}."})["id"])

    def kill(self, pause_s: float, survived: bool) -> None:
        """Have a room play for a moment, kill the worker, and wait for the next one.

        survived: whether the room has survived the kill before this one.
        """
        room = Room(self._server, plays_s=PLAYS_S, survived=survived)
        time.sleep(pause_s)
        worker = _worker(self._server)
        os.kill(worker, signal.SIGKILL)
        room.close()
        self.heard.update(room.heard)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with suppress(*GONE, psutil.Error, ValueError):
                if _worker(self._server) != worker and self._server.get("/health")[0] == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the server did not come back within {PATIENCE_S:.0f} s")

    def check(self) -> None:
        """Look for every announcement. The history is bounded, so those that were seen to end are known from before."""
        found = self.state()
        on_air = [found["on_air"]] if found["on_air"] else []
        self._last |= {cue["id"]: cue for cue in (*found["queue"], *found["history"], *on_air)}
        now = {cue["id"] for cue in (*found["queue"], *found["history"], *on_air)}
        for cue in self.accepted:
            ended = cue in self._last and self._last[cue]["state"] in ("done", "failed")
            if cue not in now and not ended:
                self.faults.append(f"{cue} is lost")
        for cue, times in self.heard.items():
            if cue in self._last and times > self._last[cue]["interruptions"] + 1:
                self.faults.append(f"{cue} was on air {times} times and says nothing of it")


def _worker(server: Server) -> int:
    return server.worker().pid


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name, serve(Path(name), ROOT) as server:
        evening = Evening(server)
        for number in range(options.kills):
            evening.fill()
            evening.kill(draw.uniform(0.05, 2.0), survived=number % 4 > 0)
            evening.check()
            if number % 10 == 9:
                asked, faults = len(evening.accepted), len(evening.faults)
                print(f"{number + 1} kills, {asked} announcements, {faults} faults", flush=True)
    again = sum(times > 1 for times in evening.heard.values())
    print(f"\nkill -9 in the middle of a queue of {QUEUE}, on {describe_cpu()}\n")
    print("| kills | announcements | on air again after a kill, and saying so | lost, or said twice without a word |")
    print("| --- | --- | --- | --- |")
    print(f"| {options.kills} | {len(evening.accepted)} | {again} | {len(evening.faults)} |")
    for fault in evening.faults[:20]:
        print(fault)
    raise SystemExit(bool(evening.faults))


if __name__ == "__main__":
    main()
