"""What 200 slow clients cost the others: /health/live and a cached phrase, at rest and beside them.

python -m benchmarks.slow_clients

The slow clients send a head and a part of a body, then a byte every three seconds. Those that Monica gives up are
replaced at once.
"""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import requests

from tests.support.server import Server
from tests.support.wire import HEAD, connect

SLOW = 200
PAUSE_S = 3.0
REQUESTS = 1000
BEGUN = HEAD + b'Content-Length: 500\r\n\r\n{"text": '


def p99(server: Server, path: str) -> float:
    """Return the 99th percentile of the time of an answer, in milliseconds."""
    times = []
    with requests.Session() as session:
        for _ in range(REQUESTS):
            began = time.perf_counter()
            if path == "/blabla":
                answer = session.post(server.url + path, json={"text": "Bonsoir."}, timeout=30)
            else:
                answer = session.get(server.url + path, timeout=30)
            times.append(time.perf_counter() - began)
            answer.raise_for_status()
    return 1000 * float(np.percentile(times, 99))


def send_slowly(server: Server, stop: threading.Event) -> None:
    """Keep SLOW clients connected until told to stop."""
    clients: list[socket.socket] = []
    while not stop.is_set():
        alive = []
        for client in clients:
            with suppress(OSError):
                client.sendall(b" ")
                alive.append(client)
        clients = alive
        while len(clients) < SLOW:
            client = connect(server)
            client.sendall(BEGUN)
            clients.append(client)
        stop.wait(PAUSE_S)
    for client in clients:
        client.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Server(folder, {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(folder / "cache")}) as server:
            server.wait_ready().say("Bonsoir.")
            stop = threading.Event()
            slow = threading.Thread(target=send_slowly, args=(server, stop))
            paths = ("/health/live", "/blabla")
            idle = [p99(server, path) for path in paths]
            slow.start()
            time.sleep(PAUSE_S)
            beside = [p99(server, path) for path in paths]
            stop.set()
            slow.join()
    print(f"p99 of {REQUESTS} answers, in ms: at rest, beside {SLOW} slow clients, ratio")
    for path, before, after in zip(paths, idle, beside, strict=True):
        print(f"{path:14} {before:7.2f} {after:7.2f} {after / before:5.2f}")


if __name__ == "__main__":
    main()
