"""/v1/phrases/KEY/takes: more takes of a kept phrase, to choose between."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Response, jsonify, request

from monica.api.antenna import BODY_ERRORS
from monica.api.body import read_body
from monica.api.client import Client
from monica.api.current import service
from monica.api.errors import error_responses
from monica.api.schemas_phrases import PhraseSchema, TakeChoiceSchema, parse_choice
from monica.errors import DeadlineExceeded, NotReady, Overloaded, SynthesisFailed, UnknownVoice
from monica.store.cache import CacheError
from monica.store.catalogue import UnknownPhrase
from monica.store.phrase import KeptPhrase
from monica.warming import takes as taking
from monica.warming.remake import NoRemake

takes = flask_smorest.Blueprint("takes", __name__, description="Takes to choose between")


def _find(key: str) -> KeptPhrase:
    (phrase,) = service().catalogue.find_by_prefix([key])
    return phrase


@takes.route("/v1/phrases/<key:key>/takes", methods=["POST"])
@takes.response(201, PhraseSchema, description="The new take, which has a key of its own.")
@takes.doc(
    responses=error_responses(
        UnknownPhrase, UnknownVoice, NoRemake, SynthesisFailed, NotReady, Overloaded, CacheError, DeadlineExceeded
    )
)
def make(key: str) -> Response:
    """Make another take of a phrase, which itself stays as it is. A take that is not chosen may be removed."""
    found = service()
    wait_for = Client.of(request.environ).wait
    take = taking.another_take(found.announcer, found.catalogue, _find(key), wait_for)
    response = jsonify(take.as_dict())
    response.status_code = 201
    return response


@takes.route("/v1/phrases/<key:key>/take", methods=["PUT"])
@takes.response(200, PhraseSchema, description="The phrase in its new take.")
@takes.doc(
    requestBody={"required": True, "content": {"application/json": {"schema": TakeChoiceSchema}}},
    responses=error_responses(*BODY_ERRORS, UnknownPhrase, NoRemake, CacheError),
)
def choose(key: str) -> dict[str, Any]:
    """Say a phrase as in one of its takes from now on."""
    take = parse_choice(read_body(request))
    return taking.choose_take(service().catalogue, _find(key), _find(take)).as_dict()
