"""The antenna and its pages: from a tap to the air, what listeners cost, and what a page weighs.

    python -m benchmarks.antenna

Twenty listeners follow the events while taps on a kept phrase put it on air. The time is from the request until the
last of the twenty has heard `on_air`. Then eight clients ask for cached phrases, in turn with the listeners and two
announcements a second, and without. Last, Chromium opens the page, with a few phrases in the store and with many.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.hardware import describe_cpu
from benchmarks.http import PHRASE, throughput
from benchmarks.listeners import Listener, Room, send
from benchmarks.servers import ROOT, Server, serve
from tests.support.system import program

LISTENERS = 20
MANY = 100_000
_CLONE = f"""
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
    INSERT INTO Cache (key, raw, store_time, access_time, access_count, tag, size, mode, value)
    SELECT printf('%064x', i), 1, store_time, access_time, 0,
           substr(tag, 1, 65) || json_set(substr(tag, 66), '$.text', 'Annonce ' || i), 0, 1, x'00'
    FROM n, (SELECT * FROM Cache WHERE length(tag) > 65 LIMIT 1)
"""


class Taps:
    """Measures how long after a tap all listeners have heard that the phrase is on air."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._heard: dict[str, list[float]] = {}
        self._changed = threading.Condition()

    def hear(self, kind: str, data: dict[str, Any], when: float) -> None:
        if kind == "announcement" and data["state"] == "on_air":
            with self._changed:
                self._heard.setdefault(data["id"], []).append(when)
                self._changed.notify_all()

    def tap(self, key: str) -> float:
        """Return the seconds from one tap until the last listener has heard of it."""
        began = time.perf_counter()
        cue = send(self._server, "POST", "/v1/announcements", {"key": key})["id"]
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._heard.get(cue, ())) == LISTENERS, 30):
                raise RuntimeError("an announcement did not reach every listener within 30 s")
            return max(self._heard.pop(cue)) - began


@contextmanager
def listening(server: Server, heard: Any = None) -> Iterator[list[Listener]]:
    with ExitStack() as stack:
        listeners = [Listener(server, heard) for _ in range(LISTENERS)]
        for listener in listeners:
            stack.callback(listener.close)
        yield listeners


def keep_talking(server: Server, key: str, stop: threading.Event) -> None:
    """Put the phrase on air twice a second, as on a busy evening."""
    while not stop.wait(0.5):
        send(server, "POST", "/v1/announcements", {"key": key})


def shares(server: Server, key: str, rounds: int, seconds: float, clients: int) -> list[tuple[float, float]]:
    """Return for each round the requests a second with the listeners, and without them."""
    found = []
    for _ in range(rounds):
        with listening(server):
            stop = threading.Event()
            talker = threading.Thread(target=keep_talking, args=(server, key, stop))
            talker.start()
            with_listeners = throughput(server.port, seconds, clients)
            stop.set()
            talker.join()
        found.append((with_listeners, throughput(server.port, seconds, clients)))
    return found


_WEIGHT = """
[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(({ name }) => !name.includes("/v1/"))
    .reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0)
"""
"""The bytes of the page and its files, as far as they came from the server."""


def open_page(page: Page, url: str) -> tuple[float, float]:
    """Open the régie. Returns the seconds until its first paint, and until the first tile is there."""
    page.goto(url)
    began = time.perf_counter()
    page.goto(url)
    page.locator(".tile").first.wait_for(timeout=60_000)
    tiles = time.perf_counter() - began
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000")
    return float(paint), tiles


def measure_page(server: Server, rounds: int) -> tuple[int, list[tuple[float, float]], list[tuple[float, float]]]:
    """Return the bytes that the page loads, and the times of `open_page` with few phrases and with many."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 390, "height": 844})
        page, url = context.new_page(), f"http://127.0.0.1:{server.port}/"
        page.goto(url)
        page.fill("#cle", server.token()["Authorization"].removeprefix("Bearer "))
        page.click("text=Entrer")
        page.locator(".tile").first.wait_for()
        first = browser.new_context(storage_state=context.storage_state()).new_page()  # its cache is empty
        first.goto(url)
        first.locator(".tile").first.wait_for()
        weight = int(first.evaluate(_WEIGHT))
        first.context.close()
        few = [open_page(page, url) for _ in range(rounds)]
        database = sqlite3.connect(server.cache / "takes" / "cache.db", timeout=60)
        with database:
            database.execute(_CLONE)
        database.close()
        many = [open_page(page, url) for _ in range(rounds)]
        browser.close()
    return weight, few, many


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--taps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, serve(Path(name), ROOT) as server:
        send(server, "POST", "/blabla", {"text": PHRASE})
        key = send(server, "GET", "/v1/phrases")["phrases"][0]["key"]
        taps, room = Taps(server), Room(server)
        with listening(server, taps.hear):
            times = sorted(taps.tap(key) for _ in range(options.taps))
        pairs = shares(server, key, options.rounds, options.seconds, options.clients)
        room.close()
        weight, few, many = measure_page(server, options.rounds)
    p50, p95 = statistics.median(times), times[int(0.95 * (len(times) - 1))]
    ratio = statistics.median(with_them / without for with_them, without in pairs)
    with_them, without = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"\nThe antenna with {LISTENERS} listeners, on {describe_cpu()}\n")
    print("| | | target |")
    print("| --- | --- | --- |")
    print(f"| tap to `on_air` at the last listener, p50 of {len(times)} | {p50 * 1000:.0f} ms | |")
    print(f"| the same, p95 | {p95 * 1000:.0f} ms | under 100 ms |")
    print(f"| cached phrases a second, {options.clients} clients, without listeners | {without:.0f} | |")
    print(f"| the same with listeners and two announcements a second | {with_them:.0f}, ratio {ratio:.2f} | 0.9 |")
    print(f"| the régie's weight, not compressed | {weight / 1000:.0f} kB | under 150 kB |")
    for what, opened in (("a few", few), (f"{MANY}", many)):
        paint, tiles = (statistics.median(column) for column in zip(*opened, strict=True))
        print(f"| first paint, {what} phrases kept | {paint:.2f} s | under 1 s |")
        print(f"| first tile, {what} phrases kept | {tiles:.2f} s | |")


if __name__ == "__main__":
    main()
