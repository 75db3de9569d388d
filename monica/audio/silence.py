"""Silence at the ends of a take: what it is, and how it is cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monica.audio.level import Sound, ratio

FLOOR_DB = -50.0  # RMS over a window, below full scale: speech is louder
DYNAMICS_DB = 35.0  # below its loudest window a take may still speak: a quiet one's floor is lower
WINDOW_S = 0.005
BEFORE_S, AFTER_S = 0.05, 0.12  # kept around speech: attacks are steep, endings die away
FADE_S = 0.01


def powers(samples: Sound, rate: int) -> NDArray[np.float64]:
    """Return the mean square of each window of (N,) samples, N >= 1, the last one as long as it is."""
    starts = np.arange(0, len(samples), window(rate))
    return np.add.reduceat(np.square(samples, dtype=np.float64), starts) / np.diff(starts, append=len(samples))


def window(rate: int) -> int:
    return max(1, round(WINDOW_S * rate))


def trim_silence(samples: Sound, rate: int) -> Sound:
    """Cut (N,) samples to BEFORE_S before the first window that is louder than the floor, and AFTER_S after the last.

    A cut end is faded over FADE_S. Nothing is cut off a take that is below FLOOR_DB throughout.
    """
    # Without the mean: with an offset, silence would never be silent.
    power = powers(samples - samples.mean(dtype=np.float64), rate)
    loudest, floor = power.max(), ratio(FLOOR_DB) ** 2
    if loudest <= floor:
        return samples
    loud = window(rate) * np.flatnonzero(power > min(floor, loudest * ratio(-DYNAMICS_DB) ** 2))
    first = max(0, int(loud[0]) - round(BEFORE_S * rate))
    end = min(len(samples), int(loud[-1]) + window(rate) + round(AFTER_S * rate))
    kept = samples[first:end].copy()
    if first > 0:
        fade_in(kept, rate)
    if end < len(samples):
        fade_in(kept[::-1], rate)
    return kept


def fade_in(samples: Sound, rate: int) -> None:
    """Let (N,) samples begin from nothing, in place."""
    fade = np.linspace(0, 1, min(round(FADE_S * rate), len(samples)), endpoint=False, dtype=np.float32)
    samples[: len(fade)] *= fade


class Trimmer:
    """Cuts the silence off the ends of a sound that comes in pieces, each of whole windows but the last.

    It holds back what may be an end. The floor is FLOOR_DB: how loud the whole will be is not known.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._held = np.empty(0, np.float32)
        self._spoken: int | None = None
        """Where the last loud window ends, from where what is held begins; None before the first one."""

    def push(self, samples: Sound, last: bool) -> Sound:
        """Take (N,) samples more. Returns those that are not held back."""
        power = powers(samples, self._rate) if len(samples) else np.empty(0)
        loud = np.flatnonzero(power > ratio(FLOOR_DB) ** 2)
        before = len(self._held)
        self._held = np.concatenate([self._held, samples])
        if len(loud):
            if self._spoken is None:
                self._begin(before + int(loud[0]) * window(self._rate))
                before = len(self._held) - len(samples)
            self._spoken = before + (int(loud[-1]) + 1) * window(self._rate)
        if last:
            return self._end()
        if self._spoken is None:
            return self._held[:0]
        end = max(0, self._spoken + round(AFTER_S * self._rate) - round(FADE_S * self._rate))
        free, self._held = self._held[:end], self._held[end:]
        self._spoken -= len(free)
        return free

    def _begin(self, spoken: int) -> None:
        first = spoken - round(BEFORE_S * self._rate)
        if first > 0:
            self._held = self._held[first:].copy()
            fade_in(self._held, self._rate)

    def _end(self) -> Sound:
        held, self._held = self._held, self._held[:0]
        if self._spoken is None:  # nothing is cut off what is silent throughout
            return held
        end = self._spoken + round(AFTER_S * self._rate)
        if end >= len(held):
            return held
        kept = held[:end].copy()
        fade_in(kept[::-1], self._rate)
        return kept
