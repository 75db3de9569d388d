"""An embedded voice stands in if the engine fails. If it is switched on, another voice is better than no sentence."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from monica.audio.finish import OFF, Finisher
from monica.audio.wav import encode_wav, join_wavs
from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.registry import engine_spec


class Fallback:
    """Speaks at once, in the calling thread. name: of the engine.

    Raises ConfigError if it is not installed or lacks the language.
    """

    def __init__(self, name: str, settings: Settings, finisher: Finisher = OFF) -> None:
        self._finisher = finisher
        spec = engine_spec(name)
        spec.require_installed(f"MONICA_FALLBACK={name}")
        self._engine = spec.make(settings)
        self._engine.load()
        self._lock = threading.Lock()
        self.name = self._engine.name

    def speak_sentences(self, sentences: Sequence[str], pauses_s: Sequence[float]) -> bytes:
        """Return the sentences as one WAV, joined as by `join_wavs`. Raises SynthesisFailed."""
        with self._lock:
            spoken = [speak(self._engine, each, voice="", params=SynthesisParams(), seed=0) for each in sentences]
        rate = self._engine.sample_rate
        wavs = [encode_wav(self._finisher.finish_take(samples, rate), rate) for samples in spoken]
        return join_wavs(wavs, pauses_s)
