"""The two stores on disk: takes and conditionals. Bytes only, never a pickle; a bad entry is a miss."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from cachetools import TTLCache
from diskcache import Cache, Disk, Timeout
from diskcache.core import MODE_BINARY, MODE_RAW

from monica import metrics
from monica.errors import ConfigError

logger = logging.getLogger(__name__)

# What reading or writing can meet: a database that is locked, corrupt or read-only, a file that is gone,
# a full disk, an entry that is not ours (TypeError, ValueError).
_FAULTS = (sqlite3.Error, OSError, Timeout, TypeError, ValueError)


# A phrase that is asked for over and over is answered from memory for a few seconds at a time. Then the disk is
# asked again, so that it knows what is in use, and so that what another process removed there is soon gone here.
RECENT_BYTES = 64 * 2**20
RECENT_SECONDS = 10


class BytesDisk(Disk):  # type: ignore[misc]
    """A diskcache Disk that never pickles nor unpickles: whoever can write to the folder must not run code."""

    def put(self, key: Any) -> tuple[Any, bool]:
        if not isinstance(key, str):
            raise TypeError(f"a key is text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> Any:
        if not raw:
            raise TypeError("a pickled key is refused")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> Any:
        if not isinstance(value, bytes) or read:
            raise TypeError(f"a value is bytes, not {type(value).__name__}")
        return super().store(value, read, key)

    def _write(self, full_path: str, *args: Any, **kwargs: Any) -> None:
        try:
            super()._write(full_path, *args, **kwargs)
        except OSError:
            Path(full_path).unlink(missing_ok=True)  # a full disk is not filled with halves of entries
            raise

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode not in (MODE_RAW, MODE_BINARY) or read:
            raise TypeError("an entry that is not bytes is refused")
        return super().fetch(mode, filename, value, read)


class Store:
    """Bytes by key, each kept with its SHA-256. No method but the constructor ever raises for a bad disk."""

    def __init__(self, name: str, directory: Path, *, megabytes: int | None = None) -> None:
        """Open or create a store. megabytes: beyond it the least recently used entries go; None: none goes.

        Raises ConfigError where the folder cannot be written or holds something else.
        """
        self._name = name
        self._recent: TTLCache[str, bytes] = TTLCache(RECENT_BYTES, RECENT_SECONDS, getsizeof=len)
        # A look-up on disk writes too: when it was. Threads that meet in SQLite's lock sleep; here they do not.
        self._lock = threading.Lock()
        try:
            self._cache = self._open(directory, megabytes)
            self._cache.cull()  # the limit may have been lowered
        except (sqlite3.Error, OSError, Timeout) as error:
            raise ConfigError(
                f"MONICA_CACHE_DIR={str(directory.parent)!r} cannot be used ({error}). "
                "Choose a folder that can be written."
            ) from error

    def _open(self, directory: Path, megabytes: int | None) -> Cache:
        def connect() -> Cache:
            return Cache(
                str(directory),
                disk=BytesDisk,
                timeout=5,
                eviction_policy="least-recently-used" if megabytes else "none",
                size_limit=(megabytes or 0) * 2**20,
                cull_limit=2,  # entries that may go for one that comes: more than one, or a full store stays over
            )

        try:
            return connect()
        except (sqlite3.OperationalError, OSError, Timeout):
            raise  # read-only, no room, no permission: nothing that starting afresh would mend
        except (sqlite3.DatabaseError, TypeError) as error:
            aside = directory.with_name(f"{directory.name}.corrupt-{time.time():.0f}")
            directory.rename(aside)
            logger.error("cache of %s: corrupt (%s); set aside as %s, starting afresh", self._name, error, aside.name)
            return connect()

    def get(self, key: str, *, counted: bool = True) -> bytes | None:
        """Return the bytes kept under `key`, or None; an entry that is corrupt is removed.

        counted: whether the look-up shows in the metrics.
        """
        try:
            with self._lock:
                value = self._recent.get(key)
                if value is None:
                    value, digest = self._cache.get(key, tag=True)
                    if value is not None and hashlib.sha256(value).hexdigest() != digest:
                        raise ValueError("its checksum differs")
                    self._remember(key, value)
        except _FAULTS as error:
            logger.warning("cache of %s: entry %.12s cannot be used (%s); it is made again", self._name, key, error)
            metrics.cache_lookups.labels(self._name, "corrupt").inc()
            self.remove(key)
            return None
        if counted:
            metrics.cache_lookups.labels(self._name, "miss" if value is None else "hit").inc()
        return value

    def _remember(self, key: str, value: bytes | None) -> None:
        self._recent.pop(key, None)
        if value is not None and len(value) <= RECENT_BYTES:
            self._recent[key] = value

    def put(self, key: str, value: bytes) -> bool:
        """Keep bytes under `key`, atomically. Returns whether they are kept; a failure is logged."""
        try:
            kept = bool(self._cache.set(key, value, tag=hashlib.sha256(value).hexdigest()))
        except _FAULTS as error:
            logger.error("cache of %s: entry %.12s cannot be kept (%s)", self._name, key, error)
            metrics.cache_write_failures.labels(self._name).inc()
            return False
        with self._lock:
            self._remember(key, value)
        return kept

    def remove(self, key: str) -> None:
        try:
            with self._lock:
                self._remember(key, None)
                self._cache.delete(key)
        except _FAULTS as error:
            logger.warning("cache of %s: entry %.12s cannot be removed (%s)", self._name, key, error)

    def volume(self) -> int:
        """Bytes on disk; 0 where they cannot be counted."""
        try:
            return int(self._cache.volume())
        except _FAULTS:
            return 0

    def close(self) -> None:
        self._cache.close()
