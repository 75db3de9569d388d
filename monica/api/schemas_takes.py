"""What is asked and answered about takes to choose between, as marshmallow schemas."""

from __future__ import annotations

import marshmallow as ma

from monica.api.schemas_phrases import Count
from monica.store.hearing import Verdict


class KeepSchema(ma.Schema):
    """The query of POST /v1/phrases/KEY/keep."""

    class Meta:
        unknown = ma.RAISE

    take = Count(
        load_default=None,
        validate=ma.validate.Range(1),
        metadata={"description": "The number of the take; the one that is kept already if not given."},
    )


class MisheardSchema(ma.Schema):
    """A word that was heard otherwise than it should have been said."""

    said = ma.fields.String(required=True, metadata={"description": "Empty for a word too many."})
    heard = ma.fields.String(required=True, metadata={"description": "Empty for a word that is missing."})
    kind = ma.fields.String(required=True, metadata={"description": "`word`, `name` or `number`."})


class HearingSchema(ma.Schema):
    """What was heard of a take."""

    verdict = ma.fields.Enum(Verdict, by_value=True, required=True)
    fault = ma.fields.String(required=True, allow_none=True, metadata={"description": "What is wrong with the signal."})
    expected = ma.fields.String(required=True, metadata={"description": "What should have been said, in words."})
    heard = ma.fields.String(
        required=True, metadata={"description": "What was understood with the expected text as a hint."}
    )
    heard_freely = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "What was understood without a hint."}
    )
    differences = ma.fields.List(ma.fields.Nested(MisheardSchema), required=True)
    marked = ma.fields.String(
        required=True,
        metadata={
            "description": "`expected` with the differences marked.",
            "example": "La table [sept: douze] attend.",
        },
    )


_HEARING = ma.fields.Nested(
    HearingSchema, required=True, allow_none=True, metadata={"description": "null if it has not been listened to."}
)


class SideTakeSchema(ma.Schema):
    """A take of a phrase."""

    number = ma.fields.Integer(required=True)
    kept = ma.fields.Boolean(required=True, metadata={"description": "Whether it is the one that is kept."})
    seconds = ma.fields.Float(required=True, metadata={"description": "Duration of the sound."})
    hearing = _HEARING


class ChoiceSchema(ma.Schema):
    """A phrase, and the takes that were made of it to choose between."""

    key = ma.fields.String(required=True)
    text = ma.fields.String(required=True, metadata={"description": "The text as it was asked for."})
    kept = ma.fields.Boolean(required=True, metadata={"description": "Whether any take of it is kept."})
    pinned = ma.fields.Boolean(required=True)
    hearing = _HEARING
    takes = ma.fields.List(ma.fields.Nested(SideTakeSchema), required=True)


class ReviewSchema(ma.Schema):
    """The phrases to review, wrong numbers and names first."""

    phrases = ma.fields.List(ma.fields.Nested(ChoiceSchema), required=True)
