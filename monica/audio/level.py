"""How loud a sound is, how high its peaks are, and how they are held."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]

BLOCK_S = 0.4  # of BS.1770
LOOKAHEAD_S = 0.005
OVERSAMPLING = 4  # of BS.1770, annex 2, for 48 kHz. Near the highest frequencies it may miss half a decibel
_REACH = 10  # samples to either side that the sound between two of them is worked out from


def ratio(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def loudness(samples: Sound, rate: int) -> float:
    """Return the integrated loudness of (N,) samples, N >= 1, in LUFS; -inf where it is silent (below -70 LUFS).

    A sound shorter than the block that BS.1770 measures is measured as if it were repeated.
    """
    from pyloudnorm import Meter  # brings scipy: a second and 80 MB, for who measures

    # "DeMan" are BS.1770's own filters; pyloudnorm's default approximates them, and is 0.1 LU off at 24 kHz.
    meter = Meter(rate, "DeMan", block_size=BLOCK_S)
    return float(meter.integrated_loudness(np.resize(samples, max(len(samples), round(BLOCK_S * rate) + 1))))


def true_peaks(samples: Sound) -> NDArray[np.float64]:
    """Return the highest magnitude of the sound at and after each of (N,) samples, between them too: (N,)."""
    padded = np.pad(samples.astype(np.float64), (_REACH - 1, _REACH))
    highest = np.abs(samples.astype(np.float64))
    for filter in _BETWEEN:
        np.maximum(highest, np.abs(np.convolve(padded, filter, "valid")), out=highest)
    return highest


def reach(rate: int) -> int:
    """Samples to either side that `limit` hears of each."""
    return 2 * _lookahead(rate) + _REACH


def limit(samples: Sound, rate: int, peak_dbtp: float, peaks: NDArray[np.float64] | None = None) -> Sound:
    """Turn (N,) samples down around their peaks, so that no true peak exceeds `peak_dbtp`.

    peaks: their `true_peaks`, where they are known.
    The gain at a sample is the mean, weighted by a Hann window, of what the neighbourhoods of its neighbours need: it
    moves smoothly, begins to fall before the peak, and is never above what the sample itself needs.
    """
    needed = ratio(peak_dbtp) / np.maximum(true_peaks(samples) if peaks is None else peaks, 1e-9)
    high = np.flatnonzero(needed < 1)
    if len(high) == 0:
        return samples
    ahead = _lookahead(rate)
    hann = np.hanning(2 * ahead + 3)[1:-1]
    limited = samples.copy()
    # Most of a take is far from any peak, and its gain is one.
    for run in np.split(high, np.flatnonzero(np.diff(high) > 4 * ahead) + 1):
        part = slice(max(0, run[0] - 2 * ahead), run[-1] + 2 * ahead + 1)
        lowest = _lowest(np.pad(np.minimum(needed[part], 1), 2 * ahead, constant_values=1), 2 * ahead + 1)
        limited[part] *= np.convolve(lowest, hann / hann.sum(), "valid").astype(np.float32)
    return limited


def _lookahead(rate: int) -> int:
    return max(1, round(LOOKAHEAD_S * rate))


def _lowest(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the least of each so many neighbours: (N,) -> (N - window + 1,)."""
    width = 1
    while 2 * width <= window:
        values = np.minimum(values[:-width], values[width:])
        width *= 2
    return np.minimum(values[: len(values) - (window - width)], values[window - width :])


def _between() -> list[NDArray[np.float64]]:
    """Make the filters that tell what lies between two samples: windowed sincs, one for each point but the first."""
    filters = []
    for point in range(1, OVERSAMPLING):
        distance = np.arange(_REACH, -_REACH, -1) - 1 + point / OVERSAMPLING
        window = np.i0(5.0 * np.sqrt(np.maximum(0, 1 - (distance / _REACH) ** 2)))  # Kaiser's
        filter = np.sinc(distance) * window
        filters.append((filter / filter.sum())[::-1])
    return filters


_BETWEEN = _between()
