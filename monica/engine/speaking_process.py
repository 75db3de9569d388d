"""A process that speaks, as its engine sees it: a text goes in, samples come out. If it dies or hangs, it is replaced.

Some libraries are not safe to have in a server: they hang, give other samples for the same text, or take more memory
with each. In a process of their own, which forks for each text, they can do none of that to Monica.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monica.child_process import ChildProcess, ProcessDied, Refusal
from monica.errors import SynthesisFailed

CHILD = Path(__file__).with_name("speaking_child.py")
MAX_SOUND = 2**28
"""Upper bound on the bytes of an answer: an hour and a half of sound. No text comes near it."""


class SpeakingProcess:
    """One process that says one text at a time. Any thread may call it. It is started when it is first needed."""

    def __init__(self, title: str, part: Path, arguments: Sequence[str], max_wait_s: float) -> None:
        """title: of the engine. part, arguments: see speaking_child.

        max_wait_s: how long an answer may take. A hang ends by itself, after its processor time; this is for a process
        that is stopped, or on a machine that gives it no time.
        """
        self._title = title
        self.max_wait_s = max_wait_s
        self._child = ChildProcess(title, [sys.executable, "-I", "-S", str(CHILD), str(part), *arguments], MAX_SOUND)

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is no process."""
        return self._child.pid

    def ask(self, text: str) -> bytes:
        """Return the answer to a text. Raises Refusal with the engine's error, or ProcessDied."""
        return self._child.ask(text.encode(), self.max_wait_s)

    def say(self, text: str) -> NDArray[np.int16]:
        """Return the samples of a text: (N,) at the engine's rate.

        If the process dies on it, or is found dead, another one is given the text once more. Raises SynthesisFailed if
        that one dies too, or if the engine reports an error.
        """
        try:
            return np.frombuffer(self.ask(text), np.int16)
        except Refusal as error:
            raise SynthesisFailed(f"{self._title} cannot say this text ({error}).") from None
        except ProcessDied as error:
            raise SynthesisFailed(f"{self._title} cannot say this text: {error}.") from error
