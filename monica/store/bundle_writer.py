"""Writes a bundle (monica/store/bundle.py), sound by sound."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from monica.store.bundled_phrase import FORMAT, MANIFEST, VERSION, BundledPhrase


class BundleWriter:
    """A bundle that is being written. As a context manager, it is whole once the block has ended without an error.

    Raises OSError if the file cannot be written.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = ZipFile(file, "w", ZIP_STORED)
        self._phrases: dict[str, BundledPhrase] = {}
        self.size = 0
        """Bytes of the sounds."""

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            self.finish()
        else:
            self.abandon()

    def __contains__(self, key: str) -> bool:
        return key in self._phrases

    def add(self, phrase: BundledPhrase, sound: bytes) -> None:
        """Write a sound, which is a WAV as `is_wav` has it, and of a key that is not there yet."""
        self._zip.writestr(_zip_info(phrase.member), sound)
        self._phrases[phrase.key] = phrase
        self.size += phrase.size

    def finish(self) -> None:
        """Write the manifest, and the directory of the ZIP."""
        entries = [phrase.to_manifest() for phrase in self._phrases.values()]
        manifest = {"format": FORMAT, "version": VERSION, "entries": entries}
        try:
            self._zip.writestr(_zip_info(MANIFEST), json.dumps(manifest, indent=1))
            self._zip.close()
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Leave the bundle as it is, without a manifest: it is none."""
        with suppress(OSError, ValueError):  # what cannot be written, as on a full disk, need not be
            self._zip.close()


def _zip_info(name: str) -> ZipInfo:
    info = ZipInfo(name)  # dated 1980: when it was written is not part of what it is
    info.external_attr = 0o644 << 16  # or the file could not be read once it is unpacked
    return info
