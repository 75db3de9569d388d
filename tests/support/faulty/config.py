"""The project's gunicorn.conf.py, with an engine that has the faults listed in tests/support/faulty/__init__.py."""

from __future__ import annotations

from pathlib import Path

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

exec(Path("gunicorn.conf.py").read_text())

_start = globals()["post_fork"]


def post_fork(server: Arbiter, worker: Worker) -> None:
    from tests.support.faulty import engine

    engine.install()
    _start(server, worker)
