"""How Monica is, said honestly: what the loader knows, and what the engine thread has done of late."""

from __future__ import annotations

from typing import Any

from monica.config import Settings
from monica.synthesis.loader import Loader, Status
from monica.synthesis.scheduler import Scheduler

FAILURES = 3
"""In a row: then something is wrong with more than a sentence."""
BREAKDOWNS = 5
"""Exceptions in a row that no engine should throw: a CUDA context that has failed once fails for ever."""
STUCK_S = {"cuda": 60.0, "mps": 60.0, "cpu": 300.0}
"""What no step of an engine takes: on a slow CPU, long sentences have steps of half a minute."""


class Health:
    """The state of the service. overdue_s: how long takes may be wanted and none end well."""

    def __init__(self, loader: Loader, scheduler: Scheduler, overdue_s: float) -> None:
        self._loader = loader
        self._scheduler = scheduler
        self._overdue_s = overdue_s

    def lost(self, now: float) -> str | None:
        """Say why the engine will not come back by itself; None where it may. now: the scheduler's clock."""
        engine, began = self._loader.chosen, self._scheduler.turn_began
        if engine is not None and began is not None and now - began > STUCK_S[engine.device]:
            return f"The engine has not come back from a step for {now - began:.0f} s."
        breakdowns = self._scheduler.stage.breakdowns_in_a_row
        return f"The engine broke down {breakdowns} times in a row." if breakdowns >= BREAKDOWNS else None

    def report(self, now: float, settings: Settings) -> dict[str, Any]:
        """Say how it all is, for /health. settings: what to name where no engine is chosen yet."""
        loader, scheduler = self._loader, self._scheduler
        engine, success = loader.chosen, scheduler.last_success
        status, reason = self.diagnose(now)
        return {
            "status": str(status),
            "device": engine.device if engine else settings.device,
            "model_loaded": loader.loaded,
            "engine": engine.name if engine else settings.engine,
            "model": engine.model if engine and loader.loaded else None,
            "queue_depth": scheduler.depth(),
            "last_success_s": None if success is None else round(now - success, 1),
            "failures_in_a_row": scheduler.failures_in_a_row,
            "reason": reason,
        }

    def diagnose(self, now: float) -> tuple[Status, str | None]:
        """Return the status, and the reason where it is not `ok`."""
        loader, scheduler = self._loader, self._scheduler
        if loader.status is not Status.OK:
            return loader.status, loader.reason
        lost = self.lost(now)
        if lost is not None:
            return Status.FAILED, lost
        began, wanted = scheduler.turn_began, scheduler.wanted_since
        if began is not None and loader.chosen is not None and now - began > STUCK_S[loader.chosen.device] / 4:
            return Status.DEGRADED, f"The engine has been at one step for {now - began:.0f} s."
        if scheduler.failures_in_a_row >= FAILURES:
            return Status.DEGRADED, f"The last {scheduler.failures_in_a_row} takes failed."
        if wanted is not None and now - wanted > self._overdue_s:
            return Status.DEGRADED, f"Takes are waited for, and none has ended well for {now - wanted:.0f} s."
        return Status.OK, None
