"""A stand-in engine of eight slots on Ray Serve: takes a second with 1, 2 and 3 replicas, and what a miss costs more.

    uv run --extra ray --group dev python -m benchmarks.ray [--seconds S] [--replicas 1 2 3] [--quick]

Everything is real but the engine, whose steps sleep: Monica, Ray Serve, its proxy, one process for each replica.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.clients import Crowd, ended_within
from benchmarks.hardware import describe_cpu
from benchmarks.servers import ROOT, Server, serve
from benchmarks.standin import SLOTS
from benchmarks.table import head, row
from tests.support.ray_cluster import RayCluster

CONF = "python:benchmarks.standin_conf"
PATIENT = {"MONICA_DEADLINE_S": "120", "MONICA_TRIM": "off"}
LOCAL = PATIENT | {"MONICA_ENGINE": "standin"}


def rate(
    server: Server, clients: int, run: int, seconds: float, others: Sequence[psutil.Process] = ()
) -> tuple[float, float, float]:
    """Have clients each ask for one new phrase after the other.

    Returns the answers per second, and the processor time of the server and of the other processes for each, in
    milliseconds.
    """
    worker = server.worker()
    with Crowd(server.port, clients, run) as crowd:
        began, spent = crowd.settle(), (busy([worker]), busy(others))
        time.sleep(seconds)
        until = crowd.settle()
        made = len(ended_within(crowd.answers, began, until))
        spent = (busy([worker]) - spent[0], busy(others) - spent[1])
    return made / (until - began), 1000 * spent[0] / made, 1000 * spent[1] / made


def busy(processes: Sequence[psutil.Process]) -> float:
    """Return the processor time that processes have taken so far, in seconds."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def miss(server: Server, run: int, seconds: float) -> float:
    """Return the median latency of a new phrase if there is one client, in milliseconds."""
    with Crowd(server.port, 1, run) as crowd:
        crowd.settle()
        time.sleep(seconds)
    return 1000 * statistics.median(answer.latency for answer in crowd.answers[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each measurement")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--quick", action="store_true", help="only check that it works: the figures mean nothing")
    options = parser.parse_args()
    seconds = 2.0 if options.quick else options.seconds
    sys.stdout.write(f"Stand-in engine, {SLOTS} clients for each replica, on {describe_cpu()}, which is shared\n\n")
    head(
        "", "takes/s", "of linear (target: 0.9)", "p50 of a miss, one client", "more than here (target: 15 ms)",
        "server's processor time for a take", "that of all of Ray, replicas too",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serve(folder, ROOT, "-c", CONF, settings=LOCAL) as server:
            (here, server_ms, _), alone = rate(server, SLOTS, 0, seconds), miss(server, 1, seconds)
        row("engine in the server", f"{here:.2f}", "", f"{alone:.0f} ms", "", f"{server_ms:.0f} ms", "")
        with RayCluster(folder, options.replicas[0], "benchmarks.ray_replica:app", "standin") as ray:
            for number in options.replicas:
                ray.scale(number)
                with serve(folder, ROOT, "-c", CONF, settings=PATIENT | ray.settings) as server:
                    made, server_ms, ray_ms = rate(server, SLOTS * number, 2, seconds, ray.processes())
                    latency = miss(server, 3, seconds)
                row(
                    f"{number} replica{'s' if number > 1 else ''}",
                    f"{made:.2f}",
                    f"{made / (here * number):.2f}",
                    f"{latency:.0f} ms",
                    f"{latency - alone:+.0f} ms",
                    f"{server_ms:.0f} ms",
                    f"{ray_ms:.0f} ms",
                )


if __name__ == "__main__":
    main()
