"""The session of a person who has given the key on one of Monica's pages. It is a cookie, and nothing is stored here.

A session is a time at which it ends, and a proof that it was made with the key: another key ends all sessions. The
gunicorn worker and the HTTP side both check it.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from http.cookies import CookieError, SimpleCookie

SESSION_COOKIE = "monica_session"
CSRF_HEADER = "X-CSRF-Token"
LIFETIME_S = 7 * 24 * 3600
"""A session outlasts a festival, so that no one is asked for the key in the middle of an evening."""


def open_session(key: str) -> str:
    """Return the value of the cookie."""
    ends = str(int(time.time()) + LIFETIME_S)
    return f"{ends}.{_prove(key, 'session', ends)}"


def is_session(value: str, key: str) -> bool:
    """Whether the value of a cookie is a session that has not ended. It may be anything."""
    ends, _, proof = value.partition(".")
    if not (ends.isascii() and ends.isdecimal() and len(ends) < 13) or int(ends) < time.time():
        return False
    return hmac.compare_digest(_prove(key, "session", ends).encode(), proof.encode())


def csrf_token(session: str, key: str) -> str:
    """Return what a page of Monica sends with every change, and what no other page knows."""
    return _prove(key, "csrf", session)


def session_of(cookies: str) -> str:
    """Return the session in a Cookie header; an empty string if there is none."""
    try:
        found = SimpleCookie(cookies).get(SESSION_COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _prove(key: str, purpose: str, text: str) -> str:
    return hmac.new(key.encode(), f"{purpose} {text}".encode(), hashlib.sha256).hexdigest()
