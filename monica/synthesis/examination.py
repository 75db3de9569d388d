"""Examines takes: what is wrong with each, by its signal, and whether that is the take's fault or the expectation's."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monica import metrics
from monica.audio.activity import Activity
from monica.synthesis.duration import MAX_TOLERANCE, OFFSET_S, PRIOR
from monica.synthesis.durations import DurationModels, voice_of
from monica.synthesis.faults import Fault, Verdict, find_faults
from monica.synthesis.take import Take

OF_DURATION = frozenset({Fault.TOO_SHORT, Fault.TOO_LONG})
AGREEMENT = 0.08
"""The largest |ln| of the ratio of two durations that agree."""
FARTHEST = 0.9
"""How far from the prior a take may be that a model learns from: a factor of 2.5. If a voice's first takes are farther
off, they are faults, and not its pace."""
MAX_REMEMBERED = 256


class Examiner:
    """Examines takes by the pace of their voices, and learns that pace from them. Thread-safe.

    A take that is too long or too short is not at fault if another one, made with another seed, lasts as long: then
    that is how the voice says this text. So a text that the model gets wrong is made twice, and not each time.
    """

    def __init__(self, durations: DurationModels) -> None:
        self._durations = durations
        self._lock = threading.Lock()
        self._suspects: OrderedDict[tuple[str, str], dict[int, float]] = OrderedDict()
        """The seconds of suspect takes by their seeds, by voice and text."""

    def examine(
        self, take: Take, samples: NDArray[np.float32], rate: int, *, complete: bool, tokens: Sequence[int]
    ) -> Verdict:
        """Examine the sound of a take. samples: (N,) as the engine made them."""
        recipe = take.recipe
        expected = self._durations.expect(recipe)
        faults = find_faults(samples, rate, take.text, expected, complete=complete, tokens=tokens)
        metrics.takes_examined.labels(recipe.voice).inc()
        for fault in faults:
            metrics.take_faults.labels(recipe.voice, fault).inc()
        if not OF_DURATION.issuperset(faults):
            return Verdict(faults)
        # Learned even if it is suspect: otherwise a model that was once wrong would stay wrong.
        seconds = Activity.of(samples, rate).seconds
        if abs(PRIOR.expect(take.text).deviation(seconds)) < FARTHEST:
            self._durations.learn(recipe, seconds)
        deviation = abs(expected.deviation(seconds))
        if faults and self._agrees(take, seconds) and deviation <= MAX_TOLERANCE:
            return Verdict((), doubts=faults, deviation=deviation)
        return Verdict(faults, deviation=deviation)

    def _agrees(self, take: Take, seconds: float) -> bool:
        """Return whether a take made with another seed lasts as long, and remember this one."""
        text = voice_of(take.recipe), take.text
        with self._lock:
            others = self._suspects.setdefault(text, {})
            agrees = any(
                seed != take.seed and abs(np.log((seconds + OFFSET_S) / (other + OFFSET_S))) < AGREEMENT
                for seed, other in others.items()
            )
            others[take.seed] = seconds
            while len(others) > 4:
                del others[next(iter(others))]
            self._suspects.move_to_end(text)
            while len(self._suspects) > MAX_REMEMBERED:
                self._suspects.popitem(last=False)
        return agrees
