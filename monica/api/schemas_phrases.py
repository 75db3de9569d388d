"""Queries and answers about the kept phrases, as marshmallow schemas."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from werkzeug.datastructures import MultiDict

from monica.api.schemas import validate
from monica.errors import InvalidRequest
from monica.store.catalogue import SORTS
from monica.store.hearing import Verdict

LONGEST_SEARCH = 500
"""In characters."""
LONGEST_PAGE = 1000
"""In phrases."""


class Count(ma.fields.Integer):
    """A whole number in a query, which is text. marshmallow's own Integer accepts " 5" and "1_000" too."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not (isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


def _switch(description: str) -> ma.fields.Boolean:
    """Make a field for a boolean in a query, false by default."""
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
            "description": "Part of the text, as it was asked for or as it is said. Case and accents do not matter.",
            "example": "rusmir",
        },
    )


class ListSchema(_SearchSchema):
    """The query of GET /v1/phrases."""

    sort = ma.fields.String(
        load_default=SORTS[0],
        validate=ma.validate.OneOf(SORTS),
        metadata={"description": "The newest, most asked for or largest first, or in the order of the text."},
    )
    limit = Count(
        load_default=100,
        validate=ma.validate.Range(1, LONGEST_PAGE),
        metadata={"description": "The most phrases to show."},
    )
    pinned = _switch("Only those that are pinned.")
    offset = Count(load_default=0, validate=ma.validate.Range(0), metadata={"description": "How many phrases to skip."})


class ExportSchema(_SearchSchema):
    """The query of GET /v1/phrases/bundle."""

    all = _switch("Include phrases of other engines, checkpoints and voices.")


class ImportSchema(_QuerySchema):
    """The query of POST /v1/phrases/bundle."""

    force = _switch("Import phrases of other engines, checkpoints and voices too, which would not be asked for here.")


class PhraseSchema(ma.Schema):
    """A kept phrase."""

    key = ma.fields.String(required=True, metadata={"description": "The ETag of the answer to POST /blabla."})
    text = ma.fields.String(
        required=True,
        metadata={"description": "The text as it was asked for. `text`, `said`, `engine` and `voice` may be empty."},
    )
    said = ma.fields.String(required=True, metadata={"description": "The text as it is said."})
    engine = ma.fields.String(required=True)
    voice = ma.fields.String(required=True)
    seconds = ma.fields.Float(required=True, allow_none=True, metadata={"description": "Duration of the sound."})
    size = ma.fields.Integer(required=True, metadata={"description": "Bytes of the sound."})
    made = ma.fields.Float(required=True, metadata={"description": "When it was made, in seconds since the epoch."})
    hits = ma.fields.Integer(
        required=True,
        metadata={"description": "How often it was asked for and found. Hits of the last seconds may be missing."},
    )
    pinned = ma.fields.Boolean(required=True, metadata={"description": "Whether it stays when the cache is full."})


class TimedWordSchema(ma.Schema):
    """A word, and when it is said, in seconds from the beginning of the sound."""

    word = ma.fields.String(
        required=True, metadata={"description": "As Monica says it, with its punctuation.", "example": "Rusmir !"}
    )
    start_s = ma.fields.Float(required=True)
    end_s = ma.fields.Float(required=True)


class WordsSchema(ma.Schema):
    """When each word of a phrase is said."""

    key = ma.fields.String(required=True)
    seconds = ma.fields.Float(required=True, metadata={"description": "Duration of the sound."})
    verdict = ma.fields.Enum(
        Verdict,
        by_value=True,
        required=True,
        metadata={"description": "What listening found: of a word that is not said as written, the times are a guess."},
    )
    words = ma.fields.List(ma.fields.Nested(TimedWordSchema), required=True)


class PhrasesSchema(ma.Schema):
    """A page of the kept phrases."""

    phrases = ma.fields.List(ma.fields.Nested(PhraseSchema), required=True)
    total = ma.fields.Integer(required=True, metadata={"description": "How many phrases all pages have."})


class ShareSchema(ma.Schema):
    """The phrases of one voice of one engine."""

    engine = ma.fields.String(required=True)
    voice = ma.fields.String(required=True)
    entries = ma.fields.Integer(required=True, metadata={"description": "How many phrases."})
    bytes = ma.fields.Integer(required=True)
    seconds = ma.fields.Float(required=True, metadata={"description": "Duration of the sounds."})


class StatsSchema(ma.Schema):
    """The cache in numbers."""

    entries = ma.fields.Integer(required=True, metadata={"description": "How many phrases."})
    bytes = ma.fields.Integer(required=True, metadata={"description": "Bytes of the sounds."})
    volume = ma.fields.Integer(required=True, metadata={"description": "Bytes of the folder, which `limit` bounds."})
    limit = ma.fields.Integer(required=True, metadata={"description": "MONICA_CACHE_MB, in bytes."})
    seconds = ma.fields.Float(required=True, metadata={"description": "Duration of the sounds."})
    hits = ma.fields.Integer(required=True)
    pinned = ma.fields.Integer(required=True, metadata={"description": "How many phrases are pinned."})
    pinned_bytes = ma.fields.Integer(required=True)
    oldest = ma.fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "When the oldest was made, in seconds since the epoch."},
    )
    newest = ma.fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "When the newest was made, in seconds since the epoch."},
    )
    shares = ma.fields.List(ma.fields.Nested(ShareSchema), required=True)
    most = ma.fields.List(
        ma.fields.Nested(PhraseSchema), required=True, metadata={"description": "The phrases with the most hits."}
    )


class ImportedSchema(ma.Schema):
    """What became of the sounds of a bundle."""

    new = ma.fields.Integer(required=True, metadata={"description": "How many were not here before."})
    replaced = ma.fields.Integer(required=True, metadata={"description": "How many took the place of another take."})
    known = ma.fields.Integer(required=True, metadata={"description": "How many were here already."})


def parse_query(schema: ma.Schema, query: MultiDict[str, str]) -> dict[str, Any]:
    """Read a query. Raises InvalidRequest with the first parameter that is wrong, unknown or given twice."""
    for name, values in query.lists():
        if len(values) > 1:
            raise InvalidRequest(f"{name}: it is given {len(values)} times.", param=name)
    found: dict[str, Any] = validate(schema, query.to_dict())
    return found
