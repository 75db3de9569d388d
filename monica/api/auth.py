"""Who may do what: where a key is set, whoever has it; where none is, this machine alone changes what is kept."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import Any

from apispec import BasePlugin
from flask import Flask, request

from monica.api.current import service
from monica.errors import Forbidden, Unauthorized

READING = ("get", "head")
SPEAKING = ("tts", "openai", "text")
"""Blueprints that change nothing but by speaking: where no key is set, anyone may post to them."""
PRIVATE = ("phrases", "bundles")
"""Blueprints that are read by those alone who may change what they show: what is said here is not for everyone."""
HEALTH, LIVE = "/health", "/health/live"

SCHEME = "apiKey"
SECURITY_SCHEMES = {
    SCHEME: {"type": "http", "scheme": "bearer", "description": "MONICA_API_KEY, where it is set."},
}
# Whoever is behind a proxy on this machine seems to be this machine.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")


def register(app: Flask) -> None:
    """Have every request checked before anything of it is read: no endpoint has to think of it."""
    app.before_request(_admit)


class Guards(BasePlugin):
    """Tells the OpenAPI document what a request is checked for."""

    def operation_helper(self, path: str | None = None, operations: dict[str, Any] | None = None, **_: object) -> None:
        if path == LIVE:
            return
        for method, operation in (operations or {}).items():
            operation["security"] = [{SCHEME: []}, {}]
            responses = operation["responses"]
            responses["401"] = _error("unauthorized")
            if _is_guarded(operation["tags"][0], method) and operation["tags"][0] not in SPEAKING:
                responses.setdefault("403", _error("forbidden: no key is set, and this is not the machine itself"))


def _error(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _admit() -> None:
    """Let the request go on only where it may. Raises Unauthorized or Forbidden."""
    settings = service().settings
    guarded = request.url_rule is not None and _is_guarded(request.blueprint, request.method)
    if settings.api_key is not None:
        if guarded or (settings.api_key_scope == "all" and not _is_watching()):
            _check(settings.api_key)
    elif guarded and request.blueprint not in SPEAKING and not _is_local():
        raise Forbidden("Without MONICA_API_KEY only the machine itself may do this.")


def _is_guarded(blueprint: str | None, method: str) -> bool:
    return method.lower() not in READING or blueprint in PRIVATE


def _is_watching() -> bool:
    """Tell whether it is someone who restarts Monica when she is ill: he has no key."""
    return request.path == LIVE or (request.path == HEALTH and _is_local())


def _check(key: str) -> None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # A header is bytes that WSGI reads as Latin-1; compared as bytes, in constant time, whatever they are.
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), key.encode()):
        raise Unauthorized("This needs the API key: Authorization: Bearer MONICA_API_KEY.")


def _is_local() -> bool:
    """Tell whether this machine asks, by a name of its own: a web page may have given its name our address."""
    if any(name in request.headers for name in FORWARDED):
        return False
    # Any web page that is open on this machine may post here, but a browser tells whose page it is.
    origin = request.headers.get("Origin")
    if origin is not None and not _is_loopback(_host_name(origin.rpartition("/")[2])):
        return False
    return _is_loopback(request.remote_addr or "") and _is_loopback(_host_name(request.host))


def _host_name(host: str) -> str:
    """Return the name of a Host header, without the port."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
