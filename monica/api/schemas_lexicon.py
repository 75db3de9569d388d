"""The venue's lexicon over HTTP, as marshmallow schemas."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from monica.api.body import decode
from monica.api.schemas import validate
from monica.api.schemas_phrases import PhraseSchema
from monica.engine.registry import engine_names

MAX_LISTED = 1000
"""Upper bound on the phrases that an answer lists."""

_SECTION = {
    "type": "object",
    "additionalProperties": {
        "oneOf": [
            {"type": "string", "minLength": 1, "description": "A respelling, for every engine."},
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {
                    "said": {"type": "string", "description": "A respelling, for engines that read letters."},
                    "ipa": {"type": "string", "description": "Phonemes, for engines that speak them."},
                }
                | {
                    name: {
                        "oneOf": [{"type": "string"}, {"type": "object"}],
                        "description": "What this engine says: a respelling, or an object of `said` and `ipa`.",
                    }
                    for name in engine_names()
                },
            },
        ]
    },
}


class Section(ma.fields.Dict):
    """Written forms and how they are said. What each may be is for monica.text to check, which knows its line."""

    def __init__(self, description: str, example: dict[str, Any]) -> None:
        metadata = _SECTION | {"description": description, "example": example}
        super().__init__(keys=ma.fields.String(), load_default=dict, metadata=metadata)


class LexiconSchema(ma.Schema):
    """The entries of the venue's lexicon, as its TOML file has them. The poker lexicon that ships is not among them."""

    class Meta:
        unknown = ma.RAISE

    names = Section("Entries that match wherever they stand.", {"Nguyen": "Nouyène"})
    words = Section(
        "Entries that do not match inside a name.", {"blind": {"ipa": "blajnd", engine_names()[0]: "blaïnde"}}
    )


class AffectedSchema(ma.Schema):
    """Kept phrases whose text is said otherwise by now."""

    phrases = ma.fields.List(
        ma.fields.Nested(PhraseSchema),
        required=True,
        metadata={"description": f"The newest, {MAX_LISTED} at most. POST /v1/phrases/{{key}}/remake replaces one."},
    )
    total = ma.fields.Integer(required=True)


class EditedLexiconSchema(LexiconSchema):
    """The lexicon, and what has been kept under another reading."""

    affected = ma.fields.Nested(
        AffectedSchema, required=True, metadata={"description": "By this change; the rest: GET /v1/lexicon/affected."}
    )


def parse_lexicon(body: bytes) -> dict[str, dict[str, Any]]:
    """Read the body of PUT /v1/lexicon. Raises InvalidRequest."""
    sections: dict[str, dict[str, Any]] = validate(_LEXICON, decode(body))
    return sections


_LEXICON = LexiconSchema()
