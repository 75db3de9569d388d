"""The embedded voice where Chatterbox fails: a sentence in another voice is better than none, where that is wanted."""

from __future__ import annotations

import threading

from monica.audio.finish import OFF, Finisher
from monica.audio.wav import encode_wav, join_wavs
from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.espeak import EspeakEngine


class Fallback:
    """Speaks at once, in whatever thread asks. Raises ConfigError where the embedded engine has no such language."""

    def __init__(self, settings: Settings, finisher: Finisher = OFF) -> None:
        self._finisher = finisher
        self._engine = EspeakEngine(settings)
        self._engine.load()
        self._lock = threading.Lock()
        self.name = self._engine.name

    def say(self, sentences: tuple[str, ...], pause_s: float) -> bytes:
        """Return the sentences as a WAV. Raises SynthesisFailed."""
        with self._lock:
            spoken = [speak(self._engine, each, voice="", params=SynthesisParams(), seed=0) for each in sentences]
        rate = self._engine.sample_rate
        wavs = [encode_wav(self._finisher.finish(samples, rate), rate) for samples in spoken]
        return wavs[0] if len(wavs) == 1 else join_wavs(wavs, pause_s)
