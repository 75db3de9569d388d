"""POST /blabla: a sentence in, a WAV out."""

from __future__ import annotations

import time
from dataclasses import replace

import flask_smorest
from flask import Response, current_app, g, request

from monica import metrics
from monica.announcer import Announcer
from monica.api.schemas import SpeechSchema, error_responses, parse_speech, read_body

tts = flask_smorest.Blueprint("tts", __name__, description="Speech")

_TEXT = {"schema": {"type": "string"}}
_HEADERS = {
    "Content-Disposition": _TEXT | {"description": 'inline; filename="monica.wav"'},
    "X-Generation-Time": _TEXT | {"description": "Seconds this request took, as 2.34s."},
    "X-Audio-Duration": _TEXT | {"description": "Seconds of sound, as 3.12s."},
    "X-Monica-Cache": {
        "schema": {"type": "string", "enum": ["hit", "miss", "joined"]},
        "description": "joined: another request was already making it.",
    },
    "X-Monica-Engine": {"schema": {"type": "string", "enum": ["chatterbox", "espeak"]}},
    "ETag": _TEXT | {"description": "The take's key; sent back as If-None-Match it gives 304."},
}
_BODY = {"required": True, "content": {"application/json": {"schema": SpeechSchema}}}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_OTHER_RESPONSES = error_responses(
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
_OTHER_RESPONSES["503"]["headers"] = _RETRY_AFTER
_OTHER_RESPONSES["304"] = {"description": "The take that If-None-Match names is still the one."}


@tts.route("/blabla", methods=["POST"])
@tts.response(
    200,
    {"type": "string", "contentMediaType": "audio/wav"},
    content_type="audio/wav",
    description="The sentence, mono 16-bit PCM.",
    headers=_HEADERS,
)
@tts.doc(requestBody=_BODY, responses=_OTHER_RESPONSES)
def blabla() -> Response:
    """Speak a sentence. `Cache-Control: no-cache` makes a new take, `no-store` keeps none."""
    announcer: Announcer = current_app.extensions["announcer"]
    speech = parse_speech(read_body(request))
    if "Cache-Control" in request.headers:
        asked = request.cache_control
        speech = replace(speech, fresh="no-cache" in asked, keep="no-store" not in asked)
    if "If-None-Match" in request.headers and not speech.fresh:
        key = announcer.key_of(speech)
        if request.if_none_match.contains_weak(key) and not request.if_none_match.star_tag:
            return Response(status=304, headers={"ETag": f'"{key}"'})
    said = announcer.announce(speech)
    took = time.perf_counter() - g.began
    metrics.time_to_first_audio.observe(took)
    g.outcome = f"{said.cache} {said.duration_s:.2f}s of audio"
    return Response(
        said.wav,
        mimetype="audio/wav",
        headers={
            "Content-Disposition": 'inline; filename="monica.wav"',
            "X-Generation-Time": f"{took:.2f}s",
            "X-Audio-Duration": f"{said.duration_s:.2f}s",
            "X-Monica-Cache": said.cache,
            "X-Monica-Engine": said.engine,
            "ETag": f'"{said.key}"',
        },
    )
