"""The cue that is on air, and what is known about whether the room hears it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from monica.antenna.cue import Cue

BEGIN_S = 8.0
"""How long a speaker may take to say that it plays. It may have to fetch the sound over a slow network first."""
GRACE_S = 4.0
"""How long after its expected end a cue's end may be reported."""


@dataclass(frozen=True, slots=True)
class Ducking:
    """How a mixer or a player turns the music down under an announcement. Monica only tells it."""

    db: float
    """Decibels, not above 0."""
    ramp_ms: int
    """How long it takes to go down, and up again."""


class Outcome(StrEnum):
    """What has become of a cue on air."""

    PLAYS = "plays"
    HEARD = "heard"
    """It is over, as far as anyone can tell."""
    LOST = "lost"
    """No one knows whether the room has heard it: the speaker has gone, or never began."""


@dataclass(slots=True)
class OnAir:
    """A cue on air. All times are of a clock that never goes back."""

    cue: Cue
    speaker: str | None
    """The id of the speaker that was told to play it. None after a restart, until a speaker says that it plays it."""
    since: float
    confirmed: bool = False
    """Whether the speaker has said that it plays it."""
    absent: bool = False
    """Whether that speaker is not connected. It may still be playing: it has the whole sound."""
    ends: float = 0.0
    """When it should be over."""

    @classmethod
    def begin(cls, cue: Cue, speaker: str, clock: float) -> OnAir:
        """Put a cue on air through a speaker."""
        return cls(cue, speaker, clock, ends=clock + (cue.duration_s or 0.0))

    @classmethod
    def resume(cls, cue: Cue, left_s: float, clock: float) -> OnAir:
        """Return a cue that was on air when the server ended. left_s: how much of it should be left."""
        return cls(cue, None, clock, absent=True, ends=clock + left_s)

    def confirm(self, speaker: str, clock: float, position_s: float = 0.0) -> None:
        """Note that a speaker plays it, and how far it is."""
        self.speaker, self.confirmed, self.absent = speaker, True, False
        self.ends = clock + max(0.0, (self.cue.duration_s or 0.0) - position_s)

    def outcome(self, clock: float) -> Outcome:
        """Say what has become of it."""
        if clock >= self.ends + GRACE_S and clock - self.since >= BEGIN_S:
            return Outcome.HEARD if self.confirmed and not self.absent else Outcome.LOST
        if not self.confirmed and not self.absent and clock - self.since >= BEGIN_S:
            return Outcome.LOST
        return Outcome.PLAYS
