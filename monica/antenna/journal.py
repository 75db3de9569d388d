"""The cues on disk, so that a restart, or a kill, neither loses one nor says one twice without a word."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from monica.antenna.cue import Cue, State

MAX_HISTORY = 500
"""Number of ended cues that are remembered."""

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS cues (id TEXT PRIMARY KEY, ended REAL, cue TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS cues_by_end ON cues (ended);
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_FORGET = """
    DELETE FROM cues WHERE id IN (SELECT id FROM cues WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT -1 OFFSET ?)
"""

logger = logging.getLogger(__name__)


class Journal:
    """A SQLite file with one row a cue. Thread-safe.

    What cannot be written, on a full disk for instance, is kept in memory, and `reason` says why. `recover` writes it
    once that is possible.
    """

    reason: str | None = None
    """Why something is not on disk; None if all is."""

    def __init__(self, file: Path) -> None:
        """file: opened by `open`. Until then, everything stays in memory."""
        self._file = file
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._release: Callable[[], object] | None = None
        self._unsaved: dict[str, Cue] = {}
        self._unsaved_facts: dict[str, str] = {}

    def open(self) -> list[Cue]:
        """Open the file, or make it, and return the cues in it. One that cannot be read is left out.

        A file that is damaged is moved aside. Both are told in the log.
        """
        with self._lock:
            try:
                self._open()
            except (OSError, sqlite3.OperationalError) as error:  # a full disk, for instance: nothing is damaged
                self._note(error)
            except sqlite3.DatabaseError as error:
                self._move_aside(error)
                try:
                    self._open()
                except (OSError, sqlite3.Error) as again:
                    self._note(again)
            return self._read()

    def save(self, cue: Cue) -> bool:
        """Write a cue. Returns whether it is on disk."""
        with self._lock:
            self._unsaved[cue.id] = cue
            return self._write()

    def save_fact(self, name: str, value: str) -> bool:
        """Write something about the whole antenna, such as whether it is held. Returns whether it is on disk."""
        with self._lock:
            self._unsaved_facts[name] = value
            return self._write()

    def recover(self) -> list[Cue]:
        """Write what could not be written before, if there is anything.

        Returns the cues in a file that could not be opened until now.
        """
        if self.reason is None:
            return []
        with self._lock:
            found = []
            try:
                if self._database is None:
                    self._open()
                    found = self._read()
            except (OSError, sqlite3.Error) as error:
                self._note(error)
                return []
            if self._write():
                logger.info("the queue of announcements is on disk again")
            return found

    def fact(self, name: str) -> str | None:
        """Return what `save_fact` wrote."""
        with self._lock:
            if name in self._unsaved_facts:
                return self._unsaved_facts[name]
            if self._database is None:
                return None
            row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    @property
    def is_open(self) -> bool:
        """Whether what an earlier process wrote can be read."""
        return self._database is not None

    def _read(self) -> list[Cue]:
        if self._database is None:
            return []
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
            if self._database is not None:
                self._database.close()
            if self._release is not None:
                self._release()

    def _write(self) -> bool:
        """Write all that is not on disk yet."""
        try:
            if self._database is None:
                return False
            with self._database:
                for cue in self._unsaved.values():
                    ended = cue.ended if cue.state.has_ended else None
                    row = (cue.id, ended, json.dumps(cue.as_dict(), ensure_ascii=False))
                    self._database.execute("INSERT OR REPLACE INTO cues VALUES (?, ?, ?)", row)
                self._database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", self._unsaved_facts.items())
                self._database.execute(_FORGET, (MAX_HISTORY,))
        except sqlite3.Error as error:
            self._note(error)
            return False
        self._unsaved.clear()
        self._unsaved_facts.clear()
        self.reason = None
        return True

    def _note(self, error: Exception) -> None:
        if self.reason is None:
            logger.error("the queue of announcements cannot be written (%s): a restart would lose it", error)
        self.reason = f"The queue of announcements cannot be written: {error}."

    def _open(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file()
        database = sqlite3.connect(self._file, check_same_thread=False)
        try:
            # In WAL mode a commit is safe from a kill, and fast. Power loss may undo the last few commits, no more.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_SCHEMA)
        except BaseException:
            database.close()
            raise
        self._database = database

    def _lock_file(self) -> None:
        """Become the file's only user: two processes with one queue would say everything twice. Raises OSError.

        The lock ends with the process, however that ends.
        """
        if self._release is not None:
            return
        owner = os.open(self._file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(owner)
            raise OSError("another Monica uses it") from error
        self._release = weakref.finalize(self, os.close, owner)

    def _move_aside(self, error: sqlite3.Error) -> None:
        name = self._file.name
        logger.error("%s cannot be read (%s); it is moved aside, and the queue begins empty", name, error)
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                self._file.with_name(name + suffix).rename(self._file.with_name(f"{name}{suffix}.corrupt"))


def unfinished(cues: list[Cue]) -> list[Cue]:
    """Return the cues that have not ended. Their sounds are made again, which costs nothing if the cache has them."""
    left = [cue for cue in cues if not cue.state.has_ended]
    for cue in left:
        if cue.state.waits:
            cue.state = State.QUEUED
    return left
