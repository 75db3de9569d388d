"""What the catalogue shows of an entry."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import Any

from monica.store.cache import Entry
from monica.store.label import Label

YEAR_10000 = 253_402_300_800  # seconds since the epoch; no clock is there

# What is written in two ways, and said in one.
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "’": "'"})


@dataclass(frozen=True, slots=True)
class Card:
    """An entry and what its label says of it, made fit to be shown.

    text, said: as it was asked for, and as it is said. They and engine and voice are empty where there is no label
    (entries of before labels). seconds: of sound; None there.
    made: when, in seconds since the epoch. size: bytes. hits: since it was put here.
    """

    key: str
    text: str
    said: str
    engine: str
    voice: str
    seconds: float | None
    size: int
    made: float
    hits: int
    pinned: bool
    entry: Entry

    @classmethod
    def of(cls, entry: Entry) -> Card:
        """Read an entry; whatever its label is, it does not raise."""
        try:
            found = json.loads(entry.label) if entry.label else {}
        except (ValueError, RecursionError):
            found = {}
        label = found if isinstance(found, dict) else {}
        made = _number(label.get("made"))
        return cls(
            key=entry.key,
            text=shown(label.get("text")),
            said=shown(label.get("said")),
            engine=shown(label.get("engine")),
            voice=shown(label.get("voice")),
            seconds=_number(label.get("seconds")),
            size=entry.size,
            made=entry.made if made is None else made,
            hits=entry.hits,
            pinned=entry.pinned,
            entry=entry,
        )

    def label(self) -> Label:
        """Return all of the label. Raises ValueError where there is none."""
        return Label.read(self.entry.label)

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "entry"}


def fold(text: str) -> str:
    """Write text so that case and accents do not matter."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LIGATURES))
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def shown(value: object) -> str:
    """Make text fit for a terminal: a folder that others write to may hold anything."""
    text = value if isinstance(value, str) else ""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < YEAR_10000:
        return value
    return None
