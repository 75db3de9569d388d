"""Authentication. With an API key set, changes need the key. Without one, only this machine may change anything.

The proof of being this machine is the token in the cache folder (`monica.this_machine`). The address is checked too, so
that a token that has been copied, with a backup for instance, opens nothing from elsewhere.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Any

from apispec import BasePlugin
from flask import Flask, request

from monica.admission import KEY_HEADER, carries_key
from monica.api.current import service
from monica.api.errors import describe_codes, describe_response
from monica.errors import Forbidden, MonicaError, Unauthorized
from monica.session import CSRF_HEADER, SESSION_COOKIE, csrf_token, is_session
from monica.this_machine import ensure_token, is_loopback

READING = ("get", "head")
SPEAKING = ("tts", "openai", "text", "players")
"""Blueprints that only speak. Without a key, anyone may use them."""
PRIVATE = ("phrases", "takes", "review", "bundles", "lexicon", "players", "antenna", "events", "clock", "books")
"""Blueprints whose GETs need the same permission as other methods: neither kept phrases nor names are public, nor what
is about to be announced, and to speak costs as much by GET as by POST."""
PAGES = "pages"
"""The blueprint of the pages for people. What they show comes from the other blueprints."""
HEALTH, LIVE = "/health", "/health/live"

SECURITY_SCHEMES = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "MONICA_API_KEY if it is set, else the token of this machine.",
    },
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "The same."},
}
FORWARDED = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Prefix",
    "X-Real-IP",
    "Via",
)
"""Headers that reveal a proxy. Every client of a proxy on this machine would otherwise look like this machine."""
_ERROR_REF = {"$ref": "#/components/schemas/Error"}


def register(app: Flask) -> None:
    """Check every request before any of it is read, so that no endpoint can forget to."""
    app.before_request(_check_access)


class Guards(BasePlugin):
    """Adds the access rules to the OpenAPI document."""

    def operation_helper(self, path: str | None = None, operations: dict[str, Any] | None = None, **_: object) -> None:
        if path == LIVE:
            return
        for method, operation in (operations or {}).items():
            operation["security"] = [*({scheme: []} for scheme in SECURITY_SCHEMES), {}]
            responses = operation["responses"]
            responses["401"] = _describe(Unauthorized)
            if _is_guarded(operation["tags"][0], method) and operation["tags"][0] not in SPEAKING:
                responses.setdefault("403", _describe(Forbidden))


def _describe(error: type[MonicaError]) -> dict[str, Any]:
    # A reference, not ErrorSchema: this runs after apispec's marshmallow plugin has resolved the schemas.
    return describe_response(describe_codes(error), _ERROR_REF)


def secret() -> str | None:
    """Return what proves that a client may change something: the API key, or else the token of this machine.

    None if that token cannot be written.
    """
    settings = service().settings
    return settings.api_key or ensure_token(settings.cache_dir)


def session_from_here() -> str | None:
    """Return the session of the current request, if it is open and may be used from where the request comes."""
    key = secret()
    session = request.cookies.get(SESSION_COOKIE, "")
    if key is None or not is_session(session, key):
        return None
    return session if service().settings.api_key is not None or _is_local() else None


def _check_access() -> None:
    """Raise Unauthorized or Forbidden unless the current request is allowed."""
    if request.blueprint == PAGES:
        return  # the pages ask for the key themselves
    settings = service().settings
    guarded = request.url_rule is not None and _is_guarded(request.blueprint, request.method)
    if settings.api_key is not None:
        if guarded or (settings.api_key_scope == "all" and not _is_health_check()):
            _check_key(settings.api_key)
    elif guarded and request.blueprint not in SPEAKING:
        _check_this_machine()


def require_change() -> None:
    """Raise Unauthorized or Forbidden unless the current request may change something, although it may speak."""
    key = service().settings.api_key
    if key is not None:
        _check_key(key)
    else:
        _check_this_machine()


def _is_guarded(blueprint: str | None, method: str) -> bool:
    return method.lower() not in READING or blueprint in PRIVATE


def _is_health_check() -> bool:
    """Whether this may be the health check of a supervisor that restarts Monica. It has no key."""
    return request.path == LIVE or (request.path == HEALTH and _is_local())


def _check_key(key: str) -> None:
    if not _carries(key):
        raise Unauthorized(f"This needs the API key: Authorization: Bearer MONICA_API_KEY, or {KEY_HEADER}.")


def _check_this_machine() -> None:
    if not _is_local():
        raise Forbidden("Without MONICA_API_KEY only the machine itself may do this.")
    token = ensure_token(service().settings.cache_dir)
    if token is None:
        raise Forbidden("Without MONICA_API_KEY this needs the token of this machine, which cannot be written.")
    if not _carries(token):
        raise Forbidden(
            "Without MONICA_API_KEY this needs the token of this machine: "
            'Authorization: Bearer $(cat "$MONICA_CACHE_DIR/token"). Her log names the folder.'
        )


def _carries(key: str) -> bool:
    if carries_key(request.headers.get("Authorization", ""), request.headers.get(KEY_HEADER), key):
        return True
    return _carries_session(key)


def _carries_session(key: str) -> bool:
    """Whether the request comes from one of Monica's own pages, where someone has given the key."""
    session = request.cookies.get(SESSION_COOKIE, "")
    if not is_session(session, key):
        return False
    if request.method.lower() in READING:
        return True
    # The cookie alone is no proof: the browser sends it whichever page asks. Only Monica's pages know the token, and
    # the browser says which page it is.
    origin = request.headers.get("Origin")
    # A proxy may pass the host on without its port.
    if origin is not None and _host_name(origin.rpartition("/")[2]) != _host_name(request.host):
        return False
    return compare_digest(csrf_token(session, key).encode(), request.headers.get(CSRF_HEADER, "").encode())


def _is_local() -> bool:
    """Whether the request comes from this machine and names it as such.

    The name matters: a web page may resolve its own name to this machine's address (DNS rebinding).
    """
    if any(name in request.headers for name in FORWARDED):
        return False
    # Any web page that is open in a browser on this machine may post here, but the browser names the page's origin.
    origin = request.headers.get("Origin")
    if origin is not None and not is_loopback(_host_name(origin.rpartition("/")[2])):
        return False
    return is_loopback(request.remote_addr or "") and is_loopback(_host_name(request.host))


def _host_name(host: str) -> str:
    """Return the host in a Host header, without the port."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
