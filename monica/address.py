"""The address that gunicorn binds."""

from __future__ import annotations

import os
import socket

from monica.errors import ConfigError


def bind_address(host: str, port: int) -> str:
    """Return what gunicorn is to bind: `192.0.2.1:8080`, or `[::1]:8080`.

    host: a name or an address, with or without the brackets that URLs put around IPv6. A name that has IPv4 addresses
    stands for the first of them, because clients of `localhost` expect 127.0.0.1. `::` is every interface, for IPv4
    too wherever the system allows it.
    Raises ConfigError with one line if the name does not resolve, or the address is not one of this machine. gunicorn
    itself ends with a traceback on the one, and tries the other again for five seconds without naming the setting.
    """
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that is empty, or longer than 63 characters
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"HOST={host!r} does not resolve to an address: {reason}.") from error
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address[0], 0, *address[2:]))  # any port: gunicorn finds out itself if PORT is taken
    except OSError as error:
        raise ConfigError(
            f"HOST={host!r} is not an address of this machine: {os.strerror(error.errno or 0)}."
        ) from error
    return f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"
