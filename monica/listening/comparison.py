"""Compares what should have been said with what was heard, sound by sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monica.listening.words import Word, WordKind

TOLERANCE = {WordKind.WORD: 0.34, WordKind.NUMBER: 0.34, WordKind.NAME: 0.6}
"""The share of a word's sounds that may be heard otherwise: of three sounds, one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A word that was heard as another one, was not heard, or is not in the text."""

    said: str
    """As it should have been said; empty for a word too many."""
    heard: str
    """What was heard in its place; empty if it is missing."""
    kind: WordKind


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the two texts differ in."""

    differences: tuple[Difference, ...]
    run: int
    """Sounds wrong in a row, at most."""
    distance: float
    """Sounds to change, add or leave out, as a share of those that should be said; 0 is perfect."""


def compare(said: Sequence[Word], heard: Sequence[Word]) -> Comparison:
    """Compare words by their phonemes. Where one word ends and the next begins does not matter."""
    a = [(sound, number) for number, word in enumerate(said) for sound in word.phonemes]
    b = [(sound, number) for number, word in enumerate(heard) for sound in word.phonemes]
    pairs = list(_align([sound for sound, _ in a], [sound for sound, _ in b]))
    wrong, added = [0] * len(said), [0] * len(heard)
    overlaps: list[Counter[int]] = [Counter() for _ in heard]
    run = longest = errors = 0
    place = 0  # the word of `said` that the alignment has come to
    for i, j in pairs:
        same = i is not None and j is not None and a[i][0] == b[j][0]
        run = 0 if same else run + 1
        longest, errors = max(longest, run), errors + (not same)
        if i is not None:
            place = a[i][1]
            wrong[place] += not same
            if j is not None:
                overlaps[b[j][1]][place] += 1
        elif j is not None:
            added[b[j][1]] += 1
    beside: list[list[str]] = [[] for _ in said]
    for word, overlap in zip(heard, overlaps, strict=True):
        if overlap:
            beside[overlap.most_common(1)[0][0]].append(word.text)
    differences = [
        Difference(word.text, " ".join(beside[number]), word.kind)
        for number, word in enumerate(said)
        if word.phonemes and wrong[number] > TOLERANCE[word.kind] * len(word.phonemes)
    ]
    differences += [
        Difference("", word.text, word.kind)
        for number, word in enumerate(heard)
        if word.phonemes and added[number] > TOLERANCE[WordKind.NAME] * len(word.phonemes)
    ]
    return Comparison(tuple(differences), longest, errors / max(1, len(a)))


def _align(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Yield the pairs of places of a shortest edit of one sequence into the other; None for a place that has none."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        above, row = rows[-1], [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j - 1] + (x != y), above[j] + 1, row[-1] + 1))
        rows.append(row)
    steps: list[tuple[int | None, int | None]] = []
    i, j = len(a), len(b)
    while i or j:
        if i and j and rows[i][j] == rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]):
            i, j = i - 1, j - 1
            steps.append((i, j))
        elif i and rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
            steps.append((i, None))
        else:
            j -= 1
            steps.append((None, j))
    return reversed(steps)
