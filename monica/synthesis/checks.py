"""What can be wrong with a take that has ended: heard before anyone else hears it."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

SILENCE = 1e-3
"""Of full scale: what stays below it all the time (-60 dB) is not speech."""
FASTEST, SLOWEST = 60.0, 4.0
"""Characters a second. Hurried French has about twenty-five, solemn French ten."""
BREATH_S = 3.0
"""How much longer than the slowest a take may be: short texts have pauses before and after."""


class Fault(StrEnum):
    """Worst first. `grave`: whether such a take is not to be heard at all."""

    NOT_FINITE = "holds samples that are no numbers"
    SILENT = "is silent"
    ENDLESS = "came to no end"
    TOO_SHORT = "is too short for its text"
    TOO_LONG = "is too long for its text"

    @property
    def grave(self) -> bool:
        return self in (Fault.NOT_FINITE, Fault.SILENT, Fault.ENDLESS)


def find_fault(samples: NDArray[np.float32], sample_rate: int, text: str, *, complete: bool) -> Fault | None:
    """Examine the sound of an utterance. samples: (N,). text: as it was to be said."""
    if not np.isfinite(samples).all():
        return Fault.NOT_FINITE
    if len(samples) == 0 or np.abs(samples).max() < SILENCE:
        return Fault.SILENT
    if not complete:
        return Fault.ENDLESS
    seconds = len(samples) / sample_rate
    if seconds < len(text) / FASTEST:
        return Fault.TOO_SHORT
    if seconds > len(text) / SLOWEST + BREATH_S:
        return Fault.TOO_LONG
    return None
