"""POST and DELETE /v1/audio/voices: voices are added and removed while Monica runs."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import request

from monica.api.body import BODY_ERRORS, reading
from monica.api.current import service
from monica.api.errors import BodyTooLarge, error_responses
from monica.api.schemas_openai import VoiceSchema
from monica.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    NotReady,
    Overloaded,
    SynthesisFailed,
    UnknownVoice,
)
from monica.voices.recording import ACCEPTED, BadRecording
from monica.voices.uploads import VoiceExists, VoicesUnusable

voices = flask_smorest.Blueprint("voices", __name__, description="Voices")

MAX_RECORDING = 50 * 2**20  # bytes
FORM = "multipart/form-data"

_FORM_SCHEMA = {
    "type": "object",
    "required": ["name", "file"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$", "example": "anna"},
        "file": {
            "type": "string",
            "format": "binary",
            "description": f"A recording of the voice: {ACCEPTED}; ten seconds of clear speech or more.",
        },
    },
}
_ADD_RESPONSES = error_responses(
    Forbidden,
    *BODY_ERRORS,
    VoiceExists,
    BodyTooLarge,
    InvalidRequest,
    BadRecording,
    SynthesisFailed,
    NotReady,
    Overloaded,
    VoicesUnusable,
    DeadlineExceeded,
    forbidden="MONICA_VOICE_UPLOADS is off, or the engine clones no voices.",
    body_too_large=f"The recording is larger than {MAX_RECORDING // 2**20} MiB.",
)
_REMOVE_RESPONSES = error_responses(
    Forbidden,
    UnknownVoice,
    NotReady,
    Overloaded,
    VoicesUnusable,
    forbidden="MONICA_VOICE_UPLOADS is off, or it is the voice of REFERENCE_AUDIO.",
)


@voices.route("/v1/audio/voices", methods=["POST"])
@voices.response(201, VoiceSchema, description="The voice can be used from now on.")
@voices.doc(requestBody={"required": True, "content": {FORM: {"schema": _FORM_SCHEMA}}}, responses=_ADD_RESPONSES)
def add() -> dict[str, Any]:
    """Add a voice, cloned from a recording."""
    service().uploads.folder()  # refuses uploads that are not allowed before the recording is read
    request.max_content_length = MAX_RECORDING + 2**16
    if request.mimetype != FORM:
        raise InvalidRequest(f"The Content-Type must be {FORM}.")
    with reading():
        name, file = request.form.get("name"), request.files.get("file")
    if name is None:
        raise InvalidRequest("name: Missing.", param="name")
    if file is None:
        raise InvalidRequest("file: Missing, or not sent as a file.", param="file")
    service().uploads.add(name, file.stream)
    return {"id": name, "name": name}


@voices.route("/v1/audio/voices/<string:name>", methods=["DELETE"])
@voices.response(204, description="The voice and its recording are gone.")
@voices.doc(responses=_REMOVE_RESPONSES)
def remove(name: str) -> None:
    """Remove a voice whose recording is in MONICA_VOICES_DIR."""
    service().uploads.remove(name)
