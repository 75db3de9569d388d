"""An engine small enough for many tests: two slots, few tokens, two Euler steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from monica.engine import SynthesisParams, Utterance
from monica.engine.chatterbox import ChatterboxEngine

SLOTS = 2
TOKENS = 4
STEPS = TOKENS + 4
"""Steps of an utterance: its last token and the encoder share one; then two Euler steps, the vocoder, the watermark."""
TEXTS = ("Bonsoir.", "Rusmir relance à 4 000.", "Tapis !")


class EngineHarness:
    """Makes utterances by number; odd ones are a token shorter."""

    def __init__(self, engine: ChatterboxEngine) -> None:
        self.engine = engine
        self.utterances = engine._loaded()
        self.t3 = self.utterances.model.t3
        self.alone = [self.finish(self.begin(number)) for number in range(6)]
        """The samples of each utterance, made alone."""

    def begin(self, number: int, **other: Any) -> Utterance:
        params = SynthesisParams(max_tokens=TOKENS - number % 2, cfg_weight=0.5 * (number % 3 > 0))
        text = TEXTS[number % len(TEXTS)]
        arguments: dict[str, Any] = {"text": text, "voice": "monica", "params": params, "seed": number}
        return self.engine.begin(**(arguments | other))

    def step(self, steps: int = 1) -> None:
        for _ in range(steps):
            self.engine.step()

    def step_until_done(self, *utterances: Utterance) -> None:
        for _ in range(100):
            if all(each.done for each in utterances):
                return
            self.engine.step()
        pytest.fail("an utterance did not end")

    def finish(self, utterance: Utterance) -> NDArray[np.float32]:
        self.step_until_done(utterance)
        assert utterance.error is None
        assert utterance.samples is not None
        return utterance.samples

    def assert_alone(self, utterance: Utterance, number: int) -> None:
        """Finish an utterance, and compare it with the same one made alone."""
        np.testing.assert_array_equal(self.finish(utterance), self.alone[number])

    def assert_empty(self) -> None:
        assert self.t3.running == []
        assert self.utterances._progress == {}
