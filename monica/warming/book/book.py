"""The phrase book: rosters, and blocks of phrases with placeholders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from monica.config import MAX_TEXT_LENGTH
from monica.warming.book.block import Block
from monica.warming.book.errors import BookError, BookFault, format_path, within
from monica.warming.book.lines import line_of
from monica.warming.book.phrase import Phrase
from monica.warming.book.roster import Roster
from monica.warming.book.source import MAX_SIZE, decode_source, load_toml

ROSTERS, PHRASES = "rosters", "phrases"
MAX_PHRASES = 200_000


class PhraseBook:
    """All phrases of an event. Immutable; phrases() makes them one by one, and may be called again."""

    def __init__(self, blocks: Sequence[Block], rosters: Mapping[str, Roster] | None = None) -> None:
        self.blocks = tuple(blocks)
        """In the order of the book."""
        self.rosters = dict(rosters or {})
        """By name, in the order of the book."""
        self._blocks = sorted(blocks, key=lambda block: -block.prototype.priority)

    @classmethod
    def parse(
        cls, source: str | bytes, name: str, max_text_length: int = MAX_TEXT_LENGTH, folder: Path | None = None
    ) -> PhraseBook:
        """Parse the TOML of a book. name: the file's name, for error messages. Raises BookError.

        folder: where rosters' files are. Without one no file is read, since a book may come from anyone, and the book
        makes at most MAX_PHRASES.
        """
        text = decode_source(source, name)
        table = load_toml(text, name)
        try:
            _check_keys(table)
            rosters = _rosters(table, folder)
            return cls(_blocks(table, rosters, max_text_length, None if folder else MAX_PHRASES), rosters)
        except BookFault as fault:
            key = format_path(fault.path)
            message = f"{name}, line {line_of(text, fault.path)}, {key}: {fault.message}"
            raise BookError(message, param=key) from None

    @classmethod
    def read_file(
        cls, path: str | Path, max_text_length: int = MAX_TEXT_LENGTH, *, of_any_size: bool = False
    ) -> PhraseBook:
        """Read and parse a file. of_any_size: with rosters in files beside it, and any number of phrases.

        Raises BookError.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                source = file.read(MAX_SIZE + 1)
        except OSError as error:
            raise BookError(f"{path.name}: {error.strerror or error}") from None
        return cls.parse(source, path.name, max_text_length, path.parent if of_any_size else None)

    @classmethod
    def from_texts(
        cls, texts: Sequence[str], name: str = PHRASES, max_text_length: int = MAX_TEXT_LENGTH
    ) -> PhraseBook:
        """Make a book of a list of texts, taken as they are, braces included.

        name: the name of the list, for error messages. Raises BookError.
        """
        if len(texts) > MAX_PHRASES:
            raise BookError(f"{name}: there are {len(texts)}, at most {MAX_PHRASES}", param=name)
        try:
            return cls([Block.from_texts(texts, max_text_length)])
        except BookFault as fault:
            key = format_path((name, *fault.path))
            raise BookError(f"{key}: {fault.message}", param=key) from None

    def count(self) -> int:
        """Return the number of phrases, duplicates included, without making any."""
        return sum(block.count() for block in self._blocks)

    def phrases(self) -> Iterator[Phrase]:
        """Make the phrases, each once: the highest priority first, equal priorities in the order of the book.

        Two phrases with the same text are one, unless their voices, seeds or parameters differ.
        """
        seen = set()
        for phrase in self.phrases_with_repeats():
            identity = repr((phrase.text, phrase.voice, phrase.seed, phrase.params))
            digest = blake2b(identity.encode(), digest_size=16).digest()  # smaller than the text it stands for
            if digest not in seen:
                seen.add(digest)
                yield phrase

    def phrases_with_repeats(self) -> Iterator[Phrase]:
        """Make as many phrases as `count` says, in the same order: none is remembered, however many there are."""
        for block in self._blocks:
            yield from block.phrases()


def _check_keys(table: Mapping[str, Any]) -> None:
    for key in table:
        if key not in {ROSTERS, PHRASES}:
            raise BookFault("a book has rosters and phrases, nothing else", key)


def _rosters(table: Mapping[str, Any], folder: Path | None) -> dict[str, Roster]:
    rosters = {}
    with within(ROSTERS):
        lists = table.get(ROSTERS, {})
        if not isinstance(lists, dict):
            raise BookFault("must be a table, [rosters]")
        for name, values in lists.items():
            with within(name):
                rosters[name] = Roster.from_toml(name, values, folder)
    return rosters


def _blocks(
    table: Mapping[str, Any], rosters: Mapping[str, Roster], max_text_length: int, max_phrases: int | None
) -> list[Block]:
    blocks = []
    with within(PHRASES):
        tables = table.get(PHRASES, [])
        if not isinstance(tables, list):
            raise BookFault("each block begins with [[phrases]], in double brackets")
        if not tables:
            raise BookFault("there are none; a block begins with [[phrases]]")
        for position, block in enumerate(tables):
            with within(position):
                if not isinstance(block, dict):
                    raise BookFault("each block begins with [[phrases]]")
                blocks.append(Block.from_toml(block, rosters, max_text_length))
        counts = [block.count() for block in blocks]
        if max_phrases is not None and sum(counts) > max_phrases:
            most = max(counts)
            message = f"the book makes {sum(counts)} phrases, {most} of them here; at most {max_phrases}"
            raise BookFault(message, counts.index(most))
    return blocks
