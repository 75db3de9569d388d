"""Whose takes this machine plays: written into the cache folder by the server, for who must know without the model."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from monica.store.label import Recipe

NAME = "identity.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the key of a take says of the machine that made it.

    voices: digests by name. audio: what happens to samples after the engine.
    """

    fingerprint: str
    voices: dict[str, str]
    audio: str

    def differs(self, recipe: Recipe) -> str | None:
        """Say in what a sound is not one that would be asked for here; None: it is."""
        if recipe.fingerprint != self.fingerprint:
            return f"made by {recipe.fingerprint}; here speaks {self.fingerprint}"
        if recipe.voice_digest not in self.voices.values():
            return f"in another voice, {recipe.voice} ({recipe.voice_digest:.12})"
        if recipe.audio != self.audio:
            return "finished in another way"
        return None

    def write(self, folder: Path) -> None:
        """Put it into the cache folder; a failure is logged."""
        written = folder / f"{NAME}.{os.getpid()}"
        try:
            written.write_text(json.dumps(asdict(self), indent=1))
            written.replace(folder / NAME)
        except OSError as error:
            written.unlink(missing_ok=True)
            logger.warning("what speaks here cannot be noted for imports (%s)", error)

    @classmethod
    def read(cls, folder: Path) -> Identity | None:
        """Return what was last written there; None where nothing was, or nothing that can be read."""
        try:
            found = json.loads((folder / NAME).read_bytes())
            fingerprint, voices, audio = found["fingerprint"], found["voices"], found["audio"]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        if isinstance(fingerprint, str) and isinstance(voices, dict) and isinstance(audio, str):
            return cls(fingerprint, voices, audio)
        return None
