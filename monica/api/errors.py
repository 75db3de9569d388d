"""The one handler: whatever goes wrong on any path leaves as one JSON shape."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from monica.errors import MonicaError

logger = logging.getLogger(__name__)

# What the framework itself raises, in the words of the contract.
_FRAMEWORK = {
    400: ("request_invalid", "The request cannot be read."),
    404: ("not_found", "There is nothing at this path."),
    405: ("method_not_allowed", "This path does not answer to this method."),
    413: ("body_too_large", "The body is too large."),
}


def respond(status: int, code: str, message: str, param: str | None = None) -> Response:
    response = jsonify({"error": {"code": code, "message": message, "param": param}})
    response.status_code = status
    return response


def register(app: Flask) -> None:
    @app.errorhandler(MonicaError)
    def monica_error(error: MonicaError) -> Response:
        response = respond(error.status, error.code, error.message, error.param)
        if error.status == 503:
            response.headers["Retry-After"] = str(error.retry_after or 5)
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.errorhandler(HTTPException)
    def framework_error(error: HTTPException) -> Response:
        status = error.code or 500
        code, message = _FRAMEWORK.get(status, ("http_error", f"{error.name}."))
        if status == 413:
            message = f"The body is larger than {(request.max_content_length or 0) // 1024} KiB."
        response = respond(status, code, message)
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        logger.error("an error nobody foresaw", exc_info=error)
        return respond(500, "internal", "Monica failed on this request; her log says why.")
