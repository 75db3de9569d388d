"""A phrase of a book: its text, the parameters it is asked for with, and its priority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monica.engine import MAX_SEED, SynthesisParams
from monica.voices.recording import DEFAULT_VOICE
from monica.warming.book.errors import BookFault

MAX_PRIORITY = 1000
# The ranges of the HTTP API; a test compares the two.
SAMPLING = {"exaggeration": (0, 2), "cfg_weight": (0, 1), "temperature": (0.05, 5)}
GROUP = "group"
KEYS = frozenset({"priority", GROUP, "voice", "seed", *SAMPLING})
"""The keys of a block that are not placeholders; `text` comes on top."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase of a book. All fields but the priority are fields of a SpeechRequest, with the same defaults."""

    text: str
    priority: int = 0
    """Phrases with a higher priority are made first."""
    voice: str = DEFAULT_VOICE
    seed: int | None = None
    params: SynthesisParams = field(default_factory=SynthesisParams)

    @classmethod
    def prototype(cls, table: Mapping[str, Any]) -> Phrase:
        """Read KEYS from a block into a phrase whose text is still empty. Raises BookFault."""
        given: dict[str, Any] = {key: _number(table, key, *SAMPLING[key]) for key in SAMPLING if key in table}
        return cls(
            text="",
            priority=_whole_number(table, "priority", -MAX_PRIORITY, MAX_PRIORITY) or 0,
            voice=_voice(table),
            seed=_whole_number(table, "seed", 0, MAX_SEED),
            params=SynthesisParams(**given),
        )


def _voice(table: Mapping[str, Any]) -> str:
    voice = table.get("voice", DEFAULT_VOICE)
    if not isinstance(voice, str) or not voice.strip():
        raise BookFault("must be the name of a voice, in quotes", "voice")
    return voice


def _whole_number(table: Mapping[str, Any], key: str, least: int, most: int) -> int | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BookFault(f"must be a whole number, {least} to {most}", key)
    return value


def _number(table: Mapping[str, Any], key: str, least: float, most: float) -> float:
    value = table[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise BookFault(f"must be a number, {least:g} to {most:g}", key)
    return float(value)  # as the API reads it: 1 and 1.0 are the same request
