"""A toy engine whose pace and failures a test decides; for the logic around engines, never for their sound."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from monica.engine import Check, SynthesisParams
from monica.loader import WARM_UP_TEXT


class ToyEngine:
    """Ten milliseconds of tone a character. `gate`: cleared, takes wait in the engine until it is set again."""

    name = "espeak"
    device = "cpu"
    clones = False
    model = "toy"
    sample_rate = 8000
    fingerprint = "toy 1"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.spoken: list[str] = []
        self.seeds: list[int] = []
        self.began = threading.Semaphore(0)
        self.fail_with: Exception | None = None
        self.fail_load_with: list[Exception] = []
        self.silent = False

    def load(self) -> None:
        if self.fail_load_with:
            raise self.fail_load_with.pop(0)

    def synthesize(
        self, text: str, *, voice: str, params: SynthesisParams, seed: int, check: Check
    ) -> NDArray[np.float32]:
        if text != WARM_UP_TEXT:
            self.spoken.append(text)
            self.seeds.append(seed)
            self.began.release()
            while not self.gate.wait(0.005):
                check()
            check()
            if self.fail_with is not None:
                raise self.fail_with
        length = 0 if self.silent and text != WARM_UP_TEXT else 80 * len(text)
        tone = 0.1 * np.sin(np.arange(length, dtype=np.float32) * (1 + seed % 7) / 10)
        return tone.astype(np.float32)
