"""What a caller asks of the announcer, and what the announcer answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from monica.engine import SynthesisParams
from monica.synthesis.faults import Fault
from monica.synthesis.take import Lane, Source
from monica.voices.recording import DEFAULT_VOICE


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A sentence to speak."""

    text: str
    voice: str = DEFAULT_VOICE
    seed: int | None = None
    """None accepts any take of the sentence."""
    params: SynthesisParams = field(default_factory=SynthesisParams)
    lane: Lane = Lane.LIVE
    fresh: bool = False
    """Whether to make a new take, which replaces the kept one."""
    keep: bool = True
    """Whether the cache may keep the take."""
    deadline_s: float | None = None
    """None for the deadline of the settings."""
    air: bool = False
    """Whether it goes on air in the room, too."""
    fallback: bool = True
    """Whether the embedded voice may stand in, if the settings allow it."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A spoken sentence."""

    wav: bytes
    key: str | None
    """What it is kept under. None if the embedded voice stood in, whose sounds are not kept."""
    source: Source
    engine: str
    duration_s: float
    faults: tuple[Fault, ...] = ()
    """What is wrong with it, if anything. A sound with a fault is not kept."""
