"""The state of the service, as /health reports it: what the loader knows, and how the engine thread is doing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from monica.config import Settings
from monica.synthesis.loader import Loader, Status
from monica.synthesis.scheduler import Scheduler
from monica.voices.recording import DEFAULT_VOICE

MAX_FAILURES = 3
"""Failed takes in a row that make the service degraded: then more than one sentence is wrong."""
MAX_BREAKDOWNS = 5
"""Exceptions in a row, of kinds no engine should raise, that make it lost: a broken CUDA context stays broken."""
STUCK_S = {"cuda": 60.0, "mps": 60.0, "cpu": 300.0}
"""Duration of a step, by device, after which it counts as stuck; that of finishing a take, too. On a slow CPU a long
sentence has steps of 30 s."""


class Health:
    """Reports the state of the service, and never waits for the engine.

    fallback: name of the engine that may stand in. cache_outage: returns why a cache cannot be written, or None.
    shared_store: returns its state, or None if there is none. It degrades nothing: takes are made and kept here.
    """

    def __init__(
        self,
        settings: Settings,
        loader: Loader,
        scheduler: Scheduler,
        fallback: str | None = None,
        cache_outage: Callable[[], str | None] = lambda: None,
        shared_store: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._loader = loader
        self._scheduler = scheduler
        self._fallback = fallback
        self._cache_outage = cache_outage
        self._shared_store = shared_store
        self._overdue_s = 2 * settings.deadline_s
        self._began = time.monotonic()

    def report(self) -> dict[str, Any]:
        """Return the body of /health."""
        now, loader, scheduler = time.monotonic(), self._loader, self._scheduler
        engine, success = loader.chosen, scheduler.last_success
        status, reason = self.diagnose(now)
        return {
            "status": str(status),
            "device": self.device,
            "model_loaded": loader.loaded,
            "engine": self.engine,
            "model": engine.model if engine and loader.loaded else None,
            "queue_depth": scheduler.depth(),
            "last_success_s": None if success is None else round(now - success, 1),
            "failures_in_a_row": scheduler.failures_in_a_row,
            "reason": reason,
            "voice": DEFAULT_VOICE,
            "fallback": self._fallback,
            "shared_store": self._shared_store(),
            "uptime_s": round(now - self._began, 1),
        }

    def brief(self) -> dict[str, Any]:
        """Return the status, the reason if it is not `ok`, and the name of the engine."""
        status, reason = self.diagnose(time.monotonic())
        return {"status": str(status), "reason": reason, "engine": self.engine}

    @property
    def engine(self) -> str:
        """The name of the engine; what the settings ask for until it is chosen."""
        engine = self._loader.chosen
        return engine.name if engine else self._settings.engine

    @property
    def device(self) -> str:
        """What the engine computes on; what the settings ask for until it is chosen."""
        engine = self._loader.chosen
        return engine.device if engine else self._settings.device

    def lost(self, now: float) -> str | None:
        """Return why the engine will not recover by itself; None if it may. now: the scheduler's clock."""
        device_lost = self._loader.device_lost or self._scheduler.settling.device_lost
        if device_lost is not None:
            return device_lost
        step_s, job_s, stuck_s = self._times(now)
        if step_s > stuck_s:
            return f"The engine has not come back from a step for {step_s:.0f} s."
        if job_s > stuck_s:
            return f"A take that was made has not been finished and kept for {job_s:.0f} s."
        breakdowns = self._scheduler.settling.breakdowns_in_a_row
        return f"The engine broke down {breakdowns} times in a row." if breakdowns >= MAX_BREAKDOWNS else None

    def _times(self, now: float) -> tuple[float, float, float]:
        """Return how long the engine has been at a step, and finishing at a job, and when either counts as stuck."""
        engine, scheduler = self._loader.chosen, self._scheduler
        if engine is None:
            return 0.0, 0.0, math.inf
        step_began, job_began = scheduler.turn_began, scheduler.finishing.job_began
        return (
            0.0 if step_began is None else now - step_began,
            0.0 if job_began is None else now - job_began,
            STUCK_S[engine.device],
        )

    def diagnose(self, now: float) -> tuple[Status, str | None]:
        """Return the status, and the reason if it is not `ok`."""
        loader, scheduler = self._loader, self._scheduler
        if loader.status is not Status.OK:
            return loader.status, loader.reason
        lost = self.lost(now)
        if lost is not None:
            return Status.FAILED, lost
        step_s, job_s, stuck_s = self._times(now)
        if step_s > stuck_s / 4:
            return Status.DEGRADED, f"The engine has been at one step for {step_s:.0f} s."
        if job_s > stuck_s / 4:
            return Status.DEGRADED, f"A take has been made, and not finished and kept for {job_s:.0f} s."
        wanted = scheduler.wanted_since
        if scheduler.failures_in_a_row >= MAX_FAILURES:
            return Status.DEGRADED, f"The last {scheduler.failures_in_a_row} takes failed."
        if wanted is not None and now - wanted > self._overdue_s:
            return Status.DEGRADED, f"Takes are waited for, and none has ended well for {now - wanted:.0f} s."
        outage = self._cache_outage()
        if outage is not None:
            return Status.DEGRADED, f"Sounds are made but not kept: the cache cannot be written ({outage})."
        return Status.OK, None
