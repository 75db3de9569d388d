"""The voices there are: that of REFERENCE_AUDIO, and one for each recording in MONICA_VOICES_DIR.

A voice goes by its name outside, and by its digest in the engine and in the stores: what takes the name of another
voice never speaks in its place. Conditionals are made once and kept; the engine has those used of late at hand.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from monica.config import Settings
from monica.engine import CloningEngine, Engine, Reference, is_cloning
from monica.errors import ConfigError, Forbidden, MonicaError, SynthesisFailed, UnknownVoice
from monica.store.cache import Store
from monica.voices.recording import DEFAULT_VOICE, NAMES, BadRecording, is_name, read_recording, read_reference

logger = logging.getLogger(__name__)

InEngine = Callable[[Callable[[], bytes]], bytes]
"""Has something done in the engine's thread, and returns what it returned."""


@dataclass(frozen=True, slots=True)
class Voice:
    """recording: None for one that is the engine's own. sound: the digest of what the recording holds.

    digest: of that, and of the engine that clones it.
    """

    name: str
    recording: Path | None
    sound: str
    digest: str


class VoiceRegistry:
    """Voices by name. Looked up from any thread; whatever touches the engine runs in the engine's."""

    def __init__(self, settings: Settings, conditionals: Store) -> None:
        """Raises ConfigError where there is no such folder."""
        self._folder = settings.voices_dir
        self._reference = settings.reference_audio
        self._seconds = settings.reference_duration_s
        self._conditionals = conditionals
        self._engine: CloningEngine | None = None
        self._found: list[tuple[str, Path | None, str]] = []
        self._voices: dict[str, Voice] = {}  # replaced as a whole, never changed
        if self._folder is not None and not self._folder.is_dir():
            raise ConfigError(f"MONICA_VOICES_DIR={str(self._folder)!r}: there is no such folder.")

    @property
    def digests(self) -> dict[str, str]:
        """Those of the voices, by name."""
        return {voice.name: voice.digest for voice in self._voices.values()}

    def find(self, name: str) -> Voice | None:
        return self._voices.get(name)

    def look(self, engine: Engine) -> None:
        """Read the recordings, before the engine is loaded.

        One in the folder that cannot be used is left out, and the log says why. Raises ConfigError where
        REFERENCE_AUDIO cannot be used.
        """
        self._found = []
        if not engine.clones:
            if self._folder is not None:
                logger.warning("MONICA_VOICES_DIR: %s clones no voices; none of those is known", engine.name)
            return
        if self._reference is None:
            logger.info("reference audio: none; the model's built-in voice speaks")
        sound = read_reference(self._reference, self._seconds).digest if self._reference else "built-in"
        self._found.append((DEFAULT_VOICE, self._reference, sound))
        for name, path in self._recordings():
            try:
                self._found.append((name, path, self._read(name, path).digest))
            except BadRecording as error:
                logger.warning("voice %s: %s is left out: %s", name, path.name, error)

    def _recordings(self) -> Iterator[tuple[str, Path]]:
        """Yield the files of the folder that name a voice. Raises ConfigError where one takes the default's name."""
        taken: dict[str, str] = {}
        for path in self._files():
            name, shown = path.stem.lower(), ascii(path.name)[1:-1]
            if path.name.startswith(".") or not path.is_file() or (self._reference and path.samefile(self._reference)):
                continue
            if name == DEFAULT_VOICE:
                raise ConfigError(
                    f"MONICA_VOICES_DIR holds {shown}, but {name} is the voice of REFERENCE_AUDIO: rename it."
                )
            if not is_name(name):
                logger.warning("voice %s is left out: a voice's name is %s", shown, NAMES)
            elif name in taken:
                logger.warning("voice %s: %s is left out: %s has its name", name, shown, taken[name])
            else:
                taken[name] = shown
                yield name, path

    def _files(self) -> list[Path]:
        if self._folder is None:
            return []
        try:
            return sorted(self._folder.iterdir())
        except OSError as error:
            raise ConfigError(f"MONICA_VOICES_DIR={str(self._folder)!r} cannot be read: {error.strerror}.") from error

    def open(self, engine: Engine, check: Callable[[], None]) -> None:
        """Make the voices speakable by an engine that is loaded; this is its thread.

        check: called between two voices. Raises what it raises, and ConfigError or a MonicaError where the default
        voice cannot be made.
        """
        if not is_cloning(engine):
            self._voices = {DEFAULT_VOICE: Voice(DEFAULT_VOICE, None, "", engine.fingerprint)}
            return
        self._engine = engine
        self._engine.bring_voice = self._bring
        self._voices = {name: self.voice(name, recording, sound) for name, recording, sound in self._found}
        default = self._voices[DEFAULT_VOICE]
        try:
            self._ensure(default)
        except BadRecording as error:
            raise ConfigError(f"REFERENCE_AUDIO: {error}") from error
        self._bring(default.digest)
        for voice in [each for each in self._voices.values() if each is not default]:
            check()
            try:
                self._ensure(voice)
            except MonicaError as error:  # whatever one recording does to the model, the other voices speak
                self.dismiss(voice)
                logger.warning("voice %s is left out: %s", voice.name, error)

    def voice(self, name: str, recording: Path | None, sound: str) -> Voice:
        """Return a voice as the engine would clone it. Raises Forbidden where it clones none."""
        digest = hashlib.sha256(f"{self._cloning().fingerprint} {sound}".encode()).hexdigest()
        return Voice(name, recording, sound, digest)

    def prepare(self, voice: Voice, reference: Reference, in_engine: InEngine) -> None:
        """Make the conditionals of a voice, unless they are kept. Raises BadRecording, or what `in_engine` does."""
        if self._conditionals.get(voice.digest) is None:
            self._conditionals.put(voice.digest, in_engine(lambda: self._clone(voice.name, reference)))

    def admit(self, voice: Voice) -> None:
        """Let a voice that is prepared be known."""
        self._voices = {**self._voices, voice.name: voice}

    def dismiss(self, voice: Voice) -> None:
        """Let a voice be known no more, and forget its conditionals, unless another one has the same."""
        self._voices = {name: each for name, each in self._voices.items() if each is not voice}
        if voice.digest not in self.digests.values():
            self._conditionals.remove(voice.digest)

    def _bring(self, digest: str) -> None:
        """Give the engine a voice that it has not at hand. Raises UnknownVoice, SynthesisFailed."""
        voice = next((each for each in self._voices.values() if each.digest == digest), None)
        if voice is None:
            raise UnknownVoice("This voice has been removed.", param="voice")
        began = time.monotonic()
        kept = self._conditionals.get(digest)
        if kept is not None:
            try:
                self._cloning().add_voice(digest, kept)
            except ValueError as error:
                logger.warning("conditionals: the kept ones cannot be used (%s); they are made again", error)
            else:
                took = time.monotonic() - began
                logger.info("conditionals: read back from the cache in %.1f s: %s", took, voice.name)
                return
        try:
            self._cloning().add_voice(digest, self._make(voice))
        except BadRecording as error:
            raise SynthesisFailed(f"The voice {voice.name} can no longer be cloned: {error}") from error

    def _ensure(self, voice: Voice) -> None:
        if self._conditionals.get(voice.digest) is None:
            self._make(voice)

    def _make(self, voice: Voice) -> bytes:
        """Make and keep the conditionals of a voice. Raises BadRecording, also where the recording is another one."""
        reference = None
        if voice.recording is not None:
            reference = self._read(voice.name, voice.recording)
            if reference.digest != voice.sound:
                raise BadRecording("Its recording has changed: it is heard after the next start.")
        made = self._clone(voice.name, reference)
        self._conditionals.put(voice.digest, made)
        return made

    def _read(self, name: str, recording: Path) -> Reference:
        return read_recording(recording, self._seconds, f"voice {name}")

    def _clone(self, name: str, reference: Reference | None) -> bytes:
        began = time.monotonic()
        try:
            made = self._cloning().make_conditionals(reference)
        except ConfigError as error:
            raise BadRecording(str(error)) from error
        except MonicaError:
            raise
        except Exception as error:
            logger.exception("voice %s: the engine failed on its recording", name)
            raise SynthesisFailed("The engine failed on this recording.") from error
        logger.info("conditionals: made in %.1f s: %s", time.monotonic() - began, name)
        return made

    def _cloning(self) -> CloningEngine:
        if self._engine is None:
            raise Forbidden("The engine that speaks here clones no voices.")
        return self._engine
