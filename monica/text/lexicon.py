"""How the venue wants names and words said: a TOML file that maps written forms to said forms.

Only whole words match, whatever their case and accents, longest first, in one pass. An entry whose said form contains
the written form of another is refused, so that normalising a text twice changes nothing.
"""

from __future__ import annotations

import logging
import re
import threading
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path

from monica.errors import ConfigError
from monica.text.unicode import has_words, tidy

log = logging.getLogger(__name__)

SECTIONS = ("names", "words")
WORD = re.compile(r"[^\W\d_]+")
MIN_ENTRY_WORD = 4
"""Letters. A shorter word of an entry of several is as likely an article or a preposition."""
FIRST_WORD = re.compile(r"\w+")


class LexiconError(ConfigError):
    """A lexicon that cannot be read or contradicts itself. The message names the file and the line."""


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


class Lexicon:
    """An immutable set of entries, indexed for use."""

    def __init__(self, entries: Mapping[str, str] | None = None) -> None:
        """Index entries, which map a written form to a said form. Raises LexiconError if they contradict each other."""
        self._said: dict[str, str] = {}
        by_first: dict[str, list[str]] = {}
        for written, said in (entries or {}).items():
            key = _entry_key(written)
            first = FIRST_WORD.match(key)
            if first is None:
                raise LexiconError(f"{written!r}: an entry must begin with a letter or a digit")
            if not has_words(said):
                raise LexiconError(f"{written!r}: nothing to say in {said!r}")
            if self._said.setdefault(key, tidy(said)) != tidy(said):
                raise LexiconError(f"{written!r}: is there twice, with different said forms")
            by_first.setdefault(first[0], []).append(key)
        self._patterns = {
            first: re.compile("(?:" + "|".join(map(_pattern, sorted(set(keys), key=len, reverse=True))) + r")(?!\w)")
            for first, keys in by_first.items()
        }
        for key, said in self._said.items():
            if ignore_case_and_accents(again := self.respell(said)) != ignore_case_and_accents(said):
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
        own = _parse_entries(content, str(path))
        written = {_entry_key(key) for key in own}
        try:
            venue = cls(own)
            shipped = {
                key: venue.respell(said) for key, said in _poker_entries().items() if _entry_key(key) not in written
            }
            return cls(shipped | own)
        except LexiconError as error:
            raise LexiconError(f"lexicon {path}{_line_of(content, str(error))}: {error}") from None

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the entries, written and said, in lower case without accents.

        Of an entry of several words, the short ones are left out: "à la carte" is not about "a" and "la".
        """
        entries = [*self._said, *map(ignore_case_and_accents, self._said.values())]
        found = [(word, len(words)) for words in map(WORD.findall, entries) for word in words]
        return frozenset(word for word, count in found if count == 1 or len(word) >= MIN_ENTRY_WORD)

    def current(self) -> Lexicon:
        """Return the lexicon to use now: this one. LexiconFile returns the newest."""
        return self

    def respell(self, text: str) -> str:
        """Replace every written form by its said form."""
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
            said = self._said[hit[0].replace("-", " ")]
            if text[hit.start()].isupper() and not text[hit.start() : hit.end()].isupper():
                said = said[0].upper() + said[1:]
            pieces += [text[end : hit.start()], said]
            end = hit.end()
        return "".join([*pieces, text[end:]])


class LexiconFile:
    """A lexicon on disk, read again when the file changes.

    After a broken edit the last good lexicon stays in use, and one warning is logged. Safe to share between threads.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the file. Raises LexiconError if it is broken: a server does not start on a broken lexicon."""
        self._path = Path(path)
        self._lock = threading.Lock()
        self._stamp = self._read_stamp()
        self._lexicon = Lexicon.load_file(self._path)

    def current(self) -> Lexicon:
        """Return the lexicon to use now, read again if the file has changed."""
        if self._read_stamp() == self._stamp:
            return self._lexicon
        with self._lock:
            stamp = self._read_stamp()
            if stamp != self._stamp:
                self._stamp = stamp  # a broken file is not read again until it changes
                try:
                    self._lexicon = Lexicon.load_file(self._path)
                except LexiconError as error:
                    log.warning("lexicon not reloaded, the last good one stays in use: %s", error)
                else:
                    log.info("lexicon reloaded from %s", self._path)
            return self._lexicon

    def _read_stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _poker_entries() -> dict[str, str]:
    return _parse_entries(resources.files("monica.text").joinpath("poker.toml").read_bytes(), "poker.toml")


def _entry_key(written: str) -> str:
    return ignore_case_and_accents(tidy(written)).replace("-", " ")


def _pattern(key: str) -> str:
    return re.escape(key).replace(r"\ ", "[ -]")


def _parse_entries(content: bytes, source: str) -> dict[str, str]:
    try:
        table = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise LexiconError(f"lexicon {source}, line {line}: not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise LexiconError(f"lexicon {source}: {error}") from None
    entries: dict[str, str] = {}
    for section, pairs in table.items():
        if section not in SECTIONS or not isinstance(pairs, dict):
            place = _line_of(content, repr(section))
            raise LexiconError(f"lexicon {source}{place}: {section!r} is neither [names] nor [words]")
        for written, said in pairs.items():
            place = _line_of(content, repr(written))
            if not isinstance(said, str) or not has_words(said):
                raise LexiconError(f"lexicon {source}{place}: {written!r} must be said as words, not {said!r}")
            entries[written] = said
    return entries


def _line_of(content: bytes, message: str) -> str:
    """Return the line of the entry that a message begins with, as ", line 3", or "" if there is none."""
    entry = re.match(r"'(.*?)'(?=:|$)|\"(.*?)\"(?=:|$)", message)
    if entry is None:
        return ""
    wanted = _entry_key(entry[1] or entry[2] or "")
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        name = line.partition("=")[0].strip().strip("[]").strip().strip("'\"")
        if _entry_key(name) == wanted:
            return f", line {number}"
    return ""
