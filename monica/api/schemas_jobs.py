"""What comes in and what goes out of the jobs, as marshmallow schemas."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from monica.api.schemas import Truth, decode, validate
from monica.warming.book import MAX_PHRASES
from monica.warming.jobs import Script, State

PHRASES, BOOK = "phrases", "book"


class _WarmSchema(ma.Schema):
    class Meta:
        unknown = ma.RAISE

    name = ma.fields.String(
        validate=[
            ma.validate.Length(1, 100),
            ma.validate.Regexp(r"[^\x00-\x1f\x7f]*$", error="Must be one line."),
        ],
        metadata={"description": "What the job is called, and the book in messages.", "example": "tournoi.toml"},
    )
    dry_run = Truth(load_default=False, metadata={"description": "Only tell what it would take."})


class WarmListSchema(_WarmSchema):
    """Phrases to make, as they will be asked for."""

    phrases = ma.fields.List(
        ma.fields.String(), required=True, validate=ma.validate.Length(1, MAX_PHRASES),
        metadata={"example": ["Le tournoi va commencer."]},
    )  # fmt: skip


class WarmBookSchema(_WarmSchema):
    """A phrase book to make the phrases of."""

    book = ma.fields.String(
        required=True,
        metadata={"description": "The TOML of a phrase book.", "example": '[[phrases]]\ntext = "À vos places !"'},
    )


class EstimateSchema(ma.Schema):
    """What making the phrases would take. null: not known yet."""

    phrases = ma.fields.Integer(required=True, metadata={"description": "Each once."})
    looked_at = ma.fields.Integer(
        required=True, metadata={"description": "Of a large book, a sample; then the other numbers are drawn from it."}
    )
    cached = ma.fields.Integer(required=True, allow_none=True, metadata={"description": "Kept already."})
    sound_s = ma.fields.Float(required=True, allow_none=True, metadata={"description": "Seconds of sound, of all."})
    bytes = ma.fields.Integer(required=True, allow_none=True, metadata={"description": "On disk, of all."})
    fits = ma.fields.Boolean(
        required=True, allow_none=True, metadata={"description": "Whether MONICA_CACHE_MB is enough for all."}
    )
    time_s = ma.fields.Float(
        required=True, allow_none=True, metadata={"description": "Seconds to make what is missing, at the pace so far."}
    )


class FailureSchema(ma.Schema):
    text = ma.fields.String(required=True)
    code = ma.fields.String(required=True, metadata={"example": "synthesis_failed"})
    message = ma.fields.String(required=True)


def _seconds(description: str, **more: Any) -> ma.fields.Float:
    return ma.fields.Float(required=True, allow_none=True, metadata={"description": description}, **more)


class JobSchema(ma.Schema):
    """Phrases that are made ahead of time, and how far that has come."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    state = ma.fields.Enum(State, by_value=True, required=True)
    total = ma.fields.Integer(required=True, metadata={"description": "Phrases; duplicates count until it runs."})
    cached = ma.fields.Integer(required=True, metadata={"description": "Were kept already."})
    made = ma.fields.Integer(required=True, metadata={"description": "Since it began, or went on after a restart."})
    failed = ma.fields.Integer(required=True)
    left = ma.fields.Integer(required=True)
    failures = ma.fields.List(
        ma.fields.Nested(FailureSchema), required=True, metadata={"description": "The first ones that failed."}
    )
    reason = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "Why it failed, or what it is waiting for."}
    )
    warning = ma.fields.String(required=True, allow_none=True, metadata={"description": "What will go wrong."})
    rate = ma.fields.Float(
        required=True, allow_none=True, metadata={"description": "Phrases made in a second, of late."}
    )
    left_s = _seconds("Seconds left, at this rate.")
    created = ma.fields.Float(required=True, metadata={"description": "Seconds since the epoch."})
    started = _seconds("Seconds since the epoch.")
    ended = _seconds("Seconds since the epoch.")


class JobsSchema(ma.Schema):
    jobs = ma.fields.List(ma.fields.Nested(JobSchema), required=True, metadata={"description": "The newest first."})


def parse_warm(body: bytes) -> tuple[Script, bool]:
    """Read what to make, and whether only to tell what it would take. Raises InvalidRequest."""
    fields = decode(body)
    found = validate(_BOOK if BOOK in fields else _LIST, fields)
    script = Script(found.get("name", "phrases"), found.get(BOOK), tuple(found.get(PHRASES, ())))
    return script, found["dry_run"]


_LIST, _BOOK = WarmListSchema(), WarmBookSchema()
