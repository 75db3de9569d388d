"""Estimates what making the phrases of a book would take, from what is kept already and the engine's pace so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from monica.announcer import Announcer
from monica.engine.registry import engine_names, engine_spec
from monica.errors import MonicaError, NotReady
from monica.speech import SpeechRequest
from monica.store.catalogue import Catalogue
from monica.store.phrase import OVERHEAD_BYTES, KeptPhrase
from monica.text.frontend import TextFrontend
from monica.warming.book import Phrase, PhraseBook

SAMPLE_SIZE = 1000
"""Number of phrases to look up. Of a larger book, an evenly spread sample is looked up."""
MIN_KNOWN_SOUNDS = 10
"""Number of kept sounds of this engine needed to predict the size of new ones."""
PHRASES_PER_PAUSE = 64
"""Number of phrases made in a row before other threads get the interpreter."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What making a book would take. None means that it is not known yet.

    What has not been measured here is estimated: the sound from the length of the texts, the time from the engine's
    prior. `measured` says so.
    """

    phrases: int
    """Number of phrases, without duplicates."""
    looked_at: int
    """Number of phrases looked up. If it is less than `phrases`, all fields below are extrapolated from the sample."""
    cached: int | None
    """Number of phrases that are kept already; None until the engine, on which their keys depend, is ready."""
    sound_s: float
    """Seconds of sound of all phrases together."""
    bytes: int
    """Size of all phrases together on disk."""
    fits: bool
    """Whether the cache can hold all phrases beside what is pinned."""
    time_s: float | None
    """Seconds to make the missing phrases if no live request interrupts; None until the engine is chosen."""
    measured: bool
    """Whether the sound and the time come from what was made here. If not, they are first guesses."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class LookedUp:
    """What a sample of phrases consists of."""

    found: list[KeptPhrase] = field(default_factory=list)
    """Those that are kept."""
    missing: int = 0
    """The number of the others."""
    characters: int = 0
    """What is said in them."""
    missing_s: float = 0.0
    """The seconds of sound that they should make."""
    ready: bool = True
    """Whether the engine is ready."""


class Estimator:
    """Estimates what making phrases would take. cache_mb: size of the cache in MiB."""

    def __init__(self, announcer: Announcer, frontend: TextFrontend, catalogue: Catalogue, cache_mb: int) -> None:
        self._announcer = announcer
        self._frontend = frontend
        self._catalogue = catalogue
        self._cache_mb = cache_mb

    def estimate(self, book: PhraseBook, engine: str, device: str) -> Estimate:
        """Estimate what making a book would take. Raises CacheError.

        engine: name of the engine that would speak. device: what it computes on.
        """
        phrases = sum(1 for _ in with_pauses(book.phrases()))
        step = -(-phrases // SAMPLE_SIZE)
        sample = list(islice(with_pauses(book.phrases()), 0, None, step))
        kept = {phrase.key: phrase for phrase in self._catalogue.phrases()}
        same_engine = [phrase for phrase in kept.values() if phrase.engine == engine and phrase.said and phrase.seconds]
        looked_up = self._look_up(sample, kept)
        found, scale = looked_up.found, phrases / len(sample)
        sound_s, size = _seconds(found), float(sum(phrase.size + OVERHEAD_BYTES for phrase in found))
        pinned = sum(phrase.size + OVERHEAD_BYTES for phrase in found if phrase.pinned)
        time_s: float | None = 0.0
        measured = True
        if looked_up.missing:
            new_s, new_size = looked_up.missing_s, self._announcer.sound_bytes(looked_up.missing_s)
            measured = looked_up.ready and len(same_engine) >= MIN_KNOWN_SOUNDS
            if measured:
                known_s = _seconds(same_engine)
                new_s = looked_up.characters * known_s / sum(len(phrase.said) for phrase in same_engine)
                new_size = new_s * sum(phrase.size for phrase in same_engine) / known_s
            sound_s += new_s
            size += new_size + OVERHEAD_BYTES * looked_up.missing
            paced_s = self._announcer.seconds_for(scale * looked_up.characters)
            measured = measured and paced_s is not None
            time_s = _guess_work(scale * new_s, engine, device) if paced_s is None else paced_s
        return Estimate(
            phrases=phrases,
            looked_at=len(sample),
            cached=round(scale * len(found)) if looked_up.ready else None,
            sound_s=scale * sound_s,
            bytes=round(scale * size),
            fits=scale * (size - pinned) <= unpinned_bytes(kept.values(), self._cache_mb),
            time_s=time_s,
            measured=measured,
        )

    def _look_up(self, phrases: list[Phrase], kept: dict[str, KeptPhrase]) -> LookedUp:
        """Find out which of the phrases are kept, and how much there is to say in the others."""
        result = LookedUp()
        for phrase in phrases:
            request = SpeechRequest(phrase.text, phrase.voice, phrase.seed, phrase.params)
            key = None
            try:
                key = self._announcer.key_of(request)
            except NotReady:
                result.ready = False
            except MonicaError:  # it cannot be said, so it takes neither time nor space
                continue
            if key in kept:
                result.found.append(kept[key])
                continue
            try:
                result.missing_s += self._announcer.sound_seconds(request)
                result.characters += len(self._frontend.prepare(phrase.text).text)
                result.missing += 1
            except MonicaError:
                continue
        return result


def unpinned_bytes(kept: Iterable[KeptPhrase], cache_mb: int) -> int:
    """Return the number of bytes of the cache that pinned phrases leave free."""
    return cache_mb * 2**20 - sum(phrase.size + OVERHEAD_BYTES for phrase in kept if phrase.pinned)


def with_pauses(phrases: Iterator[Phrase], pause: Callable[[float], None] = time.sleep) -> Iterator[Phrase]:
    """Yield the phrases with a short pause now and then: making them holds the GIL, and other threads need it too."""
    for number, phrase in enumerate(phrases):
        if number % PHRASES_PER_PAUSE == 0:
            pause(0.001)
        yield phrase


def _guess_work(sound_s: float, engine: str, device: str) -> float | None:
    """Guess the seconds to make so much sound, from the engine's prior; None if there is no engine of that name."""
    if engine not in engine_names():
        return None
    guesses = engine_spec(engine).work_per_sound
    return sound_s * guesses.get(device, next(iter(guesses.values())))


def _seconds(kept: Iterable[KeptPhrase]) -> float:
    return sum(phrase.seconds or 0 for phrase in kept)
