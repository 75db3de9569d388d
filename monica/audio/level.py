"""Measures how loud a sound is and how high its peaks are, and limits the peaks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]

BLOCK_S = 0.4
"""The length of the blocks BS.1770 measures loudness in."""
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
    from pyloudnorm import Meter  # brings scipy: a second and 80 MB, only for processes that measure

    # "DeMan" selects the filters of BS.1770 itself. pyloudnorm's default approximates them and is 0.1 LU off at 24 kHz.
    meter = Meter(rate, "DeMan", block_size=BLOCK_S)
    return float(meter.integrated_loudness(np.resize(samples, max(len(samples), round(BLOCK_S * rate) + 1))))


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


def limit_peaks(samples: Sound, rate: int, peak_dbtp: float, peaks: NDArray[np.float64] | None = None) -> Sound:
    """Turn (N,) samples down around their peaks, so that no true peak exceeds `peak_dbtp`. Returns (N,).

    peaks: the `true_peaks` of the samples, if they are known already.

    For each sample, the lowest gain that any sample within the lookahead needs is found. The gain applied is the mean
    of these minima over the lookahead, weighted by a Hann window. So it moves smoothly, begins to fall before the peak,
    and is never higher than the sample itself needs.
    """
    needed = amplitude_ratio(peak_dbtp) / np.maximum(true_peaks(samples) if peaks is None else peaks, 1e-9)
    high = np.flatnonzero(needed < 1)
    if len(high) == 0:
        return samples
    ahead = _lookahead_samples(rate)
    hann = np.hanning(2 * ahead + 3)[1:-1]
    limited = samples.copy()
    # Most of a take is far from any peak, where the gain is one.
    for run in np.split(high, np.flatnonzero(np.diff(high) > 4 * ahead) + 1):
        part = slice(max(0, run[0] - 2 * ahead), run[-1] + 2 * ahead + 1)
        lowest = _running_minimum(np.pad(np.minimum(needed[part], 1), 2 * ahead, constant_values=1), 2 * ahead + 1)
        limited[part] *= np.convolve(lowest, hann / hann.sum(), "valid").astype(np.float32)
    return limited


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
