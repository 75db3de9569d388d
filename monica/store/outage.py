"""A store that cannot be written, for lack of room above all: known, reported, and tried again until it can."""

from __future__ import annotations

import errno
import logging
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from diskcache import Timeout

from monica import metrics

RETRY_S = 2.0
"""Time between two attempts to write."""
PROBE_BYTES = 512 * 1024
"""What a disk must have room for to count as not full: a long sound, and the database with its log."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

DISK_ERRORS = (sqlite3.Error, OSError, Timeout)
"""What a disk can raise: a database that is locked, corrupt or read-only, a file that is gone, a full disk."""

logger = logging.getLogger(__name__)


def is_full(error: BaseException, folder: Path) -> bool:
    """Whether an error in this folder is due to a full disk.

    SQLite says so only at times. If its shared memory has no room it reports an I/O error, so the disk is asked, too.
    """
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return True
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
    except OSError as found:
        return found.errno in _NO_ROOM
    return False


class Outage:
    """The time in which a store cannot be written. A thread tries again until it can.

    Not left to the next request: /health should be right although no one asks for speech, and a small sound that fits
    would say nothing about a larger one.
    """

    reason: str | None = None
    """Why nothing can be written; None if it can."""

    def __init__(self, name: str, try_to_write: Callable[[int], None]) -> None:
        """name: the store's. try_to_write: writes that many bytes; raises what a disk can raise."""
        self.on_end: Callable[[], None] = lambda: None
        """Called when the store can be written again."""
        self._name = name
        self._try_to_write = try_to_write
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._bytes = 0
        self._gauge = metrics.cache_unwritable.labels(name)
        self._gauge.set(0)

    def begin(self, error: BaseException, size: int = PROBE_BYTES) -> None:
        """Note a failure to write. size: of what did not fit, in bytes."""
        with self._lock:
            begins, self.reason = self.reason is None, describe(error)
            self._bytes = max(size, self._bytes)
            if begins and not self._closed.is_set():
                self._gauge.set(1)
                threading.Thread(target=self._try_again, name=f"outage of {self._name}", daemon=True).start()

    def _try_again(self) -> None:
        while not self._closed.wait(RETRY_S):
            try:
                self._try_to_write(self._bytes)
            except DISK_ERRORS as error:
                self.reason = describe(error)
                continue
            with self._lock:
                self.reason, self._bytes = None, 0
                self._gauge.set(0)
            logger.info("cache of %s: it can be written again", self._name)
            self.on_end()
            return

    def close(self) -> None:
        """Stop trying."""
        self._closed.set()


def describe(error: BaseException) -> str:
    """Return the reason without the path that an OSError names."""
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
