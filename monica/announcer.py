"""The use case: a text in, a WAV out. A text is prepared for speech, cut into sentences, and each of them is a take."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

from monica import metrics
from monica.audio.silence import AFTER_S, BEFORE_S
from monica.audio.wav import join_wavs, wav_duration
from monica.audio_stream import AudioStream, TakeChunks
from monica.config import Settings
from monica.errors import (
    DeadlineExceeded,
    MonicaError,
    NotReady,
    Overloaded,
    SynthesisFailed,
)
from monica.speech import Announcement, SpeechRequest
from monica.store.cache import Store
from monica.store.recipe import Recipe
from monica.synthesis.duration import PRIOR
from monica.synthesis.durations import voice_of
from monica.synthesis.fallback import Fallback
from monica.synthesis.faults import Fault
from monica.synthesis.loader import Loader
from monica.synthesis.renderer import Renderer
from monica.synthesis.take import Lane, Outcome, Source, Take, Waiter, WaitFor, block
from monica.text import tidy
from monica.text.frontend import PreparedText, TextFrontend

logger = logging.getLogger(__name__)

FALLBACK_RESERVE_S = 0.5
"""Time reserved for the embedded voice to stand in before the deadline; a quarter of the deadline if that is less."""
USUAL_RATE = 24_000
"""Hertz, of an engine that is not known yet."""
COVERED = (NotReady, Overloaded, DeadlineExceeded, SynthesisFailed)
"""The errors for which the embedded voice may stand in."""
NEVER_COVERED = {"shutting_down"}
"""Codes of those errors for which it may not."""


class Announcer:
    """Speaks texts. Every method may be called from any thread.

    takes: the store that `renderer` keeps takes in. fallback: the embedded voice, if it may stand in.
    """

    def __init__(
        self,
        settings: Settings,
        frontend: TextFrontend,
        loader: Loader,
        renderer: Renderer,
        takes: Store,
        fallback: Fallback | None = None,
    ) -> None:
        self._deadline_s = settings.deadline_s
        self._frontend = frontend
        self._loader = loader
        self._renderer = renderer
        self._takes = takes
        self._fallback = fallback
        # Many requests may wait for one and the same take; the threads they wait in are bounded all the same.
        self._seats = threading.Semaphore(settings.queue_size + settings.threads * 3 // 4)
        self.last_live = time.monotonic()
        """When a live sentence was last asked for."""

    def announce(self, request: SpeechRequest, wait_for: WaitFor = block) -> Announcement:
        """Speak a text.

        wait_for: how to wait for the sound. Raises what it raises, and the errors listed in monica.errors.
        """
        prepared, deadline = self._prepare(request)
        try:
            return self._announce(request, prepared, deadline, wait_for)
        except COVERED as error:
            return self._stand_in(request, error)

    def stream(self, request: SpeechRequest, wait_for: WaitFor = block) -> AudioStream:
        """Speak a text while it is made: returns as soon as there is something to hear. Raises what `announce` does.

        What has been heard in part is not made again, and the embedded voice stands in before the first sound or not
        at all.
        """
        prepared, deadline = self._prepare(request)
        try:
            return self._stream(request, prepared, deadline, wait_for)
        except COVERED as error:
            return AudioStream.from_announcement(self._stand_in(request, error))

    def repeat(self, request: SpeechRequest, key: str, size: int) -> bytes | None:
        """Return the sound kept for a request if it was heard a moment ago, as a hit; None if it must be announced.

        key, size: what it was kept under, and its bytes. If either is different now, it is not the same sound.
        """
        try:
            if self.key_of(request) != key:
                return None
        except MonicaError:
            return None
        wav = self._takes.get_recent(key, size)
        if wav is not None:
            self.last_live = time.monotonic() if request.lane is Lane.LIVE else self.last_live
            metrics.requests_served.labels(request.lane, Source.HIT).inc()
        return wav

    def key_of(self, request: SpeechRequest) -> str:
        """Return the key that the sound of a request is, or would be, kept under. Raises as `announce` does."""
        return self._recipe(request, self._frontend.prepare(request.text).said).key

    def said(self, text: str) -> str:
        """Return a text as the engine says it, with the pauses it asks for. Raises InvalidText."""
        return self._frontend.prepare(text).said

    def sentences(self, text: str) -> tuple[str, ...]:
        """Return the sentences that a text is made of, as the engine says them. Raises InvalidText."""
        return self._frontend.prepare(text).sentences

    def kept(self, key: str) -> bytes | None:
        """Return the sound kept under a key. It counts as used, but not as a hit."""
        return self._takes.get_without_hit(key)

    def slots(self) -> int:
        """Return how many takes the engine makes side by side. Raises NotReady."""
        return self._loader.ready_engine().slots

    def seconds_for(self, characters: float) -> float | None:
        """Estimate the time to speak that much prepared text; None until the throughput has been measured."""
        return self._renderer.scheduler.seconds_for(characters)

    def sound_seconds(self, request: SpeechRequest) -> float:
        """Estimate how long the sound of a text will be: by what its voice has said so far, or else by the prior.

        Raises InvalidText or UnknownVoice.
        """
        prepared = self._frontend.prepare(request.text)
        try:
            model = self._renderer.durations.model(voice_of(self._recipe(request, prepared.said)))
        except NotReady:
            model = PRIOR
        spoken = sum(model.expect(sentence).seconds + BEFORE_S + AFTER_S for sentence in prepared.sentences)
        return spoken + sum(prepared.pauses_s)

    def sound_bytes(self, seconds: float) -> float:
        """Return the bytes that so many seconds of sound take in WAV files; at 24 kHz until the engine is ready."""
        try:
            rate = self._loader.ready_engine().sample_rate
        except NotReady:
            rate = USUAL_RATE
        return 2 * rate * seconds

    def voices(self) -> list[str]:
        """Return the names of the known voices. Raises NotReady until the engine is ready."""
        self._loader.ready_engine()
        return sorted(self._loader.voices)

    def voice_aliases(self) -> dict[str, str]:
        """Return the names of voices by their aliases. Raises NotReady until the engine is ready."""
        self._loader.ready_engine()
        return self._loader.registry.aliases

    def voice_licenses(self) -> dict[str, str]:
        """Return the licences of built-in voices by name, as far as they are known."""
        return self._loader.registry.licenses

    def _prepare(self, request: SpeechRequest) -> tuple[PreparedText, float]:
        """Return the text as it is said, and the deadline of its takes in monotonic seconds."""
        now = time.monotonic()
        self.last_live = now if request.lane is Lane.LIVE else self.last_live
        allowed = self._deadline_s if request.deadline_s is None else request.deadline_s
        reserve = min(FALLBACK_RESERVE_S, allowed / 4) if self._may_fall_back(request) else 0.0
        return self._frontend.prepare(request.text), now + allowed - reserve

    def _may_fall_back(self, request: SpeechRequest) -> bool:
        return self._fallback is not None and request.fallback and request.lane is Lane.LIVE

    def _stand_in(self, request: SpeechRequest, error: MonicaError) -> Announcement:
        """Have the embedded voice speak in the engine's place. Raises `error` if it may not."""
        engine = self._loader.chosen
        if (
            self._fallback is None
            or not self._may_fall_back(request)
            or error.code in NEVER_COVERED
            or (engine is not None and engine.name == self._fallback.name)
        ):
            raise error
        logger.warning("the embedded voice stands in: %s", error)
        # The embedded voice has readings of its own, in phonemes; the engine's would make it speak letters instead.
        prepared = self._frontend.prepare(request.text, self._fallback.name)
        wav = self._fallback.speak_sentences(prepared.sentences, prepared.pauses_s)
        metrics.fallbacks.labels(error.code).inc()
        return Announcement(wav, None, Source.MISS, self._fallback.name, wav_duration(wav))

    def _announce(
        self, request: SpeechRequest, prepared: PreparedText, deadline: float, wait_for: WaitFor
    ) -> Announcement:
        recipe = self._recipe(request, prepared.said)
        announcement = self._look_up(request, recipe)
        if announcement is None:
            takes, source, waiter = self._request_takes(request, prepared, deadline)
            try:
                for take in takes:
                    take.wait(deadline, wait_for)
            finally:
                self._leave(takes, waiter)
            wav, faults = self._join(request, prepared, recipe, takes)
            announcement = Announcement(wav, recipe.key, source, recipe.engine, wav_duration(wav), faults)
        metrics.requests_served.labels(request.lane, announcement.source).inc()
        return announcement

    def _stream(
        self, request: SpeechRequest, prepared: PreparedText, deadline: float, wait_for: WaitFor
    ) -> AudioStream:
        recipe = self._recipe(request, prepared.said)
        announcement = self._look_up(request, recipe)
        if announcement is None:
            rate = self._loader.ready_engine().sample_rate
            takes, source, waiter = self._request_takes(request, prepared, deadline, stream=True)

            def on_end(complete: bool) -> None:
                self._leave(takes, waiter)
                if complete:
                    self._join(request, prepared, recipe, takes)

            silences = [bytes(2 * round(pause_s * rate)) for pause_s in prepared.pauses_s]
            chunks = TakeChunks(takes, deadline, wait_for, silences, on_end)
            stream = AudioStream(chunks, rate, recipe.key, source, recipe.engine)
        else:
            stream = AudioStream.from_announcement(announcement)
        metrics.requests_served.labels(request.lane, stream.source).inc()
        return stream

    def _look_up(self, request: SpeechRequest, recipe: Recipe) -> Announcement | None:
        if request.fresh:
            return None
        key = recipe.key  # a hash each time
        wav = self._takes.get(key)
        return None if wav is None else Announcement(wav, key, Source.HIT, recipe.engine, wav_duration(wav))

    def _recipe(self, request: SpeechRequest, said: str, text: str = "") -> Recipe:
        """Return how a text is made into sound. text: as it was written, which a look-up does not need."""
        engine = self._loader.ready_engine()
        voice = self._loader.registry.resolve(request.voice)
        return Recipe(
            text=text,
            said=said,
            engine=engine.name,
            fingerprint=engine.fingerprint,
            voice=voice.name,
            voice_digest=voice.digest,
            params=request.params,
            seed=request.seed,
            audio=self._loader.finisher.version,
        )

    def _request_takes(
        self, request: SpeechRequest, prepared: PreparedText, deadline: float, *, stream: bool = False
    ) -> tuple[list[Take], Source, Waiter]:
        """Make or join the takes of a text, all of them at once. Returns them and their source; they must be left."""
        written, alone = tidy(request.text), prepared.is_one_take
        if alone:
            recipes = [self._recipe(request, prepared.sentences[0], written)]
        else:
            recipes = [replace(self._recipe(request, said, said), page=written) for said in prepared.sentences]
        if not self._seats.acquire(blocking=False):
            metrics.takes.labels(Outcome.REFUSED).inc(len(recipes))
            raise Overloaded("Too many requests already wait.", retry_after=self._renderer.scheduler.place_after())
        waiter = Waiter(deadline, request.lane, request.keep)
        try:
            takes, source = self._renderer.takes(recipes, waiter, fresh=request.fresh, stream=stream)
        except BaseException:
            self._seats.release()
            raise
        return takes, source, waiter

    def _leave(self, takes: list[Take], waiter: Waiter) -> None:
        for take in takes:
            take.leave(waiter)
        self._seats.release()

    def _join(
        self, request: SpeechRequest, prepared: PreparedText, recipe: Recipe, takes: list[Take]
    ) -> tuple[bytes, tuple[Fault, ...]]:
        """Join the finished sentences of a text. The whole is kept too, unless one of them has a fault."""
        wavs = [take.sound.result() for take in takes]
        faults = tuple(dict.fromkeys(fault for take in takes for fault in take.faults))
        if prepared.is_one_take:
            return wavs[0], faults
        wav = join_wavs(wavs, prepared.pauses_s)
        if request.keep and not faults:
            self._renderer.keep(wav, replace(recipe, text=tidy(request.text)), fresh=request.fresh)
        return wav, faults
