"""Marshmallow schemas for the requests and responses of the jobs."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from monica.api.body import decode
from monica.api.schemas import BodySchema, Truth, validate
from monica.warming.book import MAX_PHRASES
from monica.warming.job import JobSource, State

PHRASES, BOOK = "phrases", "book"


class _WarmSchema(BodySchema):
    class Meta:
        unknown = ma.RAISE

    name = ma.fields.String(
        validate=[
            ma.validate.Length(1, 100),
            ma.validate.Regexp(r"[^\x00-\x1f\x7f]*$", error="Must be one line."),
        ],
        metadata={"description": "The name of the job, and of the book in error messages.", "example": "tournoi.toml"},
    )
    listen = Truth(
        metadata={
            "description": "Listen to every phrase, and make those again that do not come out well. "
            "If not given, as MONICA_LISTEN says."
        },
    )
    dry_run = Truth(load_default=False, metadata={"description": "Only estimate what it would take."})


class WarmListSchema(_WarmSchema):
    """A list of phrases to make, exactly as they will be asked for."""

    phrases = ma.fields.List(
        ma.fields.String(), required=True, validate=ma.validate.Length(1, MAX_PHRASES),
        metadata={"example": ["Le tournoi va commencer."]},
    )  # fmt: skip


class WarmBookSchema(_WarmSchema):
    """A phrase book whose phrases to make."""

    book = ma.fields.String(
        required=True,
        metadata={"description": "The TOML of a phrase book.", "example": '[[phrases]]\ntext = "À vos places !"'},
    )


class EstimateSchema(ma.Schema):
    """What making the phrases would take. null: not known yet, because the engine is not."""

    phrases = ma.fields.Integer(required=True, metadata={"description": "Number of phrases, without duplicates."})
    looked_at = ma.fields.Integer(
        required=True,
        metadata={"description": "Phrases looked up: of a large book a sample, from which the rest is extrapolated."},
    )
    cached = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": "Phrases that are kept already."}
    )
    sound_s = ma.fields.Float(required=True, metadata={"description": "Seconds of sound, all phrases together."})
    bytes = ma.fields.Integer(required=True, metadata={"description": "Size on disk, all phrases together."})
    fits = ma.fields.Boolean(
        required=True, metadata={"description": "Whether MONICA_CACHE_MB is enough for all phrases."}
    )
    time_s = ma.fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Seconds to make the missing phrases, at the pace so far."},
    )
    measured = ma.fields.Boolean(
        required=True,
        metadata={"description": "Whether these come from what was made here. If not, they are first guesses."},
    )


class FailureSchema(ma.Schema):
    text = ma.fields.String(required=True)
    code = ma.fields.String(required=True, metadata={"example": "synthesis_failed"})
    message = ma.fields.String(required=True)


def _seconds(description: str, **more: Any) -> ma.fields.Float:
    return ma.fields.Float(required=True, allow_none=True, metadata={"description": description}, **more)


class JobSchema(ma.Schema):
    """A job that makes phrases ahead of time, and its progress."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    state = ma.fields.Enum(State, by_value=True, required=True)
    total = ma.fields.Integer(
        required=True, metadata={"description": "Number of phrases. Until the job runs, duplicates are counted too."}
    )
    cached = ma.fields.Integer(required=True, metadata={"description": "Phrases that were kept already."})
    made = ma.fields.Integer(
        required=True, metadata={"description": "Phrases made since the job began, or resumed after a restart."}
    )
    failed = ma.fields.Integer(required=True)
    left = ma.fields.Integer(required=True)
    listen = ma.fields.Boolean(required=True, metadata={"description": "Whether the phrases are listened to."})
    heard = ma.fields.Integer(required=True, metadata={"description": "Phrases that have been listened to."})
    remade = ma.fields.Integer(
        required=True, metadata={"description": "Phrases that were made again because of what was heard."}
    )
    doubtful = ma.fields.Integer(
        required=True, metadata={"description": "Phrases that a person should hear: GET /v1/phrases/review."}
    )
    failures = ma.fields.List(
        ma.fields.Nested(FailureSchema), required=True, metadata={"description": "The first phrases that failed."}
    )
    reason = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "Why the job failed, or what it is waiting for."}
    )
    reason_code = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "The code of that error.", "example": "model_loading"}
    )
    warning = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "What will go wrong if the job goes on."}
    )
    rate = ma.fields.Float(
        required=True, allow_none=True, metadata={"description": "Phrases made per second recently."}
    )
    left_s = _seconds("Seconds left at this rate.")
    created = ma.fields.Float(required=True, metadata={"description": "Seconds since the epoch."})
    started = _seconds("Seconds since the epoch.")
    ended = _seconds("Seconds since the epoch.")


class JobsSchema(ma.Schema):
    jobs = ma.fields.List(ma.fields.Nested(JobSchema), required=True, metadata={"description": "The newest first."})


def parse_warm(body: bytes) -> tuple[JobSource, bool, bool | None]:
    """Read a request body: what to make, whether it is a dry run, and whether to listen. Raises InvalidRequest."""
    fields = decode(body)
    found = validate(_BOOK if BOOK in fields else _LIST, fields)
    source = JobSource(found.get("name", "phrases"), found.get(BOOK), tuple(found.get(PHRASES, ())))
    return source, found["dry_run"], found.get("listen")


_LIST, _BOOK = WarmListSchema(), WarmBookSchema()
