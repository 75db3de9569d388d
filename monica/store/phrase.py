"""A kept phrase: a sound in the store as the catalogue lists it, with what its metadata says."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from monica.errors import MonicaError
from monica.store.hearing import Hearing, TimedWord
from monica.store.metadata import Metadata, parse_fields

OVERHEAD_BYTES = 4096
"""Upper bound on the bytes that a kept phrase takes on disk beside its sound and its metadata."""
YEAR_10000 = 253_402_300_800
"""In seconds since the epoch. No clock shows a later time, and `time.localtime` refuses one."""
DIGEST_CHARACTERS = 64
"""Characters of a hex SHA-256."""
KEY_CHARACTERS = DIGEST_CHARACTERS
"""Characters of a key, which is one."""

# Characters that are written in two ways but said in one.
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "’": "'"})
_SHOWN = ("key", "text", "said", "engine", "voice", "seconds", "size", "made", "hits", "pinned")

IS_PHRASE = "raw = 1 AND typeof(key) = 'text' AND typeof(tag) = 'text'"
"""The condition, in SQL, that a row of the cache is one that Monica wrote for a phrase."""
SELECT_PHRASES = f"""
    SELECT key, tag, CASE WHEN filename IS NULL THEN length(value) ELSE size END, store_time, access_time, access_count,
           key IN (SELECT key FROM Pin)
    FROM Cache WHERE {IS_PHRASE}
"""  # noqa: S608
"""Selects what `KeptPhrase.from_row` takes."""
IS_PINNED = "key IN (SELECT key FROM Pin)"
# SQLite's JSON functions take longer. No text of the metadata can hold this: its quotes are escaped.
_MADE = """coalesce(CAST(substr(tag, nullif(instr(tag, '"made":'), 0) + 7) AS REAL), store_time)"""
# Texts of the metadata cannot hold these either. A verdict is of one sound; a model is named if a recogniser gave it.
IN_DOUBT = """instr(tag, '"verdict":"doubtful"') + instr(tag, '"verdict":"wrong"') > 0"""
"""The condition of phrases whose verdict may be one of these, in SQL."""
COUNT_HEARD = f"""
    SELECT substr(tag, instr(tag, '"verdict":"') + 11, 8), COUNT(*) FROM Cache
    WHERE {IS_PHRASE} AND instr(tag, '"sound":"' || substr(tag, 1, {DIGEST_CHARACTERS}) || '"') > 0
          AND instr(tag, '"model":""') = 0
    GROUP BY 1
"""  # noqa: S608
"""Counts the phrases that a recogniser has heard, by the beginnings of their verdicts and what follows those."""
ORDERS = {"made": _MADE, "hits": "access_count", "size": "CASE WHEN filename IS NULL THEN length(value) ELSE size END"}
"""What phrases are sorted by, in SQL: in sane metadata, that which `made`, `hits` and `size` of a `KeptPhrase` are."""


class WordsUnknown(MonicaError):
    """The phrase has not been listened to, so it is not known when its words are said."""

    status, code = 409, "words_unknown"


@dataclass(frozen=True, slots=True)
class KeptPhrase:
    """What is known of a kept sound without reading it, in a form fit to be shown.

    `text`, `said`, `engine` and `voice` are empty and `seconds` is None if there is no metadata, as for phrases kept
    before there was any.
    """

    key: str
    sha256: str
    """Hex SHA-256 of the sound."""
    size: int
    """Bytes of the sound."""
    stored: float
    """When it was put into the store, in seconds since the epoch."""
    used: float
    """When it was last asked for, in seconds since the epoch."""
    hits: int
    """How often it was found since it was put into the store."""
    pinned: bool
    metadata_json: str
    """The metadata as it is stored; it may be anything. `metadata` reads it strictly."""
    text: str
    """The text as it was asked for."""
    said: str
    """The text as it is said."""
    engine: str
    voice: str
    seconds: float | None
    """Duration of the sound."""
    made: float
    """When the take was made, in seconds since the epoch; when it was stored if the metadata does not say."""

    @classmethod
    def from_row(cls, key: str, tag: str, size: int, stored: float, used: float, hits: int, pinned: int) -> KeptPhrase:
        """Read a row of the store. Never raises, whatever the metadata is.

        tag: the digest of the sound, then a space and the metadata. Before there was metadata, it was the digest alone.
        """
        metadata_json = tag[DIGEST_CHARACTERS + 1 :]
        found = parse_fields(metadata_json)
        made = _time_or_none(found.get("made"))
        return cls(
            key=key,
            sha256=tag[:DIGEST_CHARACTERS],
            size=size,
            stored=stored,
            used=used,
            hits=hits,
            pinned=bool(pinned),
            metadata_json=metadata_json,
            text=shown(found.get("text")),
            said=shown(found.get("said")),
            engine=shown(found.get("engine")),
            voice=shown(found.get("voice")),
            seconds=_time_or_none(found.get("seconds")),
            made=stored if made is None else made,
        )

    def metadata(self) -> Metadata:
        """Return all of the metadata. Raises ValueError if there is none."""
        return Metadata.from_json(self.metadata_json)

    @property
    def hearing(self) -> Hearing | None:
        """What was heard of it; None if this very sound has not been listened to."""
        if '"heard"' not in self.metadata_json:  # to parse ten thousand takes a second
            return None
        try:
            heard = self.metadata().heard
        except ValueError:
            return None
        return heard if heard is not None and heard.sound == self.sha256 else None

    def words(self) -> tuple[TimedWord, ...]:
        """Return its words with their times. Raises WordsUnknown if nothing has listened for them."""
        heard = self.hearing
        if heard is None:
            raise WordsUnknown(f"Phrase {self.key:.12} has not been listened to: monica cache listen.")
        if not heard.words:
            raise WordsUnknown(
                f"Phrase {self.key:.12} was listened to, but not for its words: monica cache listen --again."
            )
        return heard.words

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that are shown, on the command line and over HTTP."""
        return {name: getattr(self, name) for name in _SHOWN}


def fold(text: str) -> str:
    """Write text so that case and accents do not matter."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LIGATURES))
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def shown(value: object) -> str:
    """Make text fit for a terminal: a folder that others can write to may hold anything."""
    text = value if isinstance(value, str) else ""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def _time_or_none(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < YEAR_10000:
        return value
    return None
