"""The ways in which a take is damaged on purpose: what people report of neural voices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.listen.sentences import Sentence
from monica.audio.stretch import stretch

Sound = NDArray[np.float32]
GOOD = "good"
KINDS = (
    "wrong number", "wrong name", "first word missing", "middle word missing", "last word missing", "cut by 10 %",
    "cut by 25 %", "cut by 40 %", "segment repeated", "another sentence", "2 s of another appended",
    "reversed tail, 0.7 s", "reversed tail, 2 s", "gap of 1.5 s", "noise of 1.5 s at the end", "speed x1.5",
)  # fmt: skip


def damaged(
    sentence: Sentence, good: Sound, other: Sound, rate: int, say: Callable[[str], Sound], seed: int
) -> Iterator[tuple[str, Sound]]:
    """Yield each kind of damage of a take. good, other: (N,), of this sentence and of another one, without silence."""
    random = np.random.default_rng(seed)
    middle = len(good) // 2 + int(random.integers(-len(good) // 8, len(good) // 8))
    level = float(np.sqrt(np.mean(good**2)))
    sounds = (
        say(sentence.wrong_number),
        say(sentence.wrong_name),
        say(sentence.without(0)),
        say(sentence.without(0.5)),
        say(sentence.without(1)),
        good[: int(0.90 * len(good))],
        good[: int(0.75 * len(good))],
        good[: int(0.60 * len(good))],
        np.concatenate([good[:middle], good[middle - int(0.3 * len(good)) :]]),
        other,
        np.concatenate([good, other[: 2 * rate]]),
        np.concatenate([good, good[-int(0.7 * rate) :][::-1]]),
        np.concatenate([good, good[-2 * rate :][::-1]]),
        np.concatenate([good[:middle], np.zeros(int(1.5 * rate), np.float32), good[middle:]]),
        np.concatenate([good, random.normal(0, level, int(1.5 * rate)).astype(np.float32)]),
        stretch(good, rate, 1.5),
    )
    yield from zip(KINDS, sounds, strict=True)
