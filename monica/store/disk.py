"""diskcache as Monica needs it: bytes only, never a pickle; hits counted, evictions told, and what is pinned stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from diskcache import EVICTION_POLICY, Cache, Disk
from diskcache.core import MODE_BINARY, MODE_RAW

# What was pinned does not go, and hits are counted. Pins have a table of their own: one outlives the take it was made
# for, so that a phrase that is made again is still pinned.
PINS = "CREATE TABLE IF NOT EXISTS Pin (key TEXT PRIMARY KEY) WITHOUT ROWID"
POLICY = "least-recently-used-not-pinned"
EVICTION_POLICY[POLICY] = {
    "init": EVICTION_POLICY["least-recently-used"]["init"],
    "get": "access_time = {now}, access_count = access_count + 1",
    "cull": "SELECT {fields} FROM Cache WHERE key NOT IN (SELECT key FROM Pin) ORDER BY access_time LIMIT ?",
}


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


class CountedCache(Cache):  # type: ignore[misc]
    """A diskcache Cache that tells of each entry that goes to make room."""

    on_eviction: Callable[[], None]

    def _cull(self, now: float, sql: Any, cleanup: Callable[[str | None], None], limit: int | None = None) -> None:
        def evict(filename: str | None) -> None:
            self.on_eviction()
            cleanup(filename)

        super()._cull(now, sql, evict, limit)
