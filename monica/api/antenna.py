"""/v1/announcements and /v1/antenna: what goes on air in the room, and when."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Response, jsonify, request

from monica.antenna.antenna import NothingToReplay, NotWaiting
from monica.antenna.chimes import UnknownChime
from monica.antenna.cue import Cue
from monica.antenna.rundown import QueueFull, UnknownCue
from monica.api.body import decode, read_body
from monica.api.current import service
from monica.api.errors import BodyTooLarge, RangeUnsatisfiable, error_responses
from monica.api.media import make_resumable
from monica.api.schemas import validate
from monica.api.schemas_announcements import (
    AnnouncementSchema,
    AnnounceSchema,
    ChangeSchema,
    ReplaySchema,
    parse_announcement,
    parse_change,
)
from monica.api.schemas_antenna import AntennaSchema, ChimeNamesSchema, HistoryQuerySchema
from monica.api.schemas_phrases import parse_query
from monica.errors import (
    DeadlineExceeded,
    InvalidJson,
    InvalidRequest,
    InvalidText,
    NotReady,
    Overloaded,
    RequestTimeout,
    SynthesisFailed,
    UnknownVoice,
)
from monica.store.cache import CacheError
from monica.store.catalogue import UnknownPhrase

antenna = flask_smorest.Blueprint("antenna", __name__, description="What goes on air in the room")

BODY_ERRORS = (RequestTimeout, BodyTooLarge, InvalidJson, InvalidRequest)
_HISTORY, _REPLAY = HistoryQuerySchema(), ReplaySchema()
_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "The URL of the announcement."}}
_AUDIO_RESPONSES = error_responses(
    UnknownCue, InvalidText, UnknownVoice, UnknownChime, SynthesisFailed, NotReady, Overloaded, DeadlineExceeded,
    RangeUnsatisfiable,
)  # fmt: skip
_AUDIO_RESPONSES["206"] = {"description": "The part of it that Range asks for."}
_AUDIO_RESPONSES["304"] = {"description": "The sound that If-None-Match names is still current."}


def _body(schema: type[Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


@antenna.route("/v1/announcements", methods=["POST"])
@antenna.response(201, AnnouncementSchema, headers=_LOCATION)
@antenna.doc(
    requestBody=_body(AnnounceSchema),
    responses=error_responses(
        *BODY_ERRORS, InvalidText, UnknownVoice, UnknownPhrase, UnknownChime, QueueFull, NotReady, CacheError
    ),
)
def announce() -> Response:
    """Queue an announcement: a text, or a kept phrase. It goes on air when its turn comes."""
    cue = parse_announcement(read_body(request))
    check(cue)
    return _created(service().station.antenna.add(cue))


@antenna.route("/v1/announcements", methods=["GET"])
@antenna.response(200, AntennaSchema)
@antenna.doc(parameters=[{"in": "query", "schema": HistoryQuerySchema}], responses=error_responses(InvalidRequest))
def index() -> dict[str, Any]:
    """Show what is on air, the queue, the history and the speakers."""
    query = parse_query(_HISTORY, request.args)
    found = service().station.antenna
    return found.state() | {"history": [cue.as_dict() for cue in found.history(query["history"])]}


@antenna.route("/v1/announcements/<string:cue_id>", methods=["GET"])
@antenna.response(200, AnnouncementSchema)
@antenna.doc(responses=error_responses(UnknownCue))
def show(cue_id: str) -> dict[str, Any]:
    """Show an announcement."""
    return service().station.antenna.get(cue_id).as_dict()


@antenna.route("/v1/announcements/<string:cue_id>", methods=["PATCH"])
@antenna.response(200, AnnouncementSchema)
@antenna.doc(requestBody=_body(ChangeSchema), responses=error_responses(*BODY_ERRORS, UnknownCue, NotWaiting))
def change(cue_id: str) -> dict[str, Any]:
    """Move a waiting announcement, hold it or let it go, or change its priority or its times."""
    return service().station.antenna.change(cue_id, parse_change(read_body(request))).as_dict()


@antenna.route("/v1/announcements/<string:cue_id>", methods=["DELETE"])
@antenna.response(200, AnnouncementSchema)
@antenna.doc(responses=error_responses(UnknownCue, NotWaiting))
def drop(cue_id: str) -> dict[str, Any]:
    """Take an announcement out of the queue. One that has ended stays as it is."""
    return service().station.antenna.drop(cue_id).as_dict()


@antenna.route("/v1/announcements/<string:cue_id>/audio", methods=["GET"])
@antenna.response(
    200,
    {"type": "string", "contentMediaType": "audio/wav"},
    content_type="audio/wav",
    description="A WAV with the chimes and repetitions.",
    headers={"ETag": {"schema": {"type": "string"}}, "Accept-Ranges": {"schema": {"type": "string"}}},
)
@antenna.doc(responses=_AUDIO_RESPONSES)
def audio(cue_id: str) -> Response:
    """Return the sound of an announcement, as the room hears it. It is made if it is not there."""
    station = service().station
    programme = station.maker.programme(station.antenna.get(cue_id))
    response = Response(programme.wav, content_type="audio/wav")
    response.headers["Content-Disposition"] = 'inline; filename="monica.wav"'
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    return make_resumable(response, len(programme.wav))


@antenna.route("/v1/antenna/stop", methods=["POST"])
@antenna.response(200, AntennaSchema)
def stop() -> dict[str, Any]:
    """Cut off what is on air, and hold the queue: silence, until `resume`."""
    service().station.antenna.stop()
    return service().station.antenna.state()


@antenna.route("/v1/antenna/hold", methods=["POST"])
@antenna.response(200, AntennaSchema)
def hold() -> dict[str, Any]:
    """Let nothing more go on air. What is on air goes on."""
    service().station.antenna.hold()
    return service().station.antenna.state()


@antenna.route("/v1/antenna/resume", methods=["POST"])
@antenna.response(200, AntennaSchema)
def resume() -> dict[str, Any]:
    """Go on with the queue after `hold` or `stop`."""
    service().station.antenna.resume()
    return service().station.antenna.state()


@antenna.route("/v1/antenna/skip", methods=["POST"])
@antenna.response(200, AntennaSchema)
def skip() -> dict[str, Any]:
    """Cut off what is on air, and go on with the next announcement."""
    service().station.antenna.skip()
    return service().station.antenna.state()


@antenna.route("/v1/antenna/replay", methods=["POST"])
@antenna.response(201, AnnouncementSchema, headers=_LOCATION, description="The new announcement.")
@antenna.doc(
    requestBody=_body(ReplaySchema) | {"required": False},
    responses=error_responses(*BODY_ERRORS, UnknownCue, NothingToReplay, QueueFull),
)
def replay() -> Response:
    """Say an announcement again, before the others of its priority: the last one, or the one with this id."""
    fields = decode(read_body(request)) if request.content_length or request.is_json else {}
    return _created(service().station.antenna.replay(validate(_REPLAY, fields)["id"]))


@antenna.route("/v1/chimes", methods=["GET"])
@antenna.response(200, ChimeNamesSchema)
def chimes() -> dict[str, Any]:
    """List the chimes: those that Monica makes, and the venue's."""
    return {"chimes": service().station.chimes.names()}


def check(cue: Cue) -> None:
    """Refuse at once what could never be said, and find the text of a kept phrase.

    Raises UnknownPhrase, CacheError, UnknownChime, InvalidText, UnknownVoice.
    """
    found = service()
    if cue.key is not None:
        (phrase,) = found.catalogue.find_by_prefix([cue.key])
        cue.key, cue.text, cue.voice = phrase.key, phrase.text, phrase.voice or cue.voice
    for name in (cue.chimes.before, cue.chimes.after):
        if name is not None:
            found.station.chimes.check(name)
    if cue.key is None:
        try:
            found.announcer.key_of(cue.speech())
        except NotReady:  # it waits for the engine, like every other announcement
            found.announcer.said(cue.text)


def _created(cue: Cue) -> Response:
    response = jsonify(cue.as_dict())
    response.status_code = 201
    response.headers["Location"] = f"{request.script_root}/v1/announcements/{cue.id}"
    return response
