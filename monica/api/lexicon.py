"""/v1/lexicon: how the venue wants its names and words said, read and edited."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import flask_smorest
from flask import Response, jsonify, request

from monica.api.body import BODY_ERRORS, read_body
from monica.api.current import service
from monica.api.errors import BodyTooLarge, error_responses
from monica.api.schemas_lexicon import (
    MAX_LISTED,
    AffectedSchema,
    EditedLexiconSchema,
    LexiconSchema,
    parse_lexicon,
)
from monica.errors import InvalidJson, InvalidRequest, MonicaError
from monica.store.cache import CacheError
from monica.store.phrase import KeptPhrase
from monica.text import LexiconFile
from monica.text.lexicon_entries import SECTIONS
from monica.text.lexicon_file import LexiconChanged, LexiconRefused, LexiconUnusable
from monica.warming.affected import affected_phrases

lexicon = flask_smorest.Blueprint("lexicon", __name__, description="How names and words are said")

MAX_BODY_BYTES = 2**20

_VERSION = {"ETag": {"schema": {"type": "string"}, "description": "Of the file; If-Match of a PUT may carry it."}}
_IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "schema": {"type": "string"},
    "description": "The ETag of what was edited. If the file is not that any more, the answer is 412.",
}


class NoLexicon(MonicaError):
    """MONICA_LEXICON names no file."""

    status, code = 409, "lexicon_missing"


def _file() -> LexiconFile:
    file = service().frontend.lexicon_file
    if file is None:
        raise NoLexicon("There is no lexicon to read or edit: MONICA_LEXICON names none.")
    return file


def _answer(content: dict[str, Any], version: str) -> Response:
    response = jsonify(content)
    response.set_etag(version)
    return response


def _listed(affected: Iterable[KeptPhrase]) -> dict[str, Any]:
    found = list(affected)
    return {"phrases": [phrase.as_dict() for phrase in islice(found, MAX_LISTED)], "total": len(found)}


@lexicon.route("/v1/lexicon", methods=["GET"])
@lexicon.response(200, LexiconSchema, headers=_VERSION)
@lexicon.doc(responses=error_responses(NoLexicon, LexiconUnusable))
def show() -> Response:
    """Show the venue's lexicon."""
    sections, version = _file().read_sections()
    return _answer({name: sections.get(name, {}) for name in SECTIONS}, version)


@lexicon.route("/v1/lexicon", methods=["PUT"])
@lexicon.response(200, EditedLexiconSchema, headers=_VERSION)
@lexicon.doc(
    requestBody={"required": True, "content": {"application/json": {"schema": LexiconSchema}}},
    parameters=[_IF_MATCH],
    responses=error_responses(
        NoLexicon,
        *BODY_ERRORS,
        LexiconChanged,
        BodyTooLarge,
        InvalidJson,
        InvalidRequest,
        LexiconRefused,
        LexiconUnusable,
        CacheError,
    ),
)
def edit() -> Response:
    """Replace the venue's lexicon; it speaks from now on. The file's comments and order are kept."""
    file = _file()  # before the body is read
    request.max_content_length = MAX_BODY_BYTES
    sections = parse_lexicon(read_body(request))
    match = request.headers.get("If-Match", "*").strip()
    changed = file.replace_sections(sections, None if match == "*" else match.removeprefix("W/").strip('"'))
    affected = _listed(affected_phrases(service().frontend, service().catalogue, changed))
    sections, version = file.read_sections()
    return _answer({name: sections.get(name, {}) for name in SECTIONS} | {"affected": affected}, version)


@lexicon.route("/v1/lexicon/affected", methods=["GET"])
@lexicon.response(200, AffectedSchema)
@lexicon.doc(responses=error_responses(CacheError))
def affected() -> dict[str, Any]:
    """List the kept phrases that are said differently by now, for whatever reason. A full cache takes seconds."""
    return _listed(affected_phrases(service().frontend, service().catalogue))
