"""/v1/phrases/KEY/takes: the takes of a phrase side by side, and the choice of one."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Response, jsonify, request

from monica.api.client import Client
from monica.api.current import service
from monica.api.errors import RangeUnsatisfiable, error_responses
from monica.api.media import RESUMABLE_HEADERS, RESUMED_RESPONSES, make_resumable
from monica.api.schemas_phrases import PhraseSchema, parse_query
from monica.api.schemas_takes import ChoiceSchema, KeepSchema, ReviewSchema
from monica.errors import DeadlineExceeded, InvalidRequest, NotReady, Overloaded, SynthesisFailed, UnknownVoice
from monica.store import review
from monica.store.cache import CacheError
from monica.store.catalogue import UnknownPhrase
from monica.store.side_takes import UnknownTake
from monica.warming.remake import NoRemake
from monica.warming.takes import make_take

takes = flask_smorest.Blueprint("takes", __name__, description="Takes to choose between")

_KEEP = KeepSchema()


def _find(key: str) -> review.Choice:
    return review.find_choice(service().catalogue, service().side_takes, key)


@takes.route("/v1/phrases/review", methods=["GET"])
@takes.response(200, ReviewSchema)
@takes.doc(responses=error_responses(CacheError))
def index() -> dict[str, Any]:
    """List the phrases that were listened to and that a person should hear."""
    found = review.find_doubtful(service().catalogue, service().side_takes)
    return {"phrases": [each.as_dict() for each in found]}


@takes.route("/v1/phrases/<key:key>/takes", methods=["GET"])
@takes.response(200, ChoiceSchema)
@takes.doc(responses=error_responses(UnknownPhrase, CacheError))
def show(key: str) -> dict[str, Any]:
    """Show a phrase with the takes that were made of it to choose between, by a job that listens or for a person."""
    return _find(key).as_dict()


@takes.route("/v1/phrases/<key:key>/takes", methods=["POST"])
@takes.response(201, ChoiceSchema, description="The phrase, the new take the last of its takes.")
@takes.doc(
    responses=error_responses(
        UnknownPhrase, UnknownVoice, NoRemake, SynthesisFailed, NotReady, Overloaded, CacheError, DeadlineExceeded
    )
)
def make(key: str) -> Response:
    """Make another take of a phrase, which itself stays as it is."""
    found, phrase = service(), _find(key)
    wait_for = Client.of(request.environ).wait
    make_take(found.announcer, found.catalogue, found.side_takes, phrase, wait_for)
    response = jsonify(_find(phrase.key).as_dict())
    response.status_code = 201
    return response


@takes.route("/v1/phrases/<key:key>/takes/<int:number>/audio", methods=["GET"])
@takes.response(
    200,
    {"type": "string", "contentMediaType": "audio/wav"},
    content_type="audio/wav",
    description="The WAV of the take.",
    headers=RESUMABLE_HEADERS,
)
@takes.doc(responses=RESUMED_RESPONSES | error_responses(UnknownPhrase, UnknownTake, CacheError, RangeUnsatisfiable))
def audio(key: str, number: int) -> Response:
    """Return the sound of a take."""
    sound = service().side_takes.sound(_find(key).key, number)
    response = Response(sound, content_type="audio/wav")
    response.headers["Content-Disposition"] = 'inline; filename="monica.wav"'
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    return make_resumable(response, len(sound))


@takes.route("/v1/phrases/<key:key>/keep", methods=["POST"])
@takes.response(200, PhraseSchema, description="The phrase in the take that was kept.")
@takes.doc(
    parameters=[{"in": "query", "schema": KeepSchema}],
    responses=error_responses(InvalidRequest, UnknownPhrase, UnknownTake, CacheError),
)
def keep(key: str) -> dict[str, Any]:
    """Keep a take of a phrase, because a person has heard it. The others are forgotten."""
    number = parse_query(_KEEP, request.args)["take"]
    phrase = _find(key)
    review.keep(service().catalogue, service().side_takes, phrase, number)
    (kept,) = service().catalogue.find_by_prefix([phrase.key])
    return kept.as_dict()
