"""POST /blabla: a sentence in, a WAV out."""

from __future__ import annotations

import time
from dataclasses import replace

import flask_smorest
from flask import Response, g, request

from monica import metrics
from monica.announcer import Announcer
from monica.antenna.cue import Cue
from monica.antenna.rundown import QueueFull
from monica.api.auth import require_change
from monica.api.body import BODY_ERRORS, read_body
from monica.api.client import Client
from monica.api.current import service
from monica.api.errors import BodyTooLarge, error_responses
from monica.api.media import choose_format, outcome, sound_response
from monica.api.repeats import mark_repeatable
from monica.api.schemas import (
    DEADLINE_HEADER,
    LONGEST_DEADLINE_MS,
    SpeechSchema,
    parse_deadline,
    parse_speech,
)
from monica.api.streaming import stream_response, wants_stream
from monica.audio.formats import Format
from monica.audio_stream import AudioStream
from monica.engine.registry import engine_names
from monica.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidJson,
    InvalidRequest,
    InvalidText,
    NotAcceptable,
    NotReady,
    Overloaded,
    SynthesisFailed,
    UnknownVoice,
)
from monica.speech import Announcement, SpeechRequest
from monica.synthesis.take import Source

tts = flask_smorest.Blueprint("tts", __name__, description="Speech")

PROXY_KEEPS_HEADER = "X-Monica-Proxy-Keeps"
"""The header by which nginx asks for how long it may answer a request by itself."""
PROXY_KEEPS_S = 5
"""For how long a proxy may. A phrase that is removed or made again is heard as it was for that long, as it may be from
another node."""

_TEXT = {"schema": {"type": "string"}}
_HEADERS = {
    "Content-Disposition": _TEXT | {"description": 'inline; filename="monica.wav", with the suffix of the format.'},
    "X-Generation-Time": _TEXT | {"description": "Seconds until the answer, or until a stream's first sound: 2.34s."},
    "X-Audio-Duration": _TEXT | {"description": "Seconds of sound: 3.12s."},
    "X-Monica-Cache": {
        "schema": {"type": "string", "enum": [str(source) for source in Source]},
        "description": "joined: another request was already making it.",
    },
    "X-Monica-Engine": {"schema": {"type": "string", "enum": list(engine_names())}},
    "ETag": _TEXT
    | {
        "description": "The key of the take, plus the format's suffix unless it is WAV. Sent back as If-None-Match, it "
        "gives 304. Absent if the embedded voice stood in, whose sound is not kept."
    },
    "X-Monica-Announcement": _TEXT | {"description": "With `air`: the id of the announcement."},
    "Vary": _TEXT | {"description": "Accept"},
    "Cache-Control": _TEXT | {"description": "`no-store` if the embedded voice stood in, else absent."},
}
DEADLINE = {
    "in": "header",
    "name": DEADLINE_HEADER,
    "required": False,
    "schema": {"type": "integer", "minimum": 1, "maximum": LONGEST_DEADLINE_MS},
    "description": "Whole milliseconds after which the answer is useless to the caller: after that it is 504. "
    "At most the server's own deadline, MONICADEADLINE_S.",
    "example": 8000,
}
STREAM = {
    "in": "query",
    "name": "stream",
    "required": False,
    "schema": {"type": "string", "enum": ["0", "1"], "default": "0"},
    "description": "1: send the sound while it is made, chunked, without ETag and X-Audio-Duration. A WAV or FLAC then "
    "declares an unknown length, unless the phrase is kept already: it is sent whole. An error after the first sound "
    "breaks the connection off.",
}
_BODY = {"required": True, "content": {"application/json": {"schema": SpeechSchema}}}
SPEECH_ERRORS = (
    InvalidText,
    UnknownVoice,
    *BODY_ERRORS,
    BodyTooLarge,
    InvalidJson,
    InvalidRequest,
    SynthesisFailed,
    NotReady,
    Overloaded,
    DeadlineExceeded,
)
"""The errors of every endpoint that speaks."""
_OTHER_RESPONSES = error_responses(
    *SPEECH_ERRORS,
    NotAcceptable,
    Forbidden,
    QueueFull,
    forbidden="Only if it goes on air: no API key is set, and the request does not come from this machine.",
)
_OTHER_RESPONSES["304"] = {"description": "The take that If-None-Match names is still current."}


@tts.route("/blabla", methods=["POST"])
@tts.response(
    200,
    {"type": "string", "contentMediaType": "audio/wav"},
    content_type="audio/wav",
    description="The sentence: a WAV of mono 16-bit PCM, or the format in Accept: flac, mp3, opus, aac, pcm.",
    headers=_HEADERS,
)
@tts.doc(requestBody=_BODY, parameters=[DEADLINE, STREAM], responses=_OTHER_RESPONSES)
def blabla() -> Response:
    """Speak a sentence. `Cache-Control: no-cache` makes a new take, `no-store` does not keep it."""
    speech = parse_speech(read_body(request))
    if speech.air:
        require_change()
    if "Cache-Control" in request.headers:
        asked = request.cache_control
        speech = replace(speech, fresh="no-cache" in asked, keep="no-store" not in asked)
    speech = with_deadline(speech)
    format = choose_format(request.accept_mimetypes)
    if "If-None-Match" in request.headers and not speech.fresh and not speech.air:
        etag = _matching_etag(service().announcer, speech, format)
        if etag is not None:
            return Response(status=304, headers={"ETag": f'"{etag}"', "Vary": "Accept"})
    response, sound = speak(speech, format)
    if speech.air:
        cue = service().station.antenna.add(Cue.from_speech(speech))
        response.headers["X-Monica-Announcement"] = cue.id
    elif isinstance(sound, Announcement) and format is Format.WAV:
        mark_repeatable(speech, sound)
    return response


def with_deadline(speech: SpeechRequest) -> SpeechRequest:
    """Return a request with the deadline of X-Deadline-Ms, if there is one. Raises InvalidRequest."""
    if DEADLINE_HEADER not in request.headers:
        return speech
    return replace(speech, deadline_s=parse_deadline(request.headers[DEADLINE_HEADER], service().settings.deadline_s))


def speak(speech: SpeechRequest, format: Format) -> tuple[Response, AudioStream | Announcement]:
    """Speak a sentence, as a stream if the query asks for one. Returns the answer and its sound."""
    announcer, wait_for = service().announcer, Client.of(request.environ).wait
    sound: AudioStream | Announcement
    if wants_stream():
        sound = announcer.stream(speech, wait_for)
        response = stream_response(sound, format)
    else:
        sound = announcer.announce(speech, wait_for)
        response = sound_response(sound, format)
    if sound.key is not None and not response.is_streamed:
        response.headers["ETag"] = f'"{_etag(sound.key, format)}"'
        # What goes on air has to reach Monica each time.
        if sound.source is Source.HIT and PROXY_KEEPS_HEADER in request.headers and not speech.air:
            response.headers["X-Accel-Expires"] = str(PROXY_KEEPS_S)
    g.outcome = outcome(sound.source, response)
    took = time.perf_counter() - g.began
    response.headers["X-Generation-Time"] = f"{took:.2f}s"
    response.headers["Vary"] = "Accept"
    metrics.time_to_first_audio.observe(took)
    return response, sound


def _etag(key: str, format: Format) -> str:
    """Return the ETag of a take in a format: its key, plus the suffix of the format unless it is WAV."""
    return key if format is Format.WAV else key + format.suffix


def _matching_etag(announcer: Announcer, speech: SpeechRequest, format: Format) -> str | None:
    """Return the ETag if If-None-Match names it, else None."""
    try:
        etag = _etag(announcer.key_of(speech), format)
    except NotReady:  # no key is known yet; `announce` decides whether the embedded voice answers
        return None
    named = request.if_none_match
    return etag if named.contains_weak(etag) and not named.star_tag else None
