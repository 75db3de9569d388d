"""The table of French words: which accented forms the letters of a word stand for, and what each of them is.

The table is `accents.txt`, made from Lexique 3.83 by `monica.text.accents_build`. A line has the letters without
accents, then the forms they stand for, the most frequent first, each with its tags. A form without any accent is left
empty, and a tilde marks a form that the letters hardly ever stand for:

    elimine éliminé=Pms,Ams élimine=V
    table =Nfs
    envie =Nfs,V ~envié=Pms

The tags: N noun, A adjective and P past participle, each with its gender (m, f, or e for both) and its number (s, p, or
i for both); V finite verb, T finite verb of "tu" alone, I infinitive, G present participle, X auxiliary, R adverb,
S preposition, C conjunction, O pronoun, D determiner.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PATH = Path(__file__).parent / "accents.txt"
LONGEST = 40
"""Characters. A longer word is in no table."""
LINE_START = re.compile(rb"\n([a-z-]{1,3})")


@dataclass(frozen=True, slots=True)
class Reading:
    """A form that some letters may stand for."""

    form: str
    """The word as it is written, with its accents."""
    tags: tuple[str, ...]
    """What it can be, the most frequent first."""
    rare: bool
    """Whether the letters hardly ever stand for it."""

    def is_a(self, *kinds: str) -> bool:
        """Return whether one of its tags begins with one of these."""
        return any(tag.startswith(kinds) for tag in self.tags)

    def is_only(self, *kinds: str) -> bool:
        """Return whether all of its tags begin with one of these."""
        return all(tag.startswith(kinds) for tag in self.tags)


def strip_accents(word: str) -> str:
    """Return a word without its accents and other marks."""
    if word.isascii():
        return word
    return "".join(char for char in unicodedata.normalize("NFD", word) if not unicodedata.combining(char))


@lru_cache(maxsize=2048)
def readings(key: str) -> tuple[Reading, ...]:
    """Return what a word in lower case without accents may stand for, the most frequent form first.

    Empty if it is no French word, with or without accents.
    """
    table, places = _load()
    place = places.get(key[:3].encode("ascii", "replace"))
    if place is None or len(key) > LONGEST:
        return ()
    start = table.find(f"\n{key} ".encode("ascii", "replace"), *place)
    if start < 0:
        return _inflected(key)
    line = table[start + 1 : table.index(b"\n", start + 1)].decode()
    return tuple(_read(written, key) for written in line.split(" ")[1:])


def _inflected(key: str) -> tuple[Reading, ...]:
    """Return what a word stands for of which the source has met only the singular or masculine: "cumulées"."""
    if key.endswith("ee"):
        return tuple(
            Reading(reading.form + "e", ("Pfs",), reading.rare)
            for reading in readings(key[:-1])
            if reading.form.endswith("é") and "Pms" in reading.tags
        )
    if not key.endswith(("ees", "ants", "antes", "eurs", "euses", "iques", "ables")):
        return ()
    return tuple(
        Reading(reading.form + "s", tags, reading.rare)
        for reading in readings(key[:-1])
        if (tags := tuple(tag[:2] + "p" for tag in reading.tags if tag[0] in "NAP" and tag[2:] == "s"))
    )


def _read(written: str, key: str) -> Reading:
    form, _, tags = written.partition("=")
    return Reading(form.removeprefix("~") or key, tuple(tags.split(",")), form.startswith("~"))


@lru_cache(maxsize=1)
def _load() -> tuple[bytes, dict[bytes, tuple[int, int]]]:
    """Read the table, when the first word is looked up.

    Returns it as it is, and where in it the words with the same first three letters begin and end. To search such a
    part takes microseconds. A dictionary of all words would take none, and ten times the memory.
    """
    table = b"\n" + PATH.read_bytes()
    places: dict[bytes, tuple[int, int]] = {}
    first, begin = b"", 0
    for line in LINE_START.finditer(table):
        if line[1] != first:
            places[first] = (begin, line.start() + 1)
            first, begin = line[1], line.start()
    places[first] = (begin, len(table))
    return table, places
