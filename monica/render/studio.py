"""A studio: a whole Monica without HTTP, which makes phrases for a render. One per process. Knows no Ray.

Its keys and seeds are those of a server with the same settings, since both ask the same announcer. So what it makes is
a hit there.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from monica import __version__, logs
from monica.config import Settings
from monica.engine import Engine
from monica.errors import ConfigError, MonicaError, Overloaded
from monica.render.folders import lock_one_of
from monica.service import Service
from monica.speech import Announcement, SpeechRequest
from monica.store.bundled_phrase import BundledPhrase
from monica.store.catalogue import UnknownPhrase
from monica.store.identity import Identity
from monica.warming.book import Phrase
from monica.warming.job import Failure
from monica.warming.making import make_phrase, request_for

if TYPE_CHECKING:  # see monica.warming.listening
    from monica.warming.audition import Audition

FOLDER = "render"
"""The folder below MONICA_CACHE_DIR that studios of a machine keep theirs in."""
MAX_RETRY_S = 5.0

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Opened:
    """What a studio is like. Studios that differ in their origin would make takes of different keys."""

    slots: int
    """How many takes its engine makes side by side."""
    identity: Identity
    listens: bool


@dataclass(frozen=True, slots=True)
class Rendered:
    """A phrase that was made."""

    phrase: BundledPhrase
    sound: bytes
    remade: bool
    """Whether what was heard was reason to make it again."""


class Studio:
    """One studio.

    version: that of the driver's Monica. listen: as for `Warmer.submit`. engine: instead of the settings' (tests).
    """

    def __init__(
        self, settings: Settings, version: str, listen: bool | None = None, engine: Engine | None = None
    ) -> None:
        self._settings = settings
        self._version = version
        self._listen = listen
        self._engine = engine
        self._service: Service | None = None
        self._audition: Audition | None = None
        self._lock: IO[str] | None = None

    def open(self) -> Opened | str:
        """Load the engine. Returns why the studio cannot be used if it cannot: another process reads it."""
        if self._version != __version__:
            return f"Monica is {self._version} here, and {__version__} there."
        logs.set_up(self._settings.log_level)
        try:
            folder, self._lock = lock_one_of(self._settings.cache_dir / FOLDER)
            service = Service(_settings_in(self._settings, folder), self._engine)
            service.start_and_wait(on_lost=lambda _: os._exit(1))
            listens = service.listening.decide(self._listen)
            self._audition = service.listening.start() if listens else None
        except (ConfigError, MonicaError) as error:
            return str(error)
        except OSError as error:
            return f"MONICA_CACHE_DIR={self._settings.cache_dir} cannot be used: {error.strerror or error}"
        self._service = service
        return Opened(service.announcer.slots(), service.identity(), listens)

    def close(self) -> None:
        if self._service is not None:
            self._service.listening.close()
            self._service.close()
        if self._lock is not None:
            self._lock.close()

    def keys(self, phrases: list[Phrase]) -> list[str | Failure]:
        """Return the key of each phrase, or why it cannot be said."""
        return [self._guard(phrase, self._key) for phrase in phrases]

    def make(self, phrase: Phrase) -> Rendered | Failure:
        """Make a phrase, or say why it cannot be made. May be called in several threads."""
        return self._guard(phrase, self._make)

    @property
    def _opened(self) -> Service:
        assert self._service is not None, "it was not opened"  # noqa: S101
        return self._service

    def _guard(self, phrase: Phrase, work: Callable[[Phrase], T]) -> T | Failure:
        try:
            return work(phrase)
        except MonicaError as error:
            return Failure(phrase.text, error.code, error.message)
        except Exception:
            # One phrase that Monica trips over must not end the render of a million others.
            logger.exception("unexpected error")
            return Failure(phrase.text, "internal", "Monica failed on this phrase; the studio's log says why.")

    def _key(self, phrase: Phrase) -> str:
        return self._opened.announcer.key_of(request_for(phrase))

    def _make(self, phrase: Phrase) -> Rendered:
        service = self._opened
        made = make_phrase(service.announcer, self._audition, request_for(phrase), self._announce)
        if made.failure is not None:
            raise made.failure
        kept = service.catalogue.get(made.key)
        if kept is None:
            raise UnknownPhrase(f"Phrase {made.key:.12} is gone from the studio: MONICA_CACHE_MB is too small.")
        sound = service.catalogue.read_sound(kept)
        return Rendered(BundledPhrase.from_sound(kept.metadata(), sound), sound, made.remade)

    def _announce(self, request: SpeechRequest) -> Announcement:
        while True:
            try:
                return self._opened.announcer.announce(request)
            except Overloaded as error:
                time.sleep(min(error.retry_after or 1, MAX_RETRY_S))


def _settings_in(settings: Settings, folder: Path) -> Settings:
    """Return the settings of a studio that keeps its takes in a folder, and shares nothing with a server."""
    return replace(settings, cache_dir=folder, shared_store=None, fallback=None, webhook_url=None)
