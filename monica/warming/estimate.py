"""What making the phrases of a book would take: from what is kept already, and how fast the engine was so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from monica.announcer import Announcer
from monica.errors import MonicaError, NotReady
from monica.speech import SpeechRequest
from monica.store.card import Card
from monica.store.catalogue import Catalogue
from monica.text.frontend import TextFrontend
from monica.warming.book import Phrase, PhraseBook

SAMPLE = 1000
"""Phrases that are looked at; of a larger book, evenly spread ones."""
TELLING = 10
"""Sounds of this engine without which nothing is known of the size of those to come."""
ROW_BYTES = 4096
"""What a kept sound takes beside itself, at most."""
BREATH = 64
"""Phrases that are made without letting other threads go before."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What making a book would take. None: not known yet.

    phrases: each once. looked_at: how many of them; where that is not all, what follows is drawn from these.
    cached: that are kept already. sound_s: seconds of sound of all of them. bytes: on disk, of all of them.
    fits: whether the cache can hold them beside what is pinned. time_s: to make the missing ones, nothing live between.
    """

    phrases: int
    looked_at: int
    cached: int | None
    sound_s: float | None
    bytes: int | None
    fits: bool | None
    time_s: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Estimator:
    """Estimates what making phrases would take."""

    def __init__(self, announcer: Announcer, frontend: TextFrontend, catalogue: Catalogue, cache_mb: int) -> None:
        self._announcer = announcer
        self._frontend = frontend
        self._catalogue = catalogue
        self._cache_mb = cache_mb

    def estimate(self, book: PhraseBook, engine: str) -> Estimate:
        """Estimate what a book would take. engine: the name of the one that speaks. Raises CacheFault."""
        phrases = sum(1 for _ in leisurely(book.phrases()))
        step = -(-phrases // SAMPLE)
        sample = list(islice(leisurely(book.phrases()), 0, None, step))
        cards = {card.key: card for card in self._catalogue.cards()}
        alike = [card for card in cards.values() if card.engine == engine and card.said and card.seconds]
        found, missing = self._look(sample, cards)
        if found is None:
            return Estimate(phrases, len(sample), None, None, None, None, None)
        scale = phrases / len(sample)
        time_s = self._announcer.seconds_for(scale * missing) if missing else 0.0
        cached = round(scale * len(found))
        if missing and len(alike) < TELLING:
            return Estimate(phrases, len(sample), cached, None, None, None, time_s)
        sound_s, size = _seconds(found), sum(card.size + ROW_BYTES for card in found)
        pinned = sum(card.size + ROW_BYTES for card in found if card.pinned)
        if missing:
            new_s = missing * _seconds(alike) / sum(len(card.said) for card in alike)
            sound_s += new_s
            size += round(new_s * sum(card.size for card in alike) / _seconds(alike))
            size += ROW_BYTES * (len(sample) - len(found))
        fits = scale * (size - pinned) <= room(cards.values(), self._cache_mb)
        return Estimate(phrases, len(sample), cached, scale * sound_s, round(scale * size), fits, time_s)

    def _look(self, phrases: list[Phrase], cards: dict[str, Card]) -> tuple[list[Card] | None, int]:
        """Return what is kept of the phrases, and the characters of the rest as they are said. None: not known yet."""
        found, missing = [], 0
        for phrase in phrases:
            request = SpeechRequest(phrase.text, phrase.voice, phrase.seed, phrase.params)
            try:
                key = self._announcer.key_of(request)
            except NotReady:
                return None, 0
            except MonicaError:  # it cannot be said: it takes nothing
                continue
            if key in cards:
                found.append(cards[key])
            else:
                missing += len(self._frontend.prepare(phrase.text).text)
        return found, missing


def room(cards: Iterable[Card], megabytes: int) -> int:
    """Bytes of the cache that are not taken by what is pinned."""
    return megabytes * 2**20 - sum(card.size + ROW_BYTES for card in cards if card.pinned)


def leisurely(phrases: Iterator[Phrase], rest: Callable[[float], None] = time.sleep) -> Iterator[Phrase]:
    """Make phrases without keeping the interpreter to oneself."""
    for number, phrase in enumerate(phrases):
        if number % BREATH == 0:
            rest(0.001)
        yield phrase


def _seconds(cards: Iterable[Card]) -> float:
    return sum(card.seconds or 0 for card in cards)
