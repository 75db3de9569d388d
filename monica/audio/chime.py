"""Chimes: what makes a room listen before a sentence. Made here, or recordings of the venue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]

DECAY_S = 0.45
"""How long a note takes to fall to a third of its strength."""
PARTIALS = ((1.0, 1.0), (2.0, 0.28), (2.76, 0.16), (5.4, 0.05))
"""The partials of a struck bar, as ratios of its frequency, and their strengths. The third sounds of metal."""
RELEASE_S = 0.03
"""The end of a chime is faded over so long, so that it does not click."""

# Each note: hertz, and seconds after the beginning. The last number is how long the chime lasts.
_MELODIES: dict[str, tuple[tuple[tuple[float, float], ...], float]] = {
    "gong": (((392.0, 0.0),), 1.3),
    "ding-dong": (((659.3, 0.0), (523.3, 0.45)), 1.6),
    "trois-tons": (((523.3, 0.0), (659.3, 0.3), (784.0, 0.6)), 1.7),
    "alerte": (((880.0, 0.0), (880.0, 0.18), (880.0, 0.36)), 0.9),
}
BUILT_IN = tuple(_MELODIES)
"""The names of the chimes that Monica makes."""


def make_chime(name: str, rate: int) -> Sound:
    """Return a chime: (N,) samples in [-1, 1] at `rate` hertz. Raises KeyError if there is none of that name."""
    notes, length_s = _MELODIES[name]
    sound = np.zeros(round(length_s * rate), np.float64)
    for hertz, begin_s in notes:
        begin = round(begin_s * rate)
        seconds = np.arange(len(sound) - begin) / rate
        for ratio, strength in PARTIALS:
            if hertz * ratio < 0.45 * rate:
                decay = np.exp(-seconds / (DECAY_S / ratio))
                sound[begin:] += strength * decay * np.sin(2 * np.pi * hertz * ratio * seconds)
    attack = min(len(sound), round(0.004 * rate))
    sound[:attack] *= np.linspace(0, 1, attack)
    release = round(RELEASE_S * rate)
    sound[-release:] *= np.linspace(1, 0, release)
    chime: Sound = (sound * 0.5 / np.abs(sound).max()).astype(np.float32)
    return chime
