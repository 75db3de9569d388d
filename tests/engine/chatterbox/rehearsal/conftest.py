"""The whole engine on fake CUDA tensors, once for each precision: what every event of its life runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from benchmarks.rehearsal import CUDA, Rehearsal
from benchmarks.rehearsal.operation import Operation
from monica.engine import SynthesisParams, Utterance
from monica.engine.chatterbox import weights
from monica.engine.chatterbox.checkpoint import Checkpoint, file_names
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.model import Model
from monica.engine.chatterbox.utterances import Utterances

from ..conftest import load_shallow
from .rules import check_attention, check_precision

Result = TypeVar("Result")

TEXT = "Bonsoir."
TAKE, STREAM = 8, 40
"""Tokens: of a take made whole, and of a stream of two hops."""


class Performance:
    """What was recorded of a rehearsal, by event."""

    def __init__(self, rehearsal: Rehearsal, checkpoint_dir: Path) -> None:
        self.rehearsal = rehearsal
        self.events: dict[str, list[Operation]] = {}
        rehearsal.recorder.checks += [check_attention, check_precision]
        files = Checkpoint(*(checkpoint_dir / name for name in file_names("v3")))
        self.model: Model = self._do("load", lambda: rehearsal.load(files))
        self.voice: Conditionals = self._do("voice", lambda: self.model.builtin.to(CUDA))
        self.utterances = Utterances(self.model)
        # What PyTorch and upstream put off to a first take happens in the warm-up.
        self._do("warm-up", lambda: self.finish(self.begin(TAKE)))
        self._do("begin without guidance", lambda: self.drop(self.begin(TAKE, cfg_weight=0.0)))
        utterance = self._do("begin", lambda: self.begin(TAKE))
        for _ in range(4):  # from then on, each step reads the tokens of an earlier one
            self._do("step", self.utterances.step)
        self._do("pause", lambda: self.utterances.pause(utterance))
        self._do("resume", lambda: self.utterances.resume(utterance))
        self._do("take", lambda: self.finish(utterance))
        stream = self.begin(STREAM, stream=True)
        self._do("stream", lambda: self.finish(stream))

    def begin(self, tokens: int, *, stream: bool = False, cfg_weight: float = 0.5) -> Utterance:
        params = SynthesisParams(max_tokens=tokens, cfg_weight=cfg_weight)
        return self.utterances.begin(TEXT, self.voice, params, 0, stream=stream)

    def drop(self, utterance: Utterance) -> None:
        self.utterances.drop(utterance)

    def finish(self, utterance: Utterance) -> None:
        for _ in range(200):
            if utterance.done:
                break
            self.utterances.step()
        assert utterance.error is None
        assert utterance.samples is not None

    def _do(self, event: str, work: Callable[[], Result]) -> Result:
        results: list[Result] = []
        self.events[event] = self.rehearsal.record(lambda: results.append(work()))
        return results[0]

    def waits(self, event: str) -> Counter[str]:
        """Count the waits of an event by their kind."""
        return Counter(operation.wait for operation in self.events[event] if operation.wait is not None)


@pytest.fixture(scope="package", params=["bf16", "fp32"])
def performance(request: pytest.FixtureRequest, checkpoint_dir: Path) -> Iterator[Performance]:
    """A small engine: two layers of T3, two middle blocks of the estimator, two Euler steps, and few sizes.

    Only in this package: what it replaces stays replaced as long as it lives.
    """
    rehearsal = Rehearsal(request.param)
    with pytest.MonkeyPatch.context() as patch:
        shallow = load_shallow(checkpoint_dir)
        patch.setattr(weights, "load_s3gen", lambda _: shallow)
        patch.setattr("monica.engine.chatterbox.euler.EULER_STEPS", 2)
        patch.setattr("monica.engine.chatterbox.euler.BUCKETS", range(128, 129))
        patch.setattr("monica.engine.chatterbox.token_encoder.BUCKETS", range(64, 65))
        patch.setattr("monica.engine.chatterbox.hift.TILES", (32, 64))
        patch.setattr("monica.engine.chatterbox.captured_sounds.SIZES", (58,))
        for module in ("captured_hops", "pass_selftest"):
            patch.setattr(f"monica.engine.chatterbox.{module}.HOPS", (80,))
        with rehearsal:
            yield Performance(rehearsal, checkpoint_dir)
