"""Faults of the engine in a real Monica, which a test switches on and off while she runs.

`with Server(folder, settings | faults.settings)` starts her with the project's own gunicorn.conf.py and with an
espeak-ng that checks before each of its steps which faults are on:

slow       a take that begins meanwhile needs fifty steps of 20 ms before it is said
held       no take ends; steps return, so that takes can still be dropped
stuck      a step does not return
broken     a step raises what no engine should raise
lost       loading and steps fail as if the device were lost to the process
silent     the sound is silent
piecewise  a stream that begins meanwhile comes in twenty chunks, one every 20 ms
torn       a stream that comes in chunks fails after some of them

A fault that is on at the start keeps Monica from becoming ready, because her warm-up is a take like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Faults:
    """The switches. A file in `folder`, which must be empty at first, is a fault that is on.

    stuck_s: seconds after which a step counts as stuck forever, instead of the time in monica.synthesis.health.
    unread_s: seconds after which a client that reads nothing of its answer is dropped, and that its pauses may take
        together before its rate counts, instead of the times in monica.serving.answer_socket.
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
