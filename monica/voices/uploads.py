"""Voices that come and go over HTTP: their recordings are put into MONICA_VOICES_DIR, or taken from there."""

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
from monica.voices.recording import DEFAULT_VOICE, NAMES, is_name, read_recording, suffix_of
from monica.voices.registry import InEngine, VoiceRegistry

INCOMING = ".incoming-"
LEFT_S = 3600
"""Nothing is uploaded for as long as that."""

logger = logging.getLogger(__name__)


class VoiceExists(MonicaError):
    """A voice has this name already."""

    status, code = 409, "voice_exists"


class FolderFault(MonicaError):
    """The folder of the voices cannot be written just now."""

    status, code = 503, "voices_unusable"


class Uploads:
    """Changes to the voices, one at a time; where MONICA_VOICE_UPLOADS is off, every one is refused."""

    def __init__(
        self,
        settings: Settings,
        registry: VoiceRegistry,
        ready: Callable[[], object],
        in_engine: InEngine,
        on_change: Callable[[], None],
    ) -> None:
        """Raises ConfigError if uploads are on but cannot work.

        ready: raises NotReady until voices can be cloned. on_change: called after a voice was added or removed.
        """
        self._registry = registry
        self._ready = ready
        self._in_engine = in_engine
        self._on_change = on_change
        self._seconds = settings.reference_duration_s
        self._folder = _writable(settings) if settings.voice_uploads else None
        if self._folder is not None:
            _clear(self._folder)
        self._changing = threading.Lock()

    def folder(self) -> Path:
        """Return where the recordings are put. Raises Forbidden."""
        if self._folder is None:
            raise Forbidden("Voices are neither added nor removed over HTTP here: MONICA_VOICE_UPLOADS is off.")
        return self._folder

    def add(self, name: str, recording: IO[bytes]) -> None:
        """Add a voice.

        Raises NotReady, InvalidRequest, VoiceExists, BadRecording, Forbidden, Overloaded, FolderFault, or what
        `in_engine` does.
        """
        self._ready()
        folder, gallery = self.folder(), self._registry
        if not is_name(name):
            raise InvalidRequest(f"name: A voice's name is {NAMES}.", param="name")
        with self._change(), _incoming(folder, recording) as file:
            # What lies there and could not be used has its name all the same.
            if gallery.find(name) is not None or any(path.stem.lower() == name for path in folder.iterdir()):
                raise VoiceExists(f"There is a voice called {name} already.", param="name")
            reference = read_recording(file, self._seconds, f"voice {name}")
            voice = gallery.voice(name, folder / f"{name}{suffix_of(file)}", reference.digest)
            gallery.prepare(voice, reference, self._in_engine)
            file.rename(folder / f"{name}{suffix_of(file)}")
            gallery.admit(voice)
        self._on_change()
        logger.info("voice %s: added", name)

    def remove(self, name: str) -> None:
        """Remove a voice: its recording and its conditionals. What it has said is kept, and asked for no more.

        Raises NotReady, UnknownVoice, Forbidden, Overloaded, FolderFault.
        """
        self._ready()
        self.folder()
        with self._change():
            voice = self._registry.find(name)
            if voice is None:
                raise UnknownVoice("There is no such voice.", param="name")
            if name == DEFAULT_VOICE or voice.recording is None:
                raise Forbidden(f"{name} is the voice of REFERENCE_AUDIO: it stays.")
            try:
                voice.recording.unlink(missing_ok=True)
            except OSError as error:
                raise FolderFault(f"The recording cannot be removed: {error.strerror}.") from error
            self._registry.dismiss(voice)
        self._on_change()
        logger.info("voice %s: removed", name)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Make a change. Who comes meanwhile does not queue for it, with a recording in his hands and in a thread."""
        if not self._changing.acquire(blocking=False):
            raise Overloaded("Another voice is being added or removed.", retry_after=5)
        try:
            yield
        finally:
            self._changing.release()


@contextmanager
def _incoming(folder: Path, recording: IO[bytes]) -> Iterator[Path]:
    """Write a recording into the folder, under a name that is no voice's; it goes, if it still has it in the end."""
    path = None
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=INCOMING, delete=False) as file:
            path = Path(file.name)
            shutil.copyfileobj(recording, file)
        yield path
    except OSError as error:
        raise FolderFault(f"The recording cannot be kept: {error.strerror}.") from error
    finally:
        if path is not None:
            path.unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """Remove what uploads that were killed have left. Another node may be in the middle of one: its is young."""
    for path in folder.glob(f"{INCOMING}*"):
        with suppress(OSError):  # it has gone by itself, or may not be removed
            if time.time() - path.stat().st_mtime > LEFT_S:
                path.unlink()


def _writable(settings: Settings) -> Path:
    folder = settings.voices_dir
    if folder is None:
        raise ConfigError("MONICA_VOICE_UPLOADS=on needs MONICA_VOICES_DIR, the folder to put them in.")
    if settings.api_key is None:
        raise ConfigError("MONICA_VOICE_UPLOADS=on needs MONICA_API_KEY: not everyone is to add voices.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ConfigError(
            f"MONICA_VOICES_DIR={str(folder)!r} cannot be written ({error.strerror}), as MONICA_VOICE_UPLOADS=on needs."
        ) from error
