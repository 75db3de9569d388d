"""A phrase: what is said, how it is asked for, and how soon it is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monica.engine import MAX_SEED, SynthesisParams
from monica.voices.recording import DEFAULT_VOICE
from monica.warming.book.errors import Fault

HIGHEST_PRIORITY = 1000
# As the HTTP API has them; a test holds the two together.
SAMPLING = {"exaggeration": (0, 2), "cfg_weight": (0, 1), "temperature": (0.05, 5)}
KEYS = frozenset({"priority", "voice", "seed", *SAMPLING})
"""What a block may say of its phrases."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase of a book. All but the priority are fields of a SpeechRequest, with its defaults.

    priority: the higher goes first.
    """

    text: str
    priority: int = 0
    voice: str = DEFAULT_VOICE
    seed: int | None = None
    params: SynthesisParams = field(default_factory=SynthesisParams)

    @classmethod
    def model(cls, table: Mapping[str, Any]) -> Phrase:
        """Read KEYS from a block, as a phrase whose text is yet to come. Raises Fault."""
        given: dict[str, Any] = {key: _number(table, key, *SAMPLING[key]) for key in SAMPLING if key in table}
        return cls(
            text="",
            priority=_whole(table, "priority", -HIGHEST_PRIORITY, HIGHEST_PRIORITY) or 0,
            voice=_voice(table),
            seed=_whole(table, "seed", 0, MAX_SEED),
            params=SynthesisParams(**given),
        )


def _voice(table: Mapping[str, Any]) -> str:
    voice = table.get("voice", DEFAULT_VOICE)
    if not isinstance(voice, str) or not voice.strip():
        raise Fault("must be the name of a voice, in quotes", "voice")
    return voice


def _whole(table: Mapping[str, Any], key: str, least: int, most: int) -> int | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Fault(f"must be a whole number, {least} to {most}", key)
    return value


def _number(table: Mapping[str, Any], key: str, least: float, most: float) -> float:
    value = table[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise Fault(f"must be a number, {least:g} to {most:g}", key)
    return float(value)  # as the API reads it: 1 and 1.0 are one request
