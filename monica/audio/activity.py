"""Finds where a take is speech, silence or something else, from the power of its windows and the shape of its spectrum.

It judges no words: a sound is speech if it is loud enough and its spectrum is not that of noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monica.audio.level import Sound, amplitude_ratio
from monica.audio.silence import DYNAMICS_DB, FLOOR_DB, window_powers, window_samples

GAP_DYNAMICS_DB = 40.0
"""How far below its loudest window a take is silent, even if its recording hisses above FLOOR_DB."""
SPEECH_DYNAMICS_DB = 25.0
"""How far below the mean of its loud windows a frame may be and still be speech."""
MAX_FLATNESS = 0.25
"""Spectral flatness above which a frame is noise: white noise has 0.56, pink noise 0.4, a vowel less than 0.1."""
FRAME_S, HOP_S = 0.032, 0.016
BAND_HZ = (150.0, 4000.0)
"""The band that flatness is measured in. Above it, speech itself is noise."""
MIN_SPEECH_FRAMES = 3
MIN_LOUD = 0.15
"""The share of loud windows without which a part of a take has no level of its own."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence between two parts of the speech."""

    seconds: float
    after: float
    """How much of what is not silent comes before it, as a share from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Activity:
    """The loud and the silent parts of a take, in windows."""

    powers: NDArray[np.float64]
    """Mean square of each window: (N,)."""
    loud: NDArray[np.intp]
    """The windows that are not silent, in order."""
    window_s: float

    @classmethod
    def of(cls, samples: Sound, rate: int) -> Activity:
        """Measure (N,) samples, N >= 1, all of them finite."""
        centred = samples.astype(np.float64)
        centred -= centred.mean()
        powers = window_powers(centred, rate)
        loudest = float(powers.max())
        # The lower one is what is cut off the ends of a take, the upper one what a listener takes for a silence.
        floor = min(amplitude_ratio(FLOOR_DB) ** 2, loudest * amplitude_ratio(-DYNAMICS_DB) ** 2)
        floor = max(floor, loudest * amplitude_ratio(-GAP_DYNAMICS_DB) ** 2)
        return cls(powers, np.flatnonzero(powers > floor), window_samples(rate) / rate)

    @property
    def seconds(self) -> float:
        """Return the seconds from the first loud window to the end of the last; 0 if there is none."""
        return float(self.loud[-1] + 1 - self.loud[0]) * self.window_s if len(self.loud) else 0.0

    def silences(self, longer_than_s: float) -> list[Silence]:
        """List the inner silences that are longer than that."""
        steps = np.diff(self.loud)
        longest = np.flatnonzero((steps - 1) * self.window_s > longer_than_s)
        return [Silence(float(steps[at] - 1) * self.window_s, float(at + 1) / len(self.loud)) for at in longest]

    @property
    def level_db(self) -> float:
        """Return the mean power of the loud windows, of which there must be one, in dB relative to full scale."""
        return 10 * math.log10(self.powers[self.loud].mean())

    def levels_db(self, parts: int) -> NDArray[np.float64]:
        """Cut the time from the first loud window to the last into equal parts, and return the level of each.

        That is the mean power of its loud windows, in dB relative to full scale. Parts that are mostly silent are left
        out.
        """
        bounds = np.linspace(self.loud[0], self.loud[-1] + 1, parts + 1)
        least = max(1.0, MIN_LOUD * (bounds[1] - bounds[0]))
        loud = np.split(self.loud, np.searchsorted(self.loud, bounds[1:-1]))
        return np.array([10 * np.log10(self.powers[part].mean()) for part in loud if len(part) >= least])


def ends_in_noise(samples: Sound, rate: int, activity: Activity, seconds: float) -> bool:
    """Return whether the last seconds before the end of (N,) samples are audible, and no speech.

    The silence after the last loud window does not count.
    """
    if not len(activity.loud) or activity.seconds < seconds:
        return False
    end = min(len(samples), int(activity.loud[-1] + 1) * window_samples(rate))
    tail = samples[max(0, end - round(seconds * rate)) : end].astype(np.float64)
    width, hop = round(FRAME_S * rate), max(1, round(HOP_S * rate))
    if len(tail) < width or width < 16:
        return False
    frames = np.lib.stride_tricks.sliding_window_view(tail - tail.mean(), width)[::hop]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(width), axis=1)) ** 2
    hertz = np.fft.rfftfreq(width, 1 / rate)
    band = spectra[:, (hertz >= BAND_HZ[0]) & (hertz <= BAND_HZ[1])] + 1e-12
    flatness = np.exp(np.log(band).mean(axis=1)) / band.mean(axis=1)
    loud_enough = 10 * np.log10((frames**2).mean(axis=1) + 1e-12) > activity.level_db - SPEECH_DYNAMICS_DB
    return int((loud_enough & (flatness < MAX_FLATNESS)).sum()) < MIN_SPEECH_FRAMES
