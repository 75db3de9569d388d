"""Monica's gunicorn.conf.py with an espeak-ng that fails at random, for `gunicorn -c python:benchmarks.faults`.

A few takes are slow, a few are silent, a few end in an error, and a few raise what no engine should. A few streams fail
in the middle.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine import SynthesisParams, Utterance, espeak
from monica.errors import SynthesisFailed

FAULTS = {"none": 0.85, "slow": 0.02, "silent": 0.02, "failing": 0.02, "broken": 0.02, "torn": 0.07}
"""The share of each. Five broken ones in a row would end the process, which happens once in months."""
SLOW_STEPS, STEP_S = 20, 0.02


class FaultyEspeak(espeak.EspeakEngine):
    """espeak-ng with a fault drawn at random for every take."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._faults: dict[Utterance, str] = {}
        self._steps: dict[Utterance, int] = {}
        self._streams: dict[Utterance, NDArray[np.float32] | None] = {}

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        utterance = super().begin(text, voice=voice, params=params, seed=seed)
        (self._faults[utterance],) = random.choices(list(FAULTS), list(FAULTS.values()))
        self._steps[utterance] = 0
        if stream:
            self._streams[utterance] = None
        return utterance

    def step(self) -> None:
        utterance = next(iter(self._running))
        fault = self._faults[utterance]
        self._steps[utterance] += 1
        if fault == "slow" and self._steps[utterance] < SLOW_STEPS:
            time.sleep(STEP_S)
        elif fault == "broken":
            raise RuntimeError("an injected fault")
        elif fault == "failing":
            utterance.error = SynthesisFailed("An injected fault.")
        elif utterance in self._streams:
            self._say_on(utterance, torn=fault == "torn")
        else:
            super().step()
            if fault == "silent" and utterance.samples is not None:
                utterance.samples *= 0

    def _say_on(self, utterance: Utterance, *, torn: bool) -> None:
        """Publish half of the sound, and the other half one step later, unless the stream is torn."""
        samples = self._streams[utterance]
        if samples is None:
            samples = self._streams[utterance] = self._say_next(self._running[utterance])
            utterance.chunks.append(samples[: len(samples) // 2])
        elif torn:
            utterance.error = SynthesisFailed("An injected fault.")
        else:
            utterance.chunks.append(samples[len(samples) // 2 :])
            utterance.samples = samples
        if utterance.done:
            del self._running[utterance]

    def drop(self, utterance: Utterance) -> None:
        super().drop(utterance)
        del self._faults[utterance], self._steps[utterance]
        self._streams.pop(utterance, None)


exec(Path("gunicorn.conf.py").read_text())

_start = globals()["post_fork"]


def post_fork(server: Arbiter, worker: Worker) -> None:
    espeak.EspeakEngine = FaultyEspeak  # type: ignore[misc]
    _start(server, worker)
