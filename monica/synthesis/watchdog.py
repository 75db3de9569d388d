"""Watches the engine thread. If the engine is lost, the watchdog ends every take, then the process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from monica import metrics
from monica.errors import NotReady
from monica.synthesis.health import Health
from monica.synthesis.scheduler import Scheduler

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0
"""Time between two looks at the engine."""
FAREWELL_S = 3.0
"""Time from giving up to the end of the process, so that answers reach the clients and /health can be read."""


class Watchdog:
    """on_lost: called once, with the reason; it ends the process."""

    def __init__(self, health: Health, scheduler: Scheduler, on_lost: Callable[[str], None]) -> None:
        self._health = health
        self._scheduler = scheduler
        self._on_lost = on_lost

    def start(self) -> None:
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        while (reason := self._health.lost(time.monotonic())) is None:
            time.sleep(INTERVAL_S)
        logger.critical("the engine is lost: %s Monica ends, to be started again", reason)
        metrics.ready.set(0)
        self._scheduler.give_up(NotReady(f"The model cannot be used: {reason}", code="model_failed", retry_after=15))
        time.sleep(FAREWELL_S)
        self._on_lost(reason)
