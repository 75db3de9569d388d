"""Renders takes: one per key at a time, shared by all requests for it, and kept if it ends well."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from monica import metrics
from monica.audio.finish import OFF, Finisher
from monica.audio.wav import Samples, encode_wav, to_pcm, wav_duration
from monica.engine import MAX_SEED
from monica.errors import MonicaError, SynthesisFailed
from monica.store.cache import Store
from monica.store.metadata import Metadata
from monica.store.recipe import Recipe
from monica.store.sharing import Sharing
from monica.synthesis.durations import DurationModels
from monica.synthesis.elsewhere import Elsewhere
from monica.synthesis.loader import Loader
from monica.synthesis.scheduler import Clock, Scheduler
from monica.synthesis.take import Lane, Source, Take, Waiter

logger = logging.getLogger(__name__)

_LEAST_CACHED_FIRST = (Source.MISS, Source.JOINED, Source.HIT)


class Renderer:
    """The takes in progress, and the store of those that ended well. May be called from any thread."""

    def __init__(
        self,
        loader: Loader,
        store: Store,
        queue_size: int,
        clock: Clock = time.monotonic,
        finisher: Finisher = OFF,
        durations: DurationModels | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        """sharing: what other nodes have made, and are making."""
        self._loader = loader
        self._store = store
        self._finisher = finisher
        self._in_progress: dict[str, Take] = {}
        # Keys of takes that came out badly. With the derived seed they would come out as badly again.
        self._bad: deque[str] = deque(maxlen=256)
        # Re-entrant: submitting a take may end abandoned ones, and each of those is forgotten here as it ends.
        self._lock = threading.RLock()
        self.durations = durations or DurationModels()
        self._sharing = sharing or Sharing()
        self.scheduler = Scheduler(loader.ready_engine, self._finish, queue_size, clock, self._publish, self.durations)
        self.elsewhere = Elsewhere(self._sharing, store, lambda take: self.scheduler.submit([take]))
        metrics.cache_bytes.set(store.volume())

    def takes(
        self, recipes: Iterable[Recipe], waiter: Waiter, *, fresh: bool = False, stream: bool = False
    ) -> tuple[list[Take], Source]:
        """Return takes to wait for, all or none, and where the least cached one comes from: miss, joined or hit.

        The waiter has to leave each of them. fresh: make new takes, which replace the kept ones. stream: let new ones
        be heard in chunks. Raises NotReady or Overloaded.
        """
        recipes = list(recipes)
        elsewhere = frozenset() if fresh else self._look_around(recipes, waiter)
        takes, sources = [], set()
        here: list[Take] = []
        there: list[Take] = []
        with self._lock:
            for recipe in recipes:
                take, source = (None, Source.MISS) if fresh else self._find(recipe, waiter)
                if take is None:
                    take = Take(recipe, self._seed(recipe, fresh), (waiter,), stream, fresh)
                    if take.key in elsewhere:
                        source = Source.JOINED
                    (there if take.key in elsewhere else here).append(take)
                    self._in_progress[take.key] = take
                takes.append(take)
                sources.add(source)
            try:
                self.scheduler.submit(here)
            except MonicaError:
                for take in (*here, *there):
                    self._forget(take)
                for take in takes:
                    take.leave(waiter)
                raise
            finally:
                for recipe in recipes:
                    if recipe.key not in self._in_progress:
                        self._sharing.release(recipe.key)
        for take in (*here, *there):
            take.sound.add_done_callback(partial(self._note_end, take))
        self.elsewhere.add(there)
        return takes, next(source for source in _LEAST_CACHED_FIRST if source in sources)

    def keep(self, wav: bytes, recipe: Recipe, take: Take | None = None, *, fresh: bool = False) -> None:
        """Keep a sound and how it was made.

        take: what it is the sound of; None if it was joined from several. fresh: whether it was asked for in place of a
        kept one, which is out of date at other nodes then.
        """
        drawn, attempt, doubts = (None, 1, ()) if take is None else (take.seed, take.attempts, take.verdict.doubts)
        replaced = self._store.metadata_of(recipe.key)
        metadata = Metadata(recipe, drawn, wav_duration(wav), time.time(), attempt, doubts).with_unknown_of(replaced)
        self._store.put(recipe.key, wav, metadata.to_json())
        if drawn is not None or fresh:  # a page is put together of its sentences everywhere
            self._sharing.keep(recipe.key, wav, metadata.to_json(), replaces=fresh)
        metrics.cache_bytes.set(self._store.volume())

    def _look_around(self, recipes: list[Recipe], waiter: Waiter) -> frozenset[str]:
        """Bring what other nodes have made. Returns the keys of what one of them is making."""
        keys = [recipe.key for recipe in recipes if recipe.key not in self._in_progress]
        self._sharing.bring(keys)
        elsewhere = self._sharing.claim(keys, live=waiter.lane is Lane.LIVE)
        self._sharing.bring(keys)  # once more: another node may have ended between the two
        return elsewhere

    def _find(self, recipe: Recipe, waiter: Waiter) -> tuple[Take | None, Source]:
        in_progress = self._in_progress.get(recipe.key)
        if in_progress is not None and in_progress.join(waiter):
            return in_progress, Source.JOINED
        # Looked up under the lock: a take that has just ended is either in progress or kept.
        kept = self._store.get(recipe.key, in_metrics=False)
        return (None, Source.MISS) if kept is None else (Take.kept(recipe, kept), Source.HIT)

    def _seed(self, recipe: Recipe, fresh: bool) -> int:
        """Choose the seed of a take: the one asked for, one that is drawn for a new take, else the derived one."""
        if recipe.seed is not None:
            return recipe.seed
        if fresh or recipe.key in self._bad:
            return secrets.randbelow(MAX_SEED + 1)
        return recipe.derived_seed

    def _forget(self, take: Take, _sound: object = None) -> None:
        with self._lock:
            if self._in_progress.get(take.key) is take:
                del self._in_progress[take.key]

    def _note_end(self, take: Take, _sound: object) -> None:
        if take.faults or isinstance(take.sound.exception(), SynthesisFailed):
            with self._lock:
                self._bad.append(take.key)
        self._forget(take)
        self._sharing.release(take.key)

    def _publish(self, take: Take, samples: NDArray[np.float32]) -> None:
        """Finish a chunk of a take and let it be heard. Runs in the finishing thread."""
        if take.finisher is None:
            take.finisher = self._finisher.start_stream(self._loader.ready_engine().sample_rate)
        _publish_samples(take, take.finisher.finish_chunk(samples, False))

    def _finish(self, take: Take, samples: NDArray[np.float32], took_s: float) -> bytes:
        """Make the WAV of a take, and keep it if nothing is wrong with it. Runs in the finishing thread."""
        rate = self._loader.ready_engine().sample_rate
        seconds = len(samples) / rate
        metrics.real_time_factor.observe(took_s / seconds)
        with metrics.stage_duration.labels("finish").time():
            if take.chunks and take.finisher is not None:  # what has been heard is what is kept
                _publish_samples(take, take.finisher.finish_chunk(samples[take.finisher.received :], True))
                finished: Samples = np.frombuffer(b"".join(take.chunks), np.int16)
            else:
                finished = self._finisher.finish_take(samples, rate)
        with metrics.stage_duration.labels("encode").time():
            wav = encode_wav(finished, rate)
        if take.keep and not take.faults:
            self.keep(wav, take.recipe, take, fresh=take.fresh)
        logger.info(
            "take %.12s: %d characters, %.2f s of audio in %.2f s, seed %d",
            take.key, len(take.text), seconds, took_s, take.seed,
        )  # fmt: skip
        return wav


def _publish_samples(take: Take, samples: NDArray[np.float32]) -> None:
    if len(samples):
        take.publish(to_pcm(samples).astype("<i2").tobytes())
