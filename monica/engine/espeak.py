"""The engine of last resort: espeak-ng in this process. It needs no GPU and no download, and imports no torch."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine.espeak_ipa import write_for_espeak
from monica.engine.espeak_library import CHARS_UTF8, LIBRARY, POSITION_CHARACTER, READ_PHONEMES, SynthCallback
from monica.engine.french_ipa import check_ipa
from monica.engine.registry import EngineSpec, Finding
from monica.engine.sentence_engine import Progress, SentenceEngine, examine_by_speaking
from monica.errors import ConfigError, SynthesisFailed

_RATE = 1  # espeakRATE: words per minute
_PACE = 140
"""Words per minute: 18 characters a second in French, as an announcer speaks. The library's own 175 are 23."""
_VARIANT = "m1"
"""The variant of a voice that a recogniser understood best of seven at this pace. It understands none of them well: a
third of the characters are wrong (`make bench-voices`)."""


class EspeakEngine(SentenceEngine):
    """espeak-ng at its native sample rate."""

    name = "espeak"
    title = "espeak-ng"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._language = settings.language
        self._chunks: list[NDArray[np.int16]] = []
        self._error: BaseException | None = None
        self._callback = SynthCallback(self._receive)  # referenced here: the library holds only a pointer

    @property
    def model(self) -> str:
        return f"espeak-ng {LIBRARY.version}"

    @property
    def sample_rate(self) -> int:
        return LIBRARY.sample_rate

    @property
    def fingerprint(self) -> str:
        return f"espeak {LIBRARY.version} {self._language} {_VARIANT} {_PACE}"

    def load(self) -> None:
        with LIBRARY.lock:
            self._set_voice(LIBRARY.load())

    def _cut(self, text: str, stream: bool) -> list[str]:
        """Leave the text in one piece: the whole of it is ready before its first chunk could be sent."""
        return [text]

    def _say_next(self, progress: Progress) -> NDArray[np.float32]:
        """Speak the text from beginning to end, which takes milliseconds.

        espeak-ng has one voice and no sampling: voice and seed change nothing, and equal texts give equal samples.
        """
        return self._say(progress.pieces.pop(0))

    def _say(self, text: str) -> NDArray[np.float32]:
        with LIBRARY.lock:
            LIBRARY.unload()
            library = LIBRARY.load()
            self._set_voice(library)
            self._chunks, self._error = [], None
            library.espeak_SetSynthCallback(self._callback)
            encoded = write_for_espeak(text).encode()
            flags = CHARS_UTF8 | READ_PHONEMES
            status = library.espeak_Synth(encoded, len(encoded) + 1, 0, POSITION_CHARACTER, 0, flags, None, None)
            if self._error is not None:
                raise SynthesisFailed("espeak-ng's samples could not be read.") from self._error
            if status != 0:
                raise SynthesisFailed(f"espeak-ng failed with status {status}.")
            samples = np.concatenate(self._chunks) if self._chunks else np.empty(0, np.int16)
        if not samples.any():
            raise self._nothing_to_say()
        return samples.astype(np.float32) / 32768.0

    def _receive(self, wav: Any, count: int, _events: object) -> int:
        # An exception cannot cross C frames. It is stored, espeak-ng is told to stop, and `_say` raises it afterwards.
        try:
            if wav and count:
                # Not as_array: ctypes keeps the type of each length that it is given, 4 KiB, for ever.
                self._chunks.append(np.frombuffer(ctypes.string_at(wav, 2 * count), np.int16))
        except BaseException as error:
            self._error = error
            return 1
        return 0

    def _set_voice(self, library: ctypes.CDLL) -> None:
        """Choose the language, the variant and the pace. Raises ConfigError."""
        try:
            LIBRARY.set_voice(self._language, _VARIANT)
        except LookupError as error:
            raise ConfigError(f"MONICA_LANGUAGE={self._language}: espeak-ng has no such voice.") from error
        library.espeak_SetParameter(_RATE, _PACE, 0)


def make_engine(settings: Settings) -> EspeakEngine:
    return EspeakEngine(settings)


def examine(settings: Settings) -> Iterator[Finding]:
    """Speak a word."""
    return examine_by_speaking("espeak", lambda: make_engine(settings))


SPEC = EngineSpec(
    name="espeak",
    title="espeak-ng",
    make=make_engine,
    examine=examine,
    work_per_sound={"cpu": 0.02},
    check_ipa=check_ipa,
)
