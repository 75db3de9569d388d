"""The cues on disk, so that a restart, or a kill, neither loses one nor says one twice without a word."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

from monica.antenna.cue import Cue, State

MAX_HISTORY = 500
"""Number of ended cues that are remembered."""
VERSION = 1

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS cues (id TEXT PRIMARY KEY, ended REAL, cue TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS cues_by_end ON cues (ended);
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

logger = logging.getLogger(__name__)


class Journal:
    """A SQLite file with one row a cue. Thread-safe.

    What cannot be written, on a full disk for instance, is logged, and `reason` says why: the queue goes on in memory.
    """

    reason: str | None = None
    """Why the last write failed; None if it did not."""

    def __init__(self, file: Path) -> None:
        """Open the file, or make it. One that is damaged is moved aside, with a line in the log."""
        self._file = file
        self._lock = threading.Lock()
        try:
            self._database = self._open()
        except sqlite3.DatabaseError as error:
            # Not every such error is damage, but a full disk does not mend by keeping a file that cannot be opened.
            logger.error("%s cannot be read (%s); it is moved aside, and the queue begins empty", file.name, error)
            for suffix in ("", "-wal", "-shm"):
                with suppress(OSError):
                    file.with_name(file.name + suffix).rename(file.with_name(f"{file.name}{suffix}.corrupt"))
            try:
                self._database = self._open()
            except sqlite3.Error as again:
                self.reason = str(again)
                self._database = self._connect(":memory:")

    def save(self, cue: Cue) -> bool:
        """Write a cue. Returns whether it is on disk."""
        ended = cue.ended if cue.state.has_ended else None
        row = (cue.id, ended, json.dumps(cue.as_dict(), ensure_ascii=False))
        oldest = "DELETE FROM cues WHERE id IN (SELECT id FROM cues WHERE ended IS NOT NULL ORDER BY ended DESC " \
                 "LIMIT -1 OFFSET ?)"  # fmt: skip
        return self._write(("INSERT OR REPLACE INTO cues VALUES (?, ?, ?)", row), (oldest, (MAX_HISTORY,)))

    def save_fact(self, name: str, value: str) -> bool:
        """Write something about the whole antenna, such as whether it is held. Returns whether it is on disk."""
        return self._write(("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value)))

    def fact(self, name: str) -> str | None:
        """Return what `save_fact` wrote."""
        with self._lock:
            row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def cues(self) -> list[Cue]:
        """Return all cues. One that cannot be read is left out, with a line in the log."""
        with self._lock:
            rows = self._database.execute("SELECT cue FROM cues ORDER BY ended").fetchall()
        found = []
        for (text,) in rows:
            try:
                found.append(Cue.from_dict(json.loads(text)))
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                logger.error("an announcement in %s cannot be read: %r", self._file.name, error)
        return found

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _write(self, *statements: tuple[str, tuple[object, ...]]) -> bool:
        try:
            with self._lock, self._database:
                for statement, values in statements:
                    self._database.execute(statement, values)
        except sqlite3.Error as error:
            if self.reason is None:
                logger.error("the queue of announcements cannot be written (%s): a restart would lose it", error)
            self.reason = str(error)
            return False
        self.reason = None
        return True

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        return self._connect(str(self._file))

    def _connect(self, name: str) -> sqlite3.Connection:
        database = sqlite3.connect(name, check_same_thread=False)
        # In WAL mode a commit is safe from a kill, and fast. Power loss may undo the last few commits, no more.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
        return database


def unfinished(cues: list[Cue]) -> list[Cue]:
    """Return the cues that have not ended. Their sounds are made again, which costs nothing if the cache has them."""
    left = [cue for cue in cues if not cue.state.has_ended]
    for cue in left:
        if cue.state.waits:
            cue.state = State.QUEUED
    return left
