"""The venue's lexicon on disk: read again when it changes, and rewritten when it is edited over HTTP."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from monica.errors import MonicaError
from monica.text.lexicon import Lexicon
from monica.text.lexicon_entries import SECTIONS, LexiconError, parse_sections, parse_toml

log = logging.getLogger(__name__)

Sections = Mapping[str, Mapping[str, Any]]
"""The content of a lexicon as its TOML file has it: section to written form to value."""


class LexiconRefused(MonicaError):
    """An entry of the lexicon cannot be used. `param` is its written form."""

    status, code = 422, "lexicon_invalid"


class LexiconChanged(MonicaError):
    """The file has changed since it was read."""

    status, code = 412, "lexicon_changed"


class LexiconUnusable(MonicaError):
    """The file cannot be read or written, or was broken by hand."""

    status, code = 503, "lexicon_unusable"


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

    def read_sections(self) -> tuple[dict[str, dict[str, Any]], str]:
        """Return what the file says, without the poker lexicon, and its version.

        Raises LexiconUnusable if it cannot be read, or was broken by hand.
        """
        content = self._read()
        return self._parse(content), _version(content)

    def replace_sections(self, sections: Sections, version: str | None = None) -> Lexicon:
        """Rewrite the file, atomically, so that it says this. Comments and the order of what stays are kept.

        version: what `read_sections` gave; None to overwrite whatever is there.
        Returns the entries that are new, changed or gone, to look texts up in.
        Raises LexiconRefused, LexiconChanged or LexiconUnusable; then the file is as it was.
        """
        try:
            wanted = parse_sections(sections)
            lexicon = Lexicon.over_poker(wanted)
        except LexiconError as error:
            param = next((w for pairs in sections.values() for w in pairs if str(error).startswith(repr(w))), None)
            raise LexiconRefused(f"{error}.", param=param) from None
        with self._lock:
            content = self._read()
            if version is not None and version != _version(content):
                raise LexiconChanged("The lexicon has been changed since it was read: read it again.")
            before = parse_sections(self._parse(content))
            rewritten = _rewrite(content, sections)
            self._write(rewritten)
            self._stamp, self._lexicon = self._read_stamp(), lexicon
        log.info("lexicon rewritten: %s", self._path)
        changed = {
            written: entry
            for old, new in ((before, wanted), (wanted, before))
            for written, entry in old.items()
            if new.get(written) != entry
        }
        return Lexicon(changed)

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise LexiconUnusable(f"The lexicon {self._path.name} cannot be read: {error.strerror}.") from error

    def _parse(self, content: bytes) -> dict[str, dict[str, Any]]:
        try:
            parse_toml(content, self._path.name)
        except LexiconError as error:
            raise LexiconUnusable(f"The file has to be put right by hand first: {error}.") from None
        return tomllib.loads(content.decode("utf-8-sig"))

    def _write(self, content: bytes) -> None:
        path = self._path.resolve()  # a link stays one
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                temporary = Path(file.name)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(path.stat().st_mode & 0o777)
            temporary.replace(path)
        except OSError as error:
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink()
            raise LexiconUnusable(f"The lexicon {self._path.name} cannot be written: {error.strerror}.") from error

    def _read_stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _rewrite(content: bytes, sections: Sections) -> bytes:
    """Return the content of a lexicon with these entries, and all else that was in it. Raises LexiconRefused."""
    # Only here: it takes a thirtieth of the start of a server, and few lexicons are edited over HTTP.
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(content.decode("utf-8-sig"))
        for section in SECTIONS:
            wanted = sections.get(section, {})
            table = document.get(section)
            if table is None:
                if not wanted:
                    continue
                document[section] = tomlkit.table()
                table = document[section]
            for written in [key for key in table if key not in wanted]:
                del table[written]
            kept = table.unwrap()
            for written, value in wanted.items():
                if kept.get(written) != value:
                    table[written] = _item(value)
        rewritten = tomlkit.dumps(document)
        said = tomllib.loads(rewritten)
        encoded = rewritten.encode()
    except (TOMLKitError, tomllib.TOMLDecodeError, ValueError) as error:
        raise LexiconRefused(f"The lexicon cannot be written as TOML: {error}.") from error
    if {name: pairs for name, pairs in said.items() if pairs} != {name: dict(p) for name, p in sections.items() if p}:
        raise LexiconRefused("The lexicon cannot be written as TOML.")
    return encoded


def _item(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    from tomlkit import inline_table

    table = inline_table()
    for name, part in value.items():
        table[name] = _item(part)
    return table
