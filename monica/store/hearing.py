"""What was heard of a kept sound, when each word is said, and the verdict, as its metadata holds them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LONGEST_TEXT = 10_000
"""In characters: what is read may come from anyone."""
MOST_DIFFERENCES = 100
MOST_WORDS = 5000
LONGEST_S = 86_400
"""Bound on every time, in seconds."""


class Verdict(StrEnum):
    """What a take is worth, as far as a recogniser can tell; the best first."""

    ACCEPTED = "accepted"
    """A person has heard it and kept it."""
    GOOD = "good"
    DOUBTFUL = "doubtful"
    """A word may be wrong: a person should hear it."""
    WRONG = "wrong"
    """Several words are wrong, or the sound has a fault: it is made again."""

    @property
    def rank(self) -> int:
        return list(Verdict).index(self)

    @property
    def needs_review(self) -> bool:
        return self in (Verdict.DOUBTFUL, Verdict.WRONG)


@dataclass(frozen=True, slots=True)
class Misheard:
    """A word that was heard otherwise than it should have been said."""

    said: str
    """Empty for a word too many."""
    heard: str
    """Empty for a word that is missing."""
    kind: str
    """`word`, `name` or `number`."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word of the text, and when it is said, in seconds from the beginning of the sound."""

    text: str
    """As Monica says it, with its punctuation."""
    start_s: float
    end_s: float

    def later(self, seconds: float) -> TimedWord:
        """Return the word said that much later."""
        return TimedWord(self.text, round(self.start_s + seconds, 3), round(self.end_s + seconds, 3))


@dataclass(frozen=True, slots=True)
class Hearing:
    """What was heard of one sound. It holds for that sound only."""

    verdict: Verdict
    sound: str
    """Hex SHA-256 of the sound. Another take of the phrase has not been heard by this."""
    model: str
    """The recogniser; empty if only a person has heard it."""
    expected: str
    told: str
    """What was understood with the expected text as a hint."""
    free: str | None
    """What was understood without a hint; None if that was no text."""
    differences: tuple[Misheard, ...]
    fault: str | None = None
    """What is wrong with its duration: `too_short` or `too_long`."""
    words: tuple[TimedWord, ...] = ()
    """When each word of `expected` is said; empty if that is not known, as in what an older Monica heard."""

    @property
    def order(self) -> tuple[int, int, int]:
        """What takes of one phrase, and phrases that need a person, are sorted by: the best first."""
        weighty = sum(each.kind in ("number", "name") for each in self.differences)
        return self.verdict.rank, weighty, len(self.differences)

    def to_fields(self) -> dict[str, Any]:
        """Return the JSON object that `from_fields` reads."""
        return {
            "verdict": self.verdict,
            "sound": self.sound,
            "model": self.model,
            "expected": self.expected,
            "told": self.told,
            "free": self.free,
            "differences": [[each.said, each.heard, each.kind] for each in self.differences],
            "fault": self.fault,
        } | ({"words": [[each.text, each.start_s, each.end_s] for each in self.words]} if self.words else {})

    @classmethod
    def from_fields(cls, given: object) -> Hearing:
        """Read a JSON object strictly. Raises ValueError if it is not what `to_fields` gave."""
        if not isinstance(given, dict):
            raise ValueError("what was heard is not an object")  # noqa: TRY004 - ValueErrors only, as of all metadata
        texts = [given.get(name) for name in ("sound", "model", "expected", "told")]
        optional = [given.get(name) for name in ("free", "fault")]
        if not all(_is_text(text) for text in texts) or not all(text is None or _is_text(text) for text in optional):
            raise ValueError("a text in what was heard is missing, not text, or too long")
        differences = given.get("differences", [])
        if not isinstance(differences, list) or len(differences) > MOST_DIFFERENCES:
            raise ValueError("the differences in what was heard are not a list, or are too many")
        if not all(isinstance(each, list) and len(each) == 3 and all(map(_is_text, each)) for each in differences):
            raise ValueError("a difference in what was heard is not three texts")
        words = given.get("words", [])
        if not isinstance(words, list) or len(words) > MOST_WORDS or not all(map(_is_timed_word, words)):
            raise ValueError("the words in what was heard are not a list of words with their times, or are too many")
        return cls(
            verdict=Verdict(str(given.get("verdict"))),
            sound=given["sound"],
            model=given["model"],
            expected=given["expected"],
            told=given["told"],
            free=given.get("free"),
            differences=tuple(Misheard(*each) for each in differences),
            fault=given.get("fault"),
            words=tuple(TimedWord(*each) for each in words),
        )


def _is_timed_word(value: object) -> bool:
    if not (isinstance(value, list) and len(value) == 3 and _is_text(value[0])):
        return False
    start_s, end_s = value[1:]
    return all(type(time) in (int, float) for time in (start_s, end_s)) and bool(0 <= start_s <= end_s <= LONGEST_S)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT
