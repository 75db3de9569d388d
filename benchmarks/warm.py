"""Phrases made ahead of time: whether all survive a kill of Monica, what they cost, and what they cost live requests.

    python -m benchmarks.warm [--phrases 10000] [--chatterbox] [--rounds N] [--quick]

A real gunicorn warms a book, is killed in the middle with all its processes, and is started again. At the end no phrase
may be missing or have been made twice; otherwise the exit code is 1. Then live sentences are timed, new and kept ones,
with and without a job running. Then the time of a phrase is compared: the engine alone, takes that clients request, and
a job. --chatterbox: 200 phrases on a small checkpoint.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil

from benchmarks import small
from benchmarks.clients import POPULAR, Client, percentile, popular, warm
from benchmarks.hardware import describe_cpu
from benchmarks.job_cost import compare, fresh
from benchmarks.servers import ESPEAK, ROOT, Server, serve

KILLED_AT = 0.5
"""The share of the book that is made when Monica is killed."""
ASKERS = 8
PAUSES_S = {"in a row": 0.1, "now and then": 0.6}
"""Seconds between two live sentences. A job pauses after a live sentence for longer than the first of these, and for
less than the second."""
LIVE, COMPARED = 20, 200
"""Live sentences of each kind in a round, and phrases whose time is compared."""
SLOW_LIVE, SLOW_COMPARED = 6, 16
"""The same for Chatterbox on a CPU, where a second of sound takes three."""
TAKE = re.compile(r"take ([0-9a-f]{12}): ")

ENDLESS = 20_000
"""Phrases of a job that must not end during a measurement. More would not fit into a body of two megabytes."""


def ask(server: Server, method: str, path: str, body: object = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"} | server.token())
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    if response.status >= 300:
        raise RuntimeError(f"{response.status}: {answer}")
    assert isinstance(answer, dict)
    return answer


def submit(server: Server, texts: list[str]) -> str:
    """Submit phrases as a job. Returns its id."""
    return str(ask(server, "POST", "/v1/phrases/warm", {"phrases": texts})["id"])


def follow(server: Server, job_id: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until a job satisfies a condition, or has ended."""
    while True:
        job = ask(server, "GET", f"/v1/jobs/{job_id}")
        if until(job) or job["ended"]:
            return job
        time.sleep(0.2)


def kill(server: Server) -> None:
    """Kill master and worker at once, as a power cut does."""
    master = psutil.Process(server.pid)
    processes = [master, *master.children()]
    for process in processes:
        process.suspend()
    for process in processes:
        process.kill()


def survive(folder: Path, settings: dict[str, str], texts: list[str]) -> list[str]:
    """Warm phrases, kill Monica in the middle, and start her again. Returns what is wrong with the outcome."""
    count = len(texts)
    with serve(folder, ROOT, settings=settings) as first:
        began = time.monotonic()
        job_id = submit(first, texts)
        follow(first, job_id, lambda job: job["made"] >= KILLED_AT * count)
        took = time.monotonic() - began
        kill(first)
    before = TAKE.findall(first.log.read_text())
    began = time.monotonic()
    with serve(folder, ROOT, settings=settings) as second:
        ready = time.monotonic() - began
        follow(second, job_id, lambda job: job["made"] > 0)
        resumed = time.monotonic() - began
        job = follow(second, job_id, lambda _: False)
        took += time.monotonic() - began
        after = TAKE.findall(second.log.read_text())
        skip = follow(second, submit(second, texts), lambda _: False)
        with ThreadPoolExecutor(ASKERS) as pool:
            hits = sum(pool.map(lambda share: count_hits(second, texts[share::ASKERS]), range(ASKERS)))
    twice = len(before + after) - len(set(before + after))
    row("", "")
    row("---", "---")
    row("phrases", f"{count}")
    row("made before it was killed, and after", f"{len(before)} and {len(after)}")
    row("ready again, and making again, after", f"{ready:.1f} s and {resumed:.1f} s")
    row("made twice", f"{twice}")
    row("missing, failed", f"{count - hits}, {job['failed']}")
    row("made in a second, all in all", f"{count / took:.1f}")
    row("skipped in a second, all being kept", f"{count / (skip['ended'] - skip['started']):.0f}")
    say("")
    found = {"made twice": twice, "missing": count - hits, "failed": job["failed"], "made again": skip["made"]}
    return [f"{number} {what}" for what, number in found.items() if number]


def count_hits(server: Server, texts: Sequence[str]) -> int:
    client = Client(server.port)
    hits = sum(client.ask(text).cache == "hit" for text in texts)
    client.close()
    return hits


def live(server: Server, sentences: list[str], pause_s: float) -> list[float]:
    """Request sentences one after the other. Returns the seconds of each."""
    client = Client(server.port)
    latencies = []
    for sentence in sentences:
        time.sleep(pause_s)
        latencies.append(client.ask(sentence).latency)
    client.close()
    return latencies


@contextmanager
def beside(server: Server, texts: list[str], times: int) -> Iterator[None]:
    """Run a job, followed by others of the same phrases."""
    jobs = [submit(server, texts) for _ in range(times)]
    follow(server, jobs[0], lambda job: job["cached"] + job["made"] > 0)
    try:
        yield
    finally:
        for job_id in reversed(jobs):
            ask(server, "DELETE", f"/v1/jobs/{job_id}")


def disturb(folder: Path, settings: dict[str, str], kept: list[str], rounds: int, count: int) -> None:
    """Print the time of live sentences: alone, beside a job that makes phrases, and beside one that finds them kept."""
    found: dict[str, list[list[float]]] = {}
    with serve(folder, ROOT, settings=settings) as server:
        warm(server.port)
        for _ in range(rounds):
            companies: list[AbstractContextManager[None]] = []
            companies += [nullcontext(), beside(server, fresh(ENDLESS), 1), beside(server, kept, 5)]
            for way, company in enumerate(companies):
                with company:
                    for often, pause_s in PAUSES_S.items():
                        sentences = {"new": fresh(count), "kept": [popular(n % POPULAR) for n in range(count)]}
                        for kind, texts in sentences.items():
                            ways = found.setdefault(f"{kind}, {often}", [[], [], []])
                            ways[way] += live(server, texts, pause_s)
    row(
        "a live sentence, p50 and p95 in ms",
        "alone",
        "beside a job that makes",
        "ratio",
        "beside a job that skips",
        "ratio",
    )
    row(*["---"] * 6)
    for kind, ways in found.items():
        p50 = [percentile(way, 0.5) for way in ways]
        cells = [f"{1000 * half:.1f}, {1000 * percentile(way, 0.95):.1f}" for half, way in zip(p50, ways, strict=True)]
        row(kind, cells[0], cells[1], f"{p50[1] / p50[0]:.2f}", cells[2], f"{p50[2] / p50[0]:.2f}")
    say("\nThe ratio is that of the p50; 1.5 at most is the target.\n")


def row(*cells: str) -> None:
    say(f"| {' | '.join(cells)} |")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--phrases", type=int, help="default: 10,000; with Chatterbox 200")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chatterbox", action="store_true", help="measure a small Chatterbox instead of espeak")
    parser.add_argument("--quick", action="store_true", help="only check that it works: the figures mean nothing")
    small.add_options(parser)
    options = parser.parse_args()
    count = options.phrases or (60 if options.quick else 200 if options.chatterbox else 10_000)
    sentences, compared = (SLOW_LIVE, SLOW_COMPARED) if options.chatterbox else (LIVE, COMPARED)
    if options.quick:
        sentences = 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = small.settings(folder, options) if options.chatterbox else dict(ESPEAK)
        settings |= {"MONICA_CACHE_DIR": str(folder / "cache"), "MONICA_CACHE_MB": "16384"}
        engine = small.describe(options) if options.chatterbox else "espeak"
        say(f"\n{engine}, on {describe_cpu()}, which is shared\n")
        texts = fresh(count)
        faults = survive(folder, settings, texts)
        disturb(folder, settings, texts, 1 if options.quick else options.rounds, sentences)
        compare(
            settings | {"MONICA_CACHE_DIR": str(folder / "alone")},
            1 if options.quick else options.rounds,
            min(count, compared),
        )
    for fault in faults:
        say(f"- {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
