"""Ears that hear what a damaging engine did, without a recogniser."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monica.audio.wav import wav_duration, wav_pcm
from monica.engine import SynthesisParams, Utterance
from monica.errors import MonicaError
from monica.listening.captions import split_captions
from monica.listening.comparison import compare
from monica.listening.heard import Heard
from monica.listening.words import split_words
from monica.store.hearing import TimedWord
from tests.support.engines import ToyEngine

DAMAGED_TONE = 2.0
"""Radians per sample: higher than any good take of a toy."""


class DamagingToy(ToyEngine):
    """Damages the takes that `is_damaged` names by their number: they have a higher tone."""

    def __init__(self, is_damaged: Callable[[int], bool] = lambda number: number % 10 == 3) -> None:
        super().__init__()
        self._is_damaged = is_damaged
        self.damaged = 0

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        utterance = super().begin(text, voice=voice, params=params, seed=seed, stream=stream)
        if self._is_damaged(len(self.spoken)):
            self.damaged += 1
            utterance.samples = (0.1 * np.sin(np.arange(480 * len(text)) * DAMAGED_TONE)).astype(np.float32)
        return utterance

    def step(self) -> None:
        finished = [utterance for utterance in self.utterances if utterance.samples is not None]
        kept = {utterance: utterance.samples for utterance in finished}
        super().step()
        for utterance, samples in kept.items():
            utterance.samples = samples


def is_damaged(wav: bytes) -> bool:
    samples = np.frombuffer(wav_pcm(wav), np.int16)
    return bool(np.mean(np.diff(np.signbit(samples))) > 0.5)


def spread(text: str, seconds: float) -> tuple[TimedWord, ...]:
    """Return the words of a text, each as long as the others."""
    words = split_captions(text)
    each = seconds / len(words)
    return tuple(TimedWord(word, round(n * each, 3), round((n + 1) * each, 3)) for n, word in enumerate(words))


class FakeEars:
    """Hears a damaged take without its last two words, and the others as they should be, all words equally long."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        """The texts that were heard."""
        self.mishear: Callable[[str], str] = lambda text: text
        """What is understood of a good take of a text."""
        self.fail_with: MonicaError | None = None

    def hear(self, wav: bytes, text: str) -> Heard:
        self.heard.append(text)
        if self.fail_with is not None:
            raise self.fail_with
        told = " ".join(text.split()[:-2]) if is_damaged(wav) else self.mishear(text)
        found = compare(split_words(text, "fr"), split_words(told, "fr"))
        return Heard(text, None, told, None, found, spread(text, wav_duration(wav)))

    def close(self) -> None:
        pass
