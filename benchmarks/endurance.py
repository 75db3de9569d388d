"""Monica among all kinds of visitors, with an engine that fails at random: is every visit answered, does anything leak?

    python -m benchmarks.endurance [--minutes 10] [--visitors 12]

The exit code is 1 if an answer is wrong or missing, or if the worker's threads, open files or memory grow after the
first minute.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hardware import describe_cpu
from benchmarks.servers import FAULTY, ROOT, Server, serve
from benchmarks.visitors import Visit, Visitor

DEADLINE_S, PATIENCE_S = 10.0, 15.0
SETTINGS = {
    "MONICA_ENGINE": "espeak",
    "MONICA_DEADLINE_S": f"{DEADLINE_S:g}",
    "MONICA_QUEUE_SIZE": "24",
    "MONICA_CACHE_MB": "64",
    "LOG_LEVEL": "warning",
}
BURST, BURST_EVERY_S = 48, 7.0
"""Requests of a burst, and seconds between bursts. A burst is more than the queue holds and, with the visitors that are
there already, more than there are threads."""
PAUSE_S = 0.15
"""Pause of a visitor between two visits."""
SETTLED_S = 60.0
"""Everything has reached its final size by then."""
SLACK = {"threads": 2.0, "files": 8.0, "memory": 32.0}
"""By how much the minimum of the last third of the remaining time may exceed that of the first third. The heap and
SQLite's caches, one per thread, account for some growth. A leak of one kilobyte per visit exceeds it in ten minutes."""
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the worker."""

    seconds: float
    """Since the start of the run."""
    threads: int
    files: int
    """Open file descriptors."""
    memory: float
    """Resident memory in MiB."""
    health: float
    """Milliseconds that /health took."""


class Gathering:
    """Visitors that come back until the gathering ends."""

    def __init__(self, port: int, visitors: int) -> None:
        self.visits: list[Visit] = []
        self._port = port
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(visitors + 1)
        self._stays = [self._pool.submit(self._come_again, number) for number in range(visitors)]
        self._stays.append(self._pool.submit(self._come_in_bursts))

    def end(self) -> None:
        """Wait until the last visitor has its answer."""
        self._over.set()
        for stay in self._stays:
            stay.result()

    def _come_again(self, number: int) -> None:
        visitor = Visitor(self._port, f"{number}", PATIENCE_S)
        while not self._over.wait(PAUSE_S):
            self.visits.append(visitor.visit())

    def _come_in_bursts(self) -> None:
        crowd = [Visitor(self._port, f"burst {number}", PATIENCE_S) for number in range(BURST)]
        with ThreadPoolExecutor(BURST) as pool:
            while not self._over.wait(BURST_EVERY_S):
                self.visits.extend(pool.map(Visitor.distinct, crowd))


def watch(server: Server, until: float, every_s: float) -> list[Sample]:
    """Look at the worker at regular intervals, and print what is seen."""
    began, worker = time.monotonic(), server.worker()
    say("| seconds | threads | files | memory, MiB | /health, ms |")
    say("| --- | --- | --- | --- | --- |")
    samples = []
    while (now := time.monotonic()) < until:
        server.get("/health")
        took = time.monotonic() - now
        sample = Sample(
            now - began, worker.num_threads(), worker.num_fds(), worker.memory_info().rss / 2**20, 1000 * took
        )
        samples.append(sample)
        say(f"| {sample.seconds:.0f} | {sample.threads} | {sample.files} | {sample.memory:.0f} | {sample.health:.0f} |")
        time.sleep(max(0.0, min(every_s, until - time.monotonic())))
    return samples


def find_leaks(samples: Sequence[Sample]) -> list[str]:
    """Describe what has grown since everything had its final size."""
    settled = [sample for sample in samples if sample.seconds >= SETTLED_S]
    third = len(settled) // 3
    if third == 0:
        say("\nToo short to tell whether anything leaks.")
        return []
    first, last = settled[:third], settled[-third:]
    grown = {
        name: min(getattr(sample, name) for sample in last) - min(getattr(sample, name) for sample in first)
        for name in SLACK
    }
    say("\nFrom the first to the last third: " + ", ".join(f"{name} {growth:+.1f}" for name, growth in grown.items()))
    return [f"{name} grew by {growth:.1f}" for name, growth in grown.items() if growth > SLACK[name]]


def judge(visits: Sequence[Visit]) -> list[str]:
    """Count and print the outcomes of the visits. Returns what was wrong."""
    slowest: dict[tuple[str, str], float] = {}
    counts = Counter((visit.kind, visit.outcome) for visit in visits)
    for visit in visits:
        slowest[visit.kind, visit.outcome] = max(visit.seconds, slowest.get((visit.kind, visit.outcome), 0))
    say("\n| visitor | outcome | times | slowest, s |")
    say("| --- | --- | --- | --- |")
    for (kind, outcome), count in sorted(counts.items()):
        say(f"| {kind} | {outcome} | {count} | {slowest[kind, outcome]:.2f} |")
    wrong = [f"{visit.kind}: {visit.wrong}" for visit in visits if visit.wrong]
    late = [f"{visit.kind}: answered after {visit.seconds:.1f} s" for visit in visits if visit.seconds > PATIENCE_S]
    return wrong + late


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--visitors", type=int, default=12)
    options = parser.parse_args()
    say(f"\n{options.minutes:g} minutes, {options.visitors} visitors and bursts of {BURST}, on {describe_cpu()}\n")
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder), ROOT, "-c", FAULTY, settings=SETTINGS) as server,
    ):
        pid, until = server.worker().pid, time.monotonic() + 60 * options.minutes
        gathering = Gathering(server.port, options.visitors)
        samples = watch(server, until, every_s=max(1.0, options.minutes))
        gathering.end()
        restarted = [] if server.worker().pid == pid else ["the worker was restarted"]
        tracebacks = server.log.read_text(errors="replace").count("unexpected error")
    unexpected = [f"{tracebacks} unexpected errors"] if tracebacks else []
    faults = judge(gathering.visits) + find_leaks(samples) + restarted + unexpected
    for fault in faults[:SHOWN]:
        say(f"- {fault}")
    verdict = f"{len(faults)} faults" if faults else "every visit was answered, and nothing is wrong"
    say(f"\n{len(gathering.visits)} visits: {verdict}.")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
