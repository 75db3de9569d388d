"""How many connections fit into the process's limit of open files."""

from __future__ import annotations

import resource
from contextlib import suppress

UNSERVED = 1000
"""Connections beside those that a thread serves: idle ones, and those whose request is arriving."""
MIN_UNSERVED = 16
PER_THREAD = 8
"""Files that a thread may hold beside its connection: the cache's databases with their logs, a sound, a pipe."""
OTHERS = 64
"""Files of the process as a whole: listeners, logs, the lexicon, the engine's devices."""


def connections_for(threads: int) -> int:
    """Return how many connections may be open at once. Raises the process's soft limit of open files if that helps.

    The usual soft limit, 1024 (256 on macOS), is a relic of select(), which nothing here uses.
    """
    wanted = threads + UNSERVED
    files = OTHERS + PER_THREAD * threads
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + files:
        more = wanted + files if hard == resource.RLIM_INFINITY else min(wanted + files, hard)
        with suppress(OSError, ValueError):  # macOS has another limit below an infinite one
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
            soft = more
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(threads + MIN_UNSERVED, min(wanted, soft - files))
