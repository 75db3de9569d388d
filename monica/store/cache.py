"""The two stores on disk: takes and conditionals. Bytes only, never a pickle; a bad entry is a miss."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cachetools import TTLCache
from diskcache import Timeout

from monica import metrics
from monica.errors import ConfigError, MonicaError
from monica.store.disk import PINS, POLICY, BytesDisk, CountedCache

logger = logging.getLogger(__name__)

# What reading or writing can meet: a database that is locked, corrupt or read-only, a file that is gone,
# a full disk, an entry that is not ours (TypeError, ValueError).
_FAULTS = (sqlite3.Error, OSError, Timeout, TypeError, ValueError)


# A phrase that is asked for over and over is answered from memory for a few seconds at a time. Then the disk is
# asked again, so that it knows what is in use, and so that what another process removed there is soon gone here.
RECENT_BYTES = 64 * 2**20
RECENT_SECONDS = 10

_ENTRIES = """
    SELECT key, tag, CASE WHEN filename IS NULL THEN length(value) ELSE size END, store_time, access_time, access_count,
           key IN (SELECT key FROM Pin)
    FROM Cache WHERE raw = 1 AND typeof(key) = 'text' AND typeof(tag) = 'text'
"""
_DIGEST = 64  # characters of a SHA-256


class CacheFault(MonicaError):
    """The cache cannot be read or written just now, or not this entry of it."""

    status, code = 503, "cache_unusable"


class Entry(NamedTuple):
    """What is known of a kept value without reading it.

    label: what `put` was given with it. size: bytes. made, used: seconds since the epoch, when it was put and last
    asked for. hits: how often it was found.
    """

    key: str
    sha256: str
    label: str
    size: int
    made: float
    used: float
    hits: int
    pinned: bool


class Store:
    """Bytes by key, each kept with its SHA-256 and a label.

    What the service calls never raises for a bad disk, but the constructor; what the catalogue calls says so where it
    does.
    """

    def __init__(self, name: str, directory: Path, *, megabytes: int | None = None, visiting: bool = False) -> None:
        """Open or create a store. megabytes: beyond it the least recently used entries go; None: none goes.

        visiting: another process may own it. Nothing is set aside or evicted then, but what has to make room for a put.
        Raises ConfigError where the folder cannot be written or holds something else.
        """
        self._name = name
        self.limit = megabytes * 2**20 if megabytes else None
        """Bytes."""
        self._evictions = metrics.cache_evictions.labels(name)
        self._recent: TTLCache[str, bytes] = TTLCache(RECENT_BYTES, RECENT_SECONDS, getsizeof=len)
        # A look-up on disk writes too: when it was. Threads that meet in SQLite's lock sleep; here they do not.
        self._lock = threading.Lock()
        self._owed: Counter[str] = Counter()  # hits answered from memory that the disk has not heard of
        try:
            self._cache = self._open(directory, visiting)
            self._cache.on_eviction = self._evictions.inc
            if not visiting:
                self._evictions.inc(self._cache.cull())  # the limit may have been lowered
        except (sqlite3.Error, OSError, Timeout) as error:
            raise ConfigError(
                f"MONICA_CACHE_DIR={str(directory.parent)!r} cannot be used ({error}). "
                "Choose a folder that can be written."
            ) from error

    def _open(self, directory: Path, visiting: bool) -> CountedCache:
        def connect() -> CountedCache:
            cache = CountedCache(
                str(directory),
                disk=BytesDisk,
                timeout=5,
                eviction_policy=POLICY if self.limit else "none",
                size_limit=self.limit or 0,
                sqlite_mmap_size=0,  # every thread has a connection, and each would map the whole database
                cull_limit=2,  # entries that may go for one that comes: more than one, or a full store stays over
            )
            cache._sql(PINS)
            return cache

        try:
            return connect()
        except (sqlite3.OperationalError, OSError, Timeout):
            raise  # read-only, no room, no permission: nothing that starting afresh would mend
        except (sqlite3.DatabaseError, TypeError) as error:
            if visiting:
                raise ConfigError(
                    f"The cache is corrupt ({error}); the server sets it aside when it starts."
                ) from error
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
                    self._settle()
                    value, tag = self._cache.get(key, tag=True)
                    if value is not None:
                        _check(value, tag)
                    self._remember(key, value)
                else:
                    self._owed[key] += 1
        except _FAULTS as error:
            self._drop(key, error)
            return None
        if counted:
            metrics.cache_lookups.labels(self._name, "miss" if value is None else "hit").inc()
        return value

    def use(self, key: str) -> bytes | None:
        """Return the bytes kept under `key`, or None, as `get` does: in use, but not asked for, so it is no hit."""
        try:
            with self._lock, self._cache.transact():  # or the file may be replaced before it is read
                value = self.read(key)
                self._cache._sql("UPDATE Cache SET access_time = ? WHERE key = ? AND raw = 1", (time.time(), key))
        except (CacheFault, *_FAULTS) as error:
            self._drop(key, error)
            return None
        return value

    def _drop(self, key: str, error: Exception) -> None:
        logger.warning("cache of %s: entry %.12s cannot be used (%s); it is made again", self._name, key, error)
        metrics.cache_lookups.labels(self._name, "corrupt").inc()
        self.remove(key)

    def _remember(self, key: str, value: bytes | None) -> None:
        self._recent.pop(key, None)
        if value is not None and len(value) <= RECENT_BYTES:
            self._recent[key] = value

    def _settle(self) -> None:
        """Let the disk know how often it was spared."""
        if not self._owed:
            return
        owed, self._owed = self._owed, Counter()
        try:
            with self._cache.transact():
                for key, hits in owed.items():
                    count = "UPDATE Cache SET access_count = access_count + ? WHERE key = ? AND raw = 1"
                    self._cache._sql(count, (hits, key))
        except _FAULTS as error:  # then they stay uncounted; what was asked for is found all the same
            logger.debug("cache of %s: hits cannot be counted (%s)", self._name, error)

    def put(self, key: str, value: bytes, label: str = "") -> bool:
        """Keep bytes and their label under `key`, atomically. Returns whether they are kept; a failure is logged."""
        try:
            digest = hashlib.sha256(value).hexdigest()
            kept = bool(self._cache.set(key, value, tag=f"{digest} {label}" if label else digest))
        except _FAULTS as error:
            logger.error("cache of %s: entry %.12s cannot be kept (%s)", self._name, key, error)
            metrics.cache_write_failures.labels(self._name).inc()
            return False
        with self._lock:
            self._remember(key, value)
        return kept

    def remove(self, key: str) -> bool:
        """Forget an entry; a pin stays. Returns whether it is gone; a failure is logged."""
        try:
            with self._lock:
                self._remember(key, None)
                self._cache.delete(key)
        except _FAULTS as error:
            logger.warning("cache of %s: entry %.12s cannot be removed (%s)", self._name, key, error)
            return False
        return True

    def entries(self) -> list[Entry]:
        """List what is kept, in no order; hits of the last seconds may be missing. Raises CacheFault."""
        with self._spoken():
            rows = self._cache._sql(_ENTRIES).fetchall()
        return [
            Entry(key, tag[:_DIGEST], tag[_DIGEST + 1 :], size, made, used, hits, bool(pinned))
            for key, tag, size, made, used, hits, pinned in rows
        ]

    def read(self, key: str) -> bytes | None:
        """Return the bytes kept under `key`, as if nobody had asked. Raises CacheFault where they are corrupt."""
        with self._spoken(f"entry {key:.12}"):
            rows = self._cache._sql("SELECT mode, filename, value, tag FROM Cache WHERE key = ? AND raw = 1", (key,))
            for mode, filename, kept, tag in rows.fetchall():
                value: bytes = self._cache.disk.fetch(mode, filename, kept, False)
                _check(value, tag)
                return value
        return None

    def pin(self, keys: Iterable[str], pinned: bool = True) -> None:
        """Keep entries from being evicted, or no more, all of them or none. Raises CacheFault."""
        change = "INSERT OR IGNORE INTO Pin VALUES (?)" if pinned else "DELETE FROM Pin WHERE key = ?"
        with self._spoken(), self._cache.transact():
            for key in keys:
                self._cache._sql(change, (key,))

    @contextmanager
    def _spoken(self, what: str = "it") -> Iterator[None]:
        """Raise what a disk can do as CacheFault: for who asked for the disk, and not for a sound."""
        try:
            yield
        except _FAULTS as error:
            reason = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
            raise CacheFault(f"cache of {self._name}: {what} cannot be used ({reason})") from error

    def volume(self) -> int:
        """Bytes on disk; 0 where they cannot be counted."""
        try:
            return int(self._cache.volume())
        except _FAULTS:
            return 0

    def flush(self) -> None:
        """Count the hits of the last seconds."""
        with self._lock:
            self._settle()

    def close(self) -> None:
        self.flush()
        self._cache.close()


def _check(value: Any, tag: Any) -> None:
    # Before there were labels the tag was the digest alone.
    if not isinstance(value, bytes) or hashlib.sha256(value).hexdigest() != str(tag)[:_DIGEST]:
        raise ValueError("its checksum differs")
