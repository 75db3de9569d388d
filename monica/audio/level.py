"""Measures how loud a sound is."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monica.audio.products import multiply

Sound = NDArray[np.float32]

BLOCK_S = 0.4
"""The length of the blocks BS.1770 measures loudness in."""
GATE_LUFS = -70.0
"""Blocks below it are silence, which counts for nothing."""
OFFSET_DB = -0.691
"""Added by BS.1770 so that a sine of 997 Hz at full scale, in one channel, measures -3.01 LUFS."""
_ROW = 32
"""How many samples the filter of BS.1770 computes at once. Half or twice as many take longer."""
_FORGOTTEN = 1e-12
"""What is left of the filter's state when it no longer counts."""


def amplitude_ratio(decibels: float) -> float:
    """Return the ratio of two amplitudes that differ by a number of decibels."""
    return float(10 ** (decibels / 20))


def integrated_loudness(samples: Sound, rate: int) -> float:
    """Return the integrated loudness of (N,) samples, N >= 1, in LUFS; -inf if they are silent (below -70 LUFS).

    A sound shorter than one block of BS.1770 is measured as if it were repeated.
    """
    shortest = round(BLOCK_S * rate) + 1
    if len(samples) < shortest:
        samples = np.resize(samples, shortest)
    step = BLOCK_S / 4 * rate
    bounds = (step * np.arange(round(len(samples) / step) + 1)).astype(np.intp)
    powers = _weighted(samples, rate, int(bounds[-1]) + 1)
    np.square(powers, out=powers)
    quarters = np.add.reduceat(powers, bounds)[:-1]
    blocks = np.convolve(quarters, np.ones(4), "valid") / (BLOCK_S * rate)
    blocks = blocks[blocks >= 10 ** ((GATE_LUFS - OFFSET_DB) / 10)]
    if len(blocks) == 0:
        return -np.inf
    # The second gate is 10 LU below the mean of what passed the first: a tenth of its power.
    return float(10 * np.log10(blocks[blocks > blocks.mean() / 10].mean()) + OFFSET_DB)


def _weighted(samples: Sound, rate: int, shortest: int) -> NDArray[np.float64]:
    """Return (N,) samples after the filter with which BS.1770 weighs frequencies, with zeros after them: (M,), M >= N
    and M >= `shortest`.

    The filter is recursive, and numpy has none that is. So it is computed a row of samples at a time: a row of the
    result is a product of the samples of that row, and of the four numbers that the filter remembers of all before.
    Those are summed up over the rows by doubling: first with the row before, then with the two before those, and so on.

    Other ways: the filter through the spectrum takes four times as long. scipy's more than doubles the memory and the
    start of a server. libavfilter's ebur128 takes five times as long and rounds to a hundredth of a decibel, so that a
    kept take would differ from one made again; it would also keep libavfilter in the memory of every worker.
    """
    weighting = _weighting(rate)
    whole, rest = divmod(len(samples), _ROW)
    rows = np.zeros((max(whole + (rest > 0), -(-shortest // _ROW)), _ROW + 4))
    rows[:whole, :_ROW] = samples[: whole * _ROW].reshape(whole, _ROW)
    rows[whole : whole + 1, :rest] = samples[whole * _ROW :]
    remembered = multiply(rows[:, :_ROW], weighting.remembers)
    width = 1
    for fades in weighting.fades:
        if width >= len(rows):
            break
        remembered[width:] += remembered[:-width] @ fades
        width *= 2
    rows[1:, _ROW:] = remembered[:-1]
    weighted = multiply(rows, weighting.filters).reshape(-1)
    weighted[len(samples) :] = 0  # the filter rings on
    return weighted


@dataclass(frozen=True, slots=True)
class _Weighting:
    """The filter of BS.1770 at one rate, as matrices that are multiplied by rows of samples."""

    filters: NDArray[np.float64]
    """A row of samples and the filter's state before them, to the row after the filter: (_ROW + 4, _ROW)."""
    remembers: NDArray[np.float64]
    """A row of samples to the state after them: (_ROW, 4)."""
    fades: tuple[NDArray[np.float64], ...]
    """What becomes of a state after 1, 2, 4, ... rows, until it is forgotten: (4, 4) each."""


@functools.cache
def _weighting(rate: int) -> _Weighting:
    """Return the filter of BS.1770 for a rate in hertz.

    The standard gives coefficients for 48 kHz only. These are the analog filters behind them, for any rate, with the
    values that B. De Man derived (github.com/BrechtDeMan/loudness.py).
    """

    # The head reflects what is above about 1.5 kHz: a shelf of 4 dB.
    q, high = 0.7071752369554193, 10 ** (3.99984385397 / 20)
    shelf = _Section(1681.9744509555319, q, high, (high**0.499666774155 - high) / q, 1 - high)
    # The ear hears little below 38 Hz. As in the standard, the gain above is not quite one.
    k, q = math.tan(math.pi * 38.13547087613982 / rate), 0.5003270373253953
    gain = 1 + k / q + k * k
    high_pass = _Section(38.13547087613982, q, gain, -gain / q, -gain)

    # What becomes of a one at each sample of a row, or in each number of the state before it, while all else is zero.
    inputs, state = np.eye(_ROW, _ROW + 4), np.eye(4, _ROW + 4, _ROW)
    filters = np.array([high_pass.step(shelf.step(sample, state[:2], rate), state[2:], rate) for sample in inputs]).T
    fades = [state[:, _ROW:].T.copy()]
    while np.abs(fades[-1]).max() > _FORGOTTEN:
        fades.append(fades[-1] @ fades[-1])
    return _Weighting(np.ascontiguousarray(filters), state[:, :_ROW].T.copy(), tuple(fades))


@dataclass(frozen=True, slots=True)
class _Section:
    """An analog filter of the second order, as two integrators by the trapezoidal rule (A. Simper, "Solving the
    continuous SVF equations"). In the direct form, rounding would spoil the filter of 38 Hz at 48 kHz.
    """

    frequency: float
    """In hertz."""
    q: float
    """How sharp the filter is at its frequency."""
    through: float
    """How much of the sound itself is in the result."""
    band: float
    """How much of what is near the frequency."""
    low: float
    """How much of what is below it."""

    def step(self, sample: NDArray[np.float64], state: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
        """Return the next sample of (N,) filters. Their states, (2, N), are replaced by the next ones."""
        k = math.tan(math.pi * self.frequency / rate)
        first = 1 / (1 + k * (k + 1 / self.q))
        rest = sample - state[1]
        band = first * (state[0] + k * rest)
        low = state[1] + k * band
        state[:] = 2 * band - state[0], 2 * low - state[1]
        filtered: NDArray[np.float64] = self.through * sample + self.band * band + self.low * low
        return filtered
