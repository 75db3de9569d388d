"""Piper as an engine: each step says one sentence of the oldest text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine.espeak_library import LIBRARY
from monica.engine.piper.files import find
from monica.engine.piper.model import Model, seedable
from monica.engine.piper.phonemes import PhonemeWriter
from monica.engine.piper.voice_config import VoiceConfig, read_config
from monica.engine.sentence_engine import Progress, SentenceEngine
from monica.errors import ConfigError, ModelUnavailable, SynthesisFailed

WORDING = 1
"""Version of how texts are written for Piper. It changes whenever the same text would sound different."""
PAUSE_S = 0.2
"""Silence between two sentences, as Piper's own command line has it."""


class PiperEngine(SentenceEngine):
    """A voice of Piper at its own rate. A seed decides its noise: the same seed says a text the same way."""

    name = "piper"
    title = "Piper"
    sample_rate = 22050

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._digest = self._espeak_version = ""
        self._config: VoiceConfig | None = None
        self._model: Model | None = None
        self._writer: PhonemeWriter | None = None
        self._license = "unknown"

    @property
    def model(self) -> str:
        name = self._config.name if self._config else self._settings.piper_voice
        return f"Piper {name}, licence of its recordings: {self._license}"

    @property
    def fingerprint(self) -> str:
        return f"piper {self._digest[:16]} {self._espeak_version} {WORDING}"

    @property
    def license(self) -> str:
        return self._license

    @property
    def speakers(self) -> dict[str, str]:
        """The voices beside the first one by name, and what `begin` is given as `voice` for each."""
        speakers = self._config.speakers if self._config else {}
        return {name: self._digest_of(name) for name in list(speakers)[1:]}

    def load(self) -> None:
        voice = self._settings.piper_voice
        files = find(self._settings)
        if files is None:
            raise ModelUnavailable(f"The voice {voice} is not downloaded. Run: monica prefetch")
        config = read_config(files.config)
        if (why := why_not_spoken(config, self._settings.language)) is not None:
            raise ConfigError(f"MONICA_PIPER_VOICE={voice!r}: {why}.")
        digest = files.digest()
        if self._model is None or digest != self._digest:
            self._model = Model(seedable(files.model, digest, self._settings.cache_dir / "piper"))
        with LIBRARY.lock:
            try:
                LIBRARY.set_voice(config.espeak_voice)
            except LookupError as error:
                raise ConfigError(f"MONICA_PIPER_VOICE={voice!r}: {error}.") from error
            self._espeak_version = LIBRARY.version
        self._digest, self._config, self._license = digest, config, files.license
        self._writer, self.sample_rate = PhonemeWriter(config), config.sample_rate

    def _cut(self, text: str, stream: bool) -> list[str]:
        return self._writer.write_pieces(text, stream=stream) if self._writer else []

    def _say_next(self, progress: Progress) -> NDArray[np.float32]:
        if self._model is None or self._config is None or self._writer is None:
            raise SynthesisFailed("Piper is not loaded.")
        piece = progress.pieces.pop(0)
        noise = np.random.default_rng([progress.seed, len(progress.said)])
        samples = self._model.say(self._writer.ids(piece), self._speaker(progress.voice), self._config.scales, noise)
        if progress.pieces and piece[-1] in ".!?":
            samples = np.concatenate([samples, np.zeros(int(PAUSE_S * self.sample_rate), np.float32)])
        return samples

    def _speaker(self, voice: str) -> int:
        """Return the number of the speaker that a voice is; any other voice is the first one."""
        speakers = self._config.speakers if self._config else {}
        first = next(iter(speakers.values()), 0)
        return next((number for name, number in speakers.items() if self._digest_of(name) == voice), first)

    def _digest_of(self, speaker: str) -> str:
        return f"{self.fingerprint} {speaker}"


def why_not_spoken(config: VoiceConfig, language: str) -> str | None:
    """Return why a voice cannot speak a language, in words that follow "it" or its name; None if it can."""
    spoken = config.espeak_voice.partition("-")[0]
    if spoken in (language, {"no": "nb", "zh": "cmn"}.get(language)):
        return None
    return f"{config.name} speaks {spoken}, and MONICA_LANGUAGE is {language}"
