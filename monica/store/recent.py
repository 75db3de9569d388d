"""Sounds that were asked for a moment ago."""

from __future__ import annotations

from collections import Counter

from cachetools import TTLCache

# A phrase that is asked for over and over is answered from memory for a few seconds at a time. Then the disk is asked
# again, so that it knows which phrases are in use, and so that a removal by another process is soon seen here.
RECENT_BYTES = 64 * 2**20
RECENT_SECONDS = 10


class Recent(TTLCache[str, bytes]):
    """Sounds by key, for RECENT_SECONDS each. Whoever uses it holds a lock."""

    def __init__(self) -> None:
        super().__init__(RECENT_BYTES, RECENT_SECONDS, getsizeof=len)
        self._uncounted: Counter[str] = Counter()

    def count_hit(self, key: str) -> None:
        """Count that a sound was answered from here. The disk does not know of it yet."""
        self._uncounted[key] += 1

    def take_hits(self) -> Counter[str]:
        """Return the hits counted since the last call, by key."""
        taken, self._uncounted = self._uncounted, Counter()
        return taken

    def remember(self, key: str, value: bytes | None) -> None:
        """Hold a sound; None forgets it."""
        self.pop(key, None)
        if value is not None and len(value) <= RECENT_BYTES:
            self[key] = value
