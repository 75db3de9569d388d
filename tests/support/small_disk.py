"""A file system of a few megabytes, which a test can fill. Only root can mount one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import system


class SmallDisk:
    """A mounted tmpfs. folder: where."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Take all the room there is."""
        try:
            with self._filler.open("ab") as file:
                while True:
                    file.write(bytes(4096))
                    file.flush()
        except OSError:
            return

    def free(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int = 8) -> Iterator[SmallDisk]:
    """Mount a small disk. Skips the test if that is not allowed, or fails it if all programs are required."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run([system.program("mount"), *options], capture_output=True, text=True)
    if done.returncode != 0:
        reason = f"a small file system cannot be mounted here: {done.stderr.strip()}"
        if system.REQUIRED and os.geteuid() == 0:
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run([system.program("umount"), "--lazy", str(folder)], check=True)
