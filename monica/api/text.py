"""POST /v1/text: shows how Monica would say a text, without speaking it."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import request

from monica.api.body import BODY_ERRORS, read_body
from monica.api.current import service
from monica.api.errors import BodyTooLarge, error_responses
from monica.api.schemas import SpelledSchema, TextSchema, parse_text
from monica.errors import InvalidJson, InvalidRequest, InvalidText

text = flask_smorest.Blueprint("text", __name__, description="Text")

_BODY = {"required": True, "content": {"application/json": {"schema": TextSchema}}}
_RESPONSES = error_responses(InvalidText, *BODY_ERRORS, BodyTooLarge, InvalidJson, InvalidRequest)


@text.route("/v1/text", methods=["POST"])
@text.response(200, SpelledSchema)
@text.doc(requestBody=_BODY, responses=_RESPONSES)
def prepare() -> dict[str, Any]:
    """Show how a text would be said: in words, sentence by sentence, and which rules changed it."""
    return service().frontend.prepare(parse_text(read_body(request))).as_dict()
