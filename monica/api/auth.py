"""Who may change what is kept: whoever has the API key; where none is set, this machine alone."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from flask import current_app, request

from monica.errors import Forbidden, Unauthorized

SCHEME = "apiKey"
SECURITY: list[dict[str, list[str]]] = [{SCHEME: []}, {}]
"""Of an operation, for the OpenAPI document: with the key, or from this machine without one."""
SECURITY_SCHEMES = {
    SCHEME: {"type": "http", "scheme": "bearer", "description": "MONICA_API_KEY; where it is not set: loopback alone."}
}
ERRORS = {"401": "unauthorized", "403": "forbidden"}

# Whoever is behind a proxy on this machine seems to be this machine.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")


def check() -> None:
    """Let the request go on only where it may. Raises Unauthorized or Forbidden."""
    key: str | None = current_app.extensions["announcer"].settings.api_key
    if key is None:
        if not _is_local():
            raise Forbidden("Without MONICA_API_KEY only the machine itself may do this.")
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # A header is bytes that WSGI reads as Latin-1; compared as bytes, in constant time, whatever they are.
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), key.encode()):
        raise Unauthorized("This needs the API key: Authorization: Bearer MONICA_API_KEY.")


def _is_local() -> bool:
    """Tell whether this machine asks, by a name of its own: a web page may have given its name our address."""
    if any(name in request.headers for name in FORWARDED):
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
