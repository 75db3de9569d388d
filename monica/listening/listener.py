"""The listener as Monica sees it: a take and its text go in, what was heard comes out."""

from __future__ import annotations

import json
import os
import sys
from typing import Protocol

from monica.child_process import ChildProcess, ProcessDied, Refusal
from monica.config import Settings
from monica.errors import MonicaError
from monica.listening.heard import Heard
from monica.listening.model import find_model

MAX_WAIT_S = 600.0
"""How long an answer may take, the loading of the model included. A hang ends after its processor time by itself; this
is for a process that is stopped, or gets no time."""
MAX_ANSWER = 2**20
"""Upper bound on the bytes of an answer."""
MAX_THREADS = 4


class ListeningFailed(MonicaError):
    """A take could not be listened to; it may be as good as any."""

    status, code = 500, "listening_failed"


class Ears(Protocol):
    """What hears takes."""

    def hear(self, wav: bytes, text: str) -> Heard:
        """Return what is heard of the sound of a text. Raises ListeningFailed."""

    def close(self) -> None:
        """End what it has started."""


class Listener:
    """Hears one take at a time in a process of its own, which is started when the first one comes.

    If that process is killed, hangs or runs out of memory, another one hears the take once more. Any thread may call
    this.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises ListeningUnavailable."""
        options = {
            "folder": str(find_model(settings)),
            "language": settings.language,
            # Half of the processors: the engine and the requests have the others to themselves.
            "threads": max(1, min(MAX_THREADS, (os.cpu_count() or 1) // 2)),
            "lexicon": str(settings.lexicon) if settings.lexicon else None,
        }
        # -P: a folder that the process is started in must not stand in for a package.
        command = [sys.executable, "-P", "-m", "monica.listening.child", json.dumps(options)]
        self._child = ChildProcess("The listener", command, MAX_ANSWER)

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        return self._child.pid

    def hear(self, wav: bytes, text: str) -> Heard:
        """Return what is heard of a WAV. text: as it was asked for. Raises ListeningFailed."""
        try:
            return Heard.from_json(self._child.ask(json.dumps({"text": text}).encode() + b"\n" + wav, MAX_WAIT_S))
        except Refusal as error:
            raise ListeningFailed(f"This take cannot be listened to ({error}).") from None
        except ProcessDied as error:
            raise ListeningFailed(f"This take cannot be listened to: {error}.") from error

    def close(self) -> None:
        """End the process."""
        self._child.close()
