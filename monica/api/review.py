"""/v1/phrases/review: the phrases that a person should hear, their takes, and the choice of one."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Response, request

from monica.api.current import service
from monica.api.errors import RangeUnsatisfiable, error_responses
from monica.api.media import RESUMABLE_HEADERS, RESUMED_RESPONSES, make_resumable
from monica.api.schemas_phrases import PhraseSchema, parse_query
from monica.api.schemas_review import KeepSchema, ReviewSchema
from monica.errors import InvalidRequest
from monica.store import review as reviewing
from monica.store.cache import CacheError
from monica.store.catalogue import UnknownPhrase
from monica.store.side_takes import UnknownTake

review = flask_smorest.Blueprint("review", __name__, description="Phrases that were listened to")

_KEEP = KeepSchema()


def _find(key: str) -> reviewing.Doubtful:
    return reviewing.find_one(service().catalogue, service().side_takes, key)


@review.route("/v1/phrases/review", methods=["GET"])
@review.response(200, ReviewSchema)
@review.doc(responses=error_responses(CacheError))
def index() -> dict[str, Any]:
    """List the phrases that were listened to and that a person should hear."""
    found = reviewing.find_doubtful(service().catalogue, service().side_takes)
    return {"phrases": [each.as_dict() for each in found]}


@review.route("/v1/phrases/<key:key>/takes/<int:number>/audio", methods=["GET"])
@review.response(
    200,
    {"type": "string", "contentMediaType": "audio/wav"},
    content_type="audio/wav",
    description="The WAV of the take.",
    headers=RESUMABLE_HEADERS,
)
@review.doc(responses=RESUMED_RESPONSES | error_responses(UnknownPhrase, UnknownTake, CacheError, RangeUnsatisfiable))
def audio(key: str, number: int) -> Response:
    """Return the sound of a take that was set aside."""
    sound = service().side_takes.sound(_find(key).key, number)
    response = Response(sound, content_type="audio/wav")
    response.headers["Content-Disposition"] = 'inline; filename="monica.wav"'
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    return make_resumable(response, len(sound))


@review.route("/v1/phrases/<key:key>/keep", methods=["POST"])
@review.response(200, PhraseSchema, description="The phrase, now accepted.")
@review.doc(
    parameters=[{"in": "query", "schema": KeepSchema}],
    responses=error_responses(InvalidRequest, UnknownPhrase, UnknownTake, CacheError),
)
def keep(key: str) -> dict[str, Any]:
    """Keep a take of a phrase, because a person has heard it. The others are forgotten."""
    number = parse_query(_KEEP, request.args)["take"]
    phrase = _find(key)
    reviewing.keep(service().catalogue, service().side_takes, phrase, number)
    (kept,) = service().catalogue.find_by_prefix([phrase.key])
    return kept.as_dict()
