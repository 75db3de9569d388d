"""Watches the engine thread. An engine that does not come back is given up, and the process with it."""

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

LOOK_S = 1.0
FAREWELL_S = 3.0
"""From giving up to the end of the process: for answers to reach those who wait, and for /health to be read."""


class Watchdog:
    """on_lost: ends the process; called with the reason, once."""

    def __init__(self, health: Health, scheduler: Scheduler, on_lost: Callable[[str], None]) -> None:
        self._health = health
        self._scheduler = scheduler
        self._on_lost = on_lost

    def start(self) -> None:
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        while (reason := self._health.lost(time.monotonic())) is None:
            time.sleep(LOOK_S)
        logger.critical("the engine is lost: %s Monica ends, to be started again", reason)
        metrics.ready.set(0)
        self._scheduler.give_up(NotReady(f"The model cannot be used: {reason}", code="model_failed", retry_after=15))
        time.sleep(FAREWELL_S)
        self._on_lost(reason)
