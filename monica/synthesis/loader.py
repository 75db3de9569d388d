"""Loads the engine, and knows whether it is ready. If the model is unavailable, it tries again.

Everything here runs in the engine thread, before its first turn. Much of what CUDA sets up belongs to a thread: the
handles of cuBLAS and cuDNN, and cuDNN's plans of convolutions. If another thread loaded and warmed up, the first takes
on air would pay for all of that again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from monica import metrics
from monica.audio.finish import OFF, Finisher
from monica.config import Settings
from monica.engine import Engine, SynthesisParams, is_remote, speak
from monica.engine.selection import choose_engine
from monica.errors import ConfigError, DeviceLost, ModelUnavailable, MonicaError, NotReady
from monica.voices.recording import DEFAULT_VOICE
from monica.voices.registry import VoiceRegistry

logger = logging.getLogger(__name__)

WARM_UP_TEXT = "Bonjour à tous, ici Monica."
FIRST_RETRY_S, MAX_RETRY_S = 5.0, 300.0


class Status(StrEnum):
    LOADING = "loading"
    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"
    STOPPING = "stopping"


class Loader:
    """Takes the settings to an engine that is ready to speak.

    engine: used instead of the one the settings choose (tests). on_ready: called with the engine whenever it is ready.
    finisher: finishes the takes; it is warmed up too.
    """

    def __init__(
        self,
        settings: Settings,
        registry: VoiceRegistry,
        engine: Engine | None = None,
        on_ready: Callable[[Engine], None] = lambda _: None,
        finisher: Finisher = OFF,
    ) -> None:
        self._settings = settings
        self.registry = registry
        self.finisher = finisher
        self._given = engine
        self._on_ready = on_ready
        self._engine: Engine | None = None
        self._stop = threading.Event()
        self.loaded = False
        self.status = Status.LOADING
        self.reason: str | None = "The model is being loaded."
        self.device_lost: str | None = None
        """Why the process cannot use the device any more; None if it can. Loading has ended then."""

    @property
    def chosen(self) -> Engine | None:
        """The engine, loaded or not; None until it is chosen."""
        return self._engine

    @property
    def voices(self) -> dict[str, str]:
        """The digests of the voices, by name."""
        return self.registry.digests

    def ready_engine(self) -> Engine:
        """Return the engine. Raises NotReady with the reason until it is ready."""
        if self._engine is not None and self.loaded:
            return self._engine
        if self.status is Status.FAILED:
            raise NotReady(f"The model cannot be used: {self.reason}", code="model_failed", retry_after=15)
        raise NotReady("The model is being loaded.", retry_after=5)

    def load(self) -> None:
        """Load, trying again at growing intervals while the model is unavailable.

        Returns once the engine is ready, Monica is shutting down or the device is lost. Raises ConfigError if a setting
        must be changed.
        """
        retry_s = FIRST_RETRY_S
        while not self._stop.is_set():
            try:
                self.load_once()
            except ConfigError as error:
                self.status, self.reason = Status.FAILED, str(error)
                raise
            except DeviceLost as error:
                # Not tried again: every attempt would fail in the same way, for ever. The watchdog ends the process.
                self.status, self.reason = Status.FAILED, str(error)
                self.device_lost = str(error)
                return
            except MonicaError as error:
                if self._stop.is_set():
                    return
                reason = str(error)
                logger.error("the model is not available: %s; trying again in %.0f s", reason, retry_s)
            except Exception as error:
                # The guard of loading: the server stays up and says why it cannot speak.
                reason = f"{type(error).__name__} while loading."
                logger.exception("the model cannot be loaded; trying again in %.0f s", retry_s)
            else:
                return
            self.status, self.reason = Status.FAILED, reason
            self._stop.wait(retry_s)
            retry_s = min(2 * retry_s, MAX_RETRY_S)

    def load_once(self) -> None:
        """Load the engine and its voices, and warm up. Raises ConfigError, ModelUnavailable or DeviceLost."""
        began = time.monotonic()
        self.finisher.warm_up()  # first: the embedded voice may have to stand in at any time
        # Chosen once: the hardware does not change while the process lives.
        self._engine = self._engine or self._given or choose_engine(self._settings)
        engine = self._engine
        if not is_remote(engine):
            self.registry.read_recordings(engine)

        loading = time.monotonic()
        engine.load()
        if is_remote(engine):  # not known before: does it clone?
            self.registry.read_recordings(engine)
        logger.info("model: %s on %s, loaded in %.1f s", engine.model, engine.device, time.monotonic() - loading)

        self.registry.make_speakable(engine, self._check_stop)
        self._warm_up(engine)
        took = time.monotonic() - began
        metrics.model_load_seconds.set(took)
        self.loaded = True
        self._on_ready(engine)
        if not self._stop.is_set():
            self.status, self.reason = Status.OK, None
            metrics.ready.set(1)
        logger.info("ready in %.1f s", took)

    def _warm_up(self, engine: Engine) -> None:
        began = time.monotonic()
        try:
            voice = self.voices[DEFAULT_VOICE]
            samples = speak(engine, WARM_UP_TEXT, voice=voice, params=SynthesisParams(), seed=0, check=self._check_stop)
        except DeviceLost:
            raise
        except MonicaError as error:
            raise ModelUnavailable(f"The warm-up failed: {error}") from error
        took, seconds = time.monotonic() - began, len(samples) / engine.sample_rate
        logger.info("warm-up: %.1f s of audio in %.1f s", seconds, took)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise ModelUnavailable("Monica is shutting down.")

    def stop(self) -> None:
        """Stop loading, and report that Monica is shutting down."""
        self._stop.set()
        self.status, self.reason = Status.STOPPING, "Monica is shutting down."
        metrics.ready.set(0)
