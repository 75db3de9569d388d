"""Measures how loud a sound is and how high its peaks are, and limits the peaks."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]

BLOCK_S = 0.4
"""The length of the blocks BS.1770 measures loudness in."""
GATE_LUFS = -70.0
"""Blocks below it are silence, which counts for nothing."""
OFFSET_DB = -0.691
"""Added by BS.1770 so that a sine of 997 Hz at full scale, in one channel, measures -3.01 LUFS."""
MEMORY_S = 0.06
"""After that long, the filter of BS.1770 has forgotten all but a hundred-thousandth of a sound."""
LOOKAHEAD_S = 0.005
"""How long before a peak the limiter begins to turn the sound down."""
OVERSAMPLING = 4
"""The factor BS.1770, annex 2, uses at 48 kHz. Near the highest frequencies it may miss half a decibel."""
_REACH = 10
"""Samples to either side from which the sound between two samples is interpolated."""


def amplitude_ratio(decibels: float) -> float:
    """Return the ratio of two amplitudes that differ by a number of decibels."""
    return float(10 ** (decibels / 20))


def integrated_loudness(samples: Sound, rate: int) -> float:
    """Return the integrated loudness of (N,) samples, N >= 1, in LUFS; -inf if they are silent (below -70 LUFS).

    A sound shorter than one block of BS.1770 is measured as if it were repeated.
    """
    samples = np.resize(samples, max(len(samples), round(BLOCK_S * rate) + 1))
    step = BLOCK_S / 4 * rate
    bounds = (step * np.arange(round(len(samples) / step) + 1)).astype(np.intp)
    powers = np.zeros(max(len(samples), bounds[-1]) + 1)
    _weigh(samples, rate, powers[: len(samples)])
    quarters = np.add.reduceat(powers, bounds)[:-1]
    blocks = np.convolve(quarters, np.ones(4), "valid") / (BLOCK_S * rate)
    blocks = blocks[blocks >= 10 ** ((GATE_LUFS - OFFSET_DB) / 10)]
    if len(blocks) == 0:
        return -np.inf
    # The second gate is 10 LU below the mean of what passed the first: a tenth of its power.
    return float(10 * np.log10(blocks[blocks > blocks.mean() / 10].mean()) + OFFSET_DB)


def _weigh(samples: Sound, rate: int, powers: NDArray[np.float64]) -> None:
    """Write into `powers` the squares of (N,) samples after the filter with which BS.1770 weighs frequencies: (N,).

    The filter is applied through the spectrum, frame by frame (overlap-save). The loudness agrees with the recursive
    form's to 0.0001 LU. The recursive form would need scipy, which more than doubles the memory and the start of a
    server. libavfilter's ebur128 takes as long and rounds to a hundredth of a decibel, so that a kept take would
    differ from one made again; it would also keep libavfilter in the memory of every worker.
    """
    memory, response = _weighting(rate)
    size = 2 * (len(response) - 1)
    hop = size - memory
    padded = np.concatenate([np.zeros(memory, np.float32), samples])
    # One frame at a time: larger arrays are given back to the system after each use, and then page-faulted in again.
    for start in range(0, len(samples), hop):
        spectrum = np.fft.rfft(padded[start : start + size].astype(np.float64), size)
        spectrum *= response
        part = powers[start : start + hop]
        filtered = np.fft.irfft(spectrum)[memory : memory + len(part)]
        np.multiply(filtered, filtered, out=part)


def true_peaks(samples: Sound) -> NDArray[np.float64]:
    """Return, for each of (N,) samples, the highest magnitude of the sound from it up to the next one: (N,)."""
    padded = np.pad(samples.astype(np.float64), (_REACH - 1, _REACH))
    highest = np.abs(samples.astype(np.float64))
    for filter in _INTERPOLATION_FILTERS:
        np.maximum(highest, np.abs(np.convolve(padded, filter, "valid")), out=highest)
    return highest


def limiter_reach(rate: int) -> int:
    """Return how many samples to either side `limit_peaks` takes into account for each sample."""
    return 2 * _lookahead_samples(rate) + _REACH


def limit_peaks(samples: Sound, rate: int, peak_dbtp: float) -> Sound:
    """Turn (N,) samples down around their peaks, so that no true peak exceeds `peak_dbtp`. Returns (N,), the same array
    if no peak does.

    For each sample, the lowest gain that any sample within the lookahead needs is found. The gain applied is the mean
    of these minima over the lookahead, weighted by a Hann window. So it moves smoothly, begins to fall before the peak,
    and is never higher than the sample itself needs.
    """
    ratio = amplitude_ratio(peak_dbtp)
    needed = ratio / np.maximum(_peaks_above(samples, ratio), ratio)
    high = np.flatnonzero(needed < 1)
    if len(high) == 0:
        return samples
    ahead = _lookahead_samples(rate)
    hann = np.hanning(2 * ahead + 3)[1:-1]
    weights = hann / hann.sum()
    limited = samples.copy()
    # Most of a take is far from any peak, where the gain is one.
    for run in np.split(high, np.flatnonzero(np.diff(high) > 4 * ahead) + 1):
        part = slice(max(0, run[0] - 2 * ahead), run[-1] + 2 * ahead + 1)
        lowest = _running_minimum(np.pad(needed[part], 2 * ahead, constant_values=1), 2 * ahead + 1)
        limited[part] *= np.convolve(lowest, weights, "valid").astype(np.float32)
    return limited


def _peaks_above(samples: Sound, ratio: float) -> NDArray[np.float64]:
    """Return the `true_peaks` of (N,) samples that are higher than `ratio`, and anything lower for the others: (N,).

    The sound between samples cannot be higher than _OVERSHOOT times the samples around it. So only samples near loud
    ones are interpolated: a twentieth of an ordinary take.
    """
    peaks = np.zeros(len(samples))
    wanted = _widen(np.abs(samples) > ratio / _OVERSHOOT)
    if not wanted.any():
        return peaks
    needed = _widen(wanted)
    # The pieces are put together, and interpolated across the seams too. Those values are wrong, and not wanted.
    peaks[wanted] = true_peaks(samples[needed])[wanted[needed]]
    return peaks


def _widen(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark every sample within _REACH of a marked one."""
    marked, width = marked.copy(), 0
    while width < _REACH:
        step = min(width + 1, _REACH - width)
        wider = marked.copy()
        wider[step:] |= marked[:-step]
        wider[:-step] |= marked[step:]
        marked, width = wider, width + step
    return marked


def _lookahead_samples(rate: int) -> int:
    return max(1, round(LOOKAHEAD_S * rate))


def _running_minimum(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the minimum over each run of `window` neighbours: (N,) -> (N - window + 1,)."""
    width = 1
    while 2 * width <= window:
        values = np.minimum(values[:-width], values[width:])
        width *= 2
    return np.minimum(values[: len(values) - (window - width)], values[window - width :])


def _interpolation_filters() -> list[NDArray[np.float64]]:
    """Return the filters that interpolate between two samples: windowed sincs, one per point between them."""
    filters = []
    for point in range(1, OVERSAMPLING):
        distance = np.arange(_REACH, -_REACH, -1) - 1 + point / OVERSAMPLING
        window = np.i0(5.0 * np.sqrt(np.maximum(0, 1 - (distance / _REACH) ** 2)))  # a Kaiser window
        filter = np.sinc(distance) * window
        filters.append((filter / filter.sum())[::-1])
    return filters


_INTERPOLATION_FILTERS = _interpolation_filters()
_OVERSHOOT = max(float(np.abs(filter).sum()) for filter in _INTERPOLATION_FILTERS)


@functools.cache
def _weighting(rate: int) -> tuple[int, NDArray[np.complex128]]:
    """Return for how many samples the filter of BS.1770 remembers, and its response to the frequencies of a frame.

    The standard gives coefficients for 48 kHz only. These are the analog filters behind them, for any rate, with the
    values that B. De Man derived (github.com/BrechtDeMan/loudness.py).
    """
    memory = math.ceil(MEMORY_S * rate)
    size = 2 ** math.ceil(math.log2(8 * memory))
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size))

    def poles(k: float, q: float) -> NDArray[np.complex128]:
        polynomial: NDArray[np.complex128] = (1 + k / q + k * k) + 2 * (k * k - 1) * z + (1 - k / q + k * k) * z**2
        return polynomial

    # The head reflects what is above about 1.5 kHz: a shelf of 4 dB.
    k, q, high = math.tan(math.pi * 1681.9744509555319 / rate), 0.7071752369554193, 10 ** (3.99984385397 / 20)
    bend = high**0.499666774155 * k / q
    shelf = ((high + bend + k * k) + 2 * (k * k - high) * z + (high - bend + k * k) * z**2) / poles(k, q)
    # The ear hears little below 38 Hz. As in the standard, the gain above is not quite one.
    k, q = math.tan(math.pi * 38.13547087613982 / rate), 0.5003270373253953
    high_pass = (1 + k / q + k * k) * (1 - z) ** 2 / poles(k, q)
    response: NDArray[np.complex128] = shelf * high_pass
    return memory, response
