"""POST /v1/audio/speech, GET /v1/models and /v1/audio/voices: what speaks to OpenAI's speech API speaks to Monica.

Source: platform.openai.com/docs/api-reference/audio/createSpeech.
"""

from __future__ import annotations

import time
from typing import Any

import flask_smorest
from flask import Response, g, request

from monica import metrics
from monica.api.client import Client
from monica.api.current import service
from monica.api.live import EVENTS, can_stream, stream
from monica.api.media import answer
from monica.api.schemas import error_responses, read_body
from monica.api.schemas_openai import (
    ModelsSchema,
    OpenAIRequest,
    OpenAISpeechSchema,
    StreamFormat,
    VoicesSchema,
    parse_openai,
)
from monica.audio.formats import Format
from monica.errors import InvalidText

openai = flask_smorest.Blueprint("openai", __name__, description="OpenAI's speech API")

MODEL = "monica"
PCM_RATE = 24_000
"""OpenAI's `pcm` has this rate by definition; its clients assume it."""
_BODY = {"required": True, "content": {"application/json": {"schema": OpenAISpeechSchema}}}
_EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "description": "JSON: `speech.audio.delta`, last `speech.audio.done`."}},
}
_SOUND = {"schema": {"type": "string", "format": "binary"}}
_RESPONSES = error_responses(
    {
        "400": "text_empty, text_too_long",
        "404": "voice_unknown",
        "408": "request_timeout",
        "413": "body_too_large",
        "422": "json_invalid, request_invalid",
        "500": "synthesis_failed",
        "503": "model_loading, model_failed, overloaded, shutting_down",
        "504": "deadline_exceeded",
    }
)
_RESPONSES["200"] = {
    "description": "The sound, in `response_format`.",
    "content": {format.content_type(PCM_RATE): _SOUND for format in Format} | {EVENTS: {"schema": _EVENT}},
}


@openai.route("/v1/audio/speech", methods=["POST"])
@openai.doc(requestBody=_BODY, responses=_RESPONSES)
def speech() -> Response:
    """Speak a text, as OpenAI's API does."""
    wanted = parse_openai(read_body(request))
    try:
        response = _answer(wanted)
    except InvalidText as error:
        raise InvalidText(error.message, code=error.code, param="input") from error
    metrics.time_to_first_audio.observe(time.perf_counter() - g.began)
    return response


def _answer(wanted: OpenAIRequest) -> Response:
    wait_for = Client.of(request.environ).wait
    rate = PCM_RATE if wanted.format is Format.PCM else None
    events = wanted.stream_format is StreamFormat.SSE
    if events or (wanted.stream_format is StreamFormat.AUDIO and can_stream()):
        audio = service().announcer.stream(wanted.speech, wait_for)
        g.outcome = f"{audio.source} streamed"
        return stream(audio, wanted.format, speed=wanted.speed, rate=rate, events=events)
    announcement = service().announcer.announce(wanted.speech, wait_for)
    g.outcome = f"{announcement.source} {announcement.duration_s:.2f}s of audio"
    return answer(announcement, wanted.format, speed=wanted.speed, rate=rate)


@openai.route("/v1/models", methods=["GET"])
@openai.response(200, ModelsSchema)
def models() -> dict[str, Any]:
    """List the one model there is."""
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "monica"}]}


@openai.route("/v1/audio/voices", methods=["GET"])
@openai.response(200, VoicesSchema)
def voices() -> dict[str, Any]:
    """List the voices there are."""
    return {"voices": [{"id": name, "name": name} for name in service().announcer.voices()]}
