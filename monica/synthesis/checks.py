"""Checks of a finished take, before anyone hears it."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

SILENCE_PEAK = 1e-3
"""Peak below which a take counts as silent, as a fraction of full scale: -60 dB."""
MAX_CHARACTERS_PER_S, MIN_CHARACTERS_PER_S = 60.0, 4.0
"""Bounds of the speaking rate. Hurried French has about 25 characters a second, solemn French 10."""
EXTRA_S = 3.0
"""Seconds a take may last beyond the slowest rate: short texts have pauses before and after them."""


class Defect(StrEnum):
    """What is wrong with a take, the worst first."""

    NOT_FINITE = "holds samples that are not finite numbers"
    SILENT = "is silent"
    ENDLESS = "came to no end"
    TOO_SHORT = "is too short for its text"
    TOO_LONG = "is too long for its text"

    @property
    def grave(self) -> bool:
        """Whether such a take must not be heard at all."""
        return self in (Defect.NOT_FINITE, Defect.SILENT, Defect.ENDLESS)


def find_defect(samples: NDArray[np.float32], sample_rate: int, text: str, *, complete: bool) -> Defect | None:
    """Check the sound of an utterance. samples: (N,). text: as it was to be said. Returns None if nothing is wrong."""
    if not np.isfinite(samples).all():
        return Defect.NOT_FINITE
    if len(samples) == 0 or np.abs(samples).max() < SILENCE_PEAK:
        return Defect.SILENT
    if not complete:
        return Defect.ENDLESS
    seconds = len(samples) / sample_rate
    if seconds < len(text) / MAX_CHARACTERS_PER_S:
        return Defect.TOO_SHORT
    if seconds > len(text) / MIN_CHARACTERS_PER_S + EXTRA_S:
        return Defect.TOO_LONG
    return None
