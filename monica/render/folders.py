"""Folders that only one process uses at a time."""

from __future__ import annotations

import fcntl
from itertools import count
from pathlib import Path
from typing import IO

LOCK = ".lock"


def lock_folder(folder: Path) -> IO[str] | None:
    """Lock a folder, which is made if need be, for as long as the returned file is open, or its process lives.

    Returns None if another process has locked it. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / LOCK).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def lock_one_of(parent: Path) -> tuple[Path, IO[str]]:
    """Lock the first of the folders 0, 1, 2 ... that no other process has, and return it. Raises OSError.

    So what a process had when it was killed is found by the next one, and does not pile up.
    """
    for number in count():
        folder = parent / str(number)
        if (lock := lock_folder(folder)) is not None:
            return folder, lock
    raise AssertionError
