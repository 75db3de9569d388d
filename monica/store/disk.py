"""diskcache as Monica needs it: bytes only, never a pickle; hits counted, evictions reported, pinned phrases kept.

Everything that reaches into diskcache's private parts is in this file.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diskcache import EVICTION_POLICY, Cache, Disk, Timeout
from diskcache.core import MODE_BINARY, MODE_RAW

from monica.errors import ConfigError

logger = logging.getLogger(__name__)

# Pins have a table of their own: a pin outlives the take it was made for, so that a phrase that is made again is still
# pinned.
_CREATE_PINS = "CREATE TABLE IF NOT EXISTS Pin (key TEXT PRIMARY KEY) WITHOUT ROWID"

PAGES = 256
"""Pages of 4 KiB that a connection may keep in memory. Every thread has a connection; diskcache's default is 32 MiB."""

# diskcache looks policies up in this table and has no other way to add one. This one spares pinned phrases, and counts
# hits. It asks for the time: diskcache would write {now} into the statement, so that each hit were a new one, of which
# every connection keeps the last 128 prepared, in 7 KB each.
POLICY = "least-recently-used-not-pinned"
EVICTION_POLICY[POLICY] = {
    "init": EVICTION_POLICY["least-recently-used"]["init"],
    "get": "access_time = now_s(), access_count = access_count + 1",
    "cull": "SELECT {fields} FROM Cache WHERE key NOT IN (SELECT key FROM Pin) ORDER BY access_time LIMIT ?",
}


class BytesDisk(Disk):  # type: ignore[misc]
    """A diskcache Disk that never pickles or unpickles: whoever can write to the folder must not run code."""

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
            Path(full_path).unlink(missing_ok=True)  # or a full disk would fill up with half-written files
            raise

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode not in (MODE_RAW, MODE_BINARY) or read:
            raise TypeError("a value that is not bytes is refused")
        return super().fetch(mode, filename, value, read)


class PinningCache(Cache):  # type: ignore[misc]
    """A diskcache Cache with a table of pins that reports every eviction."""

    on_eviction: Callable[[], None]
    """Called for everything that goes to make room."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        super().__init__(str(directory), **settings)
        self.execute(_CREATE_PINS)

    @property
    def _con(self) -> sqlite3.Connection:
        """This thread's connection, which knows the function of the policy."""
        known = getattr(self._local, "con", None)
        connection: sqlite3.Connection = super()._con
        if connection is not known:
            connection.create_function("now_s", 0, time.time)
        return connection

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> Any:
        """Run an SQL statement on this thread's connection, in the transaction if one has begun. Returns the cursor."""
        return self._sql(statement, parameters)

    def _cull(self, now: float, sql: Any, cleanup: Callable[[str | None], None], limit: int | None = None) -> None:
        def evict(filename: str | None) -> None:
            self.on_eviction()
            cleanup(filename)

        super()._cull(now, sql, evict, limit)


def open_cache(name: str, directory: Path, limit: int | None, visiting: bool) -> PinningCache:
    """Open or create the cache in a folder. A corrupt one is set aside, unless `visiting`.

    Raises what a disk can raise, or ConfigError if it is corrupt and stays.
    """

    def connect() -> PinningCache:
        return PinningCache(
            directory,
            disk=BytesDisk,
            timeout=5,
            eviction_policy=POLICY if limit else "none",
            size_limit=limit or 0,
            sqlite_cache_size=PAGES,
            sqlite_mmap_size=0,  # every thread has a connection, and each would map the whole database
            cull_limit=2,  # how many may go for one that comes: more than one, or a full store stays over its limit
        )

    try:
        return connect()
    except (sqlite3.OperationalError, OSError, Timeout):
        raise  # read-only, no room, no permission: nothing that starting afresh would mend
    except (sqlite3.DatabaseError, TypeError) as error:
        if visiting:
            raise ConfigError(f"The cache is corrupt ({error}); the server sets it aside when it starts.") from error
        aside = directory.with_name(f"{directory.name}.corrupt-{time.time():.0f}")
        directory.rename(aside)
        logger.error("cache of %s: corrupt (%s); set aside as %s, starting afresh", name, error, aside.name)
        return connect()
