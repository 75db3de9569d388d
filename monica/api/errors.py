"""Errors over HTTP: one handler and one JSON shape for all of them, and their description in the OpenAPI document."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from monica.api.schemas import ErrorSchema
from monica.errors import MonicaError

logger = logging.getLogger(__name__)


class MalformedRequest(MonicaError):
    """The request cannot be read."""

    status, code = 400, "request_invalid"


class NotFound(MonicaError):
    """There is nothing at this path."""

    status, code = 404, "not_found"


class MethodNotAllowed(MonicaError):
    """This path does not answer to this method."""

    status, code = 405, "method_not_allowed"


class BodyTooLarge(MonicaError):
    """The body is too large."""

    status, code = 413, "body_too_large"


class RangeUnsatisfiable(MonicaError):
    """It is shorter than the beginning of the Range; `Content-Range` gives its length."""

    status, code = 416, "range_unsatisfiable"


_FRAMEWORK = {
    error.status: error for error in (MalformedRequest, NotFound, MethodNotAllowed, BodyTooLarge, RangeUnsatisfiable)
}
"""What Flask and Werkzeug raise themselves, by status. A status that is not listed here is answered as `http_error`."""


RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to try again."}}
"""The header of every error 503, for the OpenAPI document."""


def error_responses(*errors: type[MonicaError], **notes: str) -> dict[str, Any]:
    """Describe the errors of an operation for the OpenAPI document. Returns responses by status.

    notes: what a code means for this operation, by code, if that is more specific than its class.
    """
    descriptions: dict[int, list[str]] = {}
    for error in dict.fromkeys(errors):
        descriptions.setdefault(error.status, []).append(describe_codes(error, **notes))
    found = {str(status): describe_response(" ".join(parts), ErrorSchema) for status, parts in descriptions.items()}
    if "503" in found:
        found["503"]["headers"] = RETRY_AFTER
    return found


def describe_response(description: str, schema: object) -> dict[str, Any]:
    """Return an OpenAPI response whose body is an error. schema: ErrorSchema, or a reference to it."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def describe_codes(error: type[MonicaError], **notes: str) -> str:
    """Return the codes of an error class and what each means, in Markdown."""
    return " ".join(f"`{code}`: {notes.get(code, meaning)}" for code, meaning in error.described_codes().items())


def error_response(status: int, code: str, message: str, param: str | None = None) -> Response:
    response = jsonify({"error": {"code": code, "message": message, "param": param}})
    response.status_code = status
    return response


def register(app: Flask) -> None:
    @app.errorhandler(MonicaError)
    def monica_error(error: MonicaError) -> Response:
        response = error_response(error.status, error.code, error.message, error.param)
        if error.status == 503:
            response.headers["Retry-After"] = str(error.retry_after or 5)
        if error.status == 415:
            response.headers["Accept-Encoding"] = "gzip"  # RFC 7694
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.errorhandler(HTTPException)
    def framework_error(error: HTTPException) -> Response:
        status = error.code or 500
        known = _FRAMEWORK.get(status)
        code, message = next(iter(known.described_codes().items())) if known else ("http_error", f"{error.name}.")
        if known is BodyTooLarge:
            message = f"The body is larger than {(request.max_content_length or 0) // 1024} KiB."
        response = error_response(status, code, message)
        for name, value in error.get_headers():
            if name in ("Allow", "Content-Range"):
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def unexpected_error(error: Exception) -> Response:
        logger.error("unexpected error", exc_info=error)
        return error_response(500, "internal", "Monica failed on this request; her log says why.")
