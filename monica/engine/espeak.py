"""The engine of last resort: espeak-ng in a process of its own. It needs no GPU, no download and no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monica.child_process import ProcessDied, Refusal
from monica.config import Settings
from monica.engine.espeak_ipa import write_for_espeak
from monica.engine.espeak_library import library_files, voice_name
from monica.engine.french_ipa import check_ipa
from monica.engine.registry import EngineSpec, Finding
from monica.engine.sentence_engine import Progress, SentenceEngine, examine_by_speaking
from monica.engine.speaking_process import SpeakingProcess
from monica.errors import ConfigError, ModelUnavailable

PART = Path(__file__).with_name("espeak_child.py")
MAX_WAIT_S = 30.0
PACE = 140
"""Words per minute: 18 characters a second in French, as an announcer speaks. The library's own 175 are 23."""
VARIANT = "m1"
"""The variant of a voice that a recogniser understood best of seven at this pace. It understands none of them well: a
third of the characters are wrong (`make bench-voices`)."""


class EspeakEngine(SentenceEngine):
    """espeak-ng at its native sample rate."""

    name = "espeak"
    title = "espeak-ng"
    sample_rate = 0
    """Known once it is loaded."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._language = settings.language
        self._version = ""
        arguments = [*library_files(), voice_name(settings.language, VARIANT), str(PACE)]
        self._process = SpeakingProcess(self.title, PART, arguments, MAX_WAIT_S)

    @property
    def model(self) -> str:
        return f"espeak-ng {self._version}"

    @property
    def fingerprint(self) -> str:
        return f"espeak {self._version} {self._language} {VARIANT} {PACE}"

    @property
    def pid(self) -> int | None:
        """The id of its process; None while there is none."""
        return self._process.pid

    def load(self) -> None:
        """Start the process, and ask it which library it has."""
        try:
            rate, _, self._version = self._process.ask("").decode().partition(" ")
        except Refusal as error:
            raise ConfigError(f"espeak-ng cannot speak {self._language} here ({error}).") from None
        except ProcessDied as error:
            raise ModelUnavailable(f"espeak-ng's process does not start: {error}.") from error
        self.sample_rate = int(rate)

    def _cut(self, text: str, stream: bool) -> list[str]:
        """Leave the text in one piece: the whole of it is ready before its first chunk could be sent."""
        return [text]

    def _say_next(self, progress: Progress) -> NDArray[np.float32]:
        """Speak the text from beginning to end, which takes milliseconds.

        espeak-ng has one voice and no sampling: voice and seed change nothing, and equal texts give equal samples.
        """
        return self._say(progress.pieces.pop(0))

    def _say(self, text: str) -> NDArray[np.float32]:
        written = write_for_espeak(text)
        samples = self._process.say(written) if written else np.empty(0, np.int16)  # else it tells its version
        if not samples.any():
            raise self._nothing_to_say()
        return samples.astype(np.float32) / 32768.0


def make_engine(settings: Settings) -> EspeakEngine:
    return EspeakEngine(settings)


def examine(settings: Settings) -> Iterator[Finding]:
    """Speak a word."""
    return examine_by_speaking("espeak", lambda: make_engine(settings))


SPEC = EngineSpec(
    name="espeak",
    title="espeak-ng",
    make=make_engine,
    examine=examine,
    work_per_sound={"cpu": 0.02},
    check_ipa=check_ipa,
)
