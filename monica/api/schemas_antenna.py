"""Marshmallow schemas for the antenna and its speakers."""

from __future__ import annotations

import re
from typing import Any

import marshmallow as ma

from monica.api.body import decode
from monica.api.schemas import BodySchema, Number, validate
from monica.api.schemas_announcements import AnnouncementSchema, seconds
from monica.api.schemas_phrases import Count
from monica.errors import InvalidRequest

SPEAKER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ReportSchema(BodySchema):
    """What a speaker says of itself or of an announcement."""

    class Meta:
        unknown = ma.RAISE

    event = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf(["ready", "blocked", "playing", "ended", "failed"]),
        metadata={"description": "ready, blocked: whether it may play. Others: what became of an announcement."},
    )
    announcement = ma.fields.String(load_default=None, metadata={"description": "Its id, unless ready or blocked."})
    position_s = Number(
        load_default=0.0, validate=ma.validate.Range(0, 3600), metadata={"description": "How far it is, in seconds."}
    )
    reason = ma.fields.String(load_default="", validate=ma.validate.Length(max=200))


class TransportSchema(ma.Schema):
    """What is on air."""

    held = ma.fields.Boolean(required=True, metadata={"description": "Whether nothing more goes on air."})
    on_air = ma.fields.Nested(AnnouncementSchema, required=True, allow_none=True)
    left_s = seconds("Seconds until it should be over.")
    speaker = ma.fields.String(required=True, allow_none=True, metadata={"description": "The speaker that plays it."})
    duck_db = ma.fields.Float(required=True, metadata={"description": "How far to turn the music down."})
    duck_ramp_ms = ma.fields.Integer(required=True)


class SpeakerSchema(ma.Schema):
    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    may_play = ma.fields.Boolean(required=True)
    active = ma.fields.Boolean(required=True, metadata={"description": "Whether it is the one that plays."})


class AntennaSchema(TransportSchema):
    """All there is to know: what is on air, the queue in its order, the history, the speakers."""

    queue = ma.fields.List(ma.fields.Nested(AnnouncementSchema), required=True)
    history = ma.fields.List(
        ma.fields.Nested(AnnouncementSchema), required=True, metadata={"description": "The latest first."}
    )
    speakers = ma.fields.List(ma.fields.Nested(SpeakerSchema), required=True)


class ReportedSchema(ma.Schema):
    should_play = ma.fields.Boolean(
        required=True, metadata={"description": "false: that announcement is not on air; stop playing it."}
    )


class ChimeNamesSchema(ma.Schema):
    chimes = ma.fields.List(ma.fields.String(), required=True, metadata={"example": ["ding-dong", "gong"]})


class HistoryQuerySchema(ma.Schema):
    """The query of GET /v1/announcements."""

    class Meta:
        unknown = ma.RAISE

    history = Count(
        load_default=50,
        validate=ma.validate.Range(0, 500),
        metadata={"description": "The most announcements of the history to show."},
    )


def parse_report(body: bytes) -> dict[str, Any]:
    """Read what a speaker says. Raises InvalidRequest."""
    report: dict[str, Any] = validate(_REPORT, decode(body))
    if report["event"] not in ("ready", "blocked") and report["announcement"] is None:
        raise InvalidRequest("announcement: Missing data for required field.", param="announcement")
    return report


_REPORT = ReportSchema()
