"""Whose takes this machine plays. The server writes it into the cache folder, for commands that load no model."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from monica.store.recipe import Recipe

NAME = "identity.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the recipes of this machine's takes say about the machine."""

    fingerprint: str
    """That of the engine."""
    voices: dict[str, str]
    """Digests by name."""
    audio: str
    """What happens to samples after the engine."""

    def differs(self, recipe: Recipe) -> str | None:
        """Say why a sound would not be asked for here; None if it would."""
        if recipe.fingerprint != self.fingerprint:
            return f"made by {recipe.fingerprint}; this machine has {self.fingerprint}"
        if recipe.voice_digest not in self.voices.values():
            return f"in another voice, {recipe.voice} ({recipe.voice_digest:.12})"
        if recipe.audio != self.audio:
            return "finished in another way"
        return None

    def write_to(self, folder: Path) -> None:
        """Write it into the cache folder; a failure is logged."""
        written = folder / f"{NAME}.{os.getpid()}"
        try:
            written.write_text(json.dumps(asdict(self), indent=1))
            written.replace(folder / NAME)
        except OSError as error:
            written.unlink(missing_ok=True)
            logger.warning("the engine and voices of this machine cannot be noted for imports (%s)", error)

    @classmethod
    def from_folder(cls, folder: Path) -> Identity | None:
        """Return what was last written there; None if nothing was, or nothing that can be read."""
        try:
            found = json.loads((folder / NAME).read_bytes())
            fingerprint, voices, audio = found["fingerprint"], found["voices"], found["audio"]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        if isinstance(fingerprint, str) and isinstance(voices, dict) and isinstance(audio, str):
            return cls(fingerprint, voices, audio)
        return None
