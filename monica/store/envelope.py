"""A sound and its metadata as one value, with their SHA-256: what is kept where others can write too.

    MONICA1 | SHA-256 of the rest, 32 bytes | length of the metadata, 4 bytes | metadata in JSON | WAV

Never a pickle. What does not have this form, or is of another key, is not used.
"""

from __future__ import annotations

import hashlib
import struct

from monica.store.metadata import Metadata

MAGIC = b"MONICA1"
MAX_BYTES = 32 * 2**20
"""Bound on what is read of a value: the longest text is a few minutes of speech."""

_LENGTH = struct.Struct(">I")
_DIGEST_END = len(MAGIC) + 32


def pack(sound: bytes, metadata: str) -> bytes:
    written = metadata.encode()
    content = _LENGTH.pack(len(written)) + written + sound
    return MAGIC + hashlib.sha256(content).digest() + content


def unpack(value: bytes, key: str) -> tuple[bytes, str]:
    """Return a sound and its metadata. Raises ValueError if the value is not of this key, or not in order."""
    content = value[_DIGEST_END:]
    if value[: len(MAGIC)] != MAGIC or hashlib.sha256(content).digest() != value[len(MAGIC) : _DIGEST_END]:
        raise ValueError("its checksum differs")
    if len(content) < _LENGTH.size:
        raise ValueError("it is cut short")
    (length,) = _LENGTH.unpack_from(content)
    metadata = content[_LENGTH.size : _LENGTH.size + length].decode()
    if Metadata.from_json(metadata).recipe.key != key:
        raise ValueError("it is another phrase's")
    return content[_LENGTH.size + length :], metadata
