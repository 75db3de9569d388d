"""POST /v1/text: shows how Monica says a text, without speaking it."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import request

from monica.api.current import service
from monica.api.schemas import SpelledSchema, TextSchema, error_responses, parse_text, read_body

text = flask_smorest.Blueprint("text", __name__, description="Text")

_RESPONSES = error_responses(
    {
        "400": "text_empty, text_too_long",
        "408": "request_timeout",
        "413": "body_too_large",
        "422": "json_invalid, request_invalid",
    }
)


@text.route("/v1/text", methods=["POST"])
@text.response(200, SpelledSchema)
@text.doc(requestBody={"required": True, "content": {"application/json": {"schema": TextSchema}}}, responses=_RESPONSES)
def prepare() -> dict[str, Any]:
    """Show how a text is said: in words, sentence by sentence, and which rules changed it."""
    return service().frontend.prepare(parse_text(read_body(request))).as_dict()
