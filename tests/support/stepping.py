"""An engine without time: step by step it does what the test has scripted for each text, and it counts its slots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monica.engine import SynthesisParams, Utterance
from monica.errors import DeviceLost, SynthesisFailed

RATE = 100
Attempt = str
"""The outcome of an attempt. The engine reports `error`; `refuse`, and `crash` or `lost` with `begin` or `step`, are
raised. The others describe the sound: ok, silent, empty, no numbers, endless, hasty, long, slow (half again as long as
it should be), gapped (long, and silent inside)."""


def sound(text: str, kind: Attempt) -> NDArray[np.float32]:
    """Make the sound of an attempt of this kind: a tenth of a second per character if nothing is wrong."""
    usual = len(text) * RATE // 10
    long = RATE * (4 + len(text))
    length = {"empty": 0, "hasty": 1, "slow": usual * 3 // 2, "long": long, "gapped": long}.get(kind, usual)
    level = np.full(length, {"silent": 0.0, "no numbers": np.nan}.get(kind, 0.5), np.float32)
    if kind == "gapped":
        level[np.abs(np.arange(length) - length // 2) < RATE] = 0
    level[1::2] *= -1
    return level


@dataclass(eq=False)
class ScriptedUtterance(Utterance):
    """An utterance whose outcome is known from the start."""

    text: str = ""
    seed: int = 0
    params: SynthesisParams = field(default_factory=SynthesisParams)
    kind: Attempt = "ok"
    """The outcome."""
    left: int = 0
    """Steps until the outcome."""


class SteppingEngine:
    """An engine that a test advances step by step."""

    name, device, clones, model, fingerprint = "chatterbox", "cpu", False, "stepping", "stepping 1"
    sample_rate = RATE

    def __init__(self, slots: int = 2, steps: Callable[[str], int] = len) -> None:
        self.slots = slots
        self.steps = steps
        self.script: dict[str, list[Attempt]] = {}
        """By text, the outcome of each attempt. An attempt that is not scripted succeeds."""
        self.begun: list[ScriptedUtterance] = []
        self.held: list[ScriptedUtterance] = []
        self.paused: list[ScriptedUtterance] = []
        self.elapse: Callable[[], None] = lambda: None
        """Called in every step; a test lets time pass with it."""
        self.fail_to: set[str] = set()
        """Which of `pause` and `resume` fail."""

    def load(self) -> None:
        pass

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        attempts = self.script.get(text, [])
        utterance = ScriptedUtterance(
            text=text, seed=seed, params=params, kind=attempts.pop(0) if attempts else "ok", left=self.steps(text)
        )
        self.begun.append(utterance)
        if utterance.kind == "refuse":
            raise SynthesisFailed("There is not enough memory.")
        if utterance.kind == "crash begin":
            raise RuntimeError("begin")
        if utterance.kind == "lost begin":
            raise DeviceLost("an illegal memory access", retry_after=15)
        self.held.append(utterance)
        assert len(self.held) - len(self.paused) <= self.slots, "more utterances than slots"
        return utterance

    def step(self) -> None:
        self.elapse()
        for utterance in [utterance for utterance in self.held if utterance not in self.paused and not utterance.done]:
            utterance.left -= 1
            if utterance.kind == "crash step":
                raise RuntimeError("step")
            if utterance.kind == "lost step":
                raise DeviceLost("an illegal memory access", retry_after=15)
            if utterance.left <= 0:
                utterance.complete = utterance.kind != "endless"
                if utterance.kind == "error":
                    utterance.error = SynthesisFailed("no numbers")
                else:
                    utterance.samples = sound(utterance.text, utterance.kind)

    def pause(self, utterance: Utterance) -> None:
        if "pause" in self.fail_to:
            raise MemoryError
        assert utterance in self.held
        assert utterance not in self.paused
        assert isinstance(utterance, ScriptedUtterance)
        self.paused.append(utterance)
        utterance.paused = True

    def resume(self, utterance: Utterance) -> None:
        if "resume" in self.fail_to:
            raise SynthesisFailed("There is not enough memory.")
        assert isinstance(utterance, ScriptedUtterance)
        self.paused.remove(utterance)
        utterance.paused = False
        assert len(self.held) - len(self.paused) <= self.slots, "more utterances than slots"

    def drop(self, utterance: Utterance) -> None:
        self.held = [each for each in self.held if each is not utterance]
        self.paused = [each for each in self.paused if each is not utterance]
