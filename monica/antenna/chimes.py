"""The chimes of a venue: those that Monica makes, and the recordings in a folder, all as loud as she speaks."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monica.audio.chime import BUILT_IN, make_chime
from monica.audio.finish import Finisher
from monica.audio.formats import Format, encode_sound
from monica.audio.wav import to_pcm
from monica.errors import MonicaError
from monica.voices.recording import BadRecording, read_mono

MIN_CHIME_S, MAX_CHIME_S = 0.1, 10.0
"""How long a recording of a chime is; what is longer is cut."""
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class UnknownChime(MonicaError):
    """There is no chime of this name, or its recording cannot be used."""

    status, code = 422, "chime_unknown"


class ChimeBox:
    """Chimes by name. Thread-safe.

    folder: the venue's recordings, each called by its file's name without the suffix; None if there are none. One that
    has the name of a built-in chime takes its place.
    """

    def __init__(self, folder: Path | None, finisher: Finisher) -> None:
        self._folder = folder
        self._finisher = finisher
        self._lock = threading.Lock()
        self._sounds: dict[tuple[str, int, float], NDArray[np.int16]] = {}

    def names(self) -> list[str]:
        """Return the names of all chimes."""
        return sorted({*BUILT_IN, *self._files()})

    def check(self, name: str) -> None:
        """Raises UnknownChime if there is no such chime."""
        if name not in self.names():
            raise UnknownChime(f"There is no such chime. Known: {', '.join(self.names())}.", param="chime")

    def sound(self, name: str, rate: int) -> NDArray[np.int16]:
        """Return (N,) samples at a rate, as loud as the sentences. Raises UnknownChime."""
        self.check(name)
        file = self._files().get(name)
        # A recording that is replaced while Monica runs is another sound.
        made = (name, rate, file.stat().st_mtime if file is not None else 0.0)
        with self._lock:
            if made not in self._sounds:
                samples = make_chime(name, rate) if file is None else self._read(file, rate)
                self._sounds = {key: sound for key, sound in self._sounds.items() if key[0] != name}
                self._sounds[made] = to_pcm(self._finisher.finish_take(samples, rate))
            return self._sounds[made]

    def _read(self, file: Path, rate: int) -> NDArray[np.float32]:
        try:
            samples, own, _ = read_mono(file, MAX_CHIME_S)
        except BadRecording as error:
            raise UnknownChime(f"The chime {file.stem} cannot be used: {error.message}", param="chime") from error
        if len(samples) < MIN_CHIME_S * own:
            raise UnknownChime(f"The chime {file.stem} cannot be used: it is empty.", param="chime")
        pcm = encode_sound(samples, own, Format.PCM, rate)
        return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)

    def _files(self) -> dict[str, Path]:
        if self._folder is None:
            return {}
        try:
            return {file.stem: file for file in sorted(self._folder.iterdir()) if file.suffix.lower() in SUFFIXES}
        except OSError:
            return {}
