"""What the engines without a GPU have in common: each step says one piece of the oldest text, from beginning to end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monica import metrics
from monica.engine import Engine, SynthesisParams, Utterance, speak
from monica.engine.registry import Finding
from monica.errors import ConfigError, InvalidText, MonicaError, SynthesisFailed


@dataclass(slots=True)
class Progress:
    """What is left of an utterance, and what has been said of it."""

    pieces: list[str]
    voice: str
    seed: int
    stream: bool
    said: list[NDArray[np.float32]] = field(default_factory=list)


class SentenceEngine(ABC):
    """An Engine that is given a text in pieces, such as sentences. A stream hands out the sound of each piece."""

    name: str
    title: str
    """Its name in messages to people."""
    device = "cpu"
    clones = False
    slots = 1

    def __init__(self) -> None:
        self._running: dict[Utterance, Progress] = {}
        self._paused: dict[Utterance, Progress] = {}

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        """Start an utterance. None of these engines samples anything that params could change."""
        utterance = Utterance()
        pieces = self._cut(text, stream)
        if not pieces:
            utterance.error = self._nothing_to_say()
        self._running[utterance] = Progress(pieces, voice, seed, stream)
        return utterance

    def step(self) -> None:
        """Say the next piece of the oldest running text."""
        for utterance, progress in self._running.items():
            if utterance.done:
                continue
            try:
                self._advance(utterance, progress)
            except (SynthesisFailed, InvalidText) as error:
                utterance.error = error
            return

    def pause(self, utterance: Utterance) -> None:
        self._paused[utterance] = self._running.pop(utterance)
        utterance.paused = True

    def resume(self, utterance: Utterance) -> None:
        self._running[utterance] = self._paused.pop(utterance)
        utterance.paused = False

    def drop(self, utterance: Utterance) -> None:
        self._running.pop(utterance, None)
        self._paused.pop(utterance, None)

    @abstractmethod
    def _cut(self, text: str, stream: bool) -> list[str]:
        """Cut a prepared text into pieces; none if it has nothing to say. stream: into short ones."""

    @abstractmethod
    def _say_next(self, progress: Progress) -> NDArray[np.float32] | None:
        """Take the next piece off, and return its samples: (N,). None if smaller pieces were put in its place.

        Raises SynthesisFailed or InvalidText.
        """

    def _advance(self, utterance: Utterance, progress: Progress) -> None:
        with metrics.stage_duration.labels(self.name).time():
            samples = self._say_next(progress)
        if samples is None:
            return
        progress.said.append(samples)
        if progress.stream and len(samples):
            utterance.chunks.append(samples)
        if not progress.pieces:
            whole = np.concatenate(progress.said)
            if whole.any():
                utterance.samples = whole
            else:
                utterance.error = self._nothing_to_say()

    def _nothing_to_say(self) -> InvalidText:
        return InvalidText(f"The text has nothing to say that {self.title} knows how to say.", param="text")


def examine_by_speaking(
    name: str, make: Callable[[], Engine], advice: str = "Install again: make install"
) -> Iterator[Finding]:
    """Check an engine for `monica doctor`: have it speak a word. advice: what to do if it cannot."""
    try:
        engine = make()
        engine.load()
        samples = speak(engine, "Bonjour.", voice="", params=SynthesisParams(), seed=0)
    except (ConfigError, MonicaError, OSError) as error:
        yield Finding(name, False, str(error), advice)
    else:
        yield Finding(name, True, f"{engine.model} says « Bonjour » in {len(samples) / engine.sample_rate:.2f} s")
