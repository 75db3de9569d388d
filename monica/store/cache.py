"""A store on disk: of takes, conditionals or encodings. Bytes only, never a pickle; a corrupt sound is a miss."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monica import metrics
from monica.errors import ConfigError, MonicaError
from monica.store.disk import PinningCache, open_cache
from monica.store.outage import DISK_ERRORS, Outage, describe, is_full
from monica.store.phrase import DIGEST_CHARACTERS, IS_PHRASE, SELECT_PHRASES, KeptPhrase
from monica.store.recent import Recent

logger = logging.getLogger(__name__)

# What reading or writing can raise: what the disk can, and a row that is not ours (TypeError, ValueError).
_DISK_ERRORS = (*DISK_ERRORS, TypeError, ValueError)

_PROBE = "probe"
"""The key of what is written to see whether it can be."""


class CacheError(MonicaError):
    """The cache, or one sound in it, cannot be read or written."""

    status, code = 503, "cache_unusable"


class Store:
    """Bytes by key, each kept with its SHA-256 and metadata.

    Apart from the constructor, what the service calls never raises for a bad disk. What the catalogue calls raises
    CacheError, and says so.
    """

    def __init__(self, name: str, directory: Path, *, megabytes: int | None = None, visiting: bool = False) -> None:
        """Open or create a store.

        megabytes: the limit beyond which the least recently used go; None for no limit. visiting: another process may
        own the folder. Nothing is set aside then, and nothing is evicted except to make room for a put.
        Raises ConfigError if the folder cannot be written or holds something else. A full disk is no such error unless
        `visiting`: nothing is kept then, `outage` says so, and the store is opened once there is room.
        """
        self._name = name
        self.limit = megabytes * 2**20 if megabytes else None
        """In bytes."""
        self._evictions = metrics.cache_evictions.labels(name)
        self._recent = Recent()
        # A look-up on disk also writes when it was made. Threads that meet in SQLite's lock sleep and poll; here they
        # wait for each other.
        self._lock = threading.Lock()
        self._directory, self._visiting = directory, visiting
        self._opened: PinningCache | None = None
        self.outage = Outage(name, self._probe)
        try:
            self._open()
        except DISK_ERRORS as error:
            full = is_full(error, directory)
            if full and not visiting:
                logger.error("cache of %s: it cannot be opened, so nothing is kept (%s)", name, describe(error))
                self.outage.begin(error)
                return
            advice = "The disk is full: make room." if full else "Choose a folder that can be written."
            raise ConfigError(
                f"MONICA_CACHE_DIR={str(directory.parent)!r} cannot be used ({error}). {advice}"
            ) from error

    def _open(self) -> PinningCache:
        if self._opened is None:
            cache = open_cache(self._name, self._directory, self.limit, self._visiting)
            cache.on_eviction = self._evictions.inc
            if not self._visiting:
                self._evictions.inc(cache.cull())  # the limit may have been lowered
            self._opened = cache
        return self._opened

    @property
    def _cache(self) -> PinningCache:
        """The open cache. Raises OSError as long as the disk is too full to open it."""
        if self._opened is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._opened

    def _probe(self, size: int) -> None:
        """Write that many bytes and remove them again. Raises what a disk can raise."""
        cache = self._open()
        cache.set(_PROBE, bytes(size))  # without a tag, which every phrase has: it is never listed
        cache.delete(_PROBE)

    def get(self, key: str, *, in_metrics: bool = True) -> bytes | None:
        """Return the bytes kept under `key`, and count a hit; None if there are none. Corrupt bytes are removed.

        in_metrics: whether the look-up shows in the metrics.
        """
        try:
            with self._lock:
                value = self._recent.get(key)
                if value is None:
                    self._write_hits()
                    value, tag = self._cache.get(key, tag=True)
                    if value is not None:
                        _check(value, tag)
                    self._recent.remember(key, value)
                else:
                    self._recent.count_hit(key)
        except _DISK_ERRORS as error:
            value = self._read_anyway(key, error)
        if in_metrics:
            metrics.cache_lookups.labels(self._name, "miss" if value is None else "hit").inc()
        return value

    def get_recent(self, key: str, size: int) -> bytes | None:
        """Return the bytes as `get` does if they are in memory and of that size, else None, which counts as nothing."""
        with self._lock:
            value = self._recent.get(key)
            if value is None or len(value) != size:
                return None
            self._recent.count_hit(key)
        metrics.cache_lookups.labels(self._name, "hit").inc()
        return value

    def get_without_hit(self, key: str) -> bytes | None:
        """Return the bytes as `get` does, and mark them as used, but count no hit: no one asked to hear them."""
        try:
            with self._lock, self._cache.transact():  # or the file could be replaced before it is read
                value = self.peek(key)
                used = "UPDATE Cache SET access_time = ? WHERE key = ? AND raw = 1"
                self._cache.execute(used, (time.time(), key))
        except (CacheError, *_DISK_ERRORS) as error:
            return self._read_anyway(key, error)
        return value

    def peek(self, key: str) -> bytes | None:
        """Return the bytes as if they had not been asked for: neither a hit nor a use. Raises CacheError if corrupt."""
        with self._raising(f"phrase {key:.12}"):
            select = "SELECT mode, filename, value, tag FROM Cache WHERE key = ? AND raw = 1"
            for mode, filename, kept, tag in self._cache.execute(select, (key,)).fetchall():
                value: bytes = self._cache.disk.fetch(mode, filename, kept, False)
                _check(value, tag)
                return value
        return None

    def _read_anyway(self, key: str, error: Exception) -> bytes | None:
        """Return the bytes although their use cannot be noted, as on a full disk. Corrupt bytes are removed."""
        if self._opened is None:
            return None
        try:
            return self.peek(key)
        except CacheError:
            self._drop(key, error)
            return None

    def _drop(self, key: str, error: Exception) -> None:
        logger.warning("cache of %s: %.12s cannot be used (%s); it is made again", self._name, key, error)
        metrics.cache_lookups.labels(self._name, "corrupt").inc()
        self.remove(key)

    def _write_hits(self) -> None:
        """Write the hits that were answered from memory to the disk."""
        hits_of = self._recent.take_hits()
        if not hits_of:
            return
        try:
            with self._cache.transact():
                for key, hits in hits_of.items():
                    count = "UPDATE Cache SET access_count = access_count + ? WHERE key = ? AND raw = 1"
                    self._cache.execute(count, (hits, key))
        except _DISK_ERRORS as error:  # then they stay uncounted; the look-up goes on all the same
            logger.debug("cache of %s: hits cannot be counted (%s)", self._name, error)

    def put(self, key: str, value: bytes, metadata: str = "") -> bool:
        """Keep bytes and their metadata under `key`, atomically. Returns whether they are kept; a failure is logged."""
        try:
            digest = hashlib.sha256(value).hexdigest()
            kept = bool(self._cache.set(key, value, tag=f"{digest} {metadata}" if metadata else digest))
        except _DISK_ERRORS as error:
            logger.error("cache of %s: %.12s cannot be kept (%s)", self._name, key, error)
            metrics.cache_write_failures.labels(self._name).inc()
            if isinstance(error, DISK_ERRORS):
                self.outage.begin(error, len(value))
            return False
        with self._lock:
            self._recent.remember(key, value)
        return kept

    def remove(self, key: str) -> bool:
        """Forget what is kept under `key`; a pin stays. Returns whether it is gone; a failure is logged."""
        try:
            with self._lock:
                self._recent.remember(key, None)
                self._cache.delete(key)
        except _DISK_ERRORS as error:
            logger.warning("cache of %s: %.12s cannot be removed (%s)", self._name, key, error)
            return False
        return True

    def phrases(self, keys: Iterable[str] | None = None) -> list[KeptPhrase]:
        """List what is kept, in no order: all of it, or what is kept under `keys`. Raises CacheError.

        Hits of the last seconds may be missing.
        """
        if keys is None:
            rows = self.select(SELECT_PHRASES)
        else:
            rows = [row for key in keys for row in self.select(f"{SELECT_PHRASES} AND key = ?", (key,))]
        return [KeptPhrase.from_row(*row) for row in rows]

    def keys(self) -> list[str]:
        """List the keys of `phrases`, in no order. Raises CacheError."""
        return [key for (key,) in self.select(f"SELECT key FROM Cache WHERE {IS_PHRASE}")]  # noqa: S608

    def select(self, query: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Run a query that only reads. Raises CacheError."""
        with self._raising():
            rows: list[tuple[Any, ...]] = self._cache.execute(query, parameters).fetchall()
        return rows

    def metadata_of(self, key: str) -> str:
        """Return the metadata of what is kept under `key`, whatever it is; empty if there is none to be read."""
        try:
            return "".join(phrase.metadata_json for phrase in self.phrases([key]))
        except CacheError:
            return ""

    def pin(self, keys: Iterable[str], pinned: bool = True) -> None:
        """Keep phrases from being evicted, or allow it again: all of them or none. Raises CacheError."""
        change = "INSERT OR IGNORE INTO Pin VALUES (?)" if pinned else "DELETE FROM Pin WHERE key = ?"
        with self._raising(), self._cache.transact():
            for key in keys:
                self._cache.execute(change, (key,))

    def database_version(self) -> int:
        """Return the number that `rename_keys` wrote last; 0 at first. Raises CacheError."""
        with self._raising():
            return int(self._cache.execute("PRAGMA user_version").fetchone()[0])

    def rename_keys(self, new_keys: Mapping[str, str], version: int) -> int:
        """Rename phrases and their pins, and note the version of the database, in one transaction. Raises CacheError.

        new_keys: by their old keys. If a phrase is kept under both, the one under the new key stays: it is the newer.
        Does nothing if the database has that version already. Returns how many were renamed.
        """
        superseded = []
        with self._raising(), self._cache.transact():
            if self.database_version() >= version:
                return 0
            pinned = {key for (key,) in self._cache.execute("SELECT key FROM Pin")}
            for old, new in new_keys.items():
                rename = "UPDATE OR IGNORE Cache SET key = ? WHERE key = ? AND raw = 1"
                if self._cache.execute(rename, (new, old)).rowcount == 0:
                    superseded.append(old)
                if old in pinned:
                    self._cache.execute("INSERT OR IGNORE INTO Pin VALUES (?)", (new,))
                    self._cache.execute("DELETE FROM Pin WHERE key = ?", (old,))
            self._cache.execute(f"PRAGMA user_version = {version:d}")
        for old in superseded:
            self.remove(old)
        return len(new_keys) - len(superseded)

    @contextmanager
    def _raising(self, what: str = "it") -> Iterator[None]:
        """Raise what a disk can raise as CacheError: for callers that want to know about the disk, not just a sound."""
        try:
            yield
        except _DISK_ERRORS as error:
            raise CacheError(f"cache of {self._name}: {what} cannot be used ({describe(error)})") from error

    def volume(self) -> int:
        """Return the bytes on disk; 0 if they cannot be counted."""
        try:
            return int(self._cache.volume())
        except _DISK_ERRORS:
            return 0

    def flush(self) -> None:
        """Count the hits of the last seconds on disk."""
        with self._lock:
            self._write_hits()

    def close(self) -> None:
        self.outage.close()
        if self._opened is not None:
            self.flush()
            self._opened.close()


def _check(value: Any, tag: Any) -> None:
    # Before there was metadata the tag was the digest alone.
    if not isinstance(value, bytes) or hashlib.sha256(value).hexdigest() != str(tag)[:DIGEST_CHARACTERS]:
        raise ValueError("its checksum differs")
