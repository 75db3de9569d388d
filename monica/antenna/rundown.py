"""The cues that wait, in the order in which they go on air."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from monica.antenna.cue import Cue, Priority, State
from monica.errors import MonicaError

MAX_CUES = 1000
"""Upper bound on the cues that wait. That many last for hours: a client that sends more is in a loop."""
PATIENCE_S = 5.0
"""How long a cue that is due may be waited for while it is made. Then those behind it that are ready go first."""


class QueueFull(MonicaError):
    """As many announcements as allowed already wait to go on air."""

    status, code = 429, "queue_full"


class UnknownCue(MonicaError):
    """No announcement has this id."""

    status, code = 404, "announcement_unknown"


class Rundown:
    """The waiting cues. Not thread-safe: the antenna holds its lock."""

    def __init__(self) -> None:
        self._cues: dict[str, Cue] = {}
        self._due_since: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._cues)

    def __iter__(self) -> Iterator[Cue]:
        """Iterate over the cues in their order."""
        return iter(sorted(self._cues.values(), key=lambda cue: (cue.priority.rank, cue.position, cue.created)))

    def get(self, cue_id: str) -> Cue | None:
        """Return a cue that waits."""
        return self._cues.get(cue_id)

    def append(self, cue: Cue) -> None:
        """Put a cue behind those of its priority. Raises QueueFull."""
        if len(self._cues) >= MAX_CUES:
            raise QueueFull(f"{len(self._cues)} announcements already wait to go on air.")
        of_its_priority = (other.position for other in self._cues.values() if other.priority is cue.priority)
        cue.position = max(of_its_priority, default=0.0) + 1
        self._cues[cue.id] = cue

    def put_back(self, cue: Cue) -> None:
        """Keep a cue where its position says: one that was in the queue before."""
        self._cues[cue.id] = cue

    def move(self, cue: Cue, before: Cue | None) -> None:
        """Move a waiting cue before another of its priority, or behind all of them."""
        others = [other for other in self if other.priority is cue.priority and other is not cue]
        place = len(others) if before is None else others.index(before)
        low = others[place - 1].position if place > 0 else None
        high = others[place].position if place < len(others) else None
        if low is None:
            cue.position = 0.0 if high is None else high - 1
        else:
            cue.position = low + 1 if high is None else (low + high) / 2

    def move_to_front(self, cue: Cue) -> None:
        """Move a cue before all others of its priority."""
        self.move(cue, next((other for other in self._of(cue.priority) if other is not cue), None))

    def remove(self, cue: Cue) -> None:
        """Forget a cue."""
        self._cues.pop(cue.id, None)
        self._due_since.pop(cue.id, None)

    def next_up(self, now: float, clock: float, fits: Callable[[Cue], bool] = lambda _: True) -> Cue | None:
        """Return the cue that goes on air now; None to wait.

        now: seconds since the epoch. clock: seconds of a clock that never goes back. fits: whether there is time for a
        cue. Those behind one that does not fit may go first.
        """
        for cue in self:
            if cue.hold or (cue.at is not None and now < cue.at):
                self._due_since.pop(cue.id, None)
                continue
            if cue.state is State.READY:
                if fits(cue):
                    return cue
                continue
            if clock - self._due_since.setdefault(cue.id, clock) < PATIENCE_S:
                return None
        return None

    def expired(self, now: float) -> list[Cue]:
        """Return the cues whose time has passed."""
        return [cue for cue in self if cue.expires is not None and now >= cue.expires]

    def _of(self, priority: Priority) -> list[Cue]:
        return [cue for cue in self if cue.priority is priority]
