"""The use case: a text in, a WAV out. Texts become what is said, long ones sentences, sentences takes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import IO, Any, TypeVar

from monica import metrics
from monica.audio.finish import Finisher
from monica.audio.wav import join_wavs, wav_duration
from monica.audio_stream import AudioStream, Pieces
from monica.config import Settings
from monica.engine import Engine
from monica.errors import (
    ConfigError,
    DeadlineExceeded,
    NotReady,
    Overloaded,
    SynthesisFailed,
    UnknownVoice,
)
from monica.speech import Announcement, SpeechRequest
from monica.store.cache import Store
from monica.store.catalogue import Catalogue
from monica.store.encodings import Encodings
from monica.store.identity import Identity
from monica.store.label import Recipe
from monica.synthesis.checks import Fault
from monica.synthesis.fallback import Fallback
from monica.synthesis.health import Health
from monica.synthesis.loader import Loader
from monica.synthesis.renderer import Order, Renderer
from monica.synthesis.running import Outcome
from monica.synthesis.take import Lane, Patience, Take, Waiter, stay
from monica.synthesis.watchdog import Watchdog
from monica.text import tidy
from monica.text.frontend import PreparedText, TextFrontend
from monica.voices.recording import DEFAULT_VOICE
from monica.voices.uploads import Uploads

__all__ = ["Announcement", "Announcer", "SpeechRequest"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

PAUSE_S = 0.35  # between two sentences
RESERVE_S = 0.5
"""What the embedded voice needs at most, to stand in before the deadline passes; a quarter of a shorter deadline."""


class Announcer:
    """Speaks. One a process; every method may be called from any thread.

    engine: one to use instead of what the settings choose (tests).
    Raises ConfigError where the cache folder, that of the voices or the lexicon cannot be used.
    """

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        self.settings = settings
        self.spell = TextFrontend(settings).spell
        self._takes = Store("takes", settings.cache_dir / "takes", megabytes=settings.cache_mb)
        self.catalogue = Catalogue(self._takes, settings.cache_mb * 2**20)
        self._conditionals = Store("conditionals", settings.cache_dir / "conditionals")
        self.finisher = Finisher.of(settings)
        self._loader = Loader(settings, self._conditionals, engine, self._note_identity, self.finisher)
        self.uploads = Uploads(settings, self._loader.gallery)
        self._studio = Renderer(self._loader, self._takes, settings.queue_size, finisher=self.finisher)
        self.encodings = Encodings(settings)
        self._seats = threading.Semaphore(settings.queue_size + settings.threads * 3 // 4)
        self._fallback = Fallback(settings, self.finisher) if settings.fallback == "espeak" else None
        self._health = Health(self._loader, self._studio.scheduler, overdue_s=2 * settings.deadline_s)
        self._began = self.last_live = time.monotonic()
        """When a live sentence was last asked for."""

    def start(self, on_config_error: Callable[[ConfigError], None], on_lost: Callable[[str], None]) -> None:
        """Start the engine thread and load the model in the background.

        on_lost: called with the reason where the engine does not come back; it ends the process.
        """
        self._studio.scheduler.start()
        self._loader.start(on_config_error)
        Watchdog(self._health, self._studio.scheduler, on_lost).start()

    def start_and_wait(self) -> None:
        """Start, and return when ready. Raises ConfigError, or ModelUnavailable at the first failure."""
        self._loader.load_once()
        self._studio.scheduler.start()

    def announce(self, request: SpeechRequest, patience: Patience = stay) -> Announcement:
        """Speak a text.

        patience: how to wait for it. Raises what it raises, and what the table in monica.errors lists.
        """
        return self._attempt(request, partial(self._announce, request, patience), lambda said: said)

    def broadcast(self, request: SpeechRequest, patience: Patience = stay) -> AudioStream:
        """Speak a text while it is made: returns as soon as there is something to hear. Waits and raises as `announce`.

        What was heard in part is not made again, and the embedded voice stands in before the first sound or not at all.
        """
        return self._attempt(request, partial(self._broadcast, request, patience), AudioStream.of)

    def _attempt(
        self,
        request: SpeechRequest,
        speak: Callable[[PreparedText, float], T],
        stand_in: Callable[[Announcement], T],
    ) -> T:
        """Speak, given a spelling and a deadline, or else have the embedded voice stand in where it may."""
        began = time.monotonic()
        self.last_live = began if request.lane is Lane.LIVE else self.last_live
        allowed = self.settings.deadline_s if request.deadline_s is None else request.deadline_s
        spelling = self.spell(request.text)
        if self._fallback is None or not request.fallback or request.lane is not Lane.LIVE:
            return speak(spelling, began + allowed)
        try:
            return speak(spelling, began + allowed - min(RESERVE_S, allowed / 4))
        except (NotReady, Overloaded, DeadlineExceeded, SynthesisFailed) as error:
            engine = self._loader.chosen
            if error.code == "shutting_down" or (engine is not None and engine.name == self._fallback.name):
                raise
            logger.warning("the embedded voice stands in: %s", error)
            wav = self._fallback.say(spelling.sentences, PAUSE_S)
            metrics.fallbacks.labels(error.code).inc()
            return stand_in(Announcement(wav, None, "miss", self._fallback.name, wav_duration(wav)))

    def _announce(
        self, request: SpeechRequest, patience: Patience, spelling: PreparedText, deadline: float
    ) -> Announcement:
        recipe = self._recipe(request, spelling.text)
        said = self._hit(request, recipe)
        if said is None:
            orders = self._orders(request, spelling)
            takes, cache, waiter = self._admit(request, orders, deadline)
            try:
                for take in takes:
                    take.wait(deadline, patience)
            finally:
                self._leave(takes, waiter)
            wav, fault = self._join(request, recipe, takes)
            said = Announcement(wav, recipe.key, cache, recipe.engine, wav_duration(wav), fault)
        metrics.requests_served.labels(request.lane, said.cache).inc()
        return said

    def _broadcast(
        self, request: SpeechRequest, patience: Patience, spelling: PreparedText, deadline: float
    ) -> AudioStream:
        recipe = self._recipe(request, spelling.text)
        said = self._hit(request, recipe)
        if said is None:
            rate = self._loader.ready_engine().sample_rate
            takes, cache, waiter = self._admit(request, self._orders(request, spelling, stream=True), deadline)

            def left(heard: bool) -> None:
                self._leave(takes, waiter)
                if heard:
                    self._join(request, recipe, takes)

            pieces = Pieces(takes, deadline, patience, bytes(2 * round(PAUSE_S * rate)), left)
            broadcast = AudioStream(pieces, rate, recipe.key, cache, recipe.engine)
        else:
            broadcast = AudioStream.of(said)
        metrics.requests_served.labels(request.lane, broadcast.cache).inc()
        return broadcast

    def _hit(self, request: SpeechRequest, recipe: Recipe) -> Announcement | None:
        wav = None if request.fresh else self._takes.get(recipe.key)
        return None if wav is None else Announcement(wav, recipe.key, "hit", recipe.engine, wav_duration(wav))

    def key_of(self, request: SpeechRequest) -> str:
        """Return what the sound of a request is, or would be, kept under. Raises as `announce` does."""
        return self._recipe(request, self.spell(request.text).text).key

    def kept(self, key: str) -> bytes | None:
        """Return the sound that is kept under a key: it is in use, but nobody has asked for it."""
        return self._takes.use(key)

    def slots(self) -> int:
        """Return how many takes are made side by side. Raises NotReady."""
        return self._loader.ready_engine().slots

    def seconds_for(self, characters: float) -> float | None:
        """Estimate the time to make takes of so much text, as it is said; None where no pace has been measured yet."""
        return self._studio.scheduler.seconds_for(characters)

    def _recipe(self, request: SpeechRequest, said: str, text: str = "") -> Recipe:
        engine = self._loader.ready_engine()
        voice = self._loader.gallery.find(request.voice)
        if voice is None:
            raise UnknownVoice(f"There is no such voice. Known: {', '.join(self.voices())}.", param="voice")
        return Recipe(
            text=text,
            said=said,
            engine=engine.name,
            fingerprint=engine.fingerprint,
            voice=request.voice,
            voice_digest=voice.digest,
            params=request.params,
            seed=request.seed,
            audio=self.finisher.version,
        )

    def _note_identity(self, engine: Engine) -> None:
        """Let who imports takes know whose are played here."""
        Identity(engine.fingerprint, self._loader.voices, self.finisher.version).write(self.settings.cache_dir)

    def _orders(self, request: SpeechRequest, spelling: PreparedText, *, stream: bool = False) -> list[Order]:
        text, alone = tidy(request.text), len(spelling.sentences) == 1
        recipes = [self._recipe(request, said, text if alone else said) for said in spelling.sentences]
        return [Order.of(recipe, fresh=request.fresh, stream=stream) for recipe in recipes]

    def _admit(self, request: SpeechRequest, orders: list[Order], deadline: float) -> tuple[list[Take], str, Waiter]:
        """Make, or join, the takes of a text, all under way at once; returns them, and whence. They must be left."""
        if not self._seats.acquire(blocking=False):
            # Many may wait for one and the same take; the threads they wait in are bounded all the same.
            metrics.takes.labels(Outcome.REFUSED).inc(len(orders))
            raise Overloaded("Too many requests already wait.", retry_after=self._studio.scheduler.place_after())
        waiter = Waiter(deadline, request.lane, request.keep)
        try:
            takes, cache = self._studio.takes(orders, waiter)
        except BaseException:
            self._seats.release()
            raise
        return takes, cache, waiter

    def _leave(self, takes: list[Take], waiter: Waiter) -> None:
        for take in takes:
            take.leave(waiter)
        self._seats.release()

    def _join(self, request: SpeechRequest, recipe: Recipe, takes: list[Take]) -> tuple[bytes, Fault | None]:
        """Put the sentences of a text, all of them made, together, and keep them together where none has a fault."""
        wavs, fault = [take.sound.result() for take in takes], next((take.fault for take in takes if take.fault), None)
        if len(wavs) == 1:
            return wavs[0], fault
        wav = join_wavs(wavs, PAUSE_S)
        if request.keep and fault is None:
            self._studio.keep(recipe.key, wav, replace(recipe, text=tidy(request.text)))
        return wav, fault

    def voices(self) -> list[str]:
        """Return the names of the voices there are. Raises NotReady until they are known."""
        self._loader.ready_engine()
        return sorted(self._loader.voices)

    def add_voice(self, name: str, recording: IO[bytes]) -> None:
        """Add a voice, cloned from a recording. Raises NotReady, DeadlineExceeded, and what Uploads.add does."""
        engine = self._loader.ready_engine()
        self.uploads.add(name, recording, self._in_engine)
        self._note_identity(engine)

    def remove_voice(self, name: str) -> None:
        """Remove a voice that was added. Raises NotReady, and what Uploads.remove does."""
        engine = self._loader.ready_engine()
        self.uploads.remove(name)
        self._note_identity(engine)

    def _in_engine(self, work: Callable[[], bytes]) -> bytes:
        done = self._studio.scheduler.run(work)
        try:
            return done.result(self.settings.deadline_s)
        except TimeoutError as error:
            done.cancel()
            raise DeadlineExceeded("The engine did not come to this voice in time.") from error

    def health(self) -> dict[str, Any]:
        """Return the state of the service, for /health. Never waits on the engine."""
        now = time.monotonic()
        return self._health.report(now, self.settings) | {
            "voice": DEFAULT_VOICE,
            "fallback": self._fallback.name if self._fallback else None,
            "uptime_s": round(now - self._began, 1),
        }

    def drain(self, timeout: float) -> None:
        """Refuse new takes, and wait until those submitted have ended, `timeout` seconds at most."""
        self._loader.stop()
        self._studio.scheduler.refuse()
        if not self._studio.scheduler.drain(timeout):
            logger.warning("takes were still under way after %.0f s", timeout)
        self._takes.flush()

    def close(self) -> None:
        self._takes.close()
        self._conditionals.close()
        self.encodings.close()
