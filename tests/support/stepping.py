"""An engine without time: step by step it does what the test has written into its part, and it counts its slots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monica.engine import SynthesisParams, Utterance
from monica.errors import SynthesisFailed

RATE = 100
Attempt = str
"""The outcome of an attempt. The engine reports `error`; `refuse`, `crash begin` and `crash step` are raised. The
others describe the sound: ok, silent, empty, no numbers, endless, hasty, long."""


def sound(text: str, kind: Attempt) -> NDArray[np.float32]:
    """Make the sound of an attempt of this kind: a tenth of a second per character if nothing is wrong."""
    length = {"empty": 0, "hasty": 1, "long": RATE * (4 + len(text))}.get(kind, len(text) * RATE // 10)
    level = {"silent": 0.0, "no numbers": np.nan}.get(kind, 0.5)
    return np.full(length, level, np.float32)


@dataclass(eq=False)
class Part(Utterance):
    """One attempt at a text."""

    text: str = ""
    seed: int = 0
    kind: Attempt = "ok"
    """The outcome it will have."""
    left: int = 0
    """Steps until then."""


class SteppingEngine:
    """An engine that follows `parts`: for each text the outcome of each attempt. Any other attempt ends well."""

    name, device, clones, model, fingerprint = "chatterbox", "cpu", False, "stepping", "stepping 1"
    sample_rate = RATE

    def __init__(self, slots: int = 2, steps: Callable[[str], int] = len) -> None:
        self.slots = slots
        self.steps = steps
        self.parts: dict[str, list[Attempt]] = {}
        self.begun: list[Part] = []
        self.held: list[Part] = []
        self.paused: list[Part] = []
        self.elapse: Callable[[], None] = lambda: None
        """Called in every step."""
        self.fail_to: set[str] = set()
        """The calls that raise: `pause`, `resume`."""

    def load(self) -> None:
        pass

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        attempts = self.parts.get(text, [])
        part = Part(text=text, seed=seed, kind=attempts.pop(0) if attempts else "ok", left=self.steps(text))
        self.begun.append(part)
        if part.kind == "refuse":
            raise SynthesisFailed("There is not enough memory.")
        if part.kind == "crash begin":
            raise RuntimeError("begin")
        self.held.append(part)
        assert len(self.held) - len(self.paused) <= self.slots, "more takes than slots"
        return part

    def step(self) -> None:
        self.elapse()
        for part in [part for part in self.held if part not in self.paused and not part.done]:
            part.left -= 1
            if part.kind == "crash step":
                raise RuntimeError("step")
            if part.left <= 0:
                part.complete = part.kind != "endless"
                if part.kind == "error":
                    part.error = SynthesisFailed("no numbers")
                else:
                    part.samples = sound(part.text, part.kind)

    def pause(self, utterance: Utterance) -> None:
        if "pause" in self.fail_to:
            raise MemoryError
        assert utterance in self.held
        assert utterance not in self.paused
        assert isinstance(utterance, Part)
        self.paused.append(utterance)
        utterance.paused = True

    def resume(self, utterance: Utterance) -> None:
        if "resume" in self.fail_to:
            raise SynthesisFailed("There is not enough memory.")
        assert isinstance(utterance, Part)
        self.paused.remove(utterance)
        utterance.paused = False
        assert len(self.held) - len(self.paused) <= self.slots, "more takes than slots"

    def drop(self, utterance: Utterance) -> None:
        self.held = [part for part in self.held if part is not utterance]
        self.paused = [part for part in self.paused if part is not utterance]
