"""Measures how high the peaks of a sound are, and limits them."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from monica.audio.level import Sound, amplitude_ratio
from monica.audio.products import FILTER_ROW, filter_matrix, multiply, overlapping_rows

LOOKAHEAD_S = 0.005
"""How long before a peak the limiter begins to turn the sound down."""
OVERSAMPLING = 4
"""The factor BS.1770, annex 2, uses at 48 kHz. Near the highest frequencies it may miss half a decibel."""
_REACH = 10
"""Samples to either side from which the sound between two samples is interpolated."""
_HEADROOM = amplitude_ratio(1)
"""How much lower than needed peaks are measured, so that they need not be measured again for a somewhat higher gain."""


def true_peaks(samples: Sound, ratio: float = 0.0) -> NDArray[np.float64]:
    """Return, for each of (N,) samples, the highest magnitude of the sound from it up to the next one: (N,).

    Peaks that are not higher than `ratio` may be measured as anything lower. The sound between samples cannot be higher
    than _OVERSHOOT times the samples around it. So only rows near loud samples are interpolated: of an ordinary take,
    a tenth.
    """
    count = -(-len(samples) // FILTER_ROW)
    loud = np.flatnonzero(np.abs(samples) >= ratio / _OVERSHOOT)
    near = np.zeros(count + 2, bool)
    for reach in (-_REACH, _REACH - 1):  # a row is longer than what is between the two
        near[(loud + (FILTER_ROW + reach)) // FILTER_ROW] = True
    chosen = np.flatnonzero(near[1:-1])
    padded = np.zeros(count * FILTER_ROW + 2 * _REACH - 1, np.float32)
    padded[_REACH - 1 : _REACH - 1 + len(samples)] = samples
    rows = overlapping_rows(padded, 2 * _REACH)[chosen].astype(np.float64)
    between = multiply(rows, _INTERPOLATION)
    highest = np.abs(between, out=between).reshape(len(rows), OVERSAMPLING - 1, FILTER_ROW).max(axis=1)
    peaks = np.zeros((count, FILTER_ROW))
    peaks[chosen] = np.maximum(highest, np.abs(rows[:, _REACH - 1 : _REACH - 1 + FILTER_ROW]))
    return peaks.reshape(-1)[: len(samples)]


def limiter_reach(rate: int) -> int:
    """Return how many samples to either side `limit_peaks` takes into account for each sample."""
    return 2 * _lookahead_samples(rate) + _REACH


def limit_peaks(samples: Sound, rate: int, peak_dbtp: float) -> Sound:
    """Turn (N,) samples down around their peaks, so that no true peak exceeds `peak_dbtp`. Returns (N,), the same array
    if no peak does.
    """
    return Limiter(samples, rate, peak_dbtp).apply(0.0)


class Limiter:
    """Limits the peaks of one sound, which may be turned up or down by several gains before."""

    def __init__(self, samples: Sound, rate: int, peak_dbtp: float) -> None:
        """Prepare to limit (N,) samples. rate: in hertz. peak_dbtp: the true peak that is not exceeded."""
        self._samples, self._ahead, self._ratio = samples, _lookahead_samples(rate), amplitude_ratio(peak_dbtp)
        self._peaks = np.zeros(0)
        self._measured = np.inf
        """What is higher than this in `_peaks` has been measured."""

    def apply(self, gain_db: float) -> Sound:
        """Return the sound at a gain, limited: (N,). It is the same array if there is nothing to change.

        For each sample, the lowest gain that any sample within the lookahead needs is found. The gain applied is the
        mean of these minima over the lookahead, weighted by a Hann window. So it moves smoothly, begins to fall before
        the peak, and is never higher than the sample itself needs.
        """
        gain = amplitude_ratio(gain_db)
        samples = self._samples if gain == 1 else self._samples * np.float32(gain)
        highest = self._ratio / gain
        high = np.flatnonzero(self._peaks_above(highest) > highest)
        if len(high) == 0:
            return samples
        limited = samples.copy() if gain == 1 else samples
        ahead = self._ahead
        # Most of a take is far from any peak, where the gain is one. What is near one is put together: the parts begin
        # and end 2 * ahead samples from a peak, so that none reaches into the next.
        ends = np.flatnonzero(np.diff(high) > 4 * ahead)
        begins = np.maximum(high[np.concatenate([[0], ends + 1])] - 2 * ahead, 0)
        ends = high[np.concatenate([ends, [-1]])] + 2 * ahead + 1
        parts = [slice(begin, end) for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        peaks = np.concatenate([self._peaks[part] for part in parts])
        needed = np.ones(len(peaks) + 4 * ahead)
        np.divide(highest, np.maximum(peaks, highest), out=needed[2 * ahead : 2 * ahead + len(peaks)])
        gains = _smooth(_running_minimum(needed, 2 * ahead + 1), ahead)
        applied = 0
        for part in parts:
            sound = limited[part]
            sound *= gains[applied : applied + len(sound)]
            applied += len(sound)
        return limited

    def _peaks_above(self, ratio: float) -> NDArray[np.float64]:
        if ratio < self._measured:
            self._measured = ratio / _HEADROOM
            self._peaks = true_peaks(self._samples, self._measured)
        return self._peaks


def _lookahead_samples(rate: int) -> int:
    return max(1, round(LOOKAHEAD_S * rate))


def _running_minimum(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the minimum over each run of `window` neighbours: (N,) -> (N - window + 1,)."""
    width = 1
    while 2 * width <= window:
        values = np.minimum(values[:-width], values[width:])
        width *= 2
    return np.minimum(values[: len(values) - (window - width)], values[window - width :])


def _smooth(values: NDArray[np.float64], ahead: int) -> Sound:
    """Return the mean of each 2 * ahead + 1 neighbours, weighted by a Hann window: (N,) -> (N - 2 * ahead,)."""
    wanted = len(values) - 2 * ahead
    padded = np.pad(values, (0, -wanted % FILTER_ROW), mode="edge")
    rows = overlapping_rows(padded, 2 * ahead + 1)
    return multiply(rows, _hann(ahead)).reshape(-1)[:wanted].astype(np.float32)


@functools.cache
def _hann(ahead: int) -> NDArray[np.float64]:
    hann = np.hanning(2 * ahead + 3)[1:-1]
    return filter_matrix(hann / hann.sum())


def _interpolation_filters() -> list[NDArray[np.float64]]:
    """Return the filters that interpolate between two samples: windowed sincs, one per point between them."""
    filters = []
    for point in range(1, OVERSAMPLING):
        distance = np.arange(_REACH, -_REACH, -1) - 1 + point / OVERSAMPLING
        window = np.i0(5.0 * np.sqrt(np.maximum(0, 1 - (distance / _REACH) ** 2)))  # a Kaiser window
        filter = np.sinc(distance) * window
        filters.append(filter / filter.sum())
    return filters


_FILTERS = _interpolation_filters()
_INTERPOLATION = np.hstack([filter_matrix(filter) for filter in _FILTERS])
_OVERSHOOT = max(float(np.abs(filter).sum()) for filter in _FILTERS)
