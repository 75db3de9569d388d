"""What shows that a request comes from this machine: its address, and a token that only Monica's own user can read.

The token, a file in the cache folder, proves what an address cannot. A bare `proxy_pass` makes every client of the
proxy look like this machine, and every user of this machine has its address. A new secret per start was rejected: a
script that runs across a restart would be refused for no reason that it could see.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import stat
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

TOKEN_NAME = "token"  # noqa: S105 - the name of the file
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

logger = logging.getLogger(__name__)


def is_loopback(name: str) -> bool:
    """Whether this is an address of loopback, or `localhost`."""
    if name.lower() == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def read_token(folder: Path) -> str | None:
    """Return the token in a cache folder; None if there is none that this user may read and no one else."""
    try:
        handle = os.open(folder / TOKEN_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
                return None
            found = file.read(100).decode("ascii").strip()
    except (OSError, ValueError):
        return None
    return found if _TOKEN.fullmatch(found) else None


def ensure_token(folder: Path) -> str | None:
    """Return the token in a cache folder, making one if there is none that can be trusted.

    None if it cannot be written; the log says why. One that others can read is replaced: they may have read it.
    """
    token = read_token(folder)
    if token is not None:
        return token
    part = folder / f"{TOKEN_NAME}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32))
        part.replace(folder / TOKEN_NAME)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        logger.warning("the token of this machine cannot be written, so nothing can be changed (%s)", error)
        return None
    return read_token(folder)  # not what was written: of two processes that start together, the second one's stays
