"""Marshmallow schemas for the phrase books as people choose from them."""

from __future__ import annotations

import marshmallow as ma

from monica.api.schemas_announcements import ParamsSchema


class BookSchema(ma.Schema):
    """A phrase book that phrases have been made of."""

    id = ma.fields.String(required=True, metadata={"description": "The id of the job that made them."})
    name = ma.fields.String(required=True)
    created = ma.fields.Float(required=True, metadata={"description": "Seconds since the epoch."})


class BooksSchema(ma.Schema):
    books = ma.fields.List(ma.fields.Nested(BookSchema), required=True, metadata={"description": "The newest first."})


class SlotSchema(ma.Schema):
    """A place in a phrase that a value of a roster goes into."""

    name = ma.fields.String(required=True, metadata={"example": "killer"})
    roster = ma.fields.String(required=True, metadata={"example": "players"})


class PartSchema(ma.Schema):
    """A part of a phrase: words, or a field of the value of a slot. The other ones are null."""

    words = ma.fields.String(required=True, allow_none=True)
    slot = ma.fields.String(required=True, allow_none=True)
    field = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "Empty if the values of the roster have no fields."}
    )


class TileSchema(ma.Schema):
    """A phrase of a book, with slots or without."""

    text = ma.fields.String(required=True, metadata={"description": "The phrase as the book writes it."})
    parts = ma.fields.List(ma.fields.Nested(PartSchema), required=True)
    slots = ma.fields.List(
        ma.fields.Nested(SlotSchema), required=True, metadata={"description": "In the order of the text."}
    )
    voice = ma.fields.String(required=True)
    seed = ma.fields.Integer(required=True, allow_none=True)
    params = ma.fields.Nested(ParamsSchema, required=True)
    ready = ma.fields.Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "Whether its sound is kept; null if it has slots, or that is not known yet."},
    )


class GroupSchema(ma.Schema):
    name = ma.fields.String(required=True, metadata={"description": "Empty for phrases without a group."})
    tiles = ma.fields.List(ma.fields.Nested(TileSchema), required=True)


class BoardSchema(ma.Schema):
    """A phrase book as a board: its phrases in groups, and the values that their slots may have."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    groups = ma.fields.List(ma.fields.Nested(GroupSchema), required=True)
    rosters = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.List(ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())),
        required=True,
        metadata={"description": 'The values of each roster, field by field. A plain value has one field, `""`.'},
    )
