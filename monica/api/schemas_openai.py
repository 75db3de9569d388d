"""The body of OpenAI's speech API, as a marshmallow schema."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import marshmallow as ma

from monica.api.body import decode
from monica.api.schemas import Number, TakeSchema, Truth, params_of, validate
from monica.audio.formats import Format
from monica.audio.stretch import FASTEST, SLOWEST
from monica.speech import SpeechRequest
from monica.voices.recording import DEFAULT_VOICE


class StreamFormat(StrEnum):
    AUDIO = "audio"
    SSE = "sse"


@dataclass(frozen=True, slots=True)
class OpenAIRequest:
    """A request for speech as OpenAI's clients make it."""

    speech: SpeechRequest
    format: Format
    speed: float
    """How much faster than the take; the pitch stays the same."""
    stream_format: StreamFormat | None
    """None if the sound is not streamed."""
    language: str | None
    """The language that the client expects, as it wrote it. None if it did not say."""
    timestamps: bool
    """Whether the answer is JSON, with the sound and the times of its words."""


class OpenAISpeechSchema(TakeSchema):
    """The body of POST /v1/audio/speech. Unknown fields, which OpenAI may add, are ignored."""

    class Meta:
        unknown = ma.EXCLUDE

    model = ma.fields.String(
        required=True, metadata={"description": "Any name: Monica has one model.", "example": "monica"}
    )
    input = ma.fields.String(
        required=True,
        metadata={"description": "The text to speak.", "example": "Pablo vient de se faire éliminer par Rusmir !"},
    )
    voice = ma.fields.Raw(
        required=True,
        metadata={
            "description": "A voice of GET /v1/audio/voices: its name, or an object with its `id`.",
            "example": DEFAULT_VOICE,
        },
    )
    response_format = ma.fields.Enum(Format, by_value=True, load_default=Format.MP3)
    speed = Number(
        load_default=1.0,
        validate=ma.validate.Range(SLOWEST, FASTEST),
        metadata={"description": "Speaking rate; the pitch stays the same."},
    )
    instructions = ma.fields.String(
        allow_none=True, metadata={"description": "Accepted and ignored: the model does not support them."}
    )
    stream_format = ma.fields.Enum(
        StreamFormat,
        by_value=True,
        load_default=None,
        metadata={
            "description": "`audio`: send the sound while it is made. `sse`: the same, as server-sent events. "
            "Without it, the sound is sent once it is complete and checked."
        },
    )

    language = ma.fields.String(
        load_default=None,
        metadata={"description": "The language of the text. Only MONICA_LANGUAGE is accepted.", "example": "fr"},
    )

    timestamps = Truth(
        load_default=False,
        metadata={
            "description": "Whether to answer with JSON: the sound in base64, and when each of its words is said, if "
            "it was listened to. Not with `stream_format`."
        },
    )

    @ma.validates("voice")
    def _check_voice(self, voice: Any, data_key: str) -> None:
        if not isinstance(_voice_name(voice), str):
            raise ma.ValidationError("Must be the name of a voice, or an object with its id.")

    @ma.post_load
    def _make(self, data: dict[str, Any], **_: Any) -> OpenAIRequest:
        speech = SpeechRequest(
            text=data["input"], voice=_voice_name(data["voice"]), seed=data["seed"], params=params_of(data)
        )
        return OpenAIRequest(
            speech,
            data["response_format"],
            data["speed"],
            data["stream_format"],
            data["language"],
            data["timestamps"],
        )


class TimestampSchema(ma.Schema):
    """A word, and when it is said, in seconds from the beginning of the sound."""

    word = ma.fields.String(required=True, metadata={"example": "Pablo"})
    start_time = ma.fields.Float(required=True)
    end_time = ma.fields.Float(required=True)


class CaptionedSchema(ma.Schema):
    """A sound and its words, as Kokoro-FastAPI's captioned speech gives them."""

    audio = ma.fields.String(required=True, metadata={"description": "The sound, in base64."})
    audio_format = ma.fields.String(required=True, metadata={"description": "Its media type.", "example": "audio/mpeg"})
    timestamps = ma.fields.List(
        ma.fields.Nested(TimestampSchema),
        required=True,
        allow_none=True,
        metadata={"description": "Its words; null if it was not listened to."},
    )
    timestamps_missing = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "Why there are no timestamps; null if there are."}
    )


class ModelSchema(ma.Schema):
    id = ma.fields.String(required=True, metadata={"example": "monica"})
    object = ma.fields.String(required=True, metadata={"example": "model"})
    created = ma.fields.Integer(required=True)
    owned_by = ma.fields.String(required=True)


class ModelsSchema(ma.Schema):
    """The list of models, in OpenAI's shape."""

    object = ma.fields.String(required=True, metadata={"example": "list"})
    data = ma.fields.List(ma.fields.Nested(ModelSchema), required=True)


class VoiceSchema(ma.Schema):
    id = ma.fields.String(required=True, metadata={"example": DEFAULT_VOICE})
    name = ma.fields.String(required=True, metadata={"example": DEFAULT_VOICE})


class ListedVoiceSchema(VoiceSchema):
    alias_of = ma.fields.String(
        metadata={"description": "The voice that speaks, if this is an alias of MONICA_VOICE_ALIASES."}
    )
    license = ma.fields.String(
        metadata={
            "description": "The licence of the recordings that a built-in voice learned from, if it is known.",
            "example": "CC BY 4.0",
        }
    )


class VoicesSchema(ma.Schema):
    """The list of voices."""

    voices = ma.fields.List(ma.fields.Nested(ListedVoiceSchema), required=True)


@lru_cache(maxsize=256)  # a repeated phrase has the same body
def parse_openai(body: bytes) -> OpenAIRequest:
    """Parse the body. Raises InvalidRequest, which names the first wrong field, or InvalidJson."""
    parsed: OpenAIRequest = validate(_OPENAI, decode(body))
    return parsed


def _voice_name(voice: Any) -> Any:
    return voice.get("id") if isinstance(voice, dict) else voice


_OPENAI = OpenAISpeechSchema()
