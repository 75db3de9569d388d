"""The takes that wait: two lanes, bounded together, live ones first. For one thread at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from monica import metrics
from monica.synthesis.take import Lane, Take


class WaitingQueue:
    """At most `size` takes; a take's lane is that of its waiters, and may change while it waits."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._waiting: deque[Take] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Take]:
        return iter(self._waiting)

    def characters(self, lane: Lane) -> int:
        """How much text goes before a newcomer of this lane."""
        return sum(len(take.text) for take in self._waiting if lane is Lane.BACKGROUND or take.lane is Lane.LIVE)

    def add(self, takes: list[Take]) -> list[Take] | None:
        """Queue takes, all or none. Returns the background takes that had to go for them; None: there is no room."""
        wanted = [take for take in self._waiting if not take.abandoned]  # the others are as good as gone
        excess = max(0, len(wanted) + len(takes) - self.size)
        gone: list[Take] = []
        if excess and all(take.lane is Lane.LIVE for take in takes):
            rehearsals = [take for take in wanted if take.lane is Lane.BACKGROUND]
            gone = rehearsals[-excess:]  # the newest: the others have waited for longer
        if len(gone) < excess:
            return None
        self.remove(lambda take: take in gone)
        self._waiting.extend(takes)
        self._count()
        return gone

    def put_back(self, take: Take) -> None:
        """Queue a take once more, before all others of its lane."""
        self._waiting.appendleft(take)
        self._count()

    def next(self, lane: Lane) -> Take | None:
        """Take the one of a lane that has waited longest."""
        for take in self._waiting:
            if take.lane is lane:
                self._waiting.remove(take)
                self._count()
                return take
        return None

    def remove(self, unwanted: Callable[[Take], bool]) -> list[Take]:
        """Take out those that are unwanted."""
        gone = [take for take in self._waiting if unwanted(take)]
        if gone:
            self._waiting = deque(take for take in self._waiting if take not in gone)
            self._count()
        return gone

    def _count(self) -> None:
        lanes = [take.lane for take in self._waiting]
        for lane in Lane:
            metrics.queue_depth.labels(lane).set(lanes.count(lane))
