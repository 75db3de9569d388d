"""The plan of a tournament: its levels one after the other, and the marks at which something is said of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from typing import Any


class Kind(StrEnum):
    """What is said at a mark."""

    LEVEL_UP = "level_up"
    WARNING = "warning"

    @property
    def patience_s(self) -> float:
        """How late it may still be said. A level lasts, but "in one minute" is soon wrong."""
        return 60.0 if self is Kind.LEVEL_UP else 10.0


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the tournament."""

    name: str
    """What people call it, as its number."""
    duration_s: float
    text: str
    """What is said when it begins."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said some time before each level but the first."""

    before_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment at which something is said."""

    at_s: float
    """Seconds since the tournament began."""
    kind: Kind
    text: str


@dataclass(frozen=True)
class Plan:
    """Levels with at least one among them, and what is said of them."""

    id: str
    levels: tuple[Level, ...]
    warnings: tuple[Notice, ...] = ()
    chime: str | None = None
    """The chime before each announcement, by name."""

    @cached_property
    def starts(self) -> tuple[float, ...]:
        """When each level begins, and at last when the tournament is over. Seconds since it began."""
        return tuple(accumulate((level.duration_s for level in self.levels), initial=0.0))

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """All marks in the order of time. A warning that would fall before the level it is given in is left out."""
        marks = []
        for number, level in enumerate(self.levels):
            start = self.starts[number]
            marks.append(Mark(start, Kind.LEVEL_UP, level.text))
            for warning in self.warnings:
                if number and start - warning.before_s > self.starts[number - 1]:
                    marks.append(Mark(start - warning.before_s, Kind.WARNING, warning.text))
        return tuple(sorted(marks, key=lambda mark: mark.at_s))

    def level_at(self, position_s: float) -> int:
        """Return which level it is, counted from 0. After the last one it stays the last one."""
        later = sum(1 for start in self.starts[:-1] if start <= position_s)
        return max(0, later - 1)

    def first_mark(self, position_s: float) -> int:
        """Return the index of the first mark at or after a position."""
        return sum(1 for mark in self.marks if mark.at_s < position_s)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON, for the disk."""
        return {
            "id": self.id,
            "levels": [asdict(level) for level in self.levels],
            "warnings": [asdict(warning) for warning in self.warnings],
            "chime": self.chime,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Plan:
        """Return what `as_dict` was made of. Raises TypeError, ValueError or KeyError if it is anything else."""
        levels = tuple(Level(**level) for level in fields["levels"])
        if not levels or not all(level.duration_s > 0 for level in levels):
            raise ValueError("a plan has levels, and each lasts")
        return cls(fields["id"], levels, tuple(Notice(**each) for each in fields["warnings"]), fields["chime"])
