"""A phrase in a bundle: what the manifest says of it, and the form of its WAV."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Any

from monica.audio.wav import HEADER_BYTES
from monica.store.metadata import Metadata
from monica.store.migration import old_key

MANIFEST = "manifest.json"
FORMAT, VERSION = "monica-bundle", 2
OLD_VERSION = 1
"""The version with keys of version 1. It is read, but not written."""


@dataclass(frozen=True, slots=True)
class BundledPhrase:
    """A phrase in a bundle."""

    key: str
    """The key it is imported under."""
    member: str
    """The name of its WAV in the ZIP."""
    sha256: str
    size: int
    """Bytes of the WAV."""
    metadata: Metadata

    @classmethod
    def from_sound(cls, metadata: Metadata, sound: bytes) -> BundledPhrase:
        key = metadata.recipe.key
        return cls(key, f"{key}.wav", hashlib.sha256(sound).hexdigest(), len(sound), metadata)

    @classmethod
    def from_manifest(cls, found: Any, version: int) -> BundledPhrase:
        """Read an entry of the manifest. Raises ValueError, KeyError or TypeError.

        version: that of the bundle. Its key is held against the formula of that version.
        """
        metadata = Metadata.from_fields(found["label"])
        key = metadata.recipe.key
        if found["key"] != (old_key(found["label"]) if version == OLD_VERSION else key):
            raise ValueError("a phrase's key is not that of its metadata")
        return cls(key, f"{found['key']}.wav", found["sha256"], found["size"], metadata)

    def to_manifest(self) -> dict[str, Any]:
        return {"key": self.key, "sha256": self.sha256, "size": self.size, "label": self.metadata.to_fields()}


def is_wav(sound: bytes) -> bool:
    """Tell whether bytes are laid out as `encode_wav` does, which the code that reads them relies on."""
    if len(sound) < HEADER_BYTES or sound[:4] + sound[8:16] + sound[36:40] != b"RIFFWAVEfmt data":
        return False
    (rate,) = struct.unpack_from("<I", sound, 24)
    form, (data_bytes,) = struct.unpack_from("<IHHIIHH", sound, 16), struct.unpack_from("<I", sound, 40)
    return rate > 0 and form == (16, 1, 1, rate, 2 * rate, 2, 16) and data_bytes == len(sound) - HEADER_BYTES
