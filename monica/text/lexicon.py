"""How the venue wants names and words said: a TOML file, written form to said form.

Whole words only, whatever their case and accents, longest first, in one pass. An entry whose said form holds
the written form of another is refused, so that saying a text twice changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import tomllib
import unicodedata
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from monica.errors import ConfigError
from monica.text.unicode import has_words, tidy

log = logging.getLogger(__name__)

SECTIONS = ("names", "words")
FIRST_WORD = re.compile(r"\w+")


class LexiconError(ConfigError):
    """A lexicon that cannot be read or that contradicts itself; the message names the file and the line."""


class _Fold(dict[int, int]):
    """A str.translate table to lower case without accents, one character for one: positions are kept."""

    def __missing__(self, code: int) -> int:
        char = chr(code)
        base = unicodedata.normalize("NFD", char)[0].lower()
        self[code] = folded = ord(base) if len(base) == 1 else code
        return folded


_FOLD = _Fold({ord("’"): ord("'")})


def fold(text: str) -> str:
    """Write text in lower case without accents, at the same length."""
    return text.translate(_FOLD)


class Lexicon:
    """An immutable set of entries, ready to be applied."""

    def __init__(self, entries: Mapping[str, str] | None = None) -> None:
        """Index entries (written to said). Raises LexiconError where they contradict themselves."""
        self._said: dict[str, str] = {}
        by_first: dict[str, list[str]] = {}
        for written, said in (entries or {}).items():
            key = _key(written)
            first = FIRST_WORD.match(key)
            if first is None:
                raise LexiconError(f"{written!r}: an entry must begin with a letter or a digit")
            if not has_words(said):
                raise LexiconError(f"{written!r}: nothing to say in {said!r}")
            if self._said.setdefault(key, tidy(said)) != tidy(said):
                raise LexiconError(f"{written!r}: is there twice, said differently")
            by_first.setdefault(first[0], []).append(key)
        self._patterns = {
            first: re.compile("(?:" + "|".join(map(_pattern, sorted(set(keys), key=len, reverse=True))) + r")(?!\w)")
            for first, keys in by_first.items()
        }
        for key, said in self._said.items():
            if fold(again := self.say(said)) != fold(said):
                raise LexiconError(
                    f"{key!r}: its said form {said!r} holds another entry and would become {again!r};"
                    " write the final form"
                )
        spoken = json.dumps(sorted(self._said.items()), ensure_ascii=False)
        self.digest = hashlib.sha256(spoken.encode()).hexdigest()
        """Hexadecimal SHA-256 of what the entries change in the speech; comments and order do not count."""

    @classmethod
    def default(cls) -> Lexicon:
        """Give the poker lexicon that ships with Monica."""
        return cls(_shipped())

    @classmethod
    def load(cls, path: str | Path) -> Lexicon:
        """Read the venue's file on top of the poker lexicon; the venue's entries win.

        Raises LexiconError, with the file and the line.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LexiconError(f"lexicon {path}: {error.strerror or error}") from error
        own = _parse(content, str(path))
        written = {_key(key) for key in own}
        try:
            venue = cls(own)
            shipped = {key: venue.say(said) for key, said in _shipped().items() if _key(key) not in written}
            return cls(shipped | own)
        except LexiconError as error:
            raise LexiconError(f"lexicon {path}{_where(content, str(error))}: {error}") from None

    def current(self) -> Lexicon:
        """Give the lexicon to use now: this one."""
        return self

    def say(self, text: str) -> str:
        """Replace every written form by its said form."""
        folded = fold(text)
        pieces: list[str] = []
        end = 0
        for word in FIRST_WORD.finditer(folded):
            pattern = self._patterns.get(word[0])
            if pattern is None or word.start() < end:
                continue
            hit = pattern.match(folded, word.start())
            if hit is None:
                continue
            said = self._said[hit[0].replace("-", " ")]
            if text[hit.start()].isupper() and not text[hit.start() : hit.end()].isupper():
                said = said[0].upper() + said[1:]
            pieces += [text[end : hit.start()], said]
            end = hit.end()
        return "".join([*pieces, text[end:]])


class LexiconFile:
    """A lexicon on disk that is read again when it changes.

    A broken edit keeps the last good lexicon and is logged once. Safe to share between threads.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the file. Raises LexiconError: a server does not start on a broken lexicon."""
        self._path = Path(path)
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._lexicon = Lexicon.load(self._path)

    @property
    def digest(self) -> str:
        """The digest of the lexicon in use now."""
        return self.current().digest

    def current(self) -> Lexicon:
        """Give the lexicon to use now, read again if the file has changed."""
        if self._look() == self._stamp:
            return self._lexicon
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp  # a broken file is not tried again until it changes
                try:
                    self._lexicon = Lexicon.load(self._path)
                except LexiconError as error:
                    log.warning("lexicon not reloaded, the last good one stays: %s", error)
                else:
                    log.info("lexicon reloaded from %s", self._path)
            return self._lexicon

    def say(self, text: str) -> str:
        """Replace every written form by its said form."""
        return self.current().say(text)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _shipped() -> dict[str, str]:
    return _parse(resources.files("monica.text").joinpath("poker.toml").read_bytes(), "poker.toml")


def _key(written: str) -> str:
    return fold(tidy(written)).replace("-", " ")


def _pattern(key: str) -> str:
    return re.escape(key).replace(r"\ ", "[ -]")


def _parse(content: bytes, source: str) -> dict[str, str]:
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
            where = _where(content, repr(section))
            raise LexiconError(f"lexicon {source}{where}: {section!r} is neither [names] nor [words]")
        for written, said in pairs.items():
            where = _where(content, repr(written))
            if not isinstance(said, str) or not has_words(said):
                raise LexiconError(f"lexicon {source}{where}: {written!r} must be said as words, not {said!r}")
            entries[written] = said
    return entries


def _where(content: bytes, message: str) -> str:
    """Find the line that holds the entry a message begins with: ", line 3", or nothing."""
    entry = re.match(r"'(.*?)'(?=:|$)|\"(.*?)\"(?=:|$)", message)
    if entry is None:
        return ""
    wanted = _key(entry[1] or entry[2] or "")
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        name = line.partition("=")[0].strip().strip("[]").strip().strip("'\"")
        if _key(name) == wanted:
            return f", line {number}"
    return ""
