"""What comes in and what goes out of what is kept, as marshmallow schemas."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from werkzeug.datastructures import MultiDict

from monica.api.schemas import validate
from monica.errors import InvalidRequest
from monica.store.catalogue import SORTS

LONGEST_SEARCH = 500  # characters
LONGEST_PAGE = 1000


class Count(ma.fields.Integer):
    """A whole number in a query, which is text; marshmallow's own Integer takes " 5" and "1_000" as well."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not (isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


def _switch(description: str) -> ma.fields.Boolean:
    """Make the field of a truth in a query, which is false where it is not there."""
    return ma.fields.Boolean(
        load_default=False, truthy={"1", "true"}, falsy={"0", "false"}, metadata={"description": description}
    )


class _QuerySchema(ma.Schema):
    class Meta:
        unknown = ma.RAISE


class _SearchSchema(_QuerySchema):
    search = ma.fields.String(
        load_default="",
        validate=ma.validate.Length(max=LONGEST_SEARCH),
        metadata={
            "description": "Part of the text, as it was asked for or as it is said; case and accents do not matter.",
            "example": "rusmir",
        },
    )


class ListSchema(_SearchSchema):
    """The query of GET /v1/phrases."""

    sort = ma.fields.String(
        load_default=SORTS[0],
        validate=ma.validate.OneOf(SORTS),
        metadata={"description": "The newest, most asked for or largest first, or by text."},
    )
    limit = Count(
        load_default=100,
        validate=ma.validate.Range(1, LONGEST_PAGE),
        metadata={"description": "How many to show at most."},
    )
    offset = Count(
        load_default=0, validate=ma.validate.Range(0), metadata={"description": "How many of the first to leave out."}
    )


class ExportSchema(_SearchSchema):
    """The query of GET /v1/phrases/bundle."""

    all = _switch("Also what another engine, checkpoint or voice said.")


class ImportSchema(_QuerySchema):
    """The query of POST /v1/phrases/bundle."""

    force = _switch("Also what is of another engine, checkpoint or voice, and would not be asked for here.")


class PhraseSchema(ma.Schema):
    """A phrase that is kept."""

    key = ma.fields.String(required=True, metadata={"description": "Of a sound made by POST /blabla: its ETag."})
    text = ma.fields.String(
        required=True, metadata={"description": "As it was asked for. This, `said`, engine and voice may be empty."}
    )
    said = ma.fields.String(required=True, metadata={"description": "As it is said."})
    engine = ma.fields.String(required=True)
    voice = ma.fields.String(required=True)
    seconds = ma.fields.Float(required=True, allow_none=True, metadata={"description": "Of sound."})
    size = ma.fields.Integer(required=True, metadata={"description": "Bytes."})
    made = ma.fields.Float(required=True, metadata={"description": "Seconds since the epoch."})
    hits = ma.fields.Integer(
        required=True,
        metadata={"description": "How often it was asked for and found; the last seconds may be missing."},
    )
    pinned = ma.fields.Boolean(required=True, metadata={"description": "It stays when the cache is full."})


class PhrasesSchema(ma.Schema):
    """A page of what is kept."""

    phrases = ma.fields.List(ma.fields.Nested(PhraseSchema), required=True)
    total = ma.fields.Integer(required=True, metadata={"description": "Of all pages."})


class ShareSchema(ma.Schema):
    """What one voice of one engine has in the cache."""

    engine = ma.fields.String(required=True)
    voice = ma.fields.String(required=True)
    entries = ma.fields.Integer(required=True)
    bytes = ma.fields.Integer(required=True)
    seconds = ma.fields.Float(required=True, metadata={"description": "Of sound."})


class StatsSchema(ma.Schema):
    """The cache in numbers."""

    entries = ma.fields.Integer(required=True)
    bytes = ma.fields.Integer(required=True, metadata={"description": "Of the sounds."})
    volume = ma.fields.Integer(required=True, metadata={"description": "Bytes of the folder, which `limit` bounds."})
    limit = ma.fields.Integer(required=True, metadata={"description": "MONICA_CACHE_MB, in bytes."})
    seconds = ma.fields.Float(required=True, metadata={"description": "Of sound."})
    hits = ma.fields.Integer(required=True)
    pinned = ma.fields.Integer(required=True, metadata={"description": "Entries."})
    pinned_bytes = ma.fields.Integer(required=True)
    oldest = ma.fields.Float(required=True, allow_none=True, metadata={"description": "Seconds since the epoch."})
    newest = ma.fields.Float(required=True, allow_none=True, metadata={"description": "Seconds since the epoch."})
    shares = ma.fields.List(ma.fields.Nested(ShareSchema), required=True)
    most = ma.fields.List(
        ma.fields.Nested(PhraseSchema), required=True, metadata={"description": "Those asked for most."}
    )


class ImportedSchema(ma.Schema):
    """What became of the sounds of a bundle."""

    new = ma.fields.Integer(required=True)
    replaced = ma.fields.Integer(required=True, metadata={"description": "Took the place of another take."})
    known = ma.fields.Integer(required=True, metadata={"description": "Were here already."})


def parse_query(schema: ma.Schema, query: MultiDict[str, str]) -> dict[str, Any]:
    """Read a query. Raises InvalidRequest with the first parameter that is wrong, unknown, or there twice."""
    for name, values in query.lists():
        if len(values) > 1:
            raise InvalidRequest(f"{name}: it is there {len(values)} times.", param=name)
    found: dict[str, Any] = validate(schema, query.to_dict())
    return found
