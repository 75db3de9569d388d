"""Voices added and removed over HTTP: their recordings are written to MONICA_VOICES_DIR, or deleted from it."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from monica.config import Settings
from monica.errors import ConfigError, Forbidden, InvalidRequest, MonicaError, Overloaded, UnknownVoice
from monica.voices.recording import DEFAULT_VOICE, NAME_RULE, is_voice_name, read_recording, suffix_of
from monica.voices.registry import RunInEngine, VoiceRegistry

INCOMING_PREFIX = ".incoming-"
ABANDONED_AFTER_S = 3600
"""Age after which an incoming file belongs to a killed upload: no upload takes that long."""

logger = logging.getLogger(__name__)


class VoiceExists(MonicaError):
    """A voice has this name already."""

    status, code = 409, "voice_exists"


class VoicesUnusable(MonicaError):
    """The voices' folder cannot be written just now."""

    status, code = 503, "voices_unusable"


class Uploads:
    """Changes to the voices, one at a time. If MONICA_VOICE_UPLOADS is off, every change is refused."""

    def __init__(
        self,
        settings: Settings,
        registry: VoiceRegistry,
        ready: Callable[[], object],
        run_in_engine: RunInEngine,
        on_change: Callable[[], None],
    ) -> None:
        """Raises ConfigError if uploads are on but cannot work.

        ready: raises NotReady until voices can be cloned. on_change: called after a voice was added or removed.
        """
        self._registry = registry
        self._ready = ready
        self._run_in_engine = run_in_engine
        self._on_change = on_change
        self._max_seconds = settings.reference_duration_s
        self._folder = _writable_folder(settings) if settings.voice_uploads else None
        if self._folder is not None:
            _remove_abandoned(self._folder)
        self._changing = threading.Lock()

    def folder(self) -> Path:
        """Return the folder that recordings are written to. Raises Forbidden if uploads are off."""
        if self._folder is None:
            raise Forbidden("Voices are neither added nor removed over HTTP here: MONICA_VOICE_UPLOADS is off.")
        return self._folder

    def add(self, name: str, recording: IO[bytes]) -> None:
        """Add a voice.

        Raises NotReady, InvalidRequest, VoiceExists, BadRecording, Forbidden, Overloaded, VoicesUnusable, or what
        `run_in_engine` raises.
        """
        self._ready()
        folder, registry = self.folder(), self._registry
        if not is_voice_name(name):
            raise InvalidRequest(f"name: A voice's name is {NAME_RULE}.", param="name")
        with self._one_change(), _incoming(folder, recording) as file:
            # A file that could not be used occupies its name all the same: an upload never overwrites it.
            if registry.find(name) is not None or any(path.stem.lower() == name for path in folder.iterdir()):
                raise VoiceExists(f"There is a voice called {name} already.", param="name")
            reference = read_recording(file, self._max_seconds, f"voice {name}")
            voice = registry.new_voice(name, folder / f"{name}{suffix_of(file)}", reference.digest)
            registry.clone_voice(voice, reference, self._run_in_engine)
            file.rename(folder / f"{name}{suffix_of(file)}")
            registry.register(voice)
        self._on_change()
        logger.info("voice %s: added", name)

    def remove(self, name: str) -> None:
        """Remove a voice: its recording and its conditionals. Its takes stay in the cache, unused.

        Raises NotReady, UnknownVoice, Forbidden, Overloaded, VoicesUnusable.
        """
        self._ready()
        self.folder()
        with self._one_change():
            voice = self._registry.find(name)
            if voice is None:
                raise UnknownVoice("There is no such voice.", param="name")
            if name == DEFAULT_VOICE or voice.recording is None:
                raise Forbidden(f"{name} is the voice of REFERENCE_AUDIO: it stays.")
            try:
                voice.recording.unlink(missing_ok=True)
            except OSError as error:
                raise VoicesUnusable(f"The recording cannot be removed: {error.strerror}.") from error
            self._registry.unregister(voice)
        self._on_change()
        logger.info("voice %s: removed", name)

    @contextmanager
    def _one_change(self) -> Iterator[None]:
        """Hold the lock for one change. Raises Overloaded if another one is under way.

        Concurrent changes are refused rather than queued, so that no request thread blocks while it holds an upload.
        """
        if not self._changing.acquire(blocking=False):
            raise Overloaded("Another voice is being added or removed.", retry_after=5)
        try:
            yield
        finally:
            self._changing.release()


@contextmanager
def _incoming(folder: Path, recording: IO[bytes]) -> Iterator[Path]:
    """Write a recording to the folder under a name that no voice can have; remove it if it was not renamed.

    In the same folder, so that renaming it cannot fail half-way.
    """
    path = None
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=INCOMING_PREFIX, delete=False) as file:
            path = Path(file.name)
            shutil.copyfileobj(recording, file)
        yield path
    except OSError as error:
        raise VoicesUnusable(f"The recording cannot be kept: {error.strerror}.") from error
    finally:
        if path is not None:
            path.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed uploads left. A young file is spared: another node may be writing it."""
    for path in folder.glob(f"{INCOMING_PREFIX}*"):
        with suppress(OSError):  # it has gone meanwhile, or may not be removed
            if time.time() - path.stat().st_mtime > ABANDONED_AFTER_S:
                path.unlink()


def _writable_folder(settings: Settings) -> Path:
    folder = settings.voices_dir
    if folder is None:
        raise ConfigError("MONICA_VOICE_UPLOADS=on needs MONICA_VOICES_DIR, the folder to put them in.")
    if settings.api_key is None:
        raise ConfigError("MONICA_VOICE_UPLOADS=on needs MONICA_API_KEY: not everyone may add voices.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ConfigError(
            f"MONICA_VOICES_DIR={str(folder)!r} cannot be written ({error.strerror}), as MONICA_VOICE_UPLOADS=on needs."
        ) from error
