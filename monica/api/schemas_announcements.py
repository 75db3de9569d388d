"""Marshmallow schemas for announcements: how they are asked for, changed and shown."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Any

import marshmallow as ma

from monica.antenna.cue import Chimes, Cue, Priority, State
from monica.api.body import decode
from monica.api.schemas import BodySchema, Number, TakeSchema, Truth, params_of, validate
from monica.errors import InvalidRequest
from monica.voices.recording import DEFAULT_VOICE

MAX_REPEAT = 5
MAX_WAIT_S = 7 * 24 * 3600
"""How long an announcement may wait for its time, or before it expires: a festival's length."""

_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3])[:hH]([0-5]\d)(?::([0-5]\d))?")


def time_of_day(text: str, now: float) -> float:
    """Return when a time of day comes next, or a date and time in ISO 8601. Seconds since the epoch.

    The time zone is that of this machine, unless the text has one. Raises InvalidRequest.
    """
    found = _TIME_OF_DAY.fullmatch(text.strip())
    try:
        if found is None:
            return datetime.fromisoformat(text).timestamp()
        hour, minute, second = (int(part or 0) for part in found.groups())
        today = datetime.fromtimestamp(now).replace(hour=hour, minute=minute, second=second, microsecond=0)
        # A time that has just passed is meant to be now, not tomorrow.
        return (today if today.timestamp() > now - 60 else today + timedelta(days=1)).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidRequest("at: Must be a time like 21:30, or a date and time in ISO 8601.", param="at") from error


def _chime(description: str) -> ma.fields.String:
    return ma.fields.String(
        load_default=None, validate=ma.validate.Length(1, 100), metadata={"description": description, "example": "gong"}
    )


_EXPIRES = Number(
    load_default=None,
    validate=ma.validate.Range(1, MAX_WAIT_S),
    metadata={"description": "Seconds after which it is no longer worth saying. It is then dropped, and says so."},
)
_AT = ma.fields.String(
    load_default=None,
    validate=ma.validate.Length(1, 40),
    metadata={
        "description": "When it may go on air: a time of day of the server, or a date and time in ISO 8601.",
        "example": "21:30",
    },
)


class AnnounceSchema(TakeSchema):
    """The body of POST /v1/announcements: either `text` or `key`."""

    class Meta:
        unknown = ma.RAISE

    text = ma.fields.String(
        load_default=None,
        metadata={"description": "What to say.", "example": "Le tournoi reprend dans cinq minutes."},
    )
    key = ma.fields.String(
        load_default=None,
        validate=ma.validate.Regexp(r"[0-9A-Fa-f]{1,64}$", error="Must be the beginning of a key."),
        metadata={"description": "The key of a kept phrase, or its beginning."},
    )
    voice = ma.fields.String(load_default=DEFAULT_VOICE, metadata={"example": DEFAULT_VOICE})
    priority = ma.fields.Enum(
        Priority,
        by_value=True,
        load_default=Priority.NORMAL,
        metadata={
            "description": "Urgent ones go before normal ones, these before ambient ones. None interrupts another."
        },
    )
    chime = _chime("The chime before it; `GET /v1/chimes` lists them.")
    chime_after = _chime("The chime after it.")
    expires_s = _EXPIRES
    repeat = ma.fields.Integer(
        strict=True,
        load_default=1,
        validate=ma.validate.Range(1, MAX_REPEAT),
        metadata={"description": "How many times it is said in a row."},
    )
    at = _AT
    hold = Truth(load_default=False, metadata={"description": "Whether it waits until it is let go with PATCH."})


class ChangeSchema(BodySchema):
    """The body of PATCH /v1/announcements/ID. What is left out stays as it is; null undoes `at` and `expires_s`."""

    class Meta:
        unknown = ma.RAISE

    priority = ma.fields.Enum(Priority, by_value=True)
    hold = Truth()
    at = ma.fields.String(allow_none=True, validate=ma.validate.Length(1, 40))
    expires_s = Number(allow_none=True, validate=ma.validate.Range(1, MAX_WAIT_S))
    before = ma.fields.String(
        allow_none=True,
        validate=ma.validate.Length(1, 64),
        metadata={
            "description": "The id of the announcement to move it before, of the same priority; null: to the end."
        },
    )

    @ma.pre_load
    def _drop_nulls(self, data: Any, **_: Any) -> Any:
        """Keep nulls: here they say something."""
        return data


class ReplaySchema(BodySchema):
    """The body of POST /v1/antenna/replay."""

    class Meta:
        unknown = ma.RAISE

    id = ma.fields.String(
        load_default=None, metadata={"description": "The announcement to say again; without it, the last one."}
    )


class ChimesSchema(ma.Schema):
    before = ma.fields.String(required=True, allow_none=True)
    after = ma.fields.String(required=True, allow_none=True)


class ParamsSchema(ma.Schema):
    class Meta:
        unknown = ma.INCLUDE

    exaggeration = ma.fields.Float(required=True)
    cfg_weight = ma.fields.Float(required=True)
    temperature = ma.fields.Float(required=True)


def seconds(description: str) -> ma.fields.Float:
    """Make a field of seconds that may be null."""
    return ma.fields.Float(required=True, allow_none=True, metadata={"description": description})


class AnnouncementSchema(ma.Schema):
    """An announcement on its way to the room. Times are seconds since the epoch."""

    id = ma.fields.String(required=True)
    text = ma.fields.String(required=True)
    key = ma.fields.String(required=True, allow_none=True, metadata={"description": "The kept phrase asked for."})
    voice = ma.fields.String(required=True)
    seed = ma.fields.Integer(required=True, allow_none=True)
    params = ma.fields.Nested(ParamsSchema, required=True)
    priority = ma.fields.Enum(Priority, by_value=True, required=True)
    chimes = ma.fields.Nested(ChimesSchema, required=True)
    repeat = ma.fields.Integer(required=True)
    at = seconds("When it may go on air at the earliest.")
    expires = seconds("When it is no longer worth saying.")
    hold = ma.fields.Boolean(required=True)
    state = ma.fields.Enum(State, by_value=True, required=True)
    reason = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "Why it failed, expired or was interrupted."}
    )
    code = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The same as a code: of an error, or `expired`, `not_heard`, `speaker_failed`."},
    )
    interruptions = ma.fields.Integer(
        required=True, metadata={"description": "How often it was on air without its end being heard of."}
    )
    position = ma.fields.Float(required=True, metadata={"description": "Lower goes first within a priority."})
    sound_key = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "What its sound is kept under."}
    )
    duration_s = seconds("Seconds of its sound with chimes and repetitions; null until it is made.")
    lead_s = ma.fields.Float(required=True, metadata={"description": "Seconds before the first word."})
    created = seconds("When it was queued.")
    begun = seconds("When it went on air.")
    ended = seconds("When it ended, one way or another.")


def parse_announcement(body: bytes) -> Cue:
    """Read the body of POST /v1/announcements. The cue has no text yet if it names a key. Raises InvalidRequest."""
    data = validate(_ANNOUNCE, decode(body))
    if (data["text"] is None) == (data["key"] is None):
        raise InvalidRequest("Either text or key: one of them.", param="text")
    now = time.time()
    return Cue(
        text=data["text"] or "",
        key=data["key"],
        voice=data["voice"],
        seed=data["seed"],
        params=params_of(data),
        priority=data["priority"],
        chimes=Chimes(data["chime"], data["chime_after"]),
        repeat=data["repeat"],
        at=None if data["at"] is None else time_of_day(data["at"], now),
        expires=None if data["expires_s"] is None else now + data["expires_s"],
        hold=data["hold"],
    )


def parse_change(body: bytes) -> dict[str, Any]:
    """Read the body of PATCH /v1/announcements/ID: what `Antenna.change` takes. Raises InvalidRequest."""
    changes: dict[str, Any] = validate(_CHANGE, decode(body))
    now = time.time()
    if changes.get("at") is not None:
        changes["at"] = time_of_day(changes["at"], now)
    if "expires_s" in changes:
        seconds = changes.pop("expires_s")
        changes["expires"] = None if seconds is None else now + seconds
    return changes


_ANNOUNCE, _CHANGE = AnnounceSchema(), ChangeSchema()
