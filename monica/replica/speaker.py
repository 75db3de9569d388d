"""Makes the takes that servers ask for: their lanes, deadlines and voices meet in one engine. Knows no HTTP and no Ray.

It neither finishes nor keeps a take, and never makes one again with another seed: all that is its server's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monica import __version__
from monica.config import Settings
from monica.engine import Engine, Reference, SynthesisParams, is_cloning, wire
from monica.errors import ConfigError, MonicaError, SynthesisFailed, UnknownVoice
from monica.store.cache import Store
from monica.store.recipe import Recipe
from monica.synthesis.health import Health
from monica.synthesis.loader import Loader
from monica.synthesis.scheduler import Scheduler
from monica.synthesis.take import Lane, Take, Waiter
from monica.synthesis.watchdog import Watchdog
from monica.voices.registry import VoiceRegistry

ONLY_ATTEMPT = 2
"""The number of a take's attempt that is its last."""


@dataclass(eq=False, slots=True)
class Errand:
    """A take that a server waits for."""

    send: Callable[[bytes], object]
    """Sends it a frame. From any thread."""
    sent: int = 0
    """Samples that it has been sent."""


class ForeignEngine(Exception):
    """The server keeps takes of another engine or checkpoint than this one's."""


class Speaker:
    """One replica. engine: used instead of the one the settings choose (tests)."""

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        # The server's recordings are its own. It brings their conditionals; this one has the engine's own voice.
        settings = replace(settings, reference_audio=None, voices_dir=None)
        self._settings = settings
        self._registry = VoiceRegistry(settings, Store("conditionals", settings.cache_dir / "conditionals"))
        self._loader = Loader(settings, self._registry, engine)
        self.scheduler = Scheduler(
            self._loader.ready_engine, self._finish, settings.queue_size, publish=self._send_samples
        )
        self.health = Health(settings, self._loader, self.scheduler)
        self._errands: dict[Take, Errand] = {}
        self._voices: dict[str, bytes] = {}
        """Conditionals of the takes that are under way, for the engine to ask for."""

    def start_and_wait(self, on_lost: Callable[[str], None]) -> None:
        """Load the engine. on_lost: ends the process if the engine is lost. Raises ConfigError or a MonicaError."""
        self.scheduler.start(self._loader.load_once).result()
        self.engine = engine = self._loader.ready_engine()
        if is_cloning(engine):
            self._bring_own_voice, engine.bring_voice = engine.bring_voice, self._bring_voice
        Watchdog(self.health, self.scheduler, on_lost).start()

    def identity(self) -> wire.Identity:
        engine = self.engine
        return wire.Identity(
            monica=__version__,
            engine=engine.name,
            model=engine.model,
            device=engine.device,
            language=self._settings.language,
            sample_rate=engine.sample_rate,
            fingerprint=engine.fingerprint,
            clones=engine.clones,
        )

    def check(self, header: dict[str, Any]) -> None:
        """Raise ForeignEngine if a server counts on another engine."""
        if header["fingerprint"] != self.engine.fingerprint:
            raise ForeignEngine(f"this replica speaks with {self.engine.fingerprint}, not {header['fingerprint']}")

    async def learn_voice(self, header: dict[str, Any], conditionals: bytes) -> None:
        """Raises ValueError if these are not conditionals of this engine, or a MonicaError."""
        await self._call(lambda engine: engine.add_voice(header["voice"], conditionals))

    async def make_conditionals(self, header: dict[str, Any], samples: bytes) -> bytes:
        """Clone a voice. Raises ValueError if it cannot be cloned, or a MonicaError."""
        told = header.get("reference")
        reference = None if told is None else Reference(samples=wire.samples_of(samples), **told)
        try:
            made: bytes = await self._call(lambda engine: engine.make_conditionals(reference))
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return made

    async def speak(self, header: dict[str, Any], conditionals: bytes) -> AsyncIterator[bytes]:
        """Make a take. Yields its frames, the last of which is the end or an error."""
        loop, frames = asyncio.get_running_loop(), asyncio.Queue[bytes]()
        lane = Lane.LIVE if header["live"] else Lane.BACKGROUND
        waiter = Waiter(time.monotonic() + header["seconds"], lane)
        take = Take(self._recipe(header), header["seed"], (waiter,), header["stream"], attempts=ONLY_ATTEMPT)
        take.key = header["key"]  # as its server's log says it
        self._errands[take] = Errand(lambda frame: loop.call_soon_threadsafe(frames.put_nowait, frame))
        if conditionals:
            self._voices[header["voice"]] = conditionals
        take.sound.add_done_callback(partial(self._end, take))
        try:
            self.scheduler.submit([take])
        except MonicaError as error:
            take.sound.set_exception(error)
        try:
            ended = False
            while not ended:
                frame = await frames.get()
                ended = frame[:1] != wire.SAMPLES
                yield frame
        finally:
            take.leave(waiter)
            self._errands.pop(take, None)
            if not any(other.recipe.voice_digest == header["voice"] for other in self._errands):
                self._voices.pop(header["voice"], None)

    def _recipe(self, header: dict[str, Any]) -> Recipe:
        return Recipe(
            text=header["text"],
            said=header["text"],
            engine=self.engine.name,
            fingerprint=self.engine.fingerprint,
            voice="",
            voice_digest=header["voice"],
            params=SynthesisParams(**header["params"]),
            seed=header["seed"],
            audio="",
        )

    async def _call(self, work: Callable[[Any], Any]) -> Any:
        """Have the engine thread do something with the engine."""
        return await asyncio.wrap_future(self.scheduler.call(lambda: work(self.engine)))

    def _bring_voice(self, digest: str) -> None:
        """Give the engine a voice it needs. Runs in its thread. Raises UnknownVoice: the server will bring it."""
        if digest in self._registry.digests.values():
            self._bring_own_voice(digest)
        elif digest not in self._voices:
            raise UnknownVoice("This replica does not know the voice yet.")
        else:
            try:
                self.engine.add_voice(digest, self._voices[digest])  # type: ignore[attr-defined]
            except ValueError as error:
                raise SynthesisFailed(f"The voice cannot be used: {error}") from error

    def _send_samples(self, take: Take, samples: NDArray[np.float32]) -> None:
        errand = self._errands.get(take)
        if errand is not None:  # its server is still there
            errand.sent += len(samples)
            errand.send(wire.pack_samples(samples))

    def _finish(self, take: Take, samples: NDArray[np.float32], took_s: float) -> bytes:
        errand = self._errands.get(take)
        if errand is not None:
            self._send_samples(take, samples[errand.sent :])
        return b""

    def _end(self, take: Take, sound: Future[bytes]) -> None:
        errand, error = self._errands.get(take), sound.exception()
        if errand is None:
            return
        if isinstance(error, MonicaError):
            errand.send(wire.pack_error(error))
        else:
            errand.send(wire.pack_frame(wire.END))
