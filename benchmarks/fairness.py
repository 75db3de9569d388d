"""Ways to keep hits quick while takes are decoded, and decoding quick under hits: Monica with each of them, in turn.

    python -m benchmarks.fairness [--variants NAME ...] [--seconds S] [--rounds N] [--engine chatterbox|espeak]

Every variant is a server of its own, started again in each round, on the same small Chatterbox.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import small
from benchmarks.contention import LOAD_RATE, Contention, another_process, contend
from benchmarks.hardware import describe_cpu
from benchmarks.servers import ESPEAK, ROOT, WATCHED, serve

VARIANTS: dict[str, dict[str, str]] = {
    "as it is": {},
    "switch 1 ms": {"SWITCH_INTERVAL": "0.001"},
    "switch 0.2 ms": {"SWITCH_INTERVAL": "0.0002"},
    "switch 0.05 ms": {"SWITCH_INTERVAL": "0.00005"},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "passive, switch 0.2 ms": {"OMP_WAIT_POLICY": "passive", "SWITCH_INTERVAL": "0.0002"},
    "one thread, switch 0.2 ms": {"OMP_NUM_THREADS": "1", "SWITCH_INTERVAL": "0.0002"},
}
"""Environment variables of each variant: those of the OpenMP library, and those of benchmarks.watched."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--engine", choices=["chatterbox", "espeak"], default="chatterbox")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    small.add_options(parser)
    options = parser.parse_args()
    found: dict[str, list[Contention]] = {name: [] for name in options.variants}
    with tempfile.TemporaryDirectory() as temporary, another_process() as apart:
        folder = Path(temporary)
        settings = ESPEAK if options.engine == "espeak" else small.settings(folder, options)
        for run in range(options.rounds):
            for name, rounds in found.items():
                with serve(folder, ROOT, "-c", WATCHED, settings=settings | VARIANTS[name]) as server:
                    rounds.append(contend(apart, server.port, run, options.seconds))
                sys.stderr.write(f"round {run + 1}, {name}: {rounds[-1]}\n")
    what = "espeak" if options.engine == "espeak" else small.describe(options)
    out = sys.stdout.write
    out(
        f"\n{what}: {options.rounds} rounds of {options.seconds:g} s, medians, on {describe_cpu()}, which is shared\n\n"
    )
    out(f"| | hit p99: idle, ms | saturated, ms | ratio | pace | under {LOAD_RATE:.0f} hits/s | ratio |\n")
    out("| --- | --- | --- | --- | --- | --- | --- |\n")
    for name, rounds in found.items():
        idle, busy, hits, alone, loaded, decoding = (
            statistics.median(column)
            for column in zip(
                *((r.idle_p99, r.busy_p99, r.hits, r.alone, r.loaded, r.decoding) for r in rounds), strict=True
            )
        )
        times = f"{1000 * idle:.2f} | {1000 * busy:.2f} | {hits:.2f}"
        out(f"| {name} | {times} | {alone:.2f} | {loaded:.2f} | {decoding:.2f} |\n")
    out("\nPace: seconds of sound that four clients are made in a second. Targets: 3 at most, and 0.85 at least.\n")


if __name__ == "__main__":
    main()
