"""The takes of a phrase side by side, until a person has chosen one."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from monica.errors import MonicaError
from monica.store.cache import Store
from monica.store.metadata import Metadata
from monica.store.phrase import KEY_CHARACTERS, SELECT_PHRASES, KeptPhrase

MEGABYTES = 512
"""The limit of the store: two thousand takes of five seconds."""
_SEPARATOR, _AFTER_IT = "-", "."


class UnknownTake(MonicaError):
    """A phrase has no such take."""

    status, code = 404, "take_unknown"


@dataclass(frozen=True, slots=True)
class SideTake:
    """A take of a phrase. The kept one may be among them."""

    key: str
    """The phrase's."""
    number: int
    """From 1, in the order they were made."""
    sha256: str
    metadata: Metadata


class SideTakes:
    """The takes set aside. It is safe beside a server that uses the same folder. Every method raises CacheError."""

    def __init__(self, cache_dir: Path, *, visiting: bool = False) -> None:
        """visiting: another process may own the folder. Raises ConfigError if it cannot be used."""
        self._store = Store("side_takes", cache_dir / "side_takes", megabytes=MEGABYTES, visiting=visiting)
        self._lock = threading.Lock()  # two takes made at once must not have one number

    def add(self, key: str, sound: bytes, metadata: Metadata) -> bool:
        """Set a take aside, as the last one of its phrase. Returns whether it is kept; a failure is logged."""
        with self._lock:
            number = max((take.number for take in self.of(key)), default=0) + 1
            return self._store.put(f"{key}{_SEPARATOR}{number}", sound, metadata.to_json())

    def all(self) -> dict[str, list[SideTake]]:
        """Return the takes by the keys of their phrases, in the order they were made."""
        return _by_phrase(self._store.phrases())

    def of(self, key: str) -> list[SideTake]:
        """Return the takes of a phrase, in the order they were made."""
        return self._with(key + _SEPARATOR, key + _AFTER_IT).get(key, [])

    def keys_with(self, prefix: str) -> list[str]:
        """Return the keys of the phrases that begin so and have takes."""
        return list(self._with(prefix.lower(), prefix.lower() + chr(0x10FFFF)))

    def sound(self, key: str, number: int) -> bytes:
        """Return the WAV of a take. Raises UnknownTake."""
        sound = self._store.peek(f"{key}{_SEPARATOR}{number}")
        if sound is None:
            raise UnknownTake(f"Phrase {key:.12} has no take {number}.", param="take")
        return sound

    def forget(self, key: str) -> None:
        """Remove the takes of a phrase."""
        for take in self.of(key):
            self._store.remove(f"{key}{_SEPARATOR}{take.number}")

    def close(self) -> None:
        self._store.close()

    def _with(self, first: str, end: str) -> dict[str, list[SideTake]]:
        rows = self._store.select(f"{SELECT_PHRASES} AND key >= ? AND key < ?", (first, end))
        return _by_phrase([KeptPhrase.from_row(*row) for row in rows])


def _by_phrase(kept: list[KeptPhrase]) -> dict[str, list[SideTake]]:
    found: dict[str, list[SideTake]] = {}
    for take in filter(None, map(_read, kept)):
        found.setdefault(take.key, []).append(take)
    return {key: sorted(takes, key=lambda take: take.number) for key, takes in found.items()}


def _read(kept: KeptPhrase) -> SideTake | None:
    """Read what the store holds. None if it is not what `add` wrote."""
    key, _, number = kept.key.rpartition(_SEPARATOR)
    try:
        return SideTake(key, int(number), kept.sha256, kept.metadata()) if len(key) == KEY_CHARACTERS else None
    except ValueError:
        return None
