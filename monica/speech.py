"""What is asked of the announcer, and what he answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from monica.engine import SynthesisParams
from monica.synthesis.checks import Fault
from monica.synthesis.take import Lane
from monica.voices.recording import DEFAULT_VOICE


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A sentence someone wants to hear.

    seed: None accepts any take of the sentence.
    fresh: make a new take, and let it replace the kept one. keep: whether it may be kept.
    deadline_s: None for the settings'. fallback: whether the embedded voice may speak where the settings let it.
    """

    text: str
    voice: str = DEFAULT_VOICE
    seed: int | None = None
    params: SynthesisParams = field(default_factory=SynthesisParams)
    lane: Lane = Lane.LIVE
    fresh: bool = False
    keep: bool = True
    deadline_s: float | None = None
    fallback: bool = True


@dataclass(frozen=True, slots=True)
class Announcement:
    """A spoken sentence. key: what it was kept under; None where the embedded voice stood in, and nothing is kept.

    cache: `hit`, `miss` or `joined`. duration_s: of the sound. fault: what is wrong with it; then it is not kept.
    """

    wav: bytes
    key: str | None
    cache: str
    engine: str
    duration_s: float
    fault: Fault | None = None
