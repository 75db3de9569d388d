"""How the venue wants names and words said: written forms, and how each engine says them.

Only whole words match, whatever their case and accents, longest first, in one pass. An entry whose said form contains
the written form of another is refused, so that normalising a text twice changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, cached_property
from importlib import resources
from pathlib import Path

from monica.engine.registry import engine_names
from monica.text.lexicon_entries import (
    Entry,
    LexiconError,
    Reading,
    entry_key,
    ignore_case_and_accents,
    line_of,
    parse_entry,
    parse_toml,
)
from monica.text.names import is_name
from monica.text.phonemes import in_brackets, speaks_phonemes

WORD = re.compile(r"[^\W\d_]+")
MIN_ENTRY_WORD = 4
"""Letters. A shorter word of an entry of several is as likely an article or a preposition."""
FIRST_WORD = re.compile(r"\w+")


class Lexicon:
    """An immutable set of entries, indexed for use."""

    def __init__(self, entries: Mapping[str, Entry | str] | None = None) -> None:
        """Index entries by their written forms; a string is a respelling for every engine.

        Raises LexiconError if they contradict each other.
        """
        self._entries: dict[str, Entry] = {}
        by_first: dict[str, list[str]] = {}
        for written, given in (entries or {}).items():
            entry = given if isinstance(given, Entry) else parse_entry(written, given)
            key = entry_key(written)
            first = FIRST_WORD.match(key)
            if first is None:
                raise LexiconError(f"{written!r}: an entry must begin with a letter or a digit")
            known = self._entries.setdefault(key, entry)
            if (known.reading, known.engines) != (entry.reading, entry.engines):
                raise LexiconError(f"{written!r}: is there twice, with different said forms")
            by_first.setdefault(first[0], []).append(key)
        self._patterns = {
            first: re.compile("(?:" + "|".join(map(_pattern, sorted(set(keys), key=len, reverse=True))) + r")(?!\w)")
            for first, keys in by_first.items()
        }
        self._guarded = {  # to whether they are acronyms
            key: entry.written.isupper() and entry.written.isalpha()
            for key, entry in self._entries.items()
            if entry.section == "words"
        }
        self._readings: dict[str | None, dict[str, Reading]] = {
            engine: {
                key: entry.reading_for(engine, phonemes=speaks_phonemes(engine)) for key, entry in self._entries.items()
            }
            for engine in (None, *engine_names())
        }
        self._check_said_forms()

    def _check_said_forms(self) -> None:
        for engine, readings in self._readings.items():
            for key, reading in readings.items():
                said = reading.said
                if said is None:
                    continue
                again = self.respell(said, engine)
                if ignore_case_and_accents(again) != ignore_case_and_accents(said):
                    raise LexiconError(
                        f"{key!r}: its said form {said!r} contains another entry and would become {again!r};"
                        " write the final form"
                    )

    @classmethod
    def default(cls) -> Lexicon:
        """Return the poker lexicon that ships with Monica."""
        return cls(_poker_entries())

    @classmethod
    def load_file(cls, path: str | Path) -> Lexicon:
        """Read the venue's file on top of the poker lexicon. The venue's entries win.

        Raises LexiconError, which names the file and the line.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LexiconError(f"lexicon {path}: {error.strerror or error}") from error
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, source: str) -> Lexicon:
        """Do as `load_file` does, for the content of a file called `source`."""
        own = parse_toml(content, source)
        try:
            return cls.over_poker(own)
        except LexiconError as error:
            raise LexiconError(f"lexicon {source}{line_of(content, str(error))}: {error}") from None

    @classmethod
    def over_poker(cls, own: Mapping[str, Entry]) -> Lexicon:
        """Put the venue's entries on top of the poker lexicon. Raises LexiconError if they contradict each other."""
        venue = cls(own)
        written = {entry_key(key) for key in own}
        shipped = {
            key: venue._respell_entry(entry) for key, entry in _poker_entries().items() if entry_key(key) not in written
        }
        return cls({**shipped, **own})

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the entries, written and said, in lower case without accents.

        Of an entry of several words, the short ones are left out: "à la carte" is not about "a" and "la".
        """
        said = [r.said for readings in self._readings.values() for r in readings.values() if r.said is not None]
        entries = [*self._entries, *map(ignore_case_and_accents, said)]
        found = [(word, len(words)) for words in map(WORD.findall, entries) for word in words]
        return frozenset(word for word, count in found if count == 1 or len(word) >= MIN_ENTRY_WORD)

    def current(self) -> Lexicon:
        """Return the lexicon to use now: this one. LexiconFile returns the newest."""
        return self

    def mentions(self, text: str) -> bool:
        """Return whether a text has the written form of an entry, as a name or not."""
        plain = ignore_case_and_accents(text)
        return any(
            pattern.match(plain, word.start())
            for word in FIRST_WORD.finditer(plain)
            if (pattern := self._patterns.get(word[0])) is not None
        )

    def respell(self, text: str, engine: str | None = None, write_ipa: Callable[[str], str] = in_brackets) -> str:
        """Replace every written form by what an engine says.

        engine: its name; None, or one that the registry lacks, gets what is for every engine. write_ipa: how to write
        phonemes into the text.
        """
        readings = self._readings.get(engine) or self._readings[None]
        plain = ignore_case_and_accents(text)
        pieces: list[str] = []
        end = 0
        for word in FIRST_WORD.finditer(plain):
            pattern = self._patterns.get(word[0])
            if pattern is None or word.start() < end:
                continue
            hit = pattern.match(plain, word.start())
            if hit is None:
                continue
            key = hit[0].replace("-", " ")
            written = text[hit.start() : hit.end()]
            acronym = self._guarded.get(key)
            if acronym is not None and is_name(text, hit.start(), hit.end(), acronym=acronym):
                if not (acronym and written.isupper()):
                    continue
                reading = Reading(said=written.capitalize())  # in capitals its letters would be spelled later on
            else:
                reading = readings[key]
            if reading.ipa is not None:
                said = write_ipa(reading.ipa)
            elif reading.said is not None:
                said = reading.said
                if written[0].isupper() and not (written.isupper() or written[1:2].isupper()):  # nor for BBs
                    said = said[0].upper() + said[1:]
            else:
                said = written
            pieces += [text[end : hit.start()], said]
            end = hit.end()
        return "".join([*pieces, text[end:]])

    def _respell_entry(self, entry: Entry) -> Entry:
        """Apply this lexicon to the said forms of an entry."""

        def respelled(reading: Reading, engine: str | None) -> Reading:
            return reading if reading.said is None else replace(reading, said=self.respell(reading.said, engine))

        engines = {engine: respelled(reading, engine) for engine, reading in entry.engines.items()}
        return replace(entry, reading=respelled(entry.reading, None), engines=engines)


@cache
def _poker_entries() -> dict[str, Entry]:
    return parse_toml(resources.files("monica.text").joinpath("poker.toml").read_bytes(), "poker.toml")


def _pattern(key: str) -> str:
    return re.escape(key).replace(r"\ ", "[ -]")
