"""Pico's process as Monica sees it: a text goes in, samples come out, and it is replaced if it dies or hangs.

The library is not safe to have in a server: a word of 150 letters keeps it computing for ever, and two threads in it
give wrong samples. In a process of its own it can do neither to Monica.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monica.child_process import ChildProcess, ProcessDied, Refusal
from monica.errors import SynthesisFailed

CHILD = Path(__file__).with_name("child.py")
MAX_WAIT_S = 10.0
"""How long an answer may take. A hang ends after CPU_SECONDS of processor time by itself; this is for a process that is
stopped, or on a machine that gives it no time."""
MAX_SOUND = 2**26
"""Upper bound on the bytes of an answer: half an hour of sound. No piece of a text comes near it."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The files of the package py-nanotts."""

    library: Path
    lingware: Path


def find_installation() -> Installation | None:
    """Find the package without importing it, which would load the library into this process. None if it is missing."""
    spec = importlib.util.find_spec("py_nanotts")
    for folder in (spec and spec.submodule_search_locations) or ():
        library = next(iter(sorted(Path(folder).glob("_nanotts*.so"))), None)
        if library is not None:
            return Installation(library, Path(folder) / "lang")
    return None


class PicoProcess:
    """One process that says one text at a time. Any thread may call it. voice: Pico's name of a language, `fr-FR`."""

    def __init__(self, installation: Installation, voice: str) -> None:
        command = [
            sys.executable, "-I", "-S", str(CHILD), str(installation.library), str(installation.lingware), voice,
        ]  # fmt: skip
        self._child = ChildProcess("Pico", command, MAX_SOUND)

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is no process."""
        return self._child.pid

    def say(self, text: str) -> NDArray[np.int16]:
        """Return the samples of a text: (N,) at 16 kHz.

        If the process dies on it, or is found dead, another one is given the text once more. Raises SynthesisFailed if
        that one dies too, or if Pico reports an error.
        """
        try:
            return np.frombuffer(self._child.ask(text.encode(), MAX_WAIT_S), np.int16)
        except Refusal as error:
            raise SynthesisFailed(f"Pico cannot say this text ({error}).") from None
        except ProcessDied as error:
            raise SynthesisFailed(f"Pico cannot say this text: {error}.") from error
