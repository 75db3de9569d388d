"""The speakers that are connected. One of them plays what is on air; the others stand by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Speaker:
    """A browser tab or a player that says what it plays."""

    id: str
    """Chosen by the speaker itself, so that it is the same one after a reconnect."""
    name: str
    connections: int = 1
    """Event streams that it holds open. More than one for a moment, if it reconnects before the old one is closed."""
    may_play: bool = False
    """Whether it has said that it can play. A browser may not until someone has tapped the page."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON, for clients."""
        return {"id": self.id, "name": self.name, "may_play": self.may_play}


class Speakers:
    """The connected speakers, in the order in which they came. Not thread-safe: the antenna holds its lock."""

    def __init__(self) -> None:
        self._speakers: dict[str, Speaker] = {}

    def join(self, speaker_id: str, name: str) -> Speaker:
        """Count a connection of a speaker."""
        speaker = self._speakers.get(speaker_id)
        if speaker is None:
            speaker = self._speakers[speaker_id] = Speaker(speaker_id, name)
        else:
            speaker.connections += 1
            speaker.name = name
        return speaker

    def leave(self, speaker_id: str) -> bool:
        """Count off a connection. Returns whether the speaker has gone."""
        speaker = self._speakers.get(speaker_id)
        if speaker is None:
            return False
        speaker.connections -= 1
        if speaker.connections == 0:
            del self._speakers[speaker_id]
        return speaker.connections == 0

    def get(self, speaker_id: str) -> Speaker | None:
        """Return a connected speaker."""
        return self._speakers.get(speaker_id)

    def active(self) -> Speaker | None:
        """Return the speaker that plays: the first that may. None if there is none."""
        return next((speaker for speaker in self._speakers.values() if speaker.may_play), None)

    def as_list(self) -> list[dict[str, Any]]:
        """Return them as JSON, for clients."""
        active = self.active()
        return [speaker.as_dict() | {"active": speaker is active} for speaker in self._speakers.values()]
