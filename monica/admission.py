"""What a request must satisfy before it is given to the application.

The gunicorn worker and the HTTP side both apply it. It is in neither, so that gunicorn's master, which imports the
worker's class, imports no Flask and no numpy.
"""

from __future__ import annotations

import hmac

MAX_BODY_BYTES = 64 * 1024
"""Upper bound on a body, unless an endpoint sets its own."""
KEY_HEADER = "X-API-Key"
SUBSCRIPTION = "monica.subscription"
"""Where an application leaves, in the environ of a request, the `Subscription` that its answer consists of. The worker
then sends the events, and the thread that answered is free."""


def carries_key(authorization: str, key_header: str | None, key: str) -> bool:
    """Whether a request carries the API key. Both headers are decoded as Latin-1.

    Either will do: a proxy with a password of its own occupies Authorization.
    """
    scheme, _, given = authorization.partition(" ")
    sent = [given] if scheme.lower() == "bearer" else []
    if key_header is not None:
        sent.append(key_header)
    # WSGI decodes header bytes as Latin-1. Encoded again, any bytes can be compared in constant time.
    return any(hmac.compare_digest(each.strip().encode("latin-1"), key.encode()) for each in sent)
