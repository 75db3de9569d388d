"""Where takes are made: one of a key at a time, shared by all who ask for it, kept when it ends well."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from dataclasses import dataclass
from functools import partial

from monica import metrics
from monica.audio import encode_wav
from monica.cache import Store
from monica.engine import MAX_SEED, SynthesisParams
from monica.errors import MonicaError, SynthesisFailed
from monica.loader import Loader
from monica.scheduler import Scheduler
from monica.takes import Lane, Take

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What to make: `text` as it will be said, under `key`; everything that changes the sound is in the key.

    seed: None draws one. fresh: make it anew, and let it replace the kept one. keep: whether it may be kept.
    """

    key: str
    text: str
    voice: str
    params: SynthesisParams
    seed: int | None
    lane: Lane
    fresh: bool
    keep: bool


class Studio:
    """The takes under way, and the store of those that ended well."""

    def __init__(self, loader: Loader, store: Store, queue_size: int) -> None:
        self._loader = loader
        self._store = store
        self._under_way: dict[str, Take] = {}
        # Re-entrant: submitting a take may end abandoned ones, and each is forgotten here where it ends.
        self._lock = threading.RLock()
        self.scheduler = Scheduler(self._make, queue_size)
        metrics.cache_bytes.set(store.volume())

    def takes(self, orders: list[Order], deadline: float) -> tuple[list[Take], str]:
        """Return takes to wait on, all of them or none, and the newest of whence they are: miss, joined, hit.

        The caller leaves each of them. deadline: monotonic seconds. Raises NotReady or Overloaded.
        """
        takes, new, caches = [], [], set()
        with self._lock:
            for order in orders:
                take, cache = self._find(order, deadline)
                if take is None:
                    take, cache = self._new(order, deadline), "miss"
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
                    take.leave()
                raise
        for take in new:
            take.sound.add_done_callback(partial(self._forget, take))
        return takes, next(cache for cache in ("miss", "joined", "hit") if cache in caches)

    def _find(self, order: Order, deadline: float) -> tuple[Take | None, str]:
        if order.fresh:
            return None, "miss"
        under_way = self._under_way.get(order.key)
        if under_way is not None and under_way.join(deadline=deadline, keep=order.keep):
            return under_way, "joined"
        # Looked up here, under the lock: a take that has just ended is either under way or kept.
        kept = self._store.get(order.key, counted=False)
        return (None, "miss") if kept is None else (Take.finished(kept), "hit")

    def _new(self, order: Order, deadline: float) -> Take:
        return Take(
            key=order.key,
            text=order.text,
            voice=order.voice,
            params=order.params,
            seed=secrets.randbelow(MAX_SEED + 1) if order.seed is None else order.seed,
            lane=order.lane,
            deadline=deadline,
            keep=order.keep,
        )

    def keep(self, key: str, wav: bytes) -> None:
        """Keep a sound that was put together from takes."""
        self._store.put(key, wav)
        metrics.cache_bytes.set(self._store.volume())

    def _forget(self, take: Take, _sound: object = None) -> None:
        with self._lock:
            if self._under_way.get(take.key) is take:
                del self._under_way[take.key]

    def _make(self, take: Take) -> bytes:
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
            self.keep(take.key, wav)
        logger.info(
            "take %.12s: %d characters, %.2f s of audio in %.2f s, seed %d",
            take.key, len(take.text), seconds, took, take.seed,
        )  # fmt: skip
        return wav
