"""What was heard of a take, and where it differs from what should have been said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from monica.listening.comparison import Comparison, Difference
from monica.listening.words import WordKind
from monica.store.hearing import TimedWord


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recogniser understood of a take: once without a hint, and once told what to expect."""

    expected: str
    """What should have been said, in words."""
    free: str | None
    """What was understood without a hint; None if that was no text."""
    told: str
    """What was understood with the expected text as a hint. It finds a wrong number or name, and overhears repeats."""
    free_comparison: Comparison | None
    told_comparison: Comparison
    words: tuple[TimedWord, ...]
    """When each word of `expected` is said; empty if the recogniser cannot tell."""

    @classmethod
    def from_json(cls, written: bytes) -> Heard:
        """Read what the listener's process writes."""
        fields = json.loads(written)
        free = fields.pop("free_comparison")
        told = _read_comparison(fields.pop("told_comparison"))
        words = tuple(TimedWord(**each) for each in fields.pop("words"))
        return cls(**fields, free_comparison=free and _read_comparison(free), told_comparison=told, words=words)


def _read_comparison(fields: dict[str, Any]) -> Comparison:
    differences = tuple(
        Difference(each["said"], each["heard"], WordKind(each["kind"])) for each in fields["differences"]
    )
    return Comparison(differences, fields["run"], fields["distance"])
