"""Monica's health and the progress of her jobs, as events: whoever listens to the antenna hears of these too."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from typing import Any

from monica.antenna.events import Events

EVERY_S = 1.0
"""How often they are looked at."""

logger = logging.getLogger(__name__)


class Bulletins:
    """Looks at the health and the jobs from a thread of its own, and publishes what has changed.

    health: returns `status`, `reason` and `engine`. jobs: returns the jobs, each with its `id`, the newest first.
    """

    def __init__(
        self, events: Events, health: Callable[[], dict[str, Any]], jobs: Callable[[], list[dict[str, Any]]]
    ) -> None:
        self._events = events
        self._read_health = health
        self._read_jobs = jobs
        self._health: dict[str, Any] = {}
        self._jobs: list[dict[str, Any]] = []
        self._closing = threading.Event()
        # What was seen last: to look again might wait for a lock.
        events.show("health", lambda: self._health)
        events.show("jobs", lambda: self._jobs)

    def start(self) -> None:
        """Look now, and again and again."""
        self.tick()
        threading.Thread(target=self._run, name="bulletins", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._closing.set()

    def tick(self) -> None:
        """Publish what has changed since the last time: `health`, and `job` for each job."""
        health, before = self._read_health(), self._health
        self._health = health
        if _essence(health) != _essence(before):
            self._events.publish("health", health)
        jobs, known = self._read_jobs(), {job["id"]: job for job in self._jobs}
        self._jobs = jobs
        for job in reversed(jobs):
            if known.get(job["id"]) != job:
                self._events.publish("job", job)

    def _run(self) -> None:
        while not self._closing.wait(EVERY_S):
            try:
                self.tick()
            except Exception:
                # The guard of this thread: the next look may succeed.
                logger.exception("the health and the jobs could not be told")


def _essence(health: dict[str, Any]) -> dict[str, Any]:
    """Leave out what changes by the second, such as how long something has lasted."""
    return health | {"reason": re.sub(r"\d+", "", health.get("reason") or "")}
