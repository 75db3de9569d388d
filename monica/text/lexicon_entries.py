"""The entries of a lexicon, as its TOML file writes them.

"Nguyen" = "Nouyène"                                     a respelling, for every engine
"blind" = { said = "blaïnede", ipa = "blajnd" }          engines that speak phonemes say the IPA
"flop" = { chatterbox = "floppe" }                       for one engine alone; the others read the word as it is
"turn" = { chatterbox = "teurne", espeak = { ipa = "tœʁn" } }
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monica.engine.registry import engine_names, engine_spec
from monica.errors import ConfigError
from monica.text.unicode import has_words, tidy

SECTIONS = ("names", "words")
"""`names` match wherever they stand. `words` do not match inside a name: see monica.text.names."""
ALL, IPA = "said", "ipa"


class _PlainLetters(dict[int, int]):
    """A str.translate table to lower case without accents. It maps one character to one, so that positions are kept."""

    def __missing__(self, code: int) -> int:
        char = chr(code)
        base = unicodedata.normalize("NFD", char)[0].lower()
        self[code] = plain = ord(base) if len(base) == 1 else code
        return plain


_PLAIN_LETTERS = _PlainLetters({ord("’"): ord("'")})


def ignore_case_and_accents(text: str) -> str:
    """Return a text in lower case without accents, at the same length."""
    return text.translate(_PLAIN_LETTERS)


def entry_key(written: str) -> str:
    """Return what an entry is found by: two written forms with the same key are the same."""
    return ignore_case_and_accents(tidy(written)).replace("-", " ")


class LexiconError(ConfigError):
    """A lexicon that cannot be read or contradicts itself. The message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a word is said."""

    said: str | None = None
    """In letters, to be read as French."""
    ipa: str | None = None
    """In phonemes: words of IPA with spaces between them."""


NOTHING = Reading()


@dataclass(frozen=True, slots=True)
class Entry:
    """How a written form is said, by each engine."""

    written: str
    section: str = "names"
    reading: Reading = NOTHING
    """For every engine."""
    engines: Mapping[str, Reading] = field(default_factory=dict)
    """For one engine, by name. It goes before what is for every engine."""

    def reading_for(self, engine: str | None, *, phonemes: bool) -> Reading:
        """Return the one way in which an engine says it: in letters, in phonemes, or NOTHING if it reads the word.

        engine: None for no engine in particular. phonemes: whether it speaks phonemes.
        """
        own = self.engines.get(engine, NOTHING) if engine is not None else NOTHING
        for reading in (own, self.reading):
            if phonemes and reading.ipa is not None:
                return Reading(ipa=reading.ipa)
            if reading.said is not None:
                return Reading(said=reading.said)
        return NOTHING


def parse_entry(written: str, value: object, section: str = "names") -> Entry:
    """Read the value of an entry. Raises LexiconError; its message begins with the written form in quotes."""
    if isinstance(value, str):
        return Entry(written, section, Reading(said=_read_said(written, value)))
    if not isinstance(value, Mapping):
        raise LexiconError(f"{written!r} must be said as words, not {value!r}")
    names = engine_names()
    unknown = next((key for key in value if key not in (ALL, IPA, *names)), None)
    if unknown is not None:
        raise LexiconError(
            f"{written!r}: {unknown!r} is not an engine; an entry may have {ALL}, {IPA}, {' and '.join(names)}"
        )
    engines = {name: _read_reading(written, value[name], (name,)) for name in names if name in value}
    shared = {key: value[key] for key in (ALL, IPA) if key in value}
    reading = _read_reading(written, shared, names) if shared else NOTHING
    if not shared and not engines:
        raise LexiconError(f"{written!r} must be said as words, not {{}}")
    return Entry(written, section, reading, engines)


def parse_sections(table: Mapping[str, Any]) -> dict[str, Entry]:
    """Read the sections of a lexicon: written form to entry. Raises LexiconError, which begins with what is wrong."""
    entries: dict[str, Entry] = {}
    for section, pairs in table.items():
        if section not in SECTIONS or not isinstance(pairs, Mapping):
            raise LexiconError(f"{section!r} is neither [names] nor [words]")
        for written, value in pairs.items():
            entry = parse_entry(written, value, section)
            if written in entries:
                raise LexiconError(f"{written!r}: is there twice, in [names] and in [words]")
            entries[written] = entry
    return entries


def parse_toml(content: bytes, source: str) -> dict[str, Entry]:
    """Read a lexicon. source: its name in messages. Raises LexiconError, which names the line."""
    try:
        table = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise LexiconError(f"lexicon {source}, line {line}: not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise LexiconError(f"lexicon {source}: {error}") from None
    try:
        return parse_sections(table)
    except LexiconError as error:
        raise LexiconError(f"lexicon {source}{line_of(content, str(error))}: {error}") from None


def line_of(content: bytes, message: str) -> str:
    """Return the line of the entry that a message begins with, as ", line 3", or "" if there is none."""
    entry = re.match(r"'(.*?)'(?=:| (?:is|must) )|\"(.*?)\"(?=:| (?:is|must) )", message)
    if entry is None:
        return ""
    wanted = entry_key(entry[1] or entry[2] or "")
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        name = line.partition("=")[0].strip().strip("[]").strip().strip("'\"")
        if entry_key(name) == wanted:
            return f", line {number}"
    return ""


def _read_reading(written: str, value: object, engines: tuple[str, ...]) -> Reading:
    """Read what one engine or all of them say. Phonemes must suit every one of `engines` that speaks any."""
    if isinstance(value, str):
        return Reading(said=_read_said(written, value))
    if not isinstance(value, Mapping) or not value or not value.keys() <= {ALL, IPA}:
        raise LexiconError(f"{written!r}: {value!r} is neither a respelling nor {{ {ALL} = ..., {IPA} = ... }}")
    said = _read_said(written, value[ALL]) if ALL in value else None
    ipa = _read_ipa(written, value[IPA], engines) if IPA in value else None
    return Reading(said, ipa)


def _read_said(written: str, value: object) -> str:
    if not isinstance(value, str) or not has_words(value):
        raise LexiconError(f"{written!r} must be said as words, not {value!r}")
    return tidy(value)


def _read_ipa(written: str, value: object, engines: tuple[str, ...]) -> str:
    if not isinstance(value, str) or not value.strip():
        raise LexiconError(f"{written!r}: its IPA must be text, not {value!r}")
    ipa = tidy(value)
    checks = [check for name in engines if (check := engine_spec(name).check_ipa) is not None]
    if not checks:
        raise LexiconError(f"{written!r}: {engines[0]} speaks no phonemes; write a respelling for it")
    for check in checks:
        try:
            check(ipa)
        except ValueError as error:
            raise LexiconError(f"{written!r}: IPA {value!r}: {error}") from None
    return ipa
