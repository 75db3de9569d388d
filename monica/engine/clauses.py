"""Where a prepared text is cut: after its sentences, and after the clauses of a long one."""

from __future__ import annotations

import re

SENTENCE_END = re.compile(r"[.!?](?= )")
CLAUSE_END = re.compile(r"[,;:](?= )")
# A mark between digits is part of a number. Of several marks the first one counts.
_MARKS = re.compile(r" *([.,;:!?])(?:(?<=\D.)|(?!\d))[.,;:!? ]*")
_ABBREVIATION = re.compile(r"(?:^|[ .'-])(?:[^\W\d_]|MM|Mme|Mlle|Dr|Pr|Ste?)\.$")


def tidy_marks(text: str) -> str:
    """Write one mark in place of several, one space after it and none before it, and single spaces."""
    return " ".join(_MARKS.sub(r"\1 ", text).split())


def split(text: str, mark: re.Pattern[str]) -> list[str]:
    """Cut a tidy text after each mark, but for the point of an abbreviation or of an initial."""
    pieces, start = [], 0
    for match in mark.finditer(text):
        if match[0] == "." and _ABBREVIATION.search(text, start, match.end()):
            continue
        pieces.append(text[start : match.end()])
        start = match.end() + 1
    return [*pieces, text[start:]]
