"""The embedded voices side by side, over HTTP: `make bench-voices`, or `python -m benchmarks.voices [--seconds S]`.

Each speaks in a server of its own, in turn. Start and memory are of a server that was just started; characters heard
wrong are those that a recogniser writes wrongly of thirty French announcements, if the group `listen` is installed.
Piper speaks French if its voice has been downloaded, else English, with the voice of that group.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.announcements import ENGLISH, FRENCH
from benchmarks.clients import Client, Crowd, ended_within
from benchmarks.hardware import describe_cpu
from benchmarks.recogniser import Recogniser, character_error, english_voice, installed
from benchmarks.servers import ROOT, Server, serve
from monica.config import Settings
from monica.engine.registry import EMBEDDED, engine_spec

LONG = "Pablo vient de se faire éliminer par Rusmir. Bravo à tous les deux ! La pause commence dans cinq minutes."

LONG_ENGLISH = "Pablo has just been eliminated by Rusmir. Well done, both of you! The break begins in five minutes."


@dataclass(frozen=True)
class Voice:
    """A voice to measure."""

    engine: str
    settings: dict[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = FRENCH
    long: str = LONG
    language: str = "fr"


@dataclass
class Row:
    """The figures of a voice."""

    ready_s: float = 0.0
    """Seconds from the command to a 200 of /health."""
    resident_mib: float = 0.0
    """Of the master, the worker and what it has started."""
    real_time: float = 0.0
    """Seconds per second of sound, for one client."""
    first_ms: float = 0.0
    """Until the first byte of sound of a stream."""
    rates: dict[int, float] = field(default_factory=dict)
    """Answers per second, by the number of clients."""
    wrong: float | None = None
    """Share of the characters heard wrong."""


def measure(voice: Voice, clients: list[int], seconds: float, recogniser: Recogniser | None) -> Row:
    row, runs = Row(), itertools.count()
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        settings = {"MONICA_ENGINE": voice.engine, "LOG_LEVEL": "warning"} | voice.settings
        with serve(Path(name), ROOT, settings=settings) as server:
            row.ready_s = time.perf_counter() - began
            client = Client(server.port)
            client.ask("Une première phrase.")
            master = psutil.Process(server.pid)
            family = [master, *master.children(recursive=True)]
            row.resident_mib = sum(each.memory_info().rss for each in family) / 2**20
            answers = [client.ask(text) for text in voice.texts]
            row.real_time = statistics.median(answer.latency / answer.sound_s for answer in answers)
            row.first_ms = 1000 * statistics.median(first_sound(server, voice.long, n) for n in range(15))
            for count in clients:
                with Crowd(server.port, count, next(runs)) as crowd:
                    start = crowd.settle()
                    time.sleep(seconds)
                    ended = ended_within(crowd.answers, start, time.monotonic())
                row.rates[count] = len(ended) / (ended[-1].ended - start) if ended else 0.0
            if recogniser is not None:
                heard = recogniser.hear(voice.texts, [sound(server, text) for text in voice.texts], voice.language)
                row.wrong = character_error([(clip.said, clip.heard) for clip in heard])
            client.close()
    return row


def first_sound(server: Server, text: str, number: int) -> float:
    """Return the seconds until a stream of a text that no one has requested before is heard."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        body = json.dumps({"text": f"{text} ({number})"})
        began = time.perf_counter()
        connection.request("POST", "/blabla?stream=1", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read(44 + 2)  # the header of the WAV, and a sample
        return time.perf_counter() - began
    finally:
        connection.close()


def sound(server: Server, text: str) -> bytes:
    """Return the WAV of a text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", "/blabla", json.dumps({"text": text}), {"Content-Type": "application/json"})
        return connection.getresponse().read()
    finally:
        connection.close()


def voices() -> list[Voice]:
    """Return the embedded voices that can speak here."""
    found = [Voice(name) for name in EMBEDDED if engine_spec(name).why_not(Settings()) is None]
    folder = english_voice()
    if "piper" not in [voice.engine for voice in found] and engine_spec("piper").installed() and folder is not None:
        settings = {"MONICA_LANGUAGE": "en", "MONICA_PIPER_VOICE": str(folder)}
        found.insert(0, Voice("piper", settings, ENGLISH, LONG_ENGLISH, "en"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement with clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8])
    options = parser.parse_args()
    print(f"\nThe embedded voices, on {describe_cpu()}\n")
    counts = [f"answers/s, {n} client{'s' if n > 1 else ''}" for n in options.clients]
    heads = [
        "voice",
        "ready, s",
        "resident, MiB",
        "real-time factor",
        "first sound, ms",
        *counts,
        "characters heard wrong",
    ]
    print(f"| {' | '.join(heads)} |")
    print(f"|{' --- |' * len(heads)}")
    with tempfile.TemporaryDirectory() as folder:
        recogniser = Recogniser(Path(folder)) if installed() else None
        for voice in voices():
            row = measure(voice, options.clients, options.seconds, recogniser)
            cells = [f"{row.ready_s:.2f}", f"{row.resident_mib:.0f}", f"{row.real_time:.3f}", f"{row.first_ms:.0f}"]
            cells += [f"{row.rates[n]:.0f}" for n in options.clients]
            cells.append("–" if row.wrong is None else f"{row.wrong:.3f}")
            print(f"| {voice.engine}, {voice.language} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
