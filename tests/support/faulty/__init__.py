"""Faults of the engine in a real Monica, which a test switches on and off while she runs.

`with Server(folder, settings | faults.settings)` starts her with the project's own gunicorn.conf.py, and an espeak-ng
that looks before each of its steps which faults are on:

slow       a take that is begun meanwhile needs fifty steps of 20 ms before it is said
held       no take ends; steps come back, so that takes can still be dropped
stuck      a step does not come back
broken     a step raises what no engine should
silent     what is said cannot be heard
piecewise  a stream that is begun meanwhile comes in twenty pieces, one every 20 ms
torn       a stream that comes in pieces fails after some of them

Those that are on at the start keep Monica from being ready: her warm-up is a take like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Faults:
    """folder: an empty one of its own; a file in it is a fault that is on.

    stuck_s: seconds after which a step counts as stuck for ever, instead of monica.synthesis.health's.
    unread_s: after which a client that reads nothing of its answer is given up, instead of monica.worker's.
    """

    def __init__(self, folder: Path, stuck_s: float | None = None, unread_s: int | None = None) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.settings = {"GUNICORN_CMD_ARGS": "-c tests/support/faulty/config.py", "FAULTS": str(folder)}
        if stuck_s is not None:
            self.settings["FAULTS_STUCK_S"] = str(stuck_s)
        if unread_s is not None:
            self.settings["FAULTS_UNREAD_S"] = str(unread_s)

    def switch(self, fault: str, *, on: bool) -> None:
        if on:
            (self._folder / fault).touch()
        else:
            (self._folder / fault).unlink(missing_ok=True)

    @contextmanager
    def on(self, fault: str) -> Iterator[None]:
        """Switch a fault on for a while."""
        self.switch(fault, on=True)
        try:
            yield
        finally:
            self.switch(fault, on=False)
