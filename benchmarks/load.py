"""Monica under load, compared with the same engine behind a lock: real gunicorns on real sockets, in turn.

    python -m benchmarks.load [--engines espeak chatterbox] [--clients 1 2 4 8 16] [--seconds S] [--rounds N] [--quick]

First come clients that each request a phrase no one has requested before as soon as they have their last answer; then
eight clients, nine in ten of whose requests are for kept phrases. The clock starts when each has had an answer. The
figures at the end have a target.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks import small
from benchmarks.clients import Crowd, ended_within, percentile, warm
from benchmarks.contention import LOAD_RATE, another_process, contend, hang_up, overtake
from benchmarks.hardware import describe_cpu
from benchmarks.servers import ESPEAK, PLAIN, ROOT, WATCHED, Server, serve

PATIENT = {"MONICA_DEADLINE_S": "600"}
"""The lock knows no deadline, so no request may be refused here either."""
MIXED, MIXED_CLIENTS = 0.9, 8
SECONDS = {"espeak": 2.0, "chatterbox": 10.0}
"""Length of a measurement by engine. It should hold a few dozen takes."""

T = TypeVar("T")
Cell = tuple[int, float]
"""Number of clients, and the share of kept phrases in their requests."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement of one server."""

    rate: float
    """Answers per second."""
    p50: float
    """Seconds of an answer, as are the next two."""
    p95: float
    p99: float
    first: float
    """Seconds until the first byte, median."""


def measure(server: Server, cell: Cell, run: int, seconds: float) -> Figures:
    clients, cached = cell
    if cached:
        warm(server.port)
    with Crowd(server.port, clients, run, cached=cached) as crowd:
        began = crowd.settle()
        time.sleep(seconds)
        answers = ended_within(crowd.answers, began, time.monotonic())
        if not answers:  # takes are longer than the span
            answers = ended_within(crowd.answers, began, crowd.settle())
    latencies = [answer.latency for answer in answers]
    return Figures(
        # Until the last answer, not the end of the span, which holds only a few long takes.
        rate=len(answers) / (answers[-1].ended - began),
        p50=percentile(latencies, 0.5),
        p95=percentile(latencies, 0.95),
        p99=percentile(latencies, 0.99),
        first=percentile((answer.first - answer.sent for answer in answers), 0.5),
    )


def compare(monica: Server, lock: Server, cells: list[Cell], rounds: int, seconds: float, runs: Iterator[int]) -> None:
    """Measure both sides in turn, and print the medians of the rounds."""
    found: dict[Cell, list[tuple[Figures, Figures]]] = {cell: [] for cell in cells}
    for _ in range(rounds):
        for cell, pairs in found.items():
            run = next(runs)
            pairs.append((measure(monica, cell, run, seconds), measure(lock, cell, run, seconds)))
            sys.stderr.write(f"{cell}: {', '.join(f'{figures.rate:.2f}' for figures in pairs[-1])} answers a second\n")
    row("clients", "answers/s", "lock", "ratio", "p50, ms", "p95, ms", "p99, ms", "first byte, ms")
    row(*["---"] * 8)
    at_eight = math.nan
    for (clients, cached), pairs in found.items():
        ours, theirs = medians(pairs, lambda figures: figures.rate)
        ratio = statistics.median(one.rate / other.rate for one, other in pairs)
        at_eight = ratio if (clients, cached) == (8, 0.0) else at_eight
        choices: list[Callable[[Figures], float]] = [
            lambda f: f.p50,
            lambda f: f.p95,
            lambda f: f.p99,
            lambda f: f.first,
        ]
        times = [" / ".join(f"{1000 * seconds:.0f}" for seconds in medians(pairs, choose)) for choose in choices]
        row(
            f"{clients}, {cached:.0%} kept" if cached else f"{clients}",
            f"{ours:.2f}",
            f"{theirs:.2f}",
            f"{ratio:.2f}",
            *times,
        )
    takes = {
        outcome: monica.metric(f'monica_takes_total{{outcome="{outcome}"}}') for outcome in ("ok", "suspect", "remade")
    }
    say(f"\nTimes are Monica's / the lock's. Monica's takes: {', '.join(f'{n:.0f} {o}' for o, n in takes.items())}.\n")
    row("", "Monica", "lock", "target")
    row(*["---"] * 4)
    row("answers a second of 8 clients, to the lock's", f"{at_eight:.2f}", "1", "2.5 at least")


def contention(apart: Executor, monica: Server, lock: Server, rounds: int, seconds: float, runs: Iterator[int]) -> None:
    """Print how hits and takes disturb each other."""
    pairs = []
    for run in itertools.islice(runs, rounds):
        pairs.append((contend(apart, monica.port, run, seconds), contend(apart, lock.port, run, seconds)))
    ours, theirs = medians(pairs, lambda each: 1000 * each.idle_p99)
    row("p99 of a hit, the engine idle", f"{ours:.1f} ms", f"{theirs:.1f} ms", "")
    ours, theirs = medians(pairs, lambda each: each.hits)
    row("p99 of a hit, the engine saturated, to idle", f"{ours:.2f}", f"{theirs:.2f}", "3 at most")
    ours, theirs = medians(pairs, lambda each: each.decoding)
    what = f"sound made a second, under {LOAD_RATE:.0f} hits a second to none"
    row(what, f"{ours:.2f}", f"{theirs:.2f}", "0.85 at least")


def order(watched: Server, lock: Server, events: Path, count: int, runs: Iterator[int], *, stepwise: bool) -> None:
    """Print who goes first, and how soon an abandoned take is dropped. stepwise: whether a take is many steps."""
    run = next(runs)
    gone = [f"{steps}" for steps in sorted(hang_up(watched.port, next(runs), count, events))] if stepwise else []
    ours, theirs = overtake(watched.port, run, count, events), overtake(lock.port, run, count)
    slower = [statistics.median(side.behind) / statistics.median(side.alone) for side in (ours, theirs)]
    row("steps until a live take begins behind ten background ones, at most", f"{max(ours.steps)}", "", "1 at most")
    row("p50 of a live sentence behind ten background ones, to alone", f"{slower[0]:.2f}", f"{slower[1]:.2f}", "")
    row("steps until the take of one who hangs up is dropped", " ".join(gone) or "a take is one step", "", "5 at most")


def medians(pairs: Sequence[tuple[T, T]], choose: Callable[[T], float]) -> tuple[float, float]:
    """Return Monica's and the lock's median of a figure over the rounds."""
    return statistics.median(choose(one) for one, _ in pairs), statistics.median(choose(other) for _, other in pairs)


def row(*cells: str) -> None:
    say(f"| {' | '.join(cells)} |")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(engine: str, folder: Path, options: argparse.Namespace) -> None:
    """Measure one engine and print the results."""
    stepwise = engine == "chatterbox"
    settings = PATIENT | (small.settings(folder, options) if stepwise else ESPEAK)
    seconds = options.seconds or SECONDS[engine]
    cells = [(clients, 0.0) for clients in options.clients] + [(MIXED_CLIENTS, MIXED)]
    runs = itertools.count()
    name = small.describe(options) if stepwise else "espeak"
    say(f"\n{name}: {options.rounds} rounds of {seconds:g} s, medians, on {describe_cpu()}, which is shared\n")
    with serve(folder, folder, "benchmarks.locked:app", *PLAIN, settings=settings) as lock:
        with serve(folder, ROOT, settings=settings) as monica, another_process() as apart:
            compare(monica, lock, cells, options.rounds, seconds, runs)
            contention(apart, monica, lock, options.rounds, seconds, runs)
        events = folder / "events"
        with serve(folder, ROOT, "-c", WATCHED, settings=settings | {"WATCH": str(events)}) as watched:
            order(watched, lock, events, 2 if options.quick else 5, runs, stepwise=stepwise)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--engines", nargs="+", choices=list(SECONDS), default=list(SECONDS))
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--seconds", type=float, help="length of a measurement; default: what the engine needs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="only check that it works: the figures mean nothing")
    small.add_options(parser)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, options.seconds or 0.5
    for engine in options.engines:
        with tempfile.TemporaryDirectory() as folder:
            run(engine, Path(folder), options)


if __name__ == "__main__":
    main()
