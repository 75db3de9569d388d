"""Attacks a real server with everything at once, and prints what came of it.

    python -m benchmarks.siege [--requests 1000000] [--kills 1000] [--minutes 60] [--state siege.json]

It ends when both numbers are reached, or the time is over; the same --state goes on from there. Loopback only. The disk
is filled only if root may mount one. The exit code is 1 if
anything happened that must not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import psutil

from benchmarks.hardware import describe_cpu
from benchmarks.siege.attackers import Attackers
from benchmarks.siege.cases import make_cases
from benchmarks.siege.fortress import Fortress
from benchmarks.siege.tally import Tally
from monica.this_machine import read_token

KILL_EVERY_S = 2.0
"""From the end of one recovery to the next kill. After the last kill a worker gets old enough to show a leak."""
FULL_S, FULL_EVERY_S = 6, 25
CLOCK_EVERY_S = 15
SAVE_EVERY_S = 10
HOUR = 3600
CLOCKS = (0, 2 * HOUR, -2 * HOUR, 72 * HOUR, -9000 * HOUR, 80_000 * HOUR)
MASTERS = 0.15
"""The share of kills that hit the master."""


class Life:
    """The growth of one worker."""

    def __init__(self, worker: psutil.Process) -> None:
        self.worker, self.began, self.young = worker, time.monotonic(), 0.0

    def look(self, tally: Tally) -> None:
        with self.worker.oneshot():
            memory = self.worker.memory_info().rss / 2**20
            tally.threads = max(tally.threads, self.worker.num_threads())
            tally.handles = max(tally.handles, self.worker.num_fds())
        tally.memory = max(tally.memory, memory)
        age = time.monotonic() - self.began
        if age >= 10 and not self.young:
            self.young = memory
        if self.young and age > tally.longest:
            tally.longest, tally.growth = age, memory - self.young


def besiege(
    fortress: Fortress, tally: Tally, until: float, requests: int, kills: int, state: Path, chance: Random
) -> None:
    """Kill, fill and move the clock until the time or both numbers are reached. The tally is saved as it grows."""
    before, began = tally.seconds, time.monotonic()
    next_save = began
    next_kill, next_fill, next_clock = began + KILL_EVERY_S, began + FULL_EVERY_S / 2, began + CLOCK_EVERY_S
    free_at = float("inf")
    life: Life | None = None
    while (now := time.monotonic()) < until and (tally.requests < requests or tally.kills.total() < kills):
        if now >= next_save:
            tally.seconds, next_save = before + now - began, now + SAVE_EVERY_S
            tally.save(state)
        if now >= free_at:
            fortress.free()
            free_at = float("inf")
        if fortress.can_fill and now >= next_fill:
            fortress.fill()
            tally.fills += 1
            free_at, next_fill = now + FULL_S, now + FULL_EVERY_S
        if now >= next_clock:
            fortress.move_clock(chance.choice(CLOCKS))
            tally.clocks += 1
            next_clock = now + CLOCK_EVERY_S
        if now >= next_kill and tally.kills.total() < kills:
            fortress.kill("master" if chance.random() < MASTERS else "worker")
            next_kill = time.monotonic() + KILL_EVERY_S
        worker = fortress.worker()
        if worker is not None:
            if life is None or life.worker.pid != worker.pid:
                life = Life(worker)
            try:
                life.look(tally)
            except psutil.Error:
                life = None
        time.sleep(0.5)
    tally.seconds = before + time.monotonic() - began
    fortress.free()
    fortress.move_clock(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--cases", type=int, default=3000, help="Requests to make before the first is sent.")
    parser.add_argument("--state", type=Path, default=Path("siege.json"))
    options = parser.parse_args()
    tally = Tally.load(options.state)
    tally.pieces += 1
    with tempfile.TemporaryDirectory() as folder:
        fortress = Fortress(Path(folder), tally)
        try:
            fortress.start()
            cases = make_cases(fortress.get("/openapi.json")[1], options.cases, tally.pieces)
            token = read_token(fortress.disk / "cache") or ""
            attackers = Attackers(fortress, tally, cases, token, tally.pieces)
            until = time.monotonic() + 60 * options.minutes
            try:
                chance = Random(tally.pieces)
                besiege(fortress, tally, until, options.requests, options.kills, options.state, chance)
            finally:
                attackers.end()
                fortress.close()
                tally.save(options.state)
        finally:
            fortress.unmount()
    missing = "" if fortress.can_fill else " No small disk could be mounted, so none was filled."
    sys.stdout.write(f"\nOn {describe_cpu()}.{missing}\n\n{tally.table()}\n")
    for fault in tally.faults:
        sys.stdout.write(f"- {fault}\n")
    sys.exit(1 if tally.faults or tally.unexplained or tally.bad else 0)


if __name__ == "__main__":
    main()
