"""The known voices: that of REFERENCE_AUDIO, and one for each recording in MONICA_VOICES_DIR.

Callers use a voice's name; the engine and the stores use its digest. So a new recording under an old name never speaks
with the old voice's takes, nor the other way round. Conditionals are made once and stored; the engine holds those of
the recently used voices in memory.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from monica.config import Settings
from monica.engine import CloningEngine, Engine, Reference, has_speakers, is_cloning
from monica.errors import ConfigError, DeviceLost, Forbidden, MonicaError, SynthesisFailed, UnknownVoice
from monica.store.cache import Store
from monica.voices.recording import (
    DEFAULT_VOICE,
    NAME_RULE,
    BadRecording,
    is_voice_name,
    read_recording,
    read_reference,
)

logger = logging.getLogger(__name__)

RunInEngine = Callable[[Callable[[], bytes]], bytes]
"""Runs a function in the engine thread and returns its result."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that can be spoken."""

    name: str
    recording: Path | None
    """The file it is cloned from; None if it is built into the engine."""
    recording_digest: str
    """Digest of the samples of the recording, and of which are its prompt."""
    digest: str
    """Digest of the recording and of the engine that clones it. Takes and conditionals are kept under it."""
    license: str | None = None
    """The licence of the recordings that a built-in voice learned from; None if it is not known."""


class VoiceRegistry:
    """Voices by name. Lookups may come from any thread; methods that touch the engine run in the engine thread."""

    def __init__(self, settings: Settings, conditionals: Store) -> None:
        """Raises ConfigError if MONICA_VOICES_DIR is set and does not exist, or an alias cannot ever name a voice."""
        self._folder = settings.voices_dir
        self._reference = settings.reference_audio
        self._max_seconds = settings.reference_duration_s
        self._start_s = settings.reference_start_s
        self._conditionals = conditionals
        self._engine: CloningEngine | None = None
        self._recordings: list[tuple[str, Path | None, str]] = []  # name, file, digest
        self._voices: dict[str, Voice] = {}  # replaced as a whole, never changed
        if self._folder is not None and not self._folder.is_dir():
            raise ConfigError(f"MONICA_VOICES_DIR={str(self._folder)!r}: there is no such folder.")
        self._aliases = dict(settings.voice_aliases)
        for alias, name in self._aliases.items():
            if alias == DEFAULT_VOICE:
                raise ConfigError(f"MONICA_VOICE_ALIASES: {alias} is the voice of REFERENCE_AUDIO, and no alias.")
            if not is_voice_name(name):
                raise ConfigError(f"MONICA_VOICE_ALIASES: {alias}={name}: a voice's name is {NAME_RULE}.")

    @property
    def digests(self) -> dict[str, str]:
        """The digests of the voices, by name."""
        return {voice.name: voice.digest for voice in self._voices.values()}

    @property
    def licenses(self) -> dict[str, str]:
        """The licences of built-in voices by name, as far as they are known."""
        return {voice.name: voice.license for voice in self._voices.values() if voice.license is not None}

    def find(self, name: str) -> Voice | None:
        return self._voices.get(name)

    def resolve(self, name: str) -> Voice:
        """Return the voice that a request means by a name: the voice of that name, or the one it is an alias of.

        Raises UnknownVoice.
        """
        voices = self._voices
        voice = voices.get(name) or voices.get(self._aliases.get(name, ""))
        if voice is None:
            reason = "There is no such voice."
            if name in self._aliases:
                meant = self._aliases[name]
                reason = f"{name} stands for {meant} here (MONICA_VOICE_ALIASES), and there is no such voice."
            known = sorted([*voices, *self.aliases])
            raise UnknownVoice(f"{reason} Known: {', '.join(known)}.", param="voice")
        return voice

    @property
    def aliases(self) -> dict[str, str]:
        """The names of voices by their aliases, as far as they can be spoken. A voice hides an alias of its name."""
        voices = self._voices
        return {alias: name for alias, name in self._aliases.items() if name in voices and alias not in voices}

    def read_recordings(self, engine: Engine) -> None:
        """Read the recordings. Done before the engine is loaded, so that a wrong setting is reported at once.

        A file in the folder that cannot be used is left out, and the log says why. Raises ConfigError if
        REFERENCE_AUDIO cannot be used.
        """
        self._recordings = []
        if not engine.clones:
            if self._folder is not None:
                logger.warning("MONICA_VOICES_DIR: %s clones no voices; none of those is known", engine.name)
            return
        if self._reference is None:
            logger.info("reference audio: none; the model's built-in voice speaks")
        digest = "built-in"
        if self._reference is not None:
            digest = read_reference(self._reference, self._max_seconds, self._start_s).digest
        self._recordings.append((DEFAULT_VOICE, self._reference, digest))
        for name, path in self._voice_files():
            try:
                self._recordings.append((name, path, self._read_recording(name, path).digest))
            except BadRecording as error:
                logger.warning("voice %s: %s is left out: %s", name, path.name, error)

    def _voice_files(self) -> Iterator[tuple[str, Path]]:
        """Yield the name and file of each voice in the folder. Raises ConfigError if one is named like the default."""
        taken: dict[str, str] = {}
        for path in self._folder_content():
            name, shown = path.stem.lower(), ascii(path.name)[1:-1]
            if path.name.startswith(".") or not path.is_file() or (self._reference and path.samefile(self._reference)):
                continue
            if name == DEFAULT_VOICE:
                raise ConfigError(
                    f"MONICA_VOICES_DIR holds {shown}, but {name} is the voice of REFERENCE_AUDIO: rename it."
                )
            if not is_voice_name(name):
                logger.warning("voice %s is left out: a voice's name is %s", shown, NAME_RULE)
            elif name in taken:
                logger.warning("voice %s: %s is left out: %s has its name", name, shown, taken[name])
            else:
                taken[name] = shown
                yield name, path

    def _folder_content(self) -> list[Path]:
        if self._folder is None:
            return []
        try:
            return sorted(self._folder.iterdir())
        except OSError as error:
            raise ConfigError(f"MONICA_VOICES_DIR={str(self._folder)!r} cannot be read: {error.strerror}.") from error

    def make_speakable(self, engine: Engine, check: Callable[[], None]) -> None:
        """Make sure that conditionals of every voice are stored. Runs in the engine thread.

        check: called between two voices; what it raises ends the work. Raises ConfigError, or another MonicaError, if
        the default voice cannot be made, and DeviceLost whichever voice it was that the device failed on.
        """
        if not is_cloning(engine):
            speakers = {**(engine.speakers if has_speakers(engine) else {}), DEFAULT_VOICE: engine.fingerprint}
            license = engine.license if has_speakers(engine) else None
            self._voices = {name: Voice(name, None, "", digest, license) for name, digest in speakers.items()}
            self._warn_of_aliases()
            return
        self._engine = engine
        self._engine.bring_voice = self._load_voice
        self._voices = {name: self.new_voice(name, path, digest) for name, path, digest in self._recordings}
        default = self._voices[DEFAULT_VOICE]
        try:
            self._ensure_cloned(default)
        except BadRecording as error:
            raise ConfigError(f"REFERENCE_AUDIO: {error}") from error
        self._load_voice(default.digest)
        for voice in [each for each in self._voices.values() if each is not default]:
            check()
            try:
                self._ensure_cloned(voice)
            except DeviceLost:
                raise
            except MonicaError as error:  # whatever a recording does to the model, the other voices must speak
                self.unregister(voice)
                logger.warning("voice %s is left out: %s", voice.name, error)
        self._warn_of_aliases()

    def _warn_of_aliases(self) -> None:
        """Log the aliases of unknown voices. No error: the voice may be uploaded, or its file broken for once."""
        for alias, name in self._aliases.items():
            if name not in self._voices:
                logger.warning("MONICA_VOICE_ALIASES: %s=%s: there is no voice called %s", alias, name, name)

    def new_voice(self, name: str, recording: Path | None, recording_digest: str) -> Voice:
        """Return a voice, not registered yet, as this engine would clone it. Raises Forbidden if it clones none."""
        digest = hashlib.sha256(f"{self._cloning_engine().fingerprint} {recording_digest}".encode()).hexdigest()
        return Voice(name, recording, recording_digest, digest)

    def clone_voice(self, voice: Voice, reference: Reference, run_in_engine: RunInEngine) -> None:
        """Make and store the conditionals of a voice, unless they are stored already.

        Raises BadRecording, or what `run_in_engine` raises.
        """
        if self._conditionals.get(voice.digest) is None:
            made = run_in_engine(lambda: self._make_conditionals(voice.name, reference))
            self._conditionals.put(voice.digest, made)

    def register(self, voice: Voice) -> None:
        """Make a cloned voice known."""
        self._voices = {**self._voices, voice.name: voice}

    def unregister(self, voice: Voice) -> None:
        """Remove a voice, and its conditionals unless another voice has the same."""
        self._voices = {name: each for name, each in self._voices.items() if each is not voice}
        if voice.digest not in self.digests.values():
            self._conditionals.remove(voice.digest)

    def _load_voice(self, digest: str) -> None:
        """Load a voice into the engine, which calls this if it needs one. Raises UnknownVoice or SynthesisFailed."""
        voice = next((each for each in self._voices.values() if each.digest == digest), None)
        if voice is None:
            raise UnknownVoice("This voice has been removed.", param="voice")
        began = time.monotonic()
        stored = self._conditionals.get(digest)
        if stored is not None:
            try:
                self._cloning_engine().add_voice(digest, stored)
            except ValueError as error:
                logger.warning("conditionals: the kept ones cannot be used (%s); they are made again", error)
            else:
                took = time.monotonic() - began
                logger.info("conditionals: read back from the cache in %.1f s: %s", took, voice.name)
                return
        try:
            self._cloning_engine().add_voice(digest, self._clone_from_file(voice))
        except BadRecording as error:
            raise SynthesisFailed(f"The voice {voice.name} can no longer be cloned: {error}") from error

    def _ensure_cloned(self, voice: Voice) -> None:
        if self._conditionals.get(voice.digest) is None:
            self._clone_from_file(voice)

    def _clone_from_file(self, voice: Voice) -> bytes:
        """Make and store conditionals from the recording. Raises BadRecording, also if the file has changed since."""
        reference = None
        if voice.recording is not None:
            reference = self._read_recording(voice.name, voice.recording)
            if reference.digest != voice.recording_digest:
                raise BadRecording("Its recording has changed: restart Monica to use the new one.")
        made = self._make_conditionals(voice.name, reference)
        self._conditionals.put(voice.digest, made)
        return made

    def _read_recording(self, name: str, recording: Path) -> Reference:
        start_s = self._start_s if name == DEFAULT_VOICE else None  # the setting is about one recording
        return read_recording(recording, self._max_seconds, f"voice {name}", start_s)

    def _make_conditionals(self, name: str, reference: Reference | None) -> bytes:
        began = time.monotonic()
        try:
            made = self._cloning_engine().make_conditionals(reference)
        except ConfigError as error:
            raise BadRecording(str(error)) from error
        except MonicaError:
            raise
        except Exception as error:
            logger.exception("voice %s: the engine failed on its recording", name)
            raise SynthesisFailed("The engine failed on this recording.") from error
        logger.info("conditionals: made in %.1f s: %s", time.monotonic() - began, name)
        return made

    def _cloning_engine(self) -> CloningEngine:
        if self._engine is None:
            raise Forbidden("The engine that speaks here clones no voices.")
        return self._engine
