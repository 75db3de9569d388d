"""A text as words with their neighbours, for the rules that give words their accents."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monica.text import names
from monica.text.accents_table import Reading, readings, strip_accents

TOKEN = re.compile(r"[^\W\d_]{1,40}(?:-[^\W\d_]{1,40}){0,4}['’]?|\d{1,20}|\S")
APOSTROPHES = "'’"
"""Both are seen: the rule comes before quotation marks are straightened."""
PART = re.compile(r"-|[^-'’]{1,40}")
CHUNK = re.compile(r"\S{1,200}")
ADDRESS = re.compile(r"@|://|www\.|[a-z0-9]\.[a-z]|[_\\#&]")
FIRST_NAMES = frozenset(strip_accents(name.lower()) for name in names.FIRST_NAMES)
ENDS = frozenset(".!?…:;|")
"""Marks that a sentence begins after."""
OPENS = frozenset("\"'«“„([-*•–—")
"""Marks that may stand before the first word of a sentence."""


@dataclass(slots=True)
class Word:
    """A word, a number or a mark of a text."""

    text: str
    """What is written, with the apostrophe of an elided word."""
    start: int
    """Where in the text it begins."""
    key: str
    """The word in lower case without accents and apostrophe; a number or a mark as it is."""
    readings: tuple[Reading, ...] = ()
    """What the word may stand for. Empty for an unknown word, and for the parts of an address."""
    begins: bool = False
    """Whether it is the first word of a sentence."""
    is_name: bool = False
    """Whether it has a capital for another reason than that it begins a sentence."""
    glued: bool = False
    """Whether a hyphen joins it to the word before."""
    said: str | None = None
    """The form that was chosen, or None as long as none is."""
    reason: str = ""
    """Which rule chose it, for those who count the rules' faults."""

    @property
    def is_mark(self) -> bool:
        return not self.key[:1].isalnum()

    @property
    def is_number(self) -> bool:
        return self.key[:1].isdigit()

    @property
    def ends_clause(self) -> bool:
        return self.is_mark and self.key != "-"

    def is_a(self, *kinds: str) -> bool:
        """Return whether one of its readings may be one of these kinds."""
        return any(reading.is_a(*kinds) for reading in self.readings)

    def is_only(self, *kinds: str) -> bool:
        """Return whether it is known, and all of its readings are of these kinds."""
        return bool(self.readings) and all(reading.is_only(*kinds) for reading in self.readings)

    def pick(self, *kinds: str) -> str | None:
        """Return its only form of these kinds, or None if it has none or several, or one that is rare and no verb."""
        found = [reading for reading in self.readings if reading.is_a(*kinds)]
        return found[0].form if len(found) == 1 and not (found[0].rare and "V" not in kinds) else None


BOUNDARY = Word("", 0, ".")
"""Stands for the neighbour of the first word and of the last."""


def at(words: Sequence[Word], i: int) -> Word:
    """Return the word at a place, or BOUNDARY outside the text."""
    return words[i] if 0 <= i < len(words) else BOUNDARY


def read_words(text: str) -> list[Word]:
    """Cut a text into words, numbers and marks. A compound that the table does not know is cut at its hyphens."""
    chunks = CHUNK.finditer(text) if ADDRESS.search(text) else ()
    addresses = [chunk.span() for chunk in chunks if ADDRESS.search(chunk[0])]
    words: list[Word] = []
    begins, address = True, 0
    for token in TOKEN.finditer(text):
        while address < len(addresses) and addresses[address][1] <= token.start():
            address += 1
        in_address = address < len(addresses) and addresses[address][0] <= token.start()
        if not token[0][0].isalpha():
            words.append(Word(token[0], token.start(), token[0]))
            begins = token[0] in ENDS or (begins and token[0] in OPENS)
            continue
        for word in _parts(token[0], token.start()):
            if not word.is_mark:
                word.begins = begins and not word.glued
                word.is_name = word.text[0].isupper() and (not word.begins or word.key in FIRST_NAMES)
                end = word.start + len(word.text)
                beside_digit = text[word.start - 1 : word.start].isdigit() or text[end : end + 1].isdigit()  # A5s, 2eme
                word.readings = () if in_address or beside_digit else readings(word.key)
            words.append(word)
        begins = False
    for word, following in itertools.pairwise(words):
        # "Rene Dupont": the first word of a sentence is a name if the second is, unless only grammar can begin so.
        if word.begins and following.is_name and word.text[0].isupper():
            word.is_name = not word.is_only("S", "D", "C", "O", "R", "X", "V")
    return words


def _parts(token: str, start: int) -> Iterator[Word]:
    whole = strip_accents(token.lower()).rstrip(APOSTROPHES)
    if "-" not in token or readings(whole):
        yield Word(token, start, whole)
        return
    glued = False
    for part in PART.finditer(token):
        yield Word(part[0], start + part.start(), strip_accents(part[0].lower()), glued=glued)
        glued = part[0] == "-"
