"""Takes of a phrase that were not certainly good, side by side, until a person has chosen one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monica.errors import MonicaError
from monica.store.cache import Store
from monica.store.metadata import Metadata
from monica.store.phrase import KeptPhrase

MEGABYTES = 512
"""The limit of the store: two thousand takes of five seconds."""
_SEPARATOR = "-"


class UnknownTake(MonicaError):
    """A phrase has no such take set aside."""

    status, code = 404, "take_unknown"


@dataclass(frozen=True, slots=True)
class SideTake:
    """A take that was set aside."""

    key: str
    """The phrase's."""
    number: int
    """From 1, in the order they were made."""
    sha256: str
    metadata: Metadata


class SideTakes:
    """The takes set aside. It is safe beside a server that uses the same folder."""

    def __init__(self, cache_dir: Path, *, visiting: bool = False) -> None:
        """visiting: another process may own the folder. Raises ConfigError if it cannot be used."""
        self._store = Store("side_takes", cache_dir / "side_takes", megabytes=MEGABYTES, visiting=visiting)

    def put(self, key: str, number: int, sound: bytes, metadata: Metadata) -> bool:
        """Set a take aside. Returns whether it is kept; a failure is logged."""
        return self._store.put(f"{key}{_SEPARATOR}{number}", sound, metadata.to_json())

    def all(self) -> dict[str, list[SideTake]]:
        """Return the takes by the keys of their phrases. Raises CacheError."""
        found: dict[str, list[SideTake]] = {}
        for kept in self._store.phrases():
            take = _read(kept)
            if take is not None:
                found.setdefault(take.key, []).append(take)
        return {key: sorted(takes, key=lambda take: take.number) for key, takes in found.items()}

    def sound(self, key: str, number: int) -> bytes:
        """Return the WAV of a take. Raises UnknownTake or CacheError."""
        sound = self._store.peek(f"{key}{_SEPARATOR}{number}")
        if sound is None:
            raise UnknownTake(f"Phrase {key:.12} has no take {number} set aside.", param="number")
        return sound

    def forget(self, key: str) -> None:
        """Remove the takes of a phrase."""
        for take in self.all().get(key, ()):
            self._store.remove(f"{key}{_SEPARATOR}{take.number}")

    def close(self) -> None:
        self._store.close()


def _read(kept: KeptPhrase) -> SideTake | None:
    """Read what the store holds. None if it is not what `put` wrote."""
    key, _, number = kept.key.rpartition(_SEPARATOR)
    try:
        return SideTake(key, int(number), kept.sha256, kept.metadata())
    except ValueError:
        return None
