"""Marshmallow schemas for the clock of a tournament."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from monica.api.body import decode
from monica.api.schemas import BodySchema, Number, validate
from monica.api.schemas_announcements import seconds
from monica.errors import InvalidRequest
from monica.tournament.from_book import MAX_MINUTES, WARNING_TEXT

STATES = ("off", "paused", "running", "over")


class ClockBookSchema(BodySchema):
    """The body of PUT /v1/clock: either `book` or `job`."""

    class Meta:
        unknown = ma.RAISE

    book = ma.fields.String(
        load_default=None,
        metadata={"description": "The TOML of a phrase book. Its records with `minutes` are the levels."},
    )
    job = ma.fields.String(
        load_default=None, metadata={"description": "Instead of `book`: the job that made the phrases of a book."}
    )
    rosters = ma.fields.List(
        ma.fields.String(),
        load_default=None,
        validate=ma.validate.Length(1, 100),
        metadata={"description": "The rosters that hold the levels, in their order; by default all with `minutes`."},
    )
    warnings = ma.fields.List(
        Number(validate=ma.validate.Range(0.1, MAX_MINUTES)),
        load_default=[5, 1],
        validate=ma.validate.Length(0, 10),
        metadata={"description": "How many minutes before a level it is announced."},
    )
    warning_text = ma.fields.String(
        load_default=WARNING_TEXT,
        validate=ma.validate.Length(1, 500),
        metadata={"description": "What is said then. `{minutes}` stands for the minutes."},
    )
    chime = ma.fields.String(
        load_default=None,
        validate=ma.validate.Length(1, 100),
        metadata={"description": "The chime before each announcement.", "example": "gong"},
    )


class ShiftSchema(BodySchema):
    """The body of POST /v1/clock/shift: either `seconds` or `level`."""

    class Meta:
        unknown = ma.RAISE

    seconds = Number(
        load_default=None,
        validate=ma.validate.Range(-86_400, 86_400),
        metadata={"description": "How far to move the clock on; back if negative."},
    )
    level = ma.fields.Integer(
        strict=True, load_default=None, metadata={"description": "The level to begin, counted from 1."}
    )


class LevelSchema(ma.Schema):
    name = ma.fields.String(required=True)
    duration_s = ma.fields.Float(required=True)
    text = ma.fields.String(required=True, metadata={"description": "What is said when it begins."})


class ClockSchema(ma.Schema):
    """The clock of a tournament. All but `state` and `levels` is null if it is off."""

    state = ma.fields.String(required=True, validate=ma.validate.OneOf(STATES))
    levels = ma.fields.Integer(required=True, metadata={"description": "How many levels there are."})
    level = ma.fields.Integer(required=True, allow_none=True, metadata={"description": "Which one it is, from 1."})
    name = ma.fields.String(required=True, allow_none=True)
    text = ma.fields.String(required=True, allow_none=True, metadata={"description": "What was said of this level."})
    next_text = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "What will be said of the next."}
    )
    elapsed_s = seconds("Seconds of this level that are over.")
    left_s = seconds("Seconds of this level that are left.")


class PlannedClockSchema(ClockSchema):
    """The clock with its levels."""

    plan = ma.fields.List(ma.fields.Nested(LevelSchema), required=True)


def parse_book(body: bytes) -> dict[str, Any]:
    """Read the body of PUT /v1/clock. Raises InvalidRequest."""
    found: dict[str, Any] = validate(_BOOK, decode(body))
    if (found["book"] is None) == (found["job"] is None):
        raise InvalidRequest("Either book or job: one of them.", param="book")
    return found


def parse_shift(body: bytes) -> dict[str, Any]:
    """Read the body of POST /v1/clock/shift. Raises InvalidRequest."""
    found: dict[str, Any] = validate(_SHIFT, decode(body))
    if (found["seconds"] is None) == (found["level"] is None):
        raise InvalidRequest("Either seconds or level: one of them.", param="seconds")
    return found


_BOOK, _SHIFT = ClockBookSchema(), ShiftSchema()
