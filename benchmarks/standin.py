"""A stand-in for an engine on a GPU: eight takes at a time, in steps that sleep. It says nothing about a GPU's speed.

`install` puts it into the registry of the process.
"""

from __future__ import annotations

import time
import zlib

import numpy as np
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine import SynthesisParams, Utterance, registry
from monica.engine.registry import EngineSpec
from monica.synthesis.duration import parse_script

STEP_S, STEPS, SLOTS, RATE = 0.010, 90, 8, 24_000
SOUND_S = 0.08
"""How long a phoneme lasts."""


class StandIn:
    """Makes a tone in ninety steps, whatever it is asked for. It lasts as a voice would, or the checks object."""

    name, device, clones, model, fingerprint = "standin", "cpu", False, "stand-in", "stand-in 1"
    sample_rate, slots = RATE, SLOTS

    def __init__(self, settings: Settings) -> None:
        self._left: dict[Utterance, int] = {}
        self._paused: dict[Utterance, int] = {}
        self._sounds: dict[Utterance, NDArray[np.float32]] = {}

    def load(self) -> None:
        pass

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        utterance = Utterance()
        self._left[utterance] = STEPS
        hertz = 200 + zlib.crc32(f"{text} {seed}".encode()) % 400
        samples = round(SOUND_S * max(parse_script(text).sounds, 1) * RATE)
        self._sounds[utterance] = (0.2 * np.sin(np.arange(samples) * (2 * np.pi * hertz / RATE))).astype(np.float32)
        return utterance

    def step(self) -> None:
        time.sleep(STEP_S)
        for utterance in self._left:
            self._left[utterance] -= 1
            if self._left[utterance] <= 0:
                utterance.samples = self._sounds[utterance]

    def pause(self, utterance: Utterance) -> None:
        self._paused[utterance] = self._left.pop(utterance)
        utterance.paused = True

    def resume(self, utterance: Utterance) -> None:
        self._left[utterance] = self._paused.pop(utterance)
        utterance.paused = False

    def drop(self, utterance: Utterance) -> None:
        for kept in (self._left, self._paused, self._sounds):
            kept.pop(utterance, None)


SPEC = EngineSpec(
    name="standin",
    title="The stand-in",
    make=StandIn,
    examine=lambda settings: iter(()),
    work_per_sound={"cpu": 0.1},
)


def install() -> None:
    registry.ENGINES["standin"] = "benchmarks.standin"
