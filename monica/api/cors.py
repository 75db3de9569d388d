"""CORS: web pages of other origins may use the API if MONICA_CORS_ORIGINS names them."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

ANY = ("*",)
EXPOSED = (
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Location",
    "Retry-After",
    "X-Audio-Duration",
    "X-Generation-Time",
    "X-Monica-Announcement",
    "X-Monica-Cache",
    "X-Monica-Engine",
    "X-Monica-Left-Out",
    "X-Monica-Phrases",
    "X-Request-Id",
)
"""Headers of answers that a script may read, beside those that it always may."""
PREFLIGHT_AGE = timedelta(hours=1)


def register(app: Flask, origins: tuple[str, ...]) -> None:
    """Let pages of these origins use the API; of any, if it is `ANY`.

    Register it before the access rules: a browser sends a preflight without the key, and the request itself with it.
    """
    from flask_cors import CORS  # here, as most servers do without it

    app.before_request(_answer_preflight)
    CORS(
        app,
        origins=list(origins),
        expose_headers=EXPOSED,
        max_age=PREFLIGHT_AGE,
        # The key comes in a header that the page sets. The cookie of a session is for Monica's own pages.
        supports_credentials=False,
        # By default, an answer to a request without an Origin names all of the origins, which no browser understands.
        # `*` is for everyone, so that a cache may hand it to anyone.
        send_wildcard=True,
        always_send=origins == ANY,
        # A page on the internet may ask this server in a private network: its origin was allowed on purpose.
        allow_private_network=True,
        vary_header=False,
        intercept_exceptions=False,  # every error has an answer, which passes through after_request
    )
    if origins != ANY:
        app.after_request(_vary_by_origin)


def _answer_preflight() -> Response | None:
    """Answer a preflight of a path that exists. flask-cors adds the headers."""
    if request.method != "OPTIONS" or isinstance(request.routing_exception, NotFound):
        return None
    is_preflight = {"Origin", "Access-Control-Request-Method"} <= set(request.headers.keys())
    if not is_preflight:
        return None
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def _vary_by_origin(response: Response) -> Response:
    """Tell caches that the answer depends on the origin, also if it is none that is allowed.

    flask-cors says it in answers to allowed origins only, and not at all if there is one. A cache would then hand what
    it got without the headers to the page that needs them.
    """
    response.vary.add("Origin")
    return response
