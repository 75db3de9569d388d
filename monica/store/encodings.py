"""Sounds in other formats and at other speeds: made from the kept WAV, and kept themselves."""

from __future__ import annotations

import hashlib

import numpy as np

from monica.audio.formats import Format, encode_sound
from monica.audio.stretch import stretch
from monica.audio.wav import HEADER_BYTES, wav_rate
from monica.config import Settings
from monica.store.cache import Store
from monica.store.outage import Outage

SHARE = 4
"""Encodings may take a quarter of what takes may: they can be made again from those."""


class Encodings:
    """Encodes sounds. May be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError if the folder cannot be used."""
        self._store = Store("encodings", settings.cache_dir / "encodings", megabytes=max(1, settings.cache_mb // SHARE))

    def encode(
        self, wav: bytes, format: Format, *, speed: float = 1.0, rate: int | None = None, keep: bool = True
    ) -> bytes:
        """Return a sound in a format. wav: as `encode_wav` made it.

        speed: 0.25 to 4; the pitch stays. rate: hertz of the result; None for the rate of the sound, or the next one
        that the format has.
        """
        own = wav_rate(wav)
        if format is Format.WAV and speed == 1 and rate in (None, own):
            return wav
        # Named by the bytes it is made from, not by the key of the take: another take may have replaced that.
        name = hashlib.sha256(f"{format} {speed!r} {rate} ".encode() + wav).hexdigest()
        kept = self._store.get(name)
        if kept is not None:
            return kept
        pcm = np.frombuffer(wav, "<i2", offset=HEADER_BYTES)
        samples = pcm if speed == 1 else stretch(pcm.astype(np.float32) / np.float32(32768), own, speed)
        encoded = encode_sound(samples, own, format, rate)
        if keep:
            self._store.put(name, encoded)
        return encoded

    @property
    def outage(self) -> Outage:
        """The state of their store."""
        return self._store.outage

    def close(self) -> None:
        self._store.close()
