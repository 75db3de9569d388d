"""What the service asks of an engine. Imports no torch: a process pays for torch only if its engine needs it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeGuard

from monica.errors import MonicaError, SynthesisFailed

if TYPE_CHECKING:  # not at run time: the settings import this package, and some commands need no numpy
    import numpy as np
    from numpy.typing import NDArray

MAX_SEED = 2**32 - 1
"""The largest seed a take may be sampled with."""
PHONEMES = re.compile("⟦([^⟦⟧]{1,64})⟧")
"""A word in IPA inside a prepared text: ⟦blajnd⟧. Only an engine whose spec has `check_ipa` is given any. The brackets
are a pair that no one types, so that a text in plain brackets is never taken for phonemes."""
MAX_LOADED_VOICES = 16
"""Upper bound on the voices an engine keeps in memory."""


@dataclass(frozen=True, slots=True)
class SynthesisParams:
    """How a sentence is sampled; the same parameters and seed give the same take.

    The defaults are those of the newest Chatterbox-Multilingual (repetition_penalty 1.2, not 2.0).
    An engine's spec says which of them it honours.
    """

    exaggeration: float = 0.5
    """How expressive the voice is."""
    cfg_weight: float = 0.5
    """The weight of classifier-free guidance; 0 turns it off."""
    temperature: float = 0.8
    repetition_penalty: float = 1.2
    min_p: float = 0.05
    top_p: float = 1.0
    max_tokens: int = 1000
    """Upper bound on the speech tokens of a take, 25 of which make a second."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference recording, decoded and cropped."""

    samples: NDArray[np.float32]
    """(N,) mono, in [-1, 1]."""
    sample_rate: int
    """Hertz."""
    digest: str
    """Hexadecimal; identifies the recording, its crop and the prompt."""
    prompt_start_s: float = 0.0
    """Where the part begins that a model hears, if it hears only some seconds of the recording."""
    prompt_end_s: float = math.inf
    """Where that part ends; beyond the end of the recording, it ends there."""


@dataclass(eq=False)
class Utterance:
    """A text that an engine is speaking, and its result."""

    samples: NDArray[np.float32] | None = None
    """(N,) mono in [-1, 1] once the utterance has ended; N is 0 if it made no sound."""
    complete: bool = True
    """Whether it ended by itself. False if it was cut at `max_tokens`."""
    tokens: Sequence[int] = ()
    """The speech tokens it was made of once it has ended, if the engine has any."""
    error: MonicaError | None = None
    """Why it failed, in place of samples."""
    paused: bool = False
    """Set by the engine's `pause`, cleared by its `resume`."""
    chunks: list[NDArray[np.float32]] = field(default_factory=list)
    """Of a stream, the sound that is final so far, in order. Joined, they are `samples` if it ends without an error."""

    @property
    def done(self) -> bool:
        return self.samples is not None or self.error is not None


class Engine(Protocol):
    """Text in, sound out, step by step. One thread loads and uses it: no method is called from another one.

    Other threads read its attributes. Every method may raise DeviceLost: then no call can succeed in this process, and
    Monica ends it for its supervisor to start another.
    """

    name: str
    """Its name in the registry."""
    device: str
    """`cuda`, `mps` or `cpu`."""
    clones: bool
    """Whether it clones its voices from reference recordings. If so, it is a CloningEngine: see `is_cloning`."""

    @property
    def model(self) -> str:
        """Describe the model for people, as /health shows it."""

    @property
    def sample_rate(self) -> int:
        """Return the sample rate of every utterance, in hertz."""

    @property
    def slots(self) -> int:
        """Return how many utterances may run at once. Paused ones do not count."""

    @property
    def fingerprint(self) -> str:
        """Describe everything about the loaded engine that changes its sound; it is part of the cache key."""

    def load(self) -> None:
        """Make the engine ready to speak.

        Raises ConfigError if a setting must be changed, ModelUnavailable if trying again may help.
        """

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        """Start an utterance. There must be a free slot.

        text: may hold PHONEMES if the engine's spec has `check_ipa`.
        stream: whether to hand out the sound in chunks while the rest is made; an engine that cannot hands out none.
        Raises InvalidText, UnknownVoice or SynthesisFailed.
        """

    def step(self) -> None:
        """Advance every utterance that is not paused by one step, for example one token.

        An error that ends an utterance is set on that utterance, not raised.
        """

    def pause(self, utterance: Utterance) -> None:
        """Suspend an utterance and free its slot. `resume` continues it from there."""

    def resume(self, utterance: Utterance) -> None:
        """Continue a paused utterance. There must be a free slot. Raises SynthesisFailed."""

    def drop(self, utterance: Utterance) -> None:
        """Forget an utterance, whether it is running, paused or done."""


class CloningEngine(Engine, Protocol):
    """An engine that speaks in the voices of recordings."""

    def make_conditionals(self, reference: Reference | None) -> bytes:
        """Encode a voice once, to be stored: safetensors bytes. None stands for the checkpoint's built-in voice."""

    def add_voice(self, name: str, conditionals: bytes) -> None:
        """Let `name` be spoken. Beyond MAX_LOADED_VOICES, the least recently used voice is forgotten.

        Raises ValueError if the bytes are not conditionals of this engine.
        """

    bring_voice: Callable[[str], None]
    """Called by `begin` with a voice that is not in memory. It adds the voice, or raises."""


class SpeakerEngine(Engine, Protocol):
    """An engine whose voices are built in."""

    @property
    def speakers(self) -> Mapping[str, str]:
        """Return the names of the voices beside the default one, and what `begin` is given as `voice` for each."""

    @property
    def license(self) -> str:
        """Return the licence of the recordings that the voices learned from."""


def has_speakers(engine: Engine) -> TypeGuard[SpeakerEngine]:
    """Return whether an engine is a SpeakerEngine. The class is asked: properties may raise before it is loaded."""
    return hasattr(type(engine), "speakers")


class Order(Protocol):
    """What is known of a take that an engine is to speak. The answers may change while it does."""

    key: str
    """What the take is kept under; for the log."""

    @property
    def live(self) -> bool:
        """Whether it goes before what is not live."""

    @property
    def deadline(self) -> float:
        """Until when the take is wanted, in monotonic seconds."""


class RemoteEngine(Engine, Protocol):
    """An engine in other processes, each of which decides by itself which of its utterances runs.

    Which engine that is, and whether it clones, is known once it is loaded.
    """

    def begin_order(
        self, order: Order, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False
    ) -> Utterance:
        """Start an utterance as `begin` does, for a process that wants to know how urgent it is."""


def is_remote(engine: Engine) -> TypeGuard[RemoteEngine]:
    """Return whether an engine is a RemoteEngine."""
    return hasattr(engine, "begin_order")


def is_cloning(engine: Engine) -> TypeGuard[CloningEngine]:
    """Return whether an engine is a CloningEngine.

    Not isinstance with a runtime_checkable protocol: before Python 3.12 that evaluates every property, and those of
    an engine that is not loaded raise.
    """
    return engine.clones


def speak(
    engine: Engine,
    text: str,
    *,
    voice: str,
    params: SynthesisParams,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Speak one text from beginning to end. Returns its samples: (N,) mono in [-1, 1].

    Raises the error of the utterance, or whatever `check` raises between two steps.
    """
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
