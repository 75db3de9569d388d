"""The levels of a phrase book: its records that have a duration, each with the first text that announces it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from monica.errors import InvalidRequest
from monica.tournament.plan import Level, Notice, Plan
from monica.warming.book import PhraseBook
from monica.warming.book.roster import Roster

MINUTES, NUMBER = "minutes", "number"
"""The fields of a record that say how long a level lasts, and what it is called."""
MAX_LEVELS = 500
MAX_MINUTES = 24 * 60
WARNING_TEXT = "Changement de niveau dans {minutes} min."


def plan_from_book(
    book: PhraseBook,
    rosters: Sequence[str] | None = None,
    warnings: Sequence[float] = (5, 1),
    warning_text: str = WARNING_TEXT,
    chime: str | None = None,
) -> Plan:
    """Return the plan of a tournament.

    rosters: the names of those that hold the levels, in their order; None for all whose records have `minutes`.
    warnings: how many minutes before a level is warned. Raises InvalidRequest.
    """
    names = [name for name, roster in book.rosters.items() if MINUTES in roster.longest] if rosters is None else rosters
    levels: list[Level] = []
    for name in names:
        levels += _levels(book, name, len(levels) + 1)
    if not levels:
        raise InvalidRequest(f"book: No roster has records with {MINUTES}: there are no levels.", param="book")
    if len(levels) > MAX_LEVELS:
        raise InvalidRequest(f"book: {len(levels)} levels, at most {MAX_LEVELS}.", param="book")
    before = [
        Notice(60.0 * minutes, warning_text.replace("{minutes}", f"{minutes:g}".replace(".", ",")))
        for minutes in warnings
    ]
    return Plan(secrets.token_hex(4), tuple(levels), tuple(before), chime)


def _levels(book: PhraseBook, name: str, first: int) -> list[Level]:
    """first: the number of the first of these levels among all."""
    roster = book.rosters.get(name)
    if roster is None:
        raise InvalidRequest(f"rosters: The book has no roster {name!r}.", param="rosters")
    announced = _announcements(book, roster)
    levels = []
    for position, record in enumerate(roster.values):
        try:
            minutes = float(record.get(MINUTES, ""))
        except ValueError:
            minutes = 0.0
        if not 0 < minutes <= MAX_MINUTES:
            where = f"rosters.{name}[{position}].{MINUTES}"
            raise InvalidRequest(f"book: {where}: a number of minutes, at most {MAX_MINUTES}.", param="book")
        levels.append(Level(record.get(NUMBER, str(first + position)), 60.0 * minutes, announced[position]))
    return levels


def _announcements(book: PhraseBook, roster: Roster) -> list[str]:
    """Return what announces each record: the first text of the book that needs nothing else."""
    for block in book.blocks:
        for template in block.variants:
            names = template.placeholders
            if len(names) == 1 and block.placeholders[names[0]] is roster:
                return [template.fill({names[0]: record}) for record in roster.values]
    raise InvalidRequest(f"book: No text announces the levels of {roster.name} alone.", param="book")
