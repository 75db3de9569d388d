"""What listening costs live takes: `python -m benchmarks.listening_cost [--rounds N] [--seconds S]`.

Clients ask for new phrases all the time, in turn with a listener that hears one take after the other, and without. In a
job it would wait for live takes; here it never does. Two engines: a stand-in for one on a GPU, which sleeps in steps of
10 ms, and Pico, which needs the processor itself. Needs the group `listen`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path

from benchmarks.clients import Crowd, percentile, sound_rate
from benchmarks.hardware import describe_cpu
from benchmarks.recogniser import assemble
from benchmarks.servers import ROOT, serve
from monica.audio.wav import encode_wav
from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.registry import engine_spec
from monica.listening.listener import Listener

ENGINES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "stand-in": (("-c", "python:benchmarks.standin_conf"), {"MONICA_ENGINE": "standin"}),
    "pico": ((), {"MONICA_ENGINE": "pico"}),
}
CLIENTS = 8
SPOKEN = "Pablo vient de se faire éliminer par Rusmir!"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    print(f"{CLIENTS} clients and one listener (Whisper base), on {describe_cpu()}\n", flush=True)
    print("| engine | sound a second, with to without | p95 of an answer, with to without | takes heard |")
    print("| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / "whisper-base"
        model.mkdir()
        assemble(model)
        wav = _say()
        for engine, (arguments, settings) in ENGINES.items():
            with serve(Path(name), ROOT, *arguments, settings=settings) as server:
                print(_row(engine, server.port, Ear(model, wav), options.rounds, options.seconds), flush=True)


def _say() -> bytes:
    """Make the take that is heard: Pico's."""
    engine = engine_spec("pico").make(Settings(engine="pico"))
    engine.load()
    samples = speak(engine, SPOKEN, voice="", params=SynthesisParams(), seed=0)
    return encode_wav(samples, engine.sample_rate)


class Ear:
    """Hears a take over and over, as a job's listener would if it waited for nothing. Use as a context manager."""

    def __init__(self, model: Path, wav: bytes) -> None:
        self.heard = 0
        self._settings, self._wav = Settings(listen_model=str(model)), wav

    def __enter__(self) -> None:
        self._over = threading.Event()
        self._listener = Listener(self._settings)
        self._listener.hear(self._wav, SPOKEN)  # once, so that the model is loaded
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while not self._over.is_set():
            self._listener.hear(self._wav, SPOKEN)
            self.heard += 1


def _row(engine: str, port: int, ear: Ear, rounds: int, seconds: float) -> str:
    """Measure an engine in turn with the listener and without."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    waits: dict[bool, list[float]] = {False: [], True: []}
    with Crowd(port, CLIENTS, run=1) as crowd:
        crowd.settle()
        for number in range(2 * rounds):
            listens = number % 2 == 1
            with ear if listens else nullcontext():
                began = time.monotonic()
                time.sleep(seconds)
                until = time.monotonic()
            crowd.settle()
            rates[listens].append(sound_rate(crowd.answers, began, until))
            waits[listens].append(percentile((a.latency for a in crowd.answers if began < a.ended <= until), 0.95))
    ratios = (statistics.median(each[True]) / statistics.median(each[False]) for each in (rates, waits))
    return f"| {engine} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} | {ear.heard} |"


if __name__ == "__main__":
    main()
