"""POST /v1/audio/speech, GET /v1/models and /v1/audio/voices: clients of OpenAI's speech API can use Monica.

Source: platform.openai.com/docs/api-reference/audio/createSpeech.
"""

from __future__ import annotations

import time
from typing import Any

import flask_smorest
from flask import Response, g, request

from monica import metrics
from monica.api.body import read_body
from monica.api.captions import add_captions
from monica.api.client import Client
from monica.api.current import service
from monica.api.errors import error_responses
from monica.api.media import outcome, sound_response
from monica.api.schemas_openai import (
    CaptionedSchema,
    ModelSchema,
    ModelsSchema,
    OpenAIRequest,
    OpenAISpeechSchema,
    StreamFormat,
    VoicesSchema,
    parse_openai,
)
from monica.api.streaming import EVENTS, can_stream, stream_response
from monica.api.tts import SPEECH_ERRORS
from monica.audio.formats import Format
from monica.audio_stream import AudioStream
from monica.errors import InvalidRequest, InvalidText, MonicaError
from monica.speech import Announcement


class UnknownModel(MonicaError):
    """No model has this name."""

    status, code = 404, "model_unknown"


openai = flask_smorest.Blueprint("openai", __name__, description="OpenAI's speech API")

MODEL = "monica"
_MODEL = {"id": MODEL, "object": "model", "created": 0, "owned_by": "monica"}
PCM_RATE = 24_000
"""Hertz. OpenAI defines `pcm` at this rate, and its clients assume it."""
_BODY = {"required": True, "content": {"application/json": {"schema": OpenAISpeechSchema}}}
_EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "description": "JSON: `speech.audio.delta`, last `speech.audio.done`."}},
}
_SOUND = {"schema": {"type": "string", "format": "binary"}}
_RESPONSES = error_responses(*SPEECH_ERRORS)
SOUNDS = _RESPONSES["200"] = {
    "description": "The sound, in `response_format`; with `timestamps`, JSON that holds it.",
    "content": {format.content_type(PCM_RATE): _SOUND for format in Format}
    | {EVENTS: {"schema": _EVENT}, "application/json": {"schema": CaptionedSchema}},
}


@openai.route("/v1/audio/speech", methods=["POST"])
@openai.doc(requestBody=_BODY, responses=_RESPONSES)
def speech() -> Response:
    """Speak a text, as OpenAI's API does."""
    return answer_openai(parse_openai(read_body(request)))[0]


def answer_openai(wanted: OpenAIRequest) -> tuple[Response, AudioStream | Announcement]:
    """Speak a text, as a stream if it asks for one. Returns the answer and its sound."""
    _check_language(wanted.language)
    if wanted.timestamps and wanted.stream_format is not None:
        raise InvalidRequest("timestamps: Words have no times before the sound is whole.", param="timestamps")
    try:
        response, sound = _speak(wanted)
    except InvalidText as error:
        raise InvalidText(error.message, code=error.code, param="input") from error
    g.outcome = outcome(sound.source, response)
    metrics.time_to_first_audio.observe(time.perf_counter() - g.began)
    return response, sound


def _check_language(asked: str | None) -> None:
    """Raise InvalidRequest if a client expects another language than the one spoken here. fr-FR counts as fr."""
    spoken = service().settings.language
    if asked is not None and asked.partition("-")[0].lower() != spoken:
        raise InvalidRequest(f"language: Monica speaks {spoken} here, and no other language.", param="language")


def _speak(wanted: OpenAIRequest) -> tuple[Response, AudioStream | Announcement]:
    wait_for = Client.of(request.environ).wait
    rate = PCM_RATE if wanted.format is Format.PCM else None
    events = wanted.stream_format is StreamFormat.SSE
    if events or (wanted.stream_format is StreamFormat.AUDIO and can_stream()):
        audio = service().announcer.stream(wanted.speech, wait_for)
        return stream_response(audio, wanted.format, speed=wanted.speed, rate=rate, events=events), audio
    announcement = service().announcer.announce(wanted.speech, wait_for)
    response = sound_response(announcement, wanted.format, speed=wanted.speed, rate=rate)
    if wanted.timestamps:
        add_captions(response, announcement, wanted.speed)
    return response, announcement


@openai.route("/v1/models", methods=["GET"])
@openai.response(200, ModelsSchema)
def models() -> dict[str, Any]:
    """List the one model."""
    return {"object": "list", "data": [_MODEL]}


@openai.route("/v1/models/<string:model_id>", methods=["GET"])
@openai.response(200, ModelSchema)
@openai.doc(responses=error_responses(UnknownModel))
def model(model_id: str) -> dict[str, Any]:
    """Show the one model."""
    if model_id != MODEL:
        raise UnknownModel(f"There is no such model. Known: {MODEL}.", param="model")
    return _MODEL


@openai.route("/v1/audio/voices", methods=["GET"])
@openai.response(200, VoicesSchema)
def voices() -> dict[str, Any]:
    """List the known voices, and then their aliases."""
    announcer = service().announcer
    licenses = announcer.voice_licenses()
    known = [{"id": name, "name": name} for name in announcer.voices()]
    for voice in known:
        if voice["id"] in licenses:
            voice["license"] = licenses[voice["id"]]
    aliases = [{"id": alias, "name": alias, "alias_of": name} for alias, name in announcer.voice_aliases().items()]
    return {"voices": known + aliases}
