"""Where takes are made: one of a key at a time, shared by all who ask for it, kept when it ends well."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from monica import metrics
from monica.audio.finish import OFF, Finisher, StreamFinisher
from monica.audio.wav import Samples, encode_wav, to_pcm, wav_duration
from monica.engine import MAX_SEED, SynthesisParams
from monica.errors import MonicaError
from monica.store.cache import Store
from monica.store.label import Label, Recipe
from monica.synthesis.loader import Loader
from monica.synthesis.scheduler import Scheduler
from monica.synthesis.take import Take, Waiter

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What to make: `text` as it will be said, under `key`; everything that changes the sound is in the key.

    seed: None draws one. fresh: make it anew, and let it replace the kept one. stream: let it be heard in pieces.
    recipe: what is said of it beside the kept sound, if anything is.
    """

    key: str
    text: str
    voice: str
    params: SynthesisParams
    seed: int | None
    fresh: bool
    recipe: Recipe | None = None
    stream: bool = False

    @classmethod
    def of(cls, recipe: Recipe, *, fresh: bool, stream: bool) -> Order:
        """Return the order for what a recipe says."""
        return cls(recipe.key, recipe.said, recipe.voice_digest, recipe.params, recipe.seed, fresh, recipe, stream)


class Renderer:
    """The takes under way, and the store of those that ended well."""

    def __init__(
        self,
        loader: Loader,
        store: Store,
        queue_size: int,
        clock: Callable[[], float] = time.monotonic,
        finisher: Finisher = OFF,
    ) -> None:
        self._loader = loader
        self._store = store
        self._finisher = finisher
        self._streams: WeakKeyDictionary[Take, tuple[int, StreamFinisher]] = WeakKeyDictionary()
        """Takes that are heard while they are made: which attempt, and how it is finished."""
        self._under_way: dict[str, Take] = {}
        self._recipes: WeakKeyDictionary[Take, Recipe] = WeakKeyDictionary()
        # Re-entrant: submitting a take may end abandoned ones, and each is forgotten here where it ends.
        self._lock = threading.RLock()
        self.scheduler = Scheduler(loader.ready_engine, self._deliver, queue_size, clock, self._play)
        metrics.cache_bytes.set(store.volume())

    def takes(self, orders: list[Order], waiter: Waiter) -> tuple[list[Take], str]:
        """Return takes to wait on, all of them or none, and the newest of whence they are: miss, joined, hit.

        The waiter leaves each of them. Raises NotReady or Overloaded.
        """
        takes, new, caches = [], [], set()
        with self._lock:
            for order in orders:
                take, cache = self._find(order, waiter)
                if take is None:
                    take, cache = self._new(order, waiter), "miss"
                    new.append(take)
                    self._under_way[order.key] = take
                takes.append(take)
                caches.add(cache)
            try:
                self.scheduler.submit(new)
            except MonicaError:
                for take in new:
                    self._forget(take)
                for take in takes:
                    take.leave(waiter)
                raise
        for take in new:
            take.sound.add_done_callback(partial(self._forget, take))
        return takes, next(cache for cache in ("miss", "joined", "hit") if cache in caches)

    def _find(self, order: Order, waiter: Waiter) -> tuple[Take | None, str]:
        if order.fresh:
            return None, "miss"
        under_way = self._under_way.get(order.key)
        if under_way is not None and under_way.join(waiter):
            return under_way, "joined"
        # Looked up here, under the lock: a take that has just ended is either under way or kept.
        kept = self._store.get(order.key, counted=False)
        return (None, "miss") if kept is None else (Take.finished(kept), "hit")

    def _new(self, order: Order, waiter: Waiter) -> Take:
        seed = secrets.randbelow(MAX_SEED + 1) if order.seed is None else order.seed
        take = Take(order.key, order.text, order.voice, order.params, seed, (waiter,), order.stream)
        if order.recipe is not None:
            self._recipes[take] = order.recipe
        return take

    def keep(self, key: str, wav: bytes, recipe: Recipe | None = None, drawn: int | None = None) -> None:
        """Keep a sound and what is known of it. drawn: the seed of a take; None where it was put together from them."""
        if recipe is None:
            self._store.put(key, wav)
        else:
            self._store.put(key, wav, Label(recipe, drawn, wav_duration(wav), time.time()).written())
        metrics.cache_bytes.set(self._store.volume())

    def _forget(self, take: Take, _sound: object = None) -> None:
        with self._lock:
            if self._under_way.get(take.key) is take:
                del self._under_way[take.key]

    def _play(self, take: Take, samples: NDArray[np.float32]) -> None:
        """Let a piece of a take be heard, finished as it comes; the engine thread's work."""
        attempt, stream = self._streams.get(take, (0, None))
        if stream is None or attempt != take.attempts:  # nothing of an earlier attempt was heard
            stream = self._finisher.stream(self._loader.ready_engine().sample_rate)
            self._streams[take] = take.attempts, stream
        _let_hear(take, stream.push(samples, False))

    def _deliver(self, take: Take, samples: NDArray[np.float32], took: float) -> bytes:
        """Make the WAV of a take, and keep it where nothing is wrong with it; the engine thread's work."""
        rate = self._loader.ready_engine().sample_rate
        seconds = len(samples) / rate
        metrics.real_time_factor.observe(took / seconds)
        with metrics.stage_duration.labels("finish").time():
            if take.pieces:  # what has been heard is what is kept
                _, stream = self._streams[take]
                _let_hear(take, stream.push(samples[stream.taken :], True))
                finished: Samples = np.frombuffer(b"".join(take.pieces), np.int16)
            else:
                finished = self._finisher.finish(samples, rate)
        with metrics.stage_duration.labels("encode").time():
            wav = encode_wav(finished, rate)
        if take.keep and take.fault is None:
            self.keep(take.key, wav, self._recipes.get(take), take.seed)
        logger.info(
            "take %.12s: %d characters, %.2f s of audio in %.2f s, seed %d",
            take.key, len(take.text), seconds, took, take.seed,
        )  # fmt: skip
        return wav


def _let_hear(take: Take, samples: NDArray[np.float32]) -> None:
    if len(samples):
        take.play(to_pcm(samples).astype("<i2").tobytes())
