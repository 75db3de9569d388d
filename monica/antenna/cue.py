"""A cue: an announcement on its way to the room. It waits, is made, goes on air, and ends one way or another."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from monica.engine import SynthesisParams
from monica.speech import SpeechRequest
from monica.synthesis.take import Lane
from monica.voices.recording import DEFAULT_VOICE


class Priority(StrEnum):
    """Which cue goes first. None of them interrupts what is on air."""

    URGENT = "urgent"
    NORMAL = "normal"
    AMBIENT = "ambient"

    @property
    def rank(self) -> int:
        """0 for the cues that go first."""
        return list(Priority).index(self)


class State(StrEnum):
    """Where a cue is on its way."""

    QUEUED = "queued"
    MAKING = "making"
    READY = "ready"
    ON_AIR = "on_air"
    DONE = "done"
    STOPPED = "stopped"
    """It was cut off on air by a person."""
    DROPPED = "dropped"
    """It was taken out of the queue by a person."""
    EXPIRED = "expired"
    """Its time passed before it could go on air."""
    FAILED = "failed"

    @property
    def waits(self) -> bool:
        """Whether a cue in this state has yet to go on air."""
        return self in (State.QUEUED, State.MAKING, State.READY)

    @property
    def has_ended(self) -> bool:
        """Whether nothing can happen to a cue in this state any more."""
        return not self.waits and self is not State.ON_AIR


class Trouble(StrEnum):
    """What may go wrong with a cue that is no error of a request."""

    EXPIRED = "expired"
    NOT_HEARD = "not_heard"
    SPEAKER_FAILED = "speaker_failed"

    @property
    def sentence(self) -> str:
        """What to tell people."""
        return {
            Trouble.EXPIRED: "Its time passed before it could go on air.",
            Trouble.NOT_HEARD: "The speaker did not say that the room heard it.",
            Trouble.SPEAKER_FAILED: "The speaker could not play it.",
        }[self]


@dataclass(frozen=True, slots=True)
class Chimes:
    """The chimes around an announcement, by name; None for none."""

    before: str | None = None
    after: str | None = None


@dataclass(eq=False, slots=True)
class Cue:
    """An announcement on its way to the room. Times are seconds since the epoch."""

    text: str
    """What is said. If a kept phrase was named by its key, its text."""
    key: str | None = None
    """The kept phrase that was asked for; None to make a sound from the text."""
    voice: str = DEFAULT_VOICE
    seed: int | None = None
    params: SynthesisParams = field(default_factory=SynthesisParams)
    priority: Priority = Priority.NORMAL
    chimes: Chimes = Chimes()
    repeat: int = 1
    """How many times it is said in a row."""
    at: float | None = None
    """When it may go on air at the earliest."""
    expires: float | None = None
    """When it is no longer worth saying. It does not begin after that."""
    hold: bool = False
    """Whether it stays in the queue until a person lets it go."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = State.QUEUED
    reason: str | None = None
    """Why it failed, expired or was interrupted, in a sentence."""
    code: str | None = None
    """The same as a code: that of an error, or one of those in `Trouble`."""
    interruptions: int = 0
    """How many times it was on air without its end being heard of. It then goes on air again."""
    position: float = 0.0
    """Its place among the cues of its priority: lower goes first."""
    sound_key: str | None = None
    """The key that its sound is kept under, once it is made. None if the cache did not keep it."""
    duration_s: float | None = None
    """Seconds of its sound with chimes and repetitions, once it is made."""
    lead_s: float = 0.0
    """Seconds of that before the first word."""
    created: float = 0.0
    begun: float | None = None
    """When it went on air."""
    ended: float | None = None

    def speech(self) -> SpeechRequest:
        """Return the request for its sound. Only ambient cues wait behind others in the engine."""
        lane = Lane.BACKGROUND if self.priority is Priority.AMBIENT else Lane.LIVE
        return SpeechRequest(self.text, self.voice, self.seed, self.params, lane)

    @classmethod
    def from_speech(cls, speech: SpeechRequest) -> Cue:
        """Return the cue that says in the room what was asked for elsewhere."""
        return cls(speech.text, voice=speech.voice, seed=speech.seed, params=speech.params)

    def again(self) -> Cue:
        """Return a new cue that says the same at once."""
        return replace(
            self, id=secrets.token_hex(8), state=State.QUEUED, reason=None, code=None,
            interruptions=0, at=None, expires=None,
            hold=False, begun=None, ended=None,
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON, for clients and for the journal."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Cue:
        """Return what `as_dict` was made of. Raises TypeError, ValueError or KeyError if it is anything else."""
        return cls(
            **fields
            | {
                "params": SynthesisParams(**fields["params"]),
                "priority": Priority(fields["priority"]),
                "chimes": Chimes(**fields["chimes"]),
                "state": State(fields["state"]),
            }
        )
