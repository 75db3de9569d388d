"""The cache in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from monica.store.phrase import KeptPhrase

MOST_ASKED_FOR = 5
"""How many phrases the statistics name."""


@dataclass(frozen=True, slots=True)
class Share:
    """The phrases of one voice of one engine."""

    engine: str
    voice: str
    entries: int
    """How many phrases."""
    bytes: int
    """Bytes of their sounds."""
    seconds: float
    """Duration of their sounds."""


@dataclass(frozen=True, slots=True)
class Stats:
    """The cache in numbers. The names of the fields are those of the HTTP answer and of `--json`."""

    entries: int
    """How many phrases."""
    bytes: int
    """Bytes of the sounds."""
    volume: int
    """Bytes of the folder, which `limit` bounds."""
    limit: int
    """MONICA_CACHE_MB, in bytes."""
    seconds: float
    """Duration of the sounds."""
    hits: int
    pinned: int
    """How many phrases are pinned."""
    pinned_bytes: int
    """Bytes of their sounds."""
    oldest: float | None
    """When the oldest was made, in seconds since the epoch."""
    newest: float | None
    """When the newest was made, in seconds since the epoch."""
    shares: list[Share]
    most: list[KeptPhrase]
    """The phrases with the most hits, in descending order."""

    @classmethod
    def of(cls, phrases: list[KeptPhrase], volume: int, limit: int) -> Stats:
        """Count phrases. phrases: all that are kept, the newest first."""
        pinned = [phrase for phrase in phrases if phrase.pinned]
        shares: dict[tuple[str, str], list[KeptPhrase]] = {}
        for phrase in phrases:
            shares.setdefault((phrase.engine, phrase.voice), []).append(phrase)
        return cls(
            entries=len(phrases),
            bytes=sum(phrase.size for phrase in phrases),
            volume=volume,
            limit=limit,
            seconds=_seconds(phrases),
            hits=sum(phrase.hits for phrase in phrases),
            pinned=len(pinned),
            pinned_bytes=sum(phrase.size for phrase in pinned),
            oldest=phrases[-1].made if phrases else None,
            newest=phrases[0].made if phrases else None,
            shares=[
                Share(engine, voice, len(some), sum(phrase.size for phrase in some), _seconds(some))
                for (engine, voice), some in sorted(shares.items())
            ],
            most=[phrase for phrase in sorted(phrases, key=lambda each: -each.hits)[:MOST_ASKED_FOR] if phrase.hits],
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"most": [phrase.as_dict() for phrase in self.most]}


def _seconds(phrases: list[KeptPhrase]) -> float:
    return round(sum(phrase.seconds or 0 for phrase in phrases), 2)
