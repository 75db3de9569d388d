"""The folder of a render: bundles of a bounded size. The keys in them are the checkpoint of the render.

A bundle has its name only once it is whole and on disk. So whoever is killed, and whenever, each key is in one bundle
or in none, and the next run makes those in none. Only the driver writes here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

from monica.errors import ConfigError
from monica.render.folders import lock_folder
from monica.store.bundle_writer import BundleWriter
from monica.store.bundled_phrase import MANIFEST, BundledPhrase

NAME = re.compile(r"(\d{6,})\.zip")
PART = "bundle.part"
"""The bundle that is being written."""


class Shelf:
    """The bundles in a folder. limit: bytes of sound in each; a phrase with more has one of its own."""

    trouble = "the bundles cannot be written, but those that have a name are whole"

    def __init__(self, folder: Path, limit: int) -> None:
        """Read the keys that are there. Raises ConfigError if another process renders there, or it cannot be used."""
        self._folder = folder
        self._limit = limit
        self._keys: set[bytes] = set()
        self.set_aside: list[str] = []
        """Names of bundles that are not whole. They are called *.corrupt now, and their phrases are made again."""
        self._number = 0
        self._file: IO[bytes] | None = None
        self._bundle: BundleWriter | None = None
        try:
            self._lock = lock_folder(folder)
            if self._lock is None:
                raise ConfigError(f"Another render writes to {folder}.")
            for path in sorted(folder.iterdir()):
                if name := NAME.fullmatch(path.name):
                    self._number = max(self._number, int(name[1]))
                    self._read(path)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be used: {error.strerror or error}.") from error

    def _read(self, path: Path) -> None:
        try:
            with ZipFile(path) as bundle:
                bundle.getinfo(MANIFEST)
                names = bundle.namelist()
            # As bytes they take half the memory, and there may be millions.
            self._keys |= {bytes.fromhex(name.removesuffix(".wav")) for name in names if name != MANIFEST}
        except (BadZipFile, KeyError, ValueError):
            path.rename(path.with_suffix(".corrupt"))
            self.set_aside.append(path.name)

    def those_of(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys whose sounds are there."""
        return {key for key in keys if bytes.fromhex(key) in self._keys}

    def add(self, phrase: BundledPhrase, sound: bytes) -> None:
        """Put a phrase that is not there into the bundle that is being written. Raises OSError."""
        if self._bundle is not None and self._bundle.size + phrase.size > self._limit:
            self.finish()
        if self._bundle is None:
            self._file = (self._folder / PART).open("wb")
            self._bundle = BundleWriter(self._file)
        try:
            self._bundle.add(phrase, sound)
        except OSError:
            self._abandon()  # it may have half a sound in it
            raise
        self._keys.add(bytes.fromhex(phrase.key))

    def finish(self) -> None:
        """Give the bundle that is being written, if any, its name. Raises OSError."""
        if self._bundle is None or self._file is None:
            return
        try:
            self._bundle.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError:
            self._abandon()
            raise
        self._bundle = self._file = None
        self._number += 1
        (self._folder / PART).replace(self._folder / f"{self._number:06}.zip")
        _sync_folder(self._folder)

    def gone(self) -> int:
        """Return how many sounds that were there are not there any more: a folder keeps them."""
        return 0

    def _abandon(self) -> None:
        bundle, file, self._bundle, self._file = self._bundle, self._file, None, None
        if bundle is not None and file is not None:
            bundle.abandon()
            with suppress(OSError):
                file.close()

    def close(self) -> None:
        """Finish the bundle, and let others write. Raises OSError."""
        try:
            self.finish()
        finally:
            if self._lock is not None:
                self._lock.close()


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
