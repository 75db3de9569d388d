"""How fast the engine gets through the queue: measured while takes wait, for then it does what it can."""

from __future__ import annotations

MEMORY = 0.9
"""What a take leaves of the weight of those before it."""


class Throughput:
    """Seconds a character, the latest takes counting most."""

    def __init__(self) -> None:
        self._characters = 0.0
        self._seconds = 0.0
        self._said = 0
        self._since = 0.0

    def finish(self, characters: int) -> None:
        """Tell of a take that has ended well in this turn."""
        self._said += characters

    def turn(self, seconds: float, *, waiting: bool) -> None:
        """Tell of a turn of the engine, after its takes; where nobody waited it says little."""
        if waiting:
            self._since += seconds
            if self._said:
                self._characters = MEMORY * self._characters + self._said
                self._seconds = MEMORY * self._seconds + self._since
                self._since = 0.0
        self._said = 0

    def seconds_for(self, characters: float) -> float:
        """Estimate the time to get through so much text; 0 as long as nothing is known."""
        return characters * self._seconds / self._characters if self._characters else 0.0
