"""GET /blabla and /v1/audio/speech: speech for media players, which can only be given an address.

Served only if MONICA_GET_SPEECH is on: any page or link that a browser on the network opens may then have Monica speak.
"""

from __future__ import annotations

import flask_smorest
from flask import Response, request

from monica.api.errors import RangeUnsatisfiable, error_responses
from monica.api.media import RESUMABLE_HEADERS, RESUMED_RESPONSES, choose_format, make_resumable
from monica.api.openai import SOUNDS, answer_openai
from monica.api.schemas import SpeechSchema, body_of_query, parse_speech
from monica.api.schemas_openai import OpenAISpeechSchema, parse_openai
from monica.api.tts import DEADLINE, SPEECH_ERRORS, STREAM, speak, with_deadline
from monica.audio_stream import AudioStream
from monica.errors import InvalidRequest, NotAcceptable
from monica.speech import Announcement

players = flask_smorest.Blueprint("players", __name__, description="Speech by GET, for media players")

_SPEECH, _OPENAI = SpeechSchema(exclude=("air",)), OpenAISpeechSchema()
_RESPONSES = RESUMED_RESPONSES | error_responses(*SPEECH_ERRORS, NotAcceptable, RangeUnsatisfiable)
_OPENAI_RESPONSES = RESUMED_RESPONSES | error_responses(*SPEECH_ERRORS, RangeUnsatisfiable) | {"200": SOUNDS}


@players.route("/blabla", methods=["GET"])
@players.response(
    200,
    {"type": "string", "contentMediaType": "audio/wav"},
    content_type="audio/wav",
    description="The sentence: a WAV, or the format in Accept.",
    headers=RESUMABLE_HEADERS,
)
@players.doc(parameters=[{"in": "query", "schema": _SPEECH}, DEADLINE, STREAM], responses=_RESPONSES)
def blabla() -> Response:
    """Speak a sentence: the query holds the fields that the body of a POST has.

    Cache-Control is ignored, because browsers send it when a page is loaded again, and mean no new take. HEAD makes the
    sound, too, so that it can say how long it is.
    """
    if "air" in request.args:
        raise InvalidRequest("air: Only a POST puts an announcement on air.", param="air")
    speech = with_deadline(parse_speech(body_of_query(_SPEECH, request.args, "stream")))
    return _playable(*speak(speech, choose_format(request.accept_mimetypes)))


@players.route("/v1/audio/speech", methods=["GET"])
@players.doc(parameters=[{"in": "query", "schema": OpenAISpeechSchema}], responses=_OPENAI_RESPONSES)
def openai_speech() -> Response:
    """Speak a text: the query holds the fields that the body of a POST has."""
    return _playable(*answer_openai(parse_openai(body_of_query(_OPENAI, request.args))))


def _playable(response: Response, sound: AudioStream | Announcement) -> Response:
    """Let a player seek in a sound and resume it, if the same bytes can be had again."""
    if response.is_streamed or sound.key is None or (isinstance(sound, Announcement) and sound.faults):
        return response
    response.headers["Cache-Control"] = "private, no-cache"
    # Of the bytes, not of the key: another take of the phrase has the same key, and must not be joined to this one.
    response.add_etag(overwrite=True)
    return make_resumable(response, response.content_length or 0)
