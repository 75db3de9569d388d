"""A cached phrase through gunicorn, beside a bare Flask application that returns the same bytes.

    python -m benchmarks.http

Both run under Monica's gunicorn settings, each in a process of its own, and are measured in turn. The figures are
medians of the rounds.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.hardware import describe_cpu
from benchmarks.servers import PLAIN, ROOT, serve

PHRASE = "Pablo vient de se faire éliminer par Rusmir!"
BODY = json.dumps({"text": PHRASE}).encode()
HEADERS = {"Content-Type": "application/json"}

BARE = """
from flask import Flask, Response, request
app = Flask(__name__)
sound = open({sound!r}, "rb").read()
@app.post("/blabla")
def blabla():
    request.get_json()
    return Response(sound, mimetype="audio/wav")
@app.get("/health")
def health():
    return ""
"""


def ask(connection: http.client.HTTPConnection) -> tuple[float, bytes]:
    began = time.perf_counter()
    connection.request("POST", "/blabla", BODY, HEADERS)
    response = connection.getresponse()
    sound = response.read()
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {sound!r}")
    return time.perf_counter() - began, sound


def latency(port: int, seconds: float) -> float:
    """Return the median seconds of an answer, for one client that keeps its connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    times, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        times.append(ask(connection)[0])
    connection.close()
    return statistics.median(times)


def throughput(port: int, seconds: float, clients: int) -> float:
    """Return the requests per second of several clients at once, each keeping its connection."""
    counts, until = [0] * clients, time.monotonic() + seconds

    def run(n: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while time.monotonic() < until:
            ask(connection)
            counts[n] += 1
        connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serve(folder, ROOT) as monica:
            ask(http.client.HTTPConnection("127.0.0.1", monica.port, timeout=10))
            _, sound = ask(http.client.HTTPConnection("127.0.0.1", monica.port, timeout=10))
            (folder / "sound.wav").write_bytes(sound)
            (folder / "bare.py").write_text(BARE.format(sound=str(folder / "sound.wav")))
            with serve(folder, folder, "bare:app", *PLAIN) as bare:
                rounds = [
                    (
                        latency(monica.port, options.seconds / 2),
                        latency(bare.port, options.seconds / 2),
                        throughput(monica.port, options.seconds, options.clients),
                        throughput(bare.port, options.seconds, options.clients),
                    )
                    for _ in range(options.rounds)
                ]
    monica_p50, bare_p50, monica_rps, bare_rps = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(m / b for _, _, m, b in rounds)
    print(f"\nA cached phrase of {len(sound) // 1000} kB, {options.rounds} rounds, on {describe_cpu()}\n")
    print("| | Monica | bare Flask | |")
    print("| --- | --- | --- | --- |")
    print(f"| requests a second, {options.clients} clients | {monica_rps:.0f} | {bare_rps:.0f} | ratio {ratio:.2f} |")
    difference = (monica_p50 - bare_p50) * 1000
    print(f"| p50, one client | {monica_p50 * 1000:.2f} ms | {bare_p50 * 1000:.2f} ms | {difference:+.2f} ms |")


if __name__ == "__main__":
    main()
