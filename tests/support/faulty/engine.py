"""espeak-ng with the faults listed in tests/support/faulty/__init__.py. Runs in the server's worker process."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine import SynthesisParams, Utterance, espeak
from monica.errors import DeviceLost, SynthesisFailed
from monica.serving import answer_socket
from monica.synthesis import health

SLOW_STEPS = 50
PIECES = 20
STEP_S = 0.02


class FaultyEspeak(espeak.EspeakEngine):
    """espeak-ng that checks before each step which faults are on."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._folder = Path(os.environ["FAULTS"])
        self._steps_left: dict[Utterance, int] = {}
        self._unpublished: dict[Utterance, list[NDArray[np.float32]]] = {}

    def load(self) -> None:
        self._lose_device()
        super().load()

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        utterance = super().begin(text, voice=voice, params=params, seed=seed)
        self._steps_left[utterance] = SLOW_STEPS if self._has("slow") else 0
        if stream and self._has("piecewise"):
            self._unpublished[utterance] = np.array_split(self._say(text), PIECES)
        return utterance

    def step(self) -> None:
        self._lose_device()
        while self._has("stuck"):
            time.sleep(STEP_S)
        if self._has("broken"):
            raise RuntimeError("a fault that was asked for")
        utterance = next(iter(self._running))
        if self._steps_left[utterance] > 0 or self._has("held"):
            self._steps_left[utterance] -= 1
            time.sleep(STEP_S)
            return
        if utterance in self._unpublished:
            self._publish_next_chunk(utterance)
            return
        super().step()
        if utterance.samples is not None and self._has("silent"):
            utterance.samples *= 0

    def _publish_next_chunk(self, utterance: Utterance) -> None:
        time.sleep(STEP_S)
        utterance.chunks.append(self._unpublished[utterance].pop(0))
        if not self._unpublished[utterance]:
            utterance.samples = np.concatenate(utterance.chunks)
        elif self._has("torn") and len(utterance.chunks) > 3:
            utterance.error = SynthesisFailed("The sentence broke in the middle.")
        if utterance.done:
            del self._running[utterance]

    def drop(self, utterance: Utterance) -> None:
        super().drop(utterance)
        del self._steps_left[utterance]
        self._unpublished.pop(utterance, None)

    def _lose_device(self) -> None:
        if self._has("lost"):
            raise DeviceLost("The device failed, and is lost to this process.", retry_after=15)

    def _has(self, fault: str) -> bool:
        return (self._folder / fault).exists()


def install() -> None:
    """Make this the espeak-ng of the process. Call it before the application is imported."""
    espeak.EspeakEngine = FaultyEspeak  # type: ignore[misc]
    if "FAULTS_STUCK_S" in os.environ:
        health.STUCK_S.update(dict.fromkeys(health.STUCK_S, float(os.environ["FAULTS_STUCK_S"])))
    if "FAULTS_UNREAD_S" in os.environ:
        answer_socket.STALL_S = answer_socket.GRACE_S = int(os.environ["FAULTS_UNREAD_S"])
