"""The takes that wait for the engine: two lanes with one bound. Not thread-safe; the scheduler holds a lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from monica import metrics
from monica.synthesis.take import Lane, Take


class WaitingQueue:
    """At most `size` takes. A take's lane is that of its waiters, so it may change while it waits."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._takes: deque[Take] = deque()

    def __len__(self) -> int:
        return len(self._takes)

    def __iter__(self) -> Iterator[Take]:
        return iter(self._takes)

    def characters_ahead(self, lane: Lane) -> int:
        """Return how much text goes before a new take of this lane."""
        return sum(len(take.text) for take in self._takes if lane is Lane.BACKGROUND or take.lane is Lane.LIVE)

    def add(self, takes: list[Take]) -> list[Take] | None:
        """Queue takes, all or none. Returns the background takes evicted for them, or None if there is no room."""
        wanted = [take for take in self._takes if not take.abandoned]  # the others are as good as gone
        excess = max(0, len(wanted) + len(takes) - self.size)
        evicted: list[Take] = []
        if excess and all(take.lane is Lane.LIVE for take in takes):
            background = [take for take in wanted if take.lane is Lane.BACKGROUND]
            evicted = background[-excess:]  # the newest: the others have waited for longer
        if len(evicted) < excess:
            return None
        self.remove(lambda take: take in evicted)
        self._takes.extend(takes)
        self._export_depth()
        return evicted

    def put_back(self, take: Take) -> None:
        """Queue a take again, before all others of its lane."""
        self._takes.appendleft(take)
        self._export_depth()

    def pop(self, lane: Lane) -> Take | None:
        """Remove and return the take of a lane that has waited longest, if there is one."""
        for take in self._takes:
            if take.lane is lane:
                self._takes.remove(take)
                self._export_depth()
                return take
        return None

    def remove(self, unwanted: Callable[[Take], bool]) -> list[Take]:
        """Remove and return the unwanted takes."""
        removed = [take for take in self._takes if unwanted(take)]
        if removed:
            self._takes = deque(take for take in self._takes if take not in removed)
            self._export_depth()
        return removed

    def _export_depth(self) -> None:
        lanes = [take.lane for take in self._takes]
        for lane in Lane:
            metrics.queue_depth.labels(lane).set(lanes.count(lane))
