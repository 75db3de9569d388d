"""The use case: a text in, a WAV out. Texts become what is said, long ones sentences, sentences takes."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from monica.audio import join_wavs, wav_duration
from monica.cache import Store
from monica.config import Settings
from monica.engine import Engine, SynthesisParams
from monica.errors import ConfigError, InvalidText, UnknownVoice
from monica.loader import Loader
from monica.studio import Order, Studio
from monica.takes import Lane
from monica.text import Lexicon, LexiconFile, Normaliser, has_words, split_sentences, tidy
from monica.voices import DEFAULT_VOICE

logger = logging.getLogger(__name__)

AUDIO_VERSION = 1  # of what happens to samples after the engine; part of the cache key
SENTENCES_BEYOND = 250  # characters; a longer text is said sentence by sentence
PAUSE_S = 0.35  # between two of them


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A sentence someone wants to hear.

    seed: None accepts any take of the sentence.
    fresh: make a new take, and let it replace the kept one. keep: whether it may be kept.
    """

    text: str
    voice: str = DEFAULT_VOICE
    seed: int | None = None
    params: SynthesisParams = field(default_factory=SynthesisParams)
    lane: Lane = Lane.LIVE
    fresh: bool = False
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Announcement:
    """A spoken sentence. key: what it was kept under. cache: `hit`, `miss` or `joined`. duration_s: of the sound."""

    wav: bytes
    key: str
    cache: str
    engine: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Spelling:
    """A text as it is said. sentences: what is a take of its own. rules: those that changed something, in order."""

    text: str
    sentences: tuple[str, ...]
    rules: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"text": self.text, "sentences": list(self.sentences), "rules": list(self.rules)}


class Announcer:
    """Speaks. One a process; every method may be called from any thread.

    engine: one to use instead of what the settings choose (tests).
    Raises ConfigError where the cache folder or the lexicon cannot be used.
    """

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        self.settings = settings
        self._lexicon = LexiconFile(settings.lexicon) if settings.lexicon else Lexicon.default()
        self._normaliser = Normaliser(language=settings.language, lexicon=self._lexicon)
        # A phrase comes again and again, and half a millisecond is most of what a cached answer may take.
        self._spell_once = lru_cache(maxsize=1024)(self._spell)
        self._takes = Store("takes", settings.cache_dir / "takes", megabytes=settings.cache_mb)
        self._conditionals = Store("conditionals", settings.cache_dir / "conditionals")
        self._loader = Loader(settings, self._conditionals, engine)
        self._studio = Studio(self._loader, self._takes, settings.queue_size)
        self._began = time.monotonic()

    def start(self, on_config_error: Callable[[ConfigError], None]) -> None:
        """Start the engine thread and load the model in the background."""
        self._studio.scheduler.start()
        self._loader.start(on_config_error)

    def start_and_wait(self) -> None:
        """Start, and return when ready. Raises ConfigError, or ModelUnavailable at the first failure."""
        self._loader.load_once()
        self._studio.scheduler.start()

    def announce(self, request: SpeechRequest) -> Announcement:
        """Speak a text. Raises what the table in monica.errors lists."""
        deadline = time.monotonic() + self.settings.deadline_s
        spelling = self.spell(request.text)
        key = self._key(request, spelling.text)
        engine = self._loader.ready_engine()
        kept = None if request.fresh else self._takes.get(key)
        if kept is not None:
            wav, cache = kept, "hit"
        else:
            orders = [self._order(request, sentence) for sentence in spelling.sentences]
            wav, cache = self._say(orders, deadline)
            if request.keep and len(orders) > 1:
                self._studio.keep(key, wav)
        return Announcement(wav, key, cache, engine.name, wav_duration(wav))

    def key_of(self, request: SpeechRequest) -> str:
        """Return what the sound of a request is, or would be, kept under. Raises as `announce` does."""
        return self._key(request, self.spell(request.text).text)

    def spell(self, text: str) -> Spelling:
        """Return a text as it is said. Raises InvalidText where it is too long or says nothing."""
        return self._spell_once(text, self._lexicon.current())

    def _spell(self, text: str, _lexicon: Lexicon) -> Spelling:
        length = len(tidy(text))
        if length > self.settings.max_text_length:
            raise InvalidText(
                f"Text is {length} characters, at most {self.settings.max_text_length}.",
                code="text_too_long",
                param="text",
            )
        spoken = self._normaliser.normalise(text)
        if not has_words(spoken.text):
            raise InvalidText("The text has nothing to say.", param="text")
        said = spoken.text
        sentences = split_sentences(said, SENTENCES_BEYOND) if len(said) > SENTENCES_BEYOND else [said]
        return Spelling(said, tuple(sentences), spoken.rules)

    def _key(self, request: SpeechRequest, said: str) -> str:
        engine = self._loader.ready_engine()
        voice_digest = self._loader.voices.get(request.voice)
        if voice_digest is None:
            known = ", ".join(sorted(self._loader.voices))
            raise UnknownVoice(f"There is no such voice. Known: {known}.", param="voice")
        identity = (engine.fingerprint, voice_digest, said, request.params, request.seed, AUDIO_VERSION)
        return hashlib.sha256(repr(identity).encode()).hexdigest()

    def _order(self, request: SpeechRequest, said: str) -> Order:
        return Order(
            key=self._key(request, said),
            text=said,
            voice=request.voice,
            params=request.params,
            seed=request.seed,
            lane=request.lane,
            fresh=request.fresh,
            keep=request.keep,
        )

    def _say(self, orders: list[Order], deadline: float) -> tuple[bytes, str]:
        """Make, or wait for, the takes of a text, all under way at once; returns their sound, joined, and whence."""
        takes, cache = self._studio.takes(orders, deadline)
        try:
            wavs = [take.wait(deadline) for take in takes]
        finally:
            for take in takes:
                take.leave()
        return (wavs[0] if len(wavs) == 1 else join_wavs(wavs, PAUSE_S)), cache

    def health(self) -> dict[str, Any]:
        """Return the state of the service, for /health. Never waits on the engine."""
        loader, scheduler = self._loader, self._studio.scheduler
        engine = loader.chosen
        now = time.monotonic()
        success = scheduler.last_success
        return {
            "status": str(loader.status),
            "device": engine.device if engine else self.settings.device,
            "model_loaded": loader.loaded,
            "engine": engine.name if engine else self.settings.engine,
            "model": engine.model if engine and loader.loaded else None,
            "voice": DEFAULT_VOICE,
            "uptime_s": round(now - self._began, 1),
            "queue_depth": scheduler.depth(),
            "last_success_s": None if success is None else round(now - success, 1),
            "failures_in_a_row": scheduler.failures_in_a_row,
            "reason": loader.reason,
        }

    def drain(self, timeout: float) -> None:
        """Refuse new takes, and wait until those submitted have ended, `timeout` seconds at most."""
        self._loader.stop()
        self._studio.scheduler.refuse()
        if not self._studio.scheduler.drain(timeout):
            logger.warning("takes were still under way after %.0f s", timeout)

    def close(self) -> None:
        self._takes.close()
        self._conditionals.close()
