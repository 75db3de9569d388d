"""The pages for the people at the venue, in French: the régie, the room's speaker, and the question for the key."""

from __future__ import annotations

import hmac
from pathlib import Path

from flask import Blueprint, Response, redirect, render_template, request, url_for

import monica
from monica.api.auth import secret, session_from_here
from monica.errors import Forbidden
from monica.session import LIFETIME_S, SESSION_COOKIE, csrf_token, open_session

FOLDER = Path(monica.__file__).parent / "pages"
MAX_KEY_BYTES = 4096
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

pages = Blueprint(
    "pages",
    __name__,
    template_folder=str(FOLDER / "templates"),
    static_folder=str(FOLDER / "static"),
    static_url_path="/pages",
)


@pages.after_request
def protect(response: Response) -> Response:
    """Let a page load nothing from elsewhere, and be shown in no other page."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if response.mimetype == "text/html":
        response.headers["Cache-Control"] = "no-store"
    return response


@pages.get("/")
def regie() -> Response:
    """Show the page that the evening is run from."""
    return _page("regie.html")


@pages.get("/salle")
def salle() -> Response:
    """Show the page that plays what is on air."""
    return _page("salle.html")


@pages.post("/session")
def begin() -> Response:
    """Open a session for whoever has the key."""
    request.max_content_length = MAX_KEY_BYTES
    key, back = secret(), request.form.get("page", "regie")
    given = request.form.get("cle", "").strip()
    if key is None or not hmac.compare_digest(given.encode(), key.encode()):
        return Response(render_template("cle.html", page=back, wrong=True), status=403)
    response = _redirect(back)
    secure = request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"
    response.set_cookie(
        SESSION_COOKIE, open_session(key), max_age=LIFETIME_S, httponly=True, samesite="Strict", secure=secure
    )
    return response


@pages.post("/session/fin")
def end() -> Response:
    """Close the session of this browser."""
    response = _redirect("regie")
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="Strict")
    return response


def _page(template: str) -> Response:
    session, key = session_from_here(), secret()
    if key is None:
        raise Forbidden("Without MONICA_API_KEY this needs the token of this machine, which cannot be written.")
    if session is None:
        page = template.removesuffix(".html")
        return Response(render_template("cle.html", page=page, wrong=False), status=401)
    return Response(render_template(template, csrf=csrf_token(session, key)))


def _redirect(page: str) -> Response:
    target = url_for("pages.salle" if page == "salle" else "pages.regie")
    return Response(status=303, headers={"Location": redirect(target).headers["Location"]})
