"""What the service asks of an engine. Imports no torch: an engine's weight is paid only by who chose it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Check = Callable[[], None]
"""Called by an engine between two steps; raises DeadlineExceeded (or the like) to end the take there."""

MAX_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class SynthesisParams:
    """How a sentence is sampled; the same parameters and seed give the same take.

    The defaults are those of Chatterbox-Multilingual at its newest (repetition_penalty 1.2, not 2.0).
    """

    exaggeration: float = 0.5
    cfg_weight: float = 0.5
    temperature: float = 0.8
    repetition_penalty: float = 1.2
    min_p: float = 0.05
    top_p: float = 1.0
    max_tokens: int = 1000
    """Speech tokens at most, 25 to the second."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference recording, read and cropped.

    samples: (N,) float32 mono in [-1, 1]. sample_rate: hertz.
    digest: hex; the recording and the crop it stands for.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    digest: str


class Engine(Protocol):
    """Text in, sound out. Loaded by one thread, then used by one thread."""

    name: str
    """`chatterbox` or `espeak`."""
    device: str
    """`cuda`, `mps` or `cpu`."""
    clones: bool
    """Whether its voice is cloned from a reference recording: then it is a CloningEngine."""

    @property
    def model(self) -> str:
        """The model, for people: shown on /health."""

    @property
    def sample_rate(self) -> int:
        """Hertz of what `synthesize` returns."""

    @property
    def fingerprint(self) -> str:
        """Everything about the loaded engine that changes its sound; part of the cache key."""

    def load(self) -> None:
        """Make the engine ready to speak.

        Raises ConfigError where a setting must be changed, ModelUnavailable where trying again may help.
        """

    def synthesize(
        self, text: str, *, voice: str, params: SynthesisParams, seed: int, check: Check
    ) -> NDArray[np.float32]:
        """Speak `text`.

        Returns (N,) float32 mono at `sample_rate`. Raises SynthesisFailed, or what `check` raises.
        """


class CloningEngine(Engine, Protocol):
    """An engine that speaks in voices it was given."""

    def make_conditionals(self, reference: Reference | None) -> bytes:
        """Encode a voice once, for keeping: safetensors bytes. None: the checkpoint's built-in voice."""

    def add_voice(self, name: str, conditionals: bytes) -> None:
        """Make `name` speakable. Raises ValueError where the bytes are not conditionals of this engine."""
