"""Monica's gunicorn.conf.py with a wall clock that the siege moves, for `gunicorn -c python:benchmarks.siege.clock`.

The clock is moved where Python reads it. libfaketime was tried and rejected: version 0.9.10 breaks `time.sleep` of
Python 3.11, which sleeps until an absolute time, so that everything fails and nothing is learned.

SIEGE_CLOCK: the file with the offset from the true time, in seconds.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

LOOK_EVERY_S = 0.2

_time, _file = time.time, Path(os.environ["SIEGE_CLOCK"])
_next_look, _offset = 0.0, 0.0


def moved() -> float:
    """Return the moved time."""
    global _next_look, _offset
    now = time.monotonic()
    if now >= _next_look:
        _next_look, _offset = now + LOOK_EVERY_S, float(_file.read_text())
    return _time() + _offset


time.time = moved

exec(Path("gunicorn.conf.py").read_text())
