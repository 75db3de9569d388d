"""What the service asks of an engine. Imports no torch: an engine's weight is paid only by who chose it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monica.errors import MonicaError, SynthesisFailed

MAX_SEED = 2**32 - 1
VOICES_AT_HAND = 16
"""In an engine's memory, at most."""


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


@dataclass(eq=False)
class Utterance:
    """A text under way in an engine, and what came of it.

    samples: (N,) float32 mono in [-1, 1] once it has ended; N is 0 where there was nothing to hear.
    complete: whether it came to its own end, and was not cut at `max_tokens`.
    error: what it ended with instead.
    paused: set by the engine's `pause`, cleared by its `resume`.
    chunks: of a stream, what is certain so far, in order; together its samples once it has ended well.
    """

    samples: NDArray[np.float32] | None = None
    complete: bool = True
    error: MonicaError | None = None
    paused: bool = False
    chunks: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.samples is not None or self.error is not None


class Engine(Protocol):
    """Text in, sound out, step by step. Loaded by one thread, then used by one thread."""

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
        """Hertz of an utterance's samples."""

    @property
    def slots(self) -> int:
        """Utterances that may be under way at once, those that are paused not counted."""

    @property
    def fingerprint(self) -> str:
        """Everything about the loaded engine that changes its sound; part of the cache key."""

    def load(self) -> None:
        """Make the engine ready to speak.

        Raises ConfigError where a setting must be changed, ModelUnavailable where trying again may help.
        """

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        """Take up a text. There must be a free slot.

        stream: whether its sound is wanted in chunks, while the rest is made; none comes where the engine cannot.
        Raises InvalidText, UnknownVoice or SynthesisFailed.
        """

    def step(self) -> None:
        """Advance all utterances but the paused ones by a step: a token, say. What ends one is on it, not raised."""

    def pause(self, utterance: Utterance) -> None:
        """Set an utterance aside, which frees its slot; it goes on from there once it is resumed."""

    def resume(self, utterance: Utterance) -> None:
        """Go on with a paused utterance. There must be a free slot. Raises SynthesisFailed."""

    def drop(self, utterance: Utterance) -> None:
        """Forget an utterance, paused or not, ended or not."""


class CloningEngine(Engine, Protocol):
    """An engine that speaks in voices it was given."""

    def make_conditionals(self, reference: Reference | None) -> bytes:
        """Encode a voice once, for keeping: safetensors bytes. None: the checkpoint's built-in voice."""

    def add_voice(self, name: str, conditionals: bytes) -> None:
        """Make `name` speakable; of more than VOICES_AT_HAND, the one not used for longest is forgotten.

        Raises ValueError where the bytes are not conditionals of this engine.
        """

    bring_voice: Callable[[str], None]
    """Called by `begin` for a voice that is not at hand: adds it, or raises."""


def speak(
    engine: Engine,
    text: str,
    *,
    voice: str,
    params: SynthesisParams,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Speak a text alone. Returns its samples. Raises its error, or what `check` raises between two steps."""
    utterance = engine.begin(text, voice=voice, params=params, seed=seed)
    try:
        while not utterance.done:
            check()
            engine.step()
    finally:
        engine.drop(utterance)
    if utterance.samples is None:
        raise utterance.error or SynthesisFailed("The engine made nothing of this sentence.")
    return utterance.samples
