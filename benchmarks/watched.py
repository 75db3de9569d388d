"""Monica's gunicorn.conf.py with a look inside, for `gunicorn -c python:benchmarks.watched`.

It reads two environment variables, neither of which is a setting of Monica:
WATCH             the file that benchmarks.watch writes.
SWITCH_INTERVAL   seconds for sys.setswitchinterval in the worker.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

exec(Path("gunicorn.conf.py").read_text())

_start = globals()["post_fork"]


def post_fork(server: Arbiter, worker: Worker) -> None:
    from benchmarks import watch

    if "SWITCH_INTERVAL" in os.environ:
        sys.setswitchinterval(float(os.environ["SWITCH_INTERVAL"]))
    if "WATCH" in os.environ:
        watch.install(watch.Watch(Path(os.environ["WATCH"])))
    _start(server, worker)
