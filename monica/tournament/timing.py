"""Where a tournament is: reckoned on a counter that no one can set, and across restarts."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux; elsewhere a restart is bridged by the time of day


def _read_boot() -> str:
    with suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""


def _steady() -> float:
    # Linux's CLOCK_MONOTONIC stands still while a laptop sleeps. The tournament does not.
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


@dataclass(frozen=True, slots=True)
class Counters:
    """The clocks of this machine."""

    steady: Callable[[], float] = _steady
    """Seconds that never go back, and mean the same to every process until the machine boots again."""
    now: Callable[[], float] = time.time
    """Seconds since the epoch. A person or the network may set it."""
    boot: Callable[[], str] = _read_boot
    """Which run of the machine this is; empty if that is not known."""


@dataclass(frozen=True, slots=True)
class Timing:
    """A position in the tournament, when it was noted, and whether it has gone on since."""

    position_s: float
    running: bool
    steady: float
    now: float
    boot: str

    @classmethod
    def note(cls, position_s: float, running: bool, counters: Counters) -> Timing:
        """Note a position."""
        return cls(position_s, running, counters.steady(), counters.now(), counters.boot())

    def position(self, steady: float) -> float:
        """Return the position by the steady clock, on which it was noted."""
        return self.position_s + (max(0.0, steady - self.steady) if self.running else 0.0)

    def taken_over(self, counters: Counters) -> Timing:
        """Return it for this process, if an earlier one has noted it.

        Until the machine boots again the steady clock tells how long ago that was. Otherwise the time of day does, and
        one that has been set back counts as no time at all.
        """
        if self.boot and self.boot == counters.boot() and counters.steady() >= self.steady:
            return self
        passed = max(0.0, counters.now() - self.now) if self.running else 0.0
        return Timing.note(self.position_s + passed, self.running, counters)
