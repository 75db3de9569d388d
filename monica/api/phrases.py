"""/v1/phrases: what is kept, looked at, heard, pinned, removed, and made anew."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Response, request
from werkzeug.routing import BaseConverter

from monica.api.client import Client
from monica.api.current import service
from monica.api.errors import error_responses
from monica.api.schemas_phrases import ListSchema, PhraseSchema, PhrasesSchema, StatsSchema, parse_query
from monica.errors import (
    DeadlineExceeded,
    InvalidRequest,
    NotReady,
    Overloaded,
    SynthesisFailed,
    UnknownVoice,
)
from monica.store.cache import CacheFault
from monica.store.card import Card
from monica.store.catalogue import TooManyPins, UnknownEntry
from monica.warming import remake as remaking

phrases = flask_smorest.Blueprint("phrases", __name__, description="Phrases that are kept")

_LIST = ListSchema()


class Key(BaseConverter):
    """The beginning of a key, in a path."""

    regex = "[0-9A-Fa-f]{1,64}"

    @classmethod
    def schema(cls, _key: BaseConverter) -> dict[str, str]:
        return {
            "type": "string",
            "pattern": f"^{cls.regex}$",
            "description": "The beginning of a key, as long as no other begins so.",
            "example": "1a2b3c4d5e6f",
        }


def _pick(key: str) -> Card:
    (card,) = service().catalogue.pick([key])
    return card


@phrases.route("/v1/phrases", methods=["GET"])
@phrases.response(200, PhrasesSchema)
@phrases.doc(parameters=[{"in": "query", "schema": ListSchema}], responses=error_responses(InvalidRequest, CacheFault))
def index() -> dict[str, Any]:
    """List what is kept."""
    query = parse_query(_LIST, request.args)
    cards = service().catalogue.cards(query["search"], query["sort"])
    page = cards[query["offset"] : query["offset"] + query["limit"]]
    return {"phrases": [card.as_dict() for card in page], "total": len(cards)}


@phrases.route("/v1/phrases/stats", methods=["GET"])
@phrases.response(200, StatsSchema)
@phrases.doc(responses=error_responses(CacheFault))
def stats() -> dict[str, Any]:
    """Show the cache in numbers."""
    return service().catalogue.stats().as_dict()


@phrases.route("/v1/phrases/<key:key>", methods=["GET"])
@phrases.response(200, PhraseSchema)
@phrases.doc(responses=error_responses(UnknownEntry, CacheFault))
def show(key: str) -> dict[str, Any]:
    """Show a phrase."""
    return _pick(key).as_dict()


@phrases.route("/v1/phrases/<key:key>", methods=["DELETE"])
@phrases.response(200, PhraseSchema, description="The phrase, which is gone.")
@phrases.doc(responses=error_responses(UnknownEntry, CacheFault))
def remove(key: str) -> dict[str, Any]:
    """Remove a phrase, and its pin. It is made again when it is asked for."""
    card = _pick(key)
    service().catalogue.remove([card])
    return card.as_dict()


@phrases.route("/v1/phrases/<key:key>/audio", methods=["GET"])
@phrases.response(
    200,
    {"type": "string", "contentMediaType": "audio/wav"},
    content_type="audio/wav",
    description="The WAV, as it is kept.",
)
@phrases.doc(responses=error_responses(UnknownEntry, CacheFault))
def audio(key: str) -> Response:
    """Let a phrase be heard. It does not count as a hit."""
    response = Response(service().catalogue.read(_pick(key)), content_type="audio/wav")
    response.headers["Content-Disposition"] = 'inline; filename="monica.wav"'
    response.headers["Cache-Control"] = "no-store"  # another take may have its place a moment later
    return response


@phrases.route("/v1/phrases/<key:key>/pin", methods=["PUT"])
@phrases.response(200, PhraseSchema)
@phrases.doc(responses=error_responses(UnknownEntry, CacheFault, TooManyPins))
def pin(key: str) -> dict[str, Any]:
    """Keep a phrase when the cache is full. One that is made again stays pinned."""
    card = _pick(key)
    service().catalogue.pin([card])
    return _pick(card.key).as_dict()


@phrases.route("/v1/phrases/<key:key>/pin", methods=["DELETE"])
@phrases.response(200, PhraseSchema)
@phrases.doc(responses=error_responses(UnknownEntry, CacheFault))
def unpin(key: str) -> dict[str, Any]:
    """Let a phrase be evicted again."""
    card = _pick(key)
    service().catalogue.unpin([card])
    return _pick(card.key).as_dict()


@phrases.route("/v1/phrases/<key:key>/remake", methods=["POST"])
@phrases.response(200, PhraseSchema, description="The phrase in its new take.")
@phrases.doc(
    responses=error_responses(
        UnknownEntry,
        UnknownVoice,
        remaking.NoRemake,
        SynthesisFailed,
        NotReady,
        Overloaded,
        CacheFault,
        DeadlineExceeded,
    )
)
def remake(key: str) -> dict[str, Any]:
    """Have a phrase that came out badly made anew, in the place of what is kept. Live announcements go first."""
    return remaking.remake(
        service().announcer, service().catalogue, _pick(key), Client.of(request.environ).wait
    ).as_dict()
