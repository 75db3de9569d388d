"""Pico's process, and the library's files. The library is never loaded into Monica.

A word of 150 letters keeps it computing for ever, and two threads in it give wrong samples.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from monica.engine.speaking_process import SpeakingProcess

PART = Path(__file__).with_name("child.py")
MAX_WAIT_S = 10.0


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


class PicoProcess(SpeakingProcess):
    """Says texts at 16 kHz. voice: Pico's name of a language, `fr-FR`."""

    def __init__(self, installation: Installation, voice: str) -> None:
        arguments = [str(installation.library), str(installation.lingware), voice]
        super().__init__("Pico", PART, arguments, MAX_WAIT_S)
