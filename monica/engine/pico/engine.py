"""Pico as an engine: each step says one piece of the oldest text."""

from __future__ import annotations

import hashlib
import logging

import numpy as np
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine.pico.process import Installation, PicoProcess, find_installation
from monica.engine.pico.wording import NEAREST, halve, replaced_in, write_markup, write_pieces
from monica.engine.sentence_engine import Progress, SentenceEngine
from monica.errors import ConfigError, SynthesisFailed

PACKAGE = "py-nanotts"
VOICES = {"fr": "fr-FR", "en": "en-GB", "de": "de-DE", "es": "es-ES", "it": "it-IT"}
"""Monica's languages that Pico speaks, by its own names."""
WORDING = 1
"""Version of how texts are written for Pico. It changes whenever the same text would sound different."""
SILENCE = 32
"""Magnitude below which a sample of Pico's is silence: -60 dB."""
PAUSE_S = 0.25
"""Silence kept after a clause within a sentence. Pico ends every piece with the pause that follows a sentence."""

logger = logging.getLogger(__name__)


class PicoEngine(SentenceEngine):
    """SVOX Pico in its native 16 kHz. It has one voice for each of its languages."""

    name = "pico"
    title = "Pico"
    sample_rate = 16000

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._language = settings.language
        self._process: PicoProcess | None = None
        self._told: set[str] = set()
        self._digest = ""

    @property
    def model(self) -> str:
        return f"SVOX Pico {VOICES[self._language]}"

    @property
    def fingerprint(self) -> str:
        return f"pico {self._digest[:16]} {VOICES[self._language]} {WORDING}"

    @property
    def pid(self) -> int | None:
        """The id of Pico's process; None while there is none."""
        return self._process.pid if self._process else None

    def load(self) -> None:
        installation = find_installation()
        if installation is None:
            raise ConfigError(f"Pico is not installed here ({PACKAGE} has no package for this system).")
        if self._language not in VOICES:
            raise ConfigError(f"MONICA_LANGUAGE={self._language}: Pico speaks {', '.join(VOICES)}; set another engine.")
        voice = VOICES[self._language]
        self._digest = _digest_files(installation, voice)
        self._process = self._process or PicoProcess(installation, voice)

    def _cut(self, text: str, stream: bool) -> list[str]:
        for symbol in sorted(replaced_in(text) - self._told):
            self._told.add(symbol)
            logger.info("Pico has no phoneme %s: %s is said in its place", symbol, NEAREST[symbol] or "nothing")
        return write_pieces(text, stream=stream)

    def _say_next(self, progress: Progress) -> NDArray[np.float32] | None:
        """Say the next piece, which takes some ten milliseconds.

        Pico has one voice and no sampling: voice and seed change nothing, and equal texts give equal samples.
        """
        if self._process is None:
            raise SynthesisFailed("Pico is not loaded.")
        piece = progress.pieces.pop(0)
        try:
            spoken = self._process.say(write_markup(piece))
        except SynthesisFailed:
            # It has limits of its own, in sounds per sentence, that are written down nowhere.
            halves = halve(piece)
            if not halves:
                raise
            progress.pieces[:0] = halves
            return None
        if progress.pieces and piece[-1] not in ".!?":
            spoken = _cut_pause(spoken)
        return spoken.astype(np.float32) / 32768.0


def _digest_files(installation: Installation, voice: str) -> str:
    """Return the SHA-256 of everything that makes Pico's sound: a megabyte, so it is read at every start."""
    digest = hashlib.sha256(installation.library.read_bytes())
    for path in sorted(installation.lingware.glob(f"{voice}_*.bin")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _cut_pause(spoken: NDArray[np.int16]) -> NDArray[np.int16]:
    """Shorten the silence at the end of a clause."""
    # In a wider type: the magnitude of the lowest sample does not fit into 16 bits.
    loud = np.flatnonzero(np.abs(spoken.astype(np.int32)) >= SILENCE)
    end = (int(loud[-1]) + 1 if len(loud) else 0) + int(PAUSE_S * PicoEngine.sample_rate)
    return spoken[:end]
