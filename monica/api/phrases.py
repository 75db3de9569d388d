"""/v1/phrases: list, hear, pin, remove and remake the kept phrases."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Response, request
from werkzeug.routing import BaseConverter

from monica.api.client import Client
from monica.api.current import service
from monica.api.errors import RangeUnsatisfiable, error_responses
from monica.api.media import RESUMABLE_HEADERS, RESUMED_RESPONSES, make_resumable
from monica.api.schemas_phrases import (
    ListSchema,
    PhraseSchema,
    PhrasesSchema,
    StatsSchema,
    WordsSchema,
    parse_query,
)
from monica.errors import (
    DeadlineExceeded,
    InvalidRequest,
    NotReady,
    Overloaded,
    SynthesisFailed,
    UnknownVoice,
)
from monica.store.cache import CacheError
from monica.store.catalogue import TooManyPins, UnknownPhrase
from monica.store.phrase import KeptPhrase, WordsUnknown, shown
from monica.warming import remake as remaking

phrases = flask_smorest.Blueprint("phrases", __name__, description="The kept phrases")

_LIST = ListSchema()
_AUDIO_RESPONSES = RESUMED_RESPONSES | error_responses(UnknownPhrase, CacheError, RangeUnsatisfiable)


class Key(BaseConverter):
    """The beginning of a key, in a path."""

    regex = "[0-9A-Fa-f]{1,64}"

    @classmethod
    def schema(cls, _key: BaseConverter) -> dict[str, str]:
        return {
            "type": "string",
            "pattern": f"^{cls.regex}$",
            "description": "The beginning of a key, as long as no other key begins with it.",
            "example": "1a2b3c4d5e6f",
        }


def _find(key: str) -> KeptPhrase:
    (phrase,) = service().catalogue.find_by_prefix([key])
    return phrase


@phrases.route("/v1/phrases", methods=["GET"])
@phrases.response(200, PhrasesSchema)
@phrases.doc(parameters=[{"in": "query", "schema": ListSchema}], responses=error_responses(InvalidRequest, CacheError))
def index() -> dict[str, Any]:
    """List the kept phrases."""
    query = parse_query(_LIST, request.args)
    page, total = service().catalogue.page(**query)
    return {"phrases": [phrase.as_dict() for phrase in page], "total": total}


@phrases.route("/v1/phrases/stats", methods=["GET"])
@phrases.response(200, StatsSchema)
@phrases.doc(responses=error_responses(CacheError))
def stats() -> dict[str, Any]:
    """Show the cache in numbers."""
    return service().catalogue.stats().as_dict()


@phrases.route("/v1/phrases/<key:key>", methods=["GET"])
@phrases.response(200, PhraseSchema)
@phrases.doc(responses=error_responses(UnknownPhrase, CacheError))
def show(key: str) -> dict[str, Any]:
    """Show a phrase."""
    return _find(key).as_dict()


@phrases.route("/v1/phrases/<key:key>", methods=["DELETE"])
@phrases.response(200, PhraseSchema, description="The phrase, now removed.")
@phrases.doc(responses=error_responses(UnknownPhrase, CacheError))
def remove(key: str) -> dict[str, Any]:
    """Remove a phrase, its pin, and the takes beside it. It is made again when it is asked for."""
    phrase = _find(key)
    service().catalogue.remove([phrase])
    service().side_takes.forget(phrase.key)
    return phrase.as_dict()


@phrases.route("/v1/phrases/<key:key>/audio", methods=["GET"])
@phrases.response(
    200,
    {"type": "string", "contentMediaType": "audio/wav"},
    content_type="audio/wav",
    description="The WAV as it is kept.",
    headers=RESUMABLE_HEADERS,
)
@phrases.doc(responses=_AUDIO_RESPONSES)
def audio(key: str) -> Response:
    """Return the sound of a phrase. It does not count as a hit."""
    sound = service().catalogue.read_sound(_find(key))
    response = Response(sound, content_type="audio/wav")
    response.headers["Content-Disposition"] = 'inline; filename="monica.wav"'
    # Another take may replace it a moment later, so it is asked for every time, and the ETag is that of the bytes.
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    return make_resumable(response, len(sound))


@phrases.route("/v1/phrases/<key:key>/words", methods=["GET"])
@phrases.response(200, WordsSchema)
@phrases.doc(responses=error_responses(UnknownPhrase, WordsUnknown, CacheError))
def words(key: str) -> dict[str, Any]:
    """Show when each word of a phrase that was listened to is said."""
    phrase = _find(key)
    timed = phrase.words()
    return {
        "key": phrase.key,
        "seconds": phrase.seconds,
        "verdict": phrase.hearing and phrase.hearing.verdict,
        "words": [{"word": shown(each.text), "start_s": each.start_s, "end_s": each.end_s} for each in timed],
    }


@phrases.route("/v1/phrases/<key:key>/pin", methods=["PUT"])
@phrases.response(200, PhraseSchema)
@phrases.doc(responses=error_responses(UnknownPhrase, CacheError, TooManyPins))
def pin(key: str) -> dict[str, Any]:
    """Keep a phrase when the cache is full. One that is made again stays pinned."""
    phrase = _find(key)
    service().catalogue.pin([phrase])
    return _find(phrase.key).as_dict()


@phrases.route("/v1/phrases/<key:key>/pin", methods=["DELETE"])
@phrases.response(200, PhraseSchema)
@phrases.doc(responses=error_responses(UnknownPhrase, CacheError))
def unpin(key: str) -> dict[str, Any]:
    """Let a phrase be evicted again."""
    phrase = _find(key)
    service().catalogue.unpin([phrase])
    return _find(phrase.key).as_dict()


@phrases.route("/v1/phrases/<key:key>/remake", methods=["POST"])
@phrases.response(200, PhraseSchema, description="The phrase in its new take.")
@phrases.doc(
    responses=error_responses(
        UnknownPhrase,
        UnknownVoice,
        remaking.NoRemake,
        SynthesisFailed,
        NotReady,
        Overloaded,
        CacheError,
        DeadlineExceeded,
    )
)
def remake(key: str) -> dict[str, Any]:
    """Make a phrase that came out badly again, and replace the kept take. Live announcements go first."""
    return remaking.remake(
        service().announcer, service().catalogue, _find(key), Client.of(request.environ).wait
    ).as_dict()
