"""A stand-in for an engine on a GPU: eight takes at a time, in steps that sleep. It says nothing about a GPU's speed.

To import this puts it into the registry of the process.
"""

from __future__ import annotations

import time
import zlib

import numpy as np

from monica.config import Settings
from monica.engine import SynthesisParams, Utterance, registry
from monica.engine.registry import EngineSpec

STEP_S, STEPS, SLOTS, RATE = 0.010, 90, 8, 24_000


class StandIn:
    """Makes a tone of two seconds in ninety steps, whatever it is asked for."""

    name, device, clones, model, fingerprint = "standin", "cpu", False, "stand-in", "stand-in 1"
    sample_rate, slots = RATE, SLOTS

    def __init__(self, settings: Settings) -> None:
        self._left: dict[Utterance, int] = {}
        self._paused: dict[Utterance, int] = {}
        self._seeds: dict[Utterance, int] = {}

    def load(self) -> None:
        pass

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        utterance = Utterance()
        self._left[utterance] = STEPS
        self._seeds[utterance] = zlib.crc32(f"{text} {seed}".encode())
        return utterance

    def step(self) -> None:
        time.sleep(STEP_S)
        for utterance in self._left:
            self._left[utterance] -= 1
            if self._left[utterance] <= 0:
                hertz = 200 + self._seeds[utterance] % 400
                utterance.samples = (0.2 * np.sin(np.arange(2 * RATE) * (2 * np.pi * hertz / RATE))).astype(np.float32)

    def pause(self, utterance: Utterance) -> None:
        self._paused[utterance] = self._left.pop(utterance)
        utterance.paused = True

    def resume(self, utterance: Utterance) -> None:
        self._left[utterance] = self._paused.pop(utterance)
        utterance.paused = False

    def drop(self, utterance: Utterance) -> None:
        for kept in (self._left, self._paused, self._seeds):
            kept.pop(utterance, None)


SPEC = EngineSpec(
    name="standin",
    title="The stand-in",
    make=StandIn,
    examine=lambda settings: iter(()),
    work_per_sound={"cpu": 0.1},
)
registry.ENGINES["standin"] = "benchmarks.standin"
