"""What a siege has counted so far, in a file, so that it can be laid in pieces."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path

EXPLAINED = (503, 504, 507)
"""Busy, late, or out of room: the 5xx that a client is told to expect."""
MOST_FAULTS = 40


@dataclass
class Tally:
    """Counts, from any thread."""

    pieces: int = 0
    """How many times the siege was resumed."""
    seconds: float = 0
    requests: int = 0
    """Requests sent, whether or not they could be answered."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Answers by status, and requests without one by the reason."""
    kills: Counter[str] = field(default_factory=Counter)
    """kill -9, by what was killed."""
    fills: int = 0
    """How often the disk was filled."""
    clocks: int = 0
    """How often the clock was moved."""
    verified: int = 0
    """Kept sounds that were read and compared with their checksums."""
    bad: int = 0
    """Kept sounds whose bytes did not match."""
    slowest: float = 0
    """Seconds until the slowest answer, of a server that was not killed meanwhile."""
    slow: str = ""
    """What was asked for then."""
    recovery: float = 0
    """Seconds from a kill until /health was 200 again, at most."""
    threads: int = 0
    handles: int = 0
    memory: float = 0
    """MiB, each the most of any worker."""
    growth: float = 0
    """MiB from ten seconds after the start of the worker that lived longest until its end."""
    longest: float = 0
    """Seconds that worker lived."""
    faulty: int = 0
    """How often something happened that must not."""
    faults: list[str] = field(default_factory=list)
    """The first of those."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def note(self, outcome: str, seconds: float = 0, fault: str = "", asked: str = "") -> None:
        """Count one request. asked: what it was, in short."""
        with self._lock:
            self.requests += 1
            self.statuses[outcome] += 1
            if seconds > self.slowest:
                self.slowest, self.slow = seconds, f"{outcome} to {asked}"
        if fault:
            self.fault(fault)

    def fault(self, what: str) -> None:
        with self._lock:
            self.faulty += 1
            if len(self.faults) < MOST_FAULTS:
                self.faults.append(what)

    @property
    def unexplained(self) -> int:
        """How many answers were 5xx and not in EXPLAINED."""
        return sum(n for s, n in self.statuses.items() if s.startswith("5") and int(s) not in EXPLAINED)

    @classmethod
    def load(cls, path: Path) -> Tally:
        if not path.exists():
            return cls()
        found = json.loads(path.read_text())
        for name in ("statuses", "kills"):
            found[name] = Counter(found[name])
        return cls(**found)

    def save(self, path: Path) -> None:
        with self._lock:
            part = path.with_suffix(".part")
            part.write_text(json.dumps({each.name: getattr(self, each.name) for each in fields(self)}, indent=1))
            part.replace(path)

    def table(self) -> str:
        """Return the whole tally as a table."""
        answers = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        rows = {
            "requests": f"{self.requests}, in {self.seconds / 60:.0f} minutes and {self.pieces} pieces",
            "answers": answers,
            "kill -9": ", ".join(f"{count} of the {what}" for what, count in sorted(self.kills.items())) or "none",
            "disk filled and freed": f"{self.fills} times",
            "clock moved": f"{self.clocks} times",
            "5xx that are not 503, 504 or 507": self.unexplained,
            "kept sounds read, and with wrong bytes": f"{self.verified}, {self.bad}",
            "slowest answer": f"{self.slowest:.1f} s, {self.slow}",
            "slowest recovery from a kill": f"{self.recovery:.1f} s",
            "most threads, handles, memory": f"{self.threads}, {self.handles}, {self.memory:.0f} MiB",
            "memory over the longest life": f"{self.growth:+.1f} MiB from its 10th second to its {self.longest:.0f}th",
            "faults": self.faulty,
        }
        return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])
