"""The composition root: the parts of one Monica process, built from the settings, wired, started and stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable

from monica.announcer import Announcer
from monica.antenna.station import Station
from monica.audio.finish import Finisher
from monica.config import Settings
from monica.engine import Engine
from monica.errors import ConfigError, DeadlineExceeded
from monica.store.cache import Store
from monica.store.catalogue import Catalogue
from monica.store.encodings import Encodings
from monica.store.identity import Identity
from monica.store.migration import rename_old_keys
from monica.store.sharing import Sharing
from monica.store.side_takes import SideTakes
from monica.synthesis.durations import NAME as DURATIONS
from monica.synthesis.durations import DurationModels
from monica.synthesis.fallback import Fallback
from monica.synthesis.health import Health
from monica.synthesis.loader import Loader
from monica.synthesis.renderer import Renderer
from monica.synthesis.watchdog import Watchdog
from monica.text.frontend import TextFrontend
from monica.this_machine import TOKEN_NAME, ensure_token
from monica.voices.registry import VoiceRegistry
from monica.voices.uploads import Uploads
from monica.warming.listening import Listening
from monica.warming.warmer import Warmer

logger = logging.getLogger(__name__)


SHARE_S = 2.0
"""How long a node that stops may take to send its last takes to the shared store."""


class Service:
    """Holds the parts; what they do is theirs. One per process.

    engine: used instead of the one the settings choose (tests).
    Raises ConfigError if the cache folder, the voices' folder or the lexicon cannot be used.
    """

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        self.settings = settings
        self.frontend = TextFrontend(settings, self._speaker)
        self._takes = Store("takes", settings.cache_dir / "takes", megabytes=settings.cache_mb)
        rename_old_keys(self._takes)
        self._conditionals = Store("conditionals", settings.cache_dir / "conditionals")
        self._sharing = _open_sharing(settings, self._takes)
        self.catalogue = Catalogue(self._takes, settings.cache_mb * 2**20, self._sharing)
        self.encodings = Encodings(settings)
        finisher = Finisher.from_settings(settings)
        registry = VoiceRegistry(settings, self._conditionals)
        self._loader = Loader(settings, registry, engine, lambda _: self._write_identity(), finisher)
        self._durations = DurationModels(settings.cache_dir / DURATIONS)
        renderer = Renderer(
            self._loader,
            self._takes,
            settings.queue_size,
            finisher=finisher,
            durations=self._durations,
            sharing=self._sharing,
        )
        self._scheduler, self._elsewhere = renderer.scheduler, renderer.elsewhere
        self.uploads = Uploads(
            settings, registry, self._loader.ready_engine, self._call_in_engine, self._write_identity
        )
        fallback = Fallback(settings.fallback, settings, finisher) if settings.fallback else None
        self.health = Health(
            settings,
            self._loader,
            self._scheduler,
            fallback.name if fallback else None,
            self._outage,
            lambda: self._sharing.state,
        )
        self.announcer = Announcer(settings, self.frontend, self._loader, renderer, self._takes, fallback)
        self.side_takes = SideTakes(settings.cache_dir)
        self.listening = Listening(settings, self.announcer, self.catalogue, self.side_takes, self._durations)
        self.warmer = Warmer(settings, self.announcer, self.frontend, self.catalogue, self.health, self.listening)
        self.station = Station(settings, self.announcer, finisher, self.health, self.warmer)

        self._takes.outage.on_end = self._catch_up

    def start(self, on_config_error: Callable[[ConfigError], None], on_lost: Callable[[str], None]) -> None:
        """Start the engine thread, which loads the model first, and the warmer.

        on_config_error: called in the engine thread if a setting must be changed. on_lost: called with the reason if
        the engine is lost. Both end the process.
        """
        if self.settings.api_key is None and ensure_token(self.settings.cache_dir) is not None:
            logger.info("no API key: changes need the token in %s", self.settings.cache_dir / TOKEN_NAME)

        def load() -> None:
            try:
                self._loader.load()
            except ConfigError as error:
                on_config_error(error)

        self._sharing.start()
        self._scheduler.start(load)
        Watchdog(self.health, self._scheduler, on_lost).start()
        self.warmer.start()
        self.station.start()

    def start_and_wait(self, on_lost: Callable[[str], None] | None = None) -> None:
        """Start the engine thread, and wait until it has loaded. on_lost: as for `start`; None if no one watches.

        Raises ConfigError, or ModelUnavailable at the first failure.
        """
        self._scheduler.start(self._loader.load_once).result()
        if on_lost is not None:
            Watchdog(self.health, self._scheduler, on_lost).start()

    def identity(self) -> Identity:
        """Return which engine and voices this process speaks with. Raises NotReady."""
        engine = self._loader.ready_engine()
        return Identity(engine.fingerprint, self._loader.voices, self._loader.finisher.version)

    def drain(self, timeout: float) -> None:
        """Refuse new takes, and wait until those submitted have ended, `timeout` seconds at most."""
        self._loader.stop()
        self.station.stop_making()
        self._scheduler.refuse()
        if not self._scheduler.drain(timeout):
            logger.warning("takes were still running after %.0f s", timeout)
        self._takes.flush()
        self._durations.save()
        self._sharing.flush(SHARE_S)

    def close(self) -> None:
        """End the threads that speak, and close the stores."""
        self._scheduler.close()
        self.station.close()
        self._elsewhere.close()
        self._sharing.close()
        self._takes.close()
        self._conditionals.close()
        self.encodings.close()
        self.side_takes.close()

    def _outage(self) -> str | None:
        """Return why a cache cannot be written; None if all can."""
        outages = (self._takes.outage, self.encodings.outage, self._conditionals.outage)
        unwritable = next((outage.reason for outage in outages if outage.reason is not None), None)
        return unwritable or self.station.antenna.unwritable

    def _catch_up(self) -> None:
        """Do what a full disk prevented at the start."""
        rename_old_keys(self._takes)
        if self.settings.api_key is None:
            ensure_token(self.settings.cache_dir)
        if self._loader.loaded:
            self._write_identity()

    def _speaker(self) -> str | None:
        """Return the name of the engine that speaks here; None until it is chosen."""
        engine = self._loader.chosen
        return engine.name if engine is not None else None

    def _write_identity(self) -> None:
        """Record which engine and voices this machine serves, for bundle imports."""
        self.identity().write_to(self.settings.cache_dir)

    def _call_in_engine(self, work: Callable[[], bytes]) -> bytes:
        """Have the engine thread do something. Raises DeadlineExceeded, or what `work` raises."""
        result = self._scheduler.call(work)
        try:
            return result.result(self.settings.deadline_s)
        except TimeoutError as error:
            result.cancel()
            raise DeadlineExceeded("The engine did not come to this voice in time.") from error


def _open_sharing(settings: Settings, takes: Store) -> Sharing:
    """Return what this node shares. Raises ConfigError if the address of the store is wrong, or redis-py is missing."""
    if settings.shared_store is None:
        return Sharing()
    try:
        from monica.store.redis_link import RedisLink
        from monica.store.shared import SharedStore
    except ImportError as error:
        raise ConfigError("MONICA_SHARED_STORE needs redis-py: install Monica with the extra `redis`.") from error
    link = RedisLink(settings.shared_store, settings.shared_store_password_file)
    return SharedStore(link, settings.shared_store_prefix, takes)
