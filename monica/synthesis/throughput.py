"""How fast the engine works off its queue. Measured while takes wait, when the engine is doing all it can."""

from __future__ import annotations

import threading

DECAY = 0.9
"""Weight of earlier takes after each new one."""


class Throughput:
    """Seconds per character, as an exponentially decaying average."""

    def __init__(self) -> None:
        self._characters = 0.0
        self._seconds = 0.0
        self._finished = 0
        self._since = 0.0
        self._lock = threading.Lock()

    def add_take(self, characters: int) -> None:
        """Count a take that the engine has made, in the turn in which it ended."""
        with self._lock:
            self._finished += characters

    def end_turn(self, seconds: float, *, waiting: bool) -> None:
        """Count a turn of the engine, after its takes. A turn during which no take waited says little: ignored."""
        with self._lock:
            finished, self._finished = self._finished, 0
        if waiting:
            self._since += seconds
            if finished:
                self._characters = DECAY * self._characters + finished
                self._seconds = DECAY * self._seconds + self._since
                self._since = 0.0

    def seconds_for(self, characters: float) -> float:
        """Estimate the time to speak that much text; 0 until something has been measured."""
        return characters * self._seconds / self._characters if self._characters else 0.0
