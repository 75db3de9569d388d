"""Estimates what making the phrases of a book would take, from what is kept already and the engine's pace so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from monica.announcer import Announcer
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
    """What making a book would take. None means that it is not known yet."""

    phrases: int
    """Number of phrases, without duplicates."""
    looked_at: int
    """Number of phrases looked up. If it is less than `phrases`, all fields below are extrapolated from the sample."""
    cached: int | None
    """Number of phrases that are kept already."""
    sound_s: float | None
    """Seconds of sound of all phrases together."""
    bytes: int | None
    """Size of all phrases together on disk."""
    fits: bool | None
    """Whether the cache can hold all phrases beside what is pinned."""
    time_s: float | None
    """Seconds to make the missing phrases if no live request interrupts."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Estimator:
    """Estimates what making phrases would take. cache_mb: size of the cache in MiB."""

    def __init__(self, announcer: Announcer, frontend: TextFrontend, catalogue: Catalogue, cache_mb: int) -> None:
        self._announcer = announcer
        self._frontend = frontend
        self._catalogue = catalogue
        self._cache_mb = cache_mb

    def estimate(self, book: PhraseBook, engine: str) -> Estimate:
        """Estimate what making a book would take. engine: name of the engine that would speak. Raises CacheError."""
        phrases = sum(1 for _ in with_pauses(book.phrases()))
        step = -(-phrases // SAMPLE_SIZE)
        sample = list(islice(with_pauses(book.phrases()), 0, None, step))
        kept = {phrase.key: phrase for phrase in self._catalogue.phrases()}
        same_engine = [phrase for phrase in kept.values() if phrase.engine == engine and phrase.said and phrase.seconds]
        found, missing = self._look_up(sample, kept)
        if found is None:
            return Estimate(phrases, len(sample), None, None, None, None, None)
        scale = phrases / len(sample)
        time_s = self._announcer.seconds_for(scale * missing) if missing else 0.0
        cached = round(scale * len(found))
        if missing and len(same_engine) < MIN_KNOWN_SOUNDS:
            return Estimate(phrases, len(sample), cached, None, None, None, time_s)
        sound_s, size = _seconds(found), sum(phrase.size + OVERHEAD_BYTES for phrase in found)
        pinned = sum(phrase.size + OVERHEAD_BYTES for phrase in found if phrase.pinned)
        if missing:
            new_s = missing * _seconds(same_engine) / sum(len(phrase.said) for phrase in same_engine)
            sound_s += new_s
            size += round(new_s * sum(phrase.size for phrase in same_engine) / _seconds(same_engine))
            size += OVERHEAD_BYTES * (len(sample) - len(found))
        fits = scale * (size - pinned) <= unpinned_bytes(kept.values(), self._cache_mb)
        return Estimate(phrases, len(sample), cached, scale * sound_s, round(scale * size), fits, time_s)

    def _look_up(self, phrases: list[Phrase], kept: dict[str, KeptPhrase]) -> tuple[list[KeptPhrase] | None, int]:
        """Return the kept ones of the phrases, and the number of spoken characters of the others.

        (None, 0) if the engine, on which the keys depend, is not known yet.
        """
        found, missing = [], 0
        for phrase in phrases:
            request = SpeechRequest(phrase.text, phrase.voice, phrase.seed, phrase.params)
            try:
                key = self._announcer.key_of(request)
            except NotReady:
                return None, 0
            except MonicaError:  # it cannot be said, so it takes neither time nor space
                continue
            if key in kept:
                found.append(kept[key])
            else:
                missing += len(self._frontend.prepare(phrase.text).text)
        return found, missing


def unpinned_bytes(kept: Iterable[KeptPhrase], cache_mb: int) -> int:
    """Return the number of bytes of the cache that pinned phrases leave free."""
    return cache_mb * 2**20 - sum(phrase.size + OVERHEAD_BYTES for phrase in kept if phrase.pinned)


def with_pauses(phrases: Iterator[Phrase], pause: Callable[[float], None] = time.sleep) -> Iterator[Phrase]:
    """Yield the phrases with a short pause now and then: making them holds the GIL, and other threads need it too."""
    for number, phrase in enumerate(phrases):
        if number % PHRASES_PER_PAUSE == 0:
            pause(0.001)
        yield phrase


def _seconds(kept: Iterable[KeptPhrase]) -> float:
    return sum(phrase.seconds or 0 for phrase in kept)
