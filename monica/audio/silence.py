"""Finds the silence at the ends of a take and cuts it off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monica.audio.level import Sound, amplitude_ratio

FLOOR_DB = -50.0
"""RMS over a window, relative to full scale. Speech is louder."""
DYNAMICS_DB = 35.0
"""How far below its loudest window a take may still be speech. So the floor of a quiet take is lower than FLOOR_DB."""
WINDOW_S = 0.005
"""The length of the windows power is measured in."""
BEFORE_S, AFTER_S = 0.05, 0.12
"""How much silence is kept around speech: attacks are steep, endings die away."""
FADE_S = 0.01
"""How long the fade at a cut end is."""


def window_powers(samples: NDArray[np.floating], rate: int) -> NDArray[np.float64]:
    """Return the mean square of each window of (N,) samples, N >= 1. The last window may be shorter."""
    wide, width = samples.astype(np.float64, copy=False), window_samples(rate)
    whole = len(wide) // width * width
    windows = wide[:whole].reshape(-1, width)
    powers = np.einsum("ij,ij->i", windows, windows) / width
    rest = wide[whole:]
    return np.append(powers, rest @ rest / len(rest)) if len(rest) else powers


def window_samples(rate: int) -> int:
    """Return the length of a window in samples."""
    return max(1, round(WINDOW_S * rate))


def find_speech(samples: Sound, rate: int) -> tuple[int, int]:
    """Return the samples from BEFORE_S before the first window above the floor to AFTER_S after the last, as a slice.

    samples: (N,). All of them if the take is below FLOOR_DB throughout.
    """
    # The mean is subtracted first: with a constant offset, silence would never count as silent.
    centred = samples.astype(np.float64)
    centred -= centred.mean()
    power = window_powers(centred, rate)
    loudest, floor = power.max(), amplitude_ratio(FLOOR_DB) ** 2
    if loudest <= floor:
        return 0, len(samples)
    loud = window_samples(rate) * np.flatnonzero(power > min(floor, loudest * amplitude_ratio(-DYNAMICS_DB) ** 2))
    first = max(0, int(loud[0]) - round(BEFORE_S * rate))
    return first, min(len(samples), int(loud[-1]) + window_samples(rate) + round(AFTER_S * rate))


def trim_silence(samples: Sound, rate: int) -> Sound:
    """Cut (N,) samples to what `find_speech` finds, and fade a cut end over FADE_S. Returns (M,)."""
    first, end = find_speech(samples, rate)
    if (first, end) == (0, len(samples)):
        return samples
    kept = samples[first:end].copy()
    if first > 0:
        fade_in(kept, rate)
    if end < len(samples):
        fade_in(kept[::-1], rate)
    return kept


def fade_in(samples: Sound, rate: int) -> None:
    """Fade in the beginning of (N,) samples, in place."""
    fade = np.linspace(0, 1, min(round(FADE_S * rate), len(samples)), endpoint=False, dtype=np.float32)
    samples[: len(fade)] *= fade


class StreamTrimmer:
    """Cuts the silence off the ends of a sound that arrives in chunks. Each chunk but the last is whole windows long.

    It holds back what may be the end. The floor is FLOOR_DB, since the loudness of the whole is not known yet.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._held = np.empty(0, np.float32)
        self._spoken: int | None = None
        """Where the last loud window ends, counted from the beginning of `_held`. None before the first one."""

    def trim_chunk(self, samples: Sound, last: bool) -> Sound:
        """Take (N,) more samples, N >= 0. Return those that are certain to stay; with the last chunk, the rest."""
        power = window_powers(samples, self._rate) if len(samples) else np.empty(0)
        loud = np.flatnonzero(power > amplitude_ratio(FLOOR_DB) ** 2)
        before = len(self._held)
        self._held = np.concatenate([self._held, samples])
        if len(loud):
            if self._spoken is None:
                self._trim_beginning(before + int(loud[0]) * window_samples(self._rate))
                before = len(self._held) - len(samples)
            self._spoken = before + (int(loud[-1]) + 1) * window_samples(self._rate)
        if last:
            return self._trim_end()
        if self._spoken is None:
            return self._held[:0]
        end = max(0, self._spoken + round(AFTER_S * self._rate) - round(FADE_S * self._rate))
        free, self._held = self._held[:end], self._held[end:]
        self._spoken -= len(free)
        return free

    def _trim_beginning(self, spoken: int) -> None:
        first = spoken - round(BEFORE_S * self._rate)
        if first > 0:
            self._held = self._held[first:].copy()
            fade_in(self._held, self._rate)

    def _trim_end(self) -> Sound:
        held, self._held = self._held, self._held[:0]
        if self._spoken is None:  # silent throughout: nothing is cut off
            return held
        end = self._spoken + round(AFTER_S * self._rate)
        if end >= len(held):
            return held
        kept = held[:end].copy()
        fade_in(kept[::-1], self._rate)
        return kept
