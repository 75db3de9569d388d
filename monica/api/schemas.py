"""Request and response bodies as marshmallow schemas. The OpenAPI document is generated from them."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import marshmallow as ma
from werkzeug.datastructures import MultiDict

from monica.api.body import decode
from monica.engine import MAX_SEED, SynthesisParams
from monica.errors import InvalidRequest
from monica.speech import SpeechRequest
from monica.synthesis.take import Lane
from monica.voices.recording import DEFAULT_VOICE

DEFAULTS = SynthesisParams()
DEADLINE_HEADER = "X-Deadline-Ms"
LONGEST_DEADLINE_MS = 3_600_000  # the largest MONICA_DEADLINE_S

_LITERAL = re.compile(r"true|false|-?(?:0|[1-9][0-9]{0,20})(?:\.[0-9]{1,20})?")
_MILLISECONDS = re.compile(r"[1-9][0-9]{0,6}")


class Number(ma.fields.Float):
    """A JSON number. marshmallow's own Float also accepts "0.5" and true."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Truth(ma.fields.Boolean):
    """A JSON boolean. marshmallow's own Boolean also accepts "false" and 0."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class BodySchema(ma.Schema):
    """A request body, in which null for an optional field is the field's default.

    Many clients serialize every field they know, and write null for those that are not set.
    """

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        if not field_obj.required:
            field_obj.allow_none = True  # what the OpenAPI document says of it

    @ma.pre_load
    def _drop_nulls(self, data: Any, **_: Any) -> Any:
        def is_unset(name: str, value: object) -> bool:
            return value is None and name in self.fields and not self.fields[name].required

        return {name: value for name, value in data.items() if not is_unset(name, value)}


class TakeSchema(BodySchema):
    """The fields that say how a take is made."""

    seed = ma.fields.Integer(
        strict=True,
        load_default=None,
        validate=ma.validate.Range(0, MAX_SEED),
        metadata={"description": "The same seed gives the same take. Without it, any kept take is accepted."},
    )
    exaggeration = Number(
        load_default=DEFAULTS.exaggeration,
        validate=ma.validate.Range(0, 2),
        metadata={"description": "How expressive the voice is."},
    )
    cfg_weight = Number(
        load_default=DEFAULTS.cfg_weight,
        validate=ma.validate.Range(0, 1),
        metadata={"description": "How strongly the text and the voice guide the sampling."},
    )
    temperature = Number(
        load_default=DEFAULTS.temperature,
        validate=ma.validate.Range(0.05, 5),
        metadata={"description": "How freely speech tokens are sampled."},
    )


def params_of(data: dict[str, Any]) -> SynthesisParams:
    """Return the parameters among the loaded fields of a TakeSchema."""
    return SynthesisParams(
        exaggeration=data["exaggeration"], cfg_weight=data["cfg_weight"], temperature=data["temperature"]
    )


class SpeechSchema(TakeSchema):
    """The body of POST /blabla. An unknown field is an error, so that a typo is never silent."""

    class Meta:
        unknown = ma.RAISE

    text = ma.fields.String(
        required=True,
        metadata={
            "description": "The sentence to speak, in any Unicode. At most MAX_TEXT_LENGTH characters (500), counted "
            "after control characters are removed and white space is collapsed.",
            "example": "Pablo vient de se faire éliminer par Rusmir !",
        },
    )
    voice = ma.fields.String(
        load_default=DEFAULT_VOICE, metadata={"description": "Name of the voice.", "example": DEFAULT_VOICE}
    )
    priority = ma.fields.Enum(
        Lane,
        by_value=True,
        load_default=Lane.LIVE,
        metadata={"description": "Live takes go before background ones."},
    )
    air = Truth(
        load_default=False,
        metadata={
            "description": "Whether to announce it in the room as well, as `POST /v1/announcements` does. "
            "Needs the same permission."
        },
    )
    fallback = Truth(
        load_default=True,
        metadata={
            "description": "Whether the embedded voice may stand in if the engine fails, or is not ready, busy or too "
            "slow. Needs MONICA_FALLBACK; never for background takes. false: return the error instead."
        },
    )

    @ma.post_load
    def _make(self, data: dict[str, Any], **_: Any) -> SpeechRequest:
        return SpeechRequest(
            text=data["text"],
            voice=data["voice"],
            seed=data["seed"],
            params=params_of(data),
            lane=data["priority"],
            air=data["air"],
            fallback=data["fallback"],
        )


class TextSchema(ma.Schema):
    """The body of POST /v1/text."""

    class Meta:
        unknown = ma.RAISE

    text = ma.fields.String(
        required=True, metadata={"description": "Any Unicode.", "example": "Blinds 100/200 à 20h30, Rusmir a A♠ K♦ !"}
    )


class SpelledSchema(ma.Schema):
    """A text as it would be said."""

    text = ma.fields.String(required=True)
    sentences = ma.fields.List(ma.fields.String(), required=True)
    pauses_s = ma.fields.List(
        ma.fields.Float(),
        required=True,
        metadata={
            "description": "Seconds of silence before the first sentence, between two, and after the last.",
            "example": [0.0, 0.35, 0.0],
        },
    )
    rules = ma.fields.List(
        ma.fields.String(),
        required=True,
        metadata={"description": "The rules that changed something, in their order."},
    )


class ErrorDetail(ma.Schema):
    code = ma.fields.String(required=True, metadata={"example": "text_too_long"})
    message = ma.fields.String(required=True, metadata={"example": "Text is 612 characters, at most 500."})
    param = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "The field that is wrong, if the error is about one."}
    )


class ErrorSchema(ma.Schema):
    """The one shape of every error."""

    error = ma.fields.Nested(ErrorDetail, required=True)


class HealthSchema(ma.Schema):
    status = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf(["loading", "ok", "degraded", "failed", "stopping"]),
        metadata={"description": "degraded: Monica speaks, but something is wrong; `reason` says what."},
    )
    device = ma.fields.String(required=True)
    model_loaded = ma.fields.Boolean(required=True)
    engine = ma.fields.String(required=True)
    model = ma.fields.String(allow_none=True)
    voice = ma.fields.String(required=True)
    fallback = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The engine that stands in if this one cannot speak; null if none does."},
    )
    shared_store = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "`ok`, or why the shared store is not used or not written; null if there is none. "
            "Without it, sentences are made and kept by this node."
        },
    )
    uptime_s = ma.fields.Float(required=True)
    queue_depth = ma.fields.Integer(required=True)
    last_success_s = ma.fields.Float(allow_none=True, metadata={"description": "Seconds since a take last succeeded."})
    failures_in_a_row = ma.fields.Integer(required=True)
    reason = ma.fields.String(allow_none=True, metadata={"description": "Why the status is not `ok`."})


class LiveSchema(ma.Schema):
    status = ma.fields.String(required=True, metadata={"example": "ok"})


@lru_cache(maxsize=256)  # a repeated phrase has the same body
def parse_speech(body: bytes) -> SpeechRequest:
    """Parse the body of POST /blabla. Raises InvalidRequest, which names the first wrong field, or InvalidJson."""
    request: SpeechRequest = validate(_SPEECH, decode(body))
    return request


def parse_deadline(header: str, longest_s: float) -> float:
    """Parse X-Deadline-Ms. Returns seconds. Raises InvalidRequest if it is malformed or exceeds `longest_s`."""
    longest = round(1000 * longest_s)
    if not _MILLISECONDS.fullmatch(header) or int(header) > longest:
        message = f"{DEADLINE_HEADER} must be a whole number of milliseconds, 1 to {longest}."
        raise InvalidRequest(message, param=DEADLINE_HEADER)
    return int(header) / 1000


def parse_text(body: bytes) -> str:
    """Parse the body of POST /v1/text. Raises InvalidRequest, which names the first wrong field, or InvalidJson."""
    return str(validate(_TEXT, decode(body))["text"])


def body_of_query(schema: BodySchema, query: MultiDict[str, str], *others: str) -> bytes:
    """Return the JSON body that a query stands for, to be parsed like one. others: parameters that are not part of it.

    Raises InvalidRequest if a parameter is given twice.
    """
    fields: dict[str, object] = {}
    known = schema.fields
    for name, values in query.lists():
        if len(values) > 1:
            raise InvalidRequest(f"{name}: it is given {len(values)} times.", param=name)
        if name not in others:
            # What is no number where one is expected stays text, and the schema refuses it.
            is_text = not isinstance(known.get(name), Number | Truth | ma.fields.Integer)
            fields[name] = values[0] if is_text or not _LITERAL.fullmatch(values[0]) else json.loads(values[0])
    return json.dumps(fields).encode()


def validate(schema: ma.Schema, fields: dict[str, Any]) -> Any:
    """Load the fields of a body with a schema. Raises InvalidRequest, which names the first wrong field."""
    try:
        return schema.load(fields)
    except ma.ValidationError as error:
        field, found = next(iter(error.messages_dict.items()))
        while isinstance(found, dict):  # errors in a list are keyed by position
            position, found = next(iter(found.items()))
            field = f"{field}[{position}]"
        raise InvalidRequest(f"{field}: {found[0]}", param=str(field)) from error


_SPEECH, _TEXT = SpeechSchema(), TextSchema()
