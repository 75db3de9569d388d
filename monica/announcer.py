"""The use case: a text in, a WAV out, from the cache, from a take under way, or from a new one."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from monica import metrics
from monica.audio import encode_wav, wav_duration
from monica.cache import Store
from monica.config import Settings
from monica.engine import MAX_SEED, Engine, SynthesisParams
from monica.errors import ConfigError, InvalidText, SynthesisFailed, UnknownVoice
from monica.loader import Loader
from monica.scheduler import Scheduler
from monica.takes import Lane, Take
from monica.text import has_words, tidy
from monica.voices import DEFAULT_VOICE

logger = logging.getLogger(__name__)

AUDIO_VERSION = 1  # of what happens to samples after the engine; part of the cache key


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


class Announcer:
    """Speaks. One a process; every method may be called from any thread.

    engine: one to use instead of what the settings choose (tests).
    Raises ConfigError where the cache folder cannot be used.
    """

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        self.settings = settings
        self._takes_store = Store("takes", settings.cache_dir / "takes", megabytes=settings.cache_mb)
        self._conditionals = Store("conditionals", settings.cache_dir / "conditionals")
        self._loader = Loader(settings, self._conditionals, engine)
        self._scheduler = Scheduler(self._perform, settings.queue_size)
        self._under_way: dict[str, Take] = {}
        self._lock = threading.Lock()
        self._began = time.monotonic()
        metrics.cache_bytes.set(self._takes_store.volume())

    def start(self, on_config_error: Callable[[ConfigError], None]) -> None:
        """Start the engine thread and load the model in the background."""
        self._scheduler.start()
        self._loader.start(on_config_error)

    def start_and_wait(self) -> None:
        """Start, and return when ready. Raises ConfigError, or ModelUnavailable at the first failure."""
        self._loader.load_once()
        self._scheduler.start()

    def announce(self, request: SpeechRequest) -> Announcement:
        """Speak a sentence. Raises what the table in monica.errors lists."""
        deadline = time.monotonic() + self.settings.deadline_s
        text, key = self._identify(request)
        engine = self._loader.ready_engine()
        cache = "hit"
        wav = None if request.fresh else self._takes_store.get(key)
        if wav is None:
            take, cache = self._take(request, text, key, deadline)
            wav = take.wait(deadline)
        return Announcement(wav, key, cache, engine.name, wav_duration(wav))

    def key_of(self, request: SpeechRequest) -> str:
        """Return what the take of a request is, or would be, kept under. Raises as `announce` does."""
        return self._identify(request)[1]

    def _identify(self, request: SpeechRequest) -> tuple[str, str]:
        text = tidy(request.text)
        if not has_words(text):
            raise InvalidText("The text has nothing to say.", param="text")
        if len(text) > self.settings.max_text_length:
            raise InvalidText(
                f"Text is {len(text)} characters, at most {self.settings.max_text_length}.",
                code="text_too_long",
                param="text",
            )
        engine = self._loader.ready_engine()
        voice_digest = self._loader.voices.get(request.voice)
        if voice_digest is None:
            known = ", ".join(sorted(self._loader.voices))
            raise UnknownVoice(f"There is no such voice. Known: {known}.", param="voice")
        identity = (
            engine.fingerprint,
            voice_digest,
            text,
            request.params,
            request.seed,
            AUDIO_VERSION,
        )
        return text, hashlib.sha256(repr(identity).encode()).hexdigest()

    def _take(self, request: SpeechRequest, text: str, key: str, deadline: float) -> tuple[Take, str]:
        with self._lock:
            under_way = None if request.fresh else self._under_way.get(key)
            if under_way is not None and under_way.join(deadline=deadline, keep=request.keep):
                return under_way, "joined"
            if not request.fresh:
                # The take this request would have joined may have ended since the first look.
                wav = self._takes_store.get(key, counted=False)
                if wav is not None:
                    return Take.finished(wav), "joined"
            take = Take(
                key=key,
                text=text,
                voice=request.voice,
                params=request.params,
                seed=secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed,
                lane=request.lane,
                deadline=deadline,
                keep=request.keep,
            )
            self._scheduler.submit(take)
            self._under_way[key] = take
        take.sound.add_done_callback(lambda _: self._forget(take))
        return take, "miss"

    def _forget(self, take: Take) -> None:
        with self._lock:
            if self._under_way.get(take.key) is take:
                del self._under_way[take.key]

    def _perform(self, take: Take) -> bytes:
        """Make the WAV of a take; the engine thread's work."""
        engine = self._loader.ready_engine()
        began = time.monotonic()
        samples = engine.synthesize(take.text, voice=take.voice, params=take.params, seed=take.seed, check=take.check)
        if len(samples) == 0:
            raise SynthesisFailed("The engine made no sound for this sentence.")
        took, seconds = time.monotonic() - began, len(samples) / engine.sample_rate
        metrics.real_time_factor.observe(took / seconds)
        with metrics.stage_duration.labels("encode").time():
            wav = encode_wav(samples, engine.sample_rate)
        if take.keep:
            self._takes_store.put(take.key, wav)
            metrics.cache_bytes.set(self._takes_store.volume())
        logger.info(
            "take %.12s: %d characters, %.2f s of audio in %.2f s, seed %d",
            take.key, len(take.text), seconds, took, take.seed,
        )  # fmt: skip
        return wav

    def health(self) -> dict[str, Any]:
        """Return the state of the service, for /health. Never waits on the engine."""
        loader, scheduler = self._loader, self._scheduler
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
        self._scheduler.refuse()
        if not self._scheduler.drain(timeout):
            logger.warning("takes were still under way after %.0f s", timeout)

    def close(self) -> None:
        self._takes_store.close()
        self._conditionals.close()
