"""Measures how long a take of three seconds is finished: trimmed, set to its loudness, and its peaks limited.

    python -m benchmarks.finish

The sounds are espeak-ng's, at the settings' defaults. pyloudnorm, which needs scipy, is measured beside the loudness.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from pyloudnorm import Meter

from benchmarks.hardware import describe_cpu
from monica.audio.finish import Finisher
from monica.audio.level import integrated_loudness
from monica.audio.peaks import limit_peaks
from monica.audio.silence import trim_silence
from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.espeak import EspeakEngine

TEXT = "La finale commence dans cinq minutes, tapis de Rusmir pour cent mille jetons."
TARGET_MS = 2.5
RUNS = 301


def median_ms(work: Callable[[], object]) -> float:
    """Return the median processor time of some work on this thread, in milliseconds."""
    work()
    times = []
    for _ in range(RUNS):
        began = time.thread_time_ns()
        work()
        times.append((time.thread_time_ns() - began) / 1e6)
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    settings = Settings()
    engine = EspeakEngine(settings)
    engine.load()
    rate = engine.sample_rate
    spoken = speak(engine, TEXT, voice="", params=SynthesisParams(), seed=0)
    take = np.resize(spoken, 3 * rate)
    finisher, meter = Finisher.from_settings(settings), Meter(rate, "DeMan")
    loud = take * np.float32(10 ** ((-16 - integrated_loudness(take, rate)) / 20))
    rows = {
        "silence is cut off": lambda: trim_silence(take, rate),
        "loudness, measured twice in a take": lambda: integrated_loudness(take, rate),
        "the same by pyloudnorm": lambda: meter.integrated_loudness(take),
        "peaks, of the take at its final loudness": lambda: limit_peaks(loud, rate, -1.0),
        f"all of it (target: at most {TARGET_MS} ms)": lambda: finisher.finish_take(take, rate),
    }
    print(f"\nA take of 3 s at {rate} Hz, processor time, medians of {RUNS}, on {describe_cpu()}\n")
    print("| | ms |")
    print("| --- | --- |")
    for name, work in rows.items():
        print(f"| {name} | {median_ms(work):.2f} |")


if __name__ == "__main__":
    main()
