"""Finishes takes after the engine: silence is cut off the ends, the loudness is set, the peaks are limited.

A streamed take is finished chunk by chunk, with a single gain that is measured at its beginning.
"""

from __future__ import annotations

import functools
from dataclasses import astuple, dataclass

import numpy as np

from monica.audio.level import BLOCK_S, Sound, amplitude_ratio, integrated_loudness
from monica.audio.peaks import Limiter, limit_peaks, limiter_reach
from monica.audio.silence import FLOOR_DB, StreamTrimmer, trim_silence, window_powers, window_samples
from monica.config import Settings

VERSION = 2
"""The version of these algorithms, and of how sentences are joined. Raise it whenever the same settings produce a
different sound."""
MAX_GAIN_DB = 20.0
"""Upper bound on the gain. A take that would need more is not speech, and noise must not be made loud."""
MEASURED_S = BLOCK_S
"""How much sound that is not silence a stream needs before its gain is measured."""
FRAME_WINDOWS = 4
"""A stream is processed in frames of this many windows, whatever the chunks it arrives in. So it always sounds the
same."""


@dataclass(frozen=True, slots=True)
class Finisher:
    """Finishes takes as the settings ask. Immutable, and used from any thread."""

    loudness_lufs: float | None = None
    """The integrated loudness of every take, by ITU-R BS.1770. None leaves the loudness as it is."""
    peak_dbtp: float | None = None
    """The true peak that no take exceeds. None leaves the peaks as they are."""
    trim: bool = False
    """Whether silence is cut off the ends."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Finisher:
        """Return the finisher that the settings ask for."""
        return cls(settings.loudness, settings.peak, settings.trim)

    @property
    def version(self) -> str:
        """Everything that affects the finished sound, as a part of the cache key."""
        return _version(self)

    def warm_up(self) -> None:
        """Compute the tables of the embedded voice's rate, so that no take waits for them."""
        if self.loudness_lufs is not None:
            integrated_loudness(np.ones(1, np.float32), 22_050)

    def finish_take(self, samples: Sound, rate: int) -> Sound:
        """Finish a whole take. samples: (N,) mono in [-1, 1]. Returns (M,), M <= N; the same array if all is off.

        Samples that are empty or not all finite are returned as they are. A take that is silent, or would need more
        than MAX_GAIN_DB, does not reach the loudness that is set.
        """
        if len(samples) == 0 or not np.isfinite(samples).all():
            return samples
        if self.trim:
            samples = trim_silence(samples, rate)
        limiter = None if self.peak_dbtp is None else Limiter(samples, rate, self.peak_dbtp)
        finished = samples if limiter is None else limiter.apply(0.0)
        if self.loudness_lufs is None:
            return finished
        # The peaks are limited rather than the gain. Speech peaks 15 to 20 dB above its loudness, some sentences more
        # than others; if the peaks decided the gain, sentences would differ in loudness. The second round gives back
        # the loudness that the limiter takes away.
        gain = 0.0
        for _ in range(2):
            missing = self.loudness_lufs - integrated_loudness(finished, rate)
            if not 0.05 < abs(missing) < np.inf:
                break
            gain = min(gain + missing, MAX_GAIN_DB)
            finished = samples * np.float32(amplitude_ratio(gain)) if limiter is None else limiter.apply(gain)
        return finished

    def start_stream(self, rate: int) -> StreamFinisher:
        """Return the object that finishes one take chunk by chunk. rate: hertz of its samples."""
        return StreamFinisher(self, rate)


@functools.cache  # asked for by every request, and a twentieth of what a cached answer costs
def _version(finisher: Finisher) -> str:
    return repr((VERSION, *astuple(finisher)))


OFF = Finisher()


class StreamFinisher:
    """Finishes one take chunk by chunk. The result does not depend on how the take is cut into chunks.

    The beginning is held back until it contains MEASURED_S of sound, from which the gain is measured. Silence is held
    back until sound follows. Samples that are not finite are let through, and may spoil those around them.
    """

    def __init__(self, finisher: Finisher, rate: int) -> None:
        self._rate = rate
        self._loudness_lufs, self._peak = finisher.loudness_lufs, finisher.peak_dbtp
        self._trimmer = StreamTrimmer(rate) if finisher.trim else None
        self._frame_length = FRAME_WINDOWS * window_samples(rate)
        self._pending = self._unmeasured = self._unlimited = np.empty(0, np.float32)
        self._gain: np.float32 | None = None
        self.received = 0
        """How many samples have been passed to `finish_chunk`."""
        self._loud_windows = 0
        self._already_out = 0
        """How many samples of `_unlimited` were returned before. The limiter still looks back at them."""

    def finish_chunk(self, samples: Sound, last: bool) -> Sound:
        """Take (N,) more samples, N >= 0. Return the (M,) that are finished; with the last chunk, all that are left."""
        self.received += len(samples)
        self._pending = np.concatenate([self._pending, samples])
        finished = []
        while len(self._pending) >= self._frame_length:
            frame, self._pending = self._pending[: self._frame_length], self._pending[self._frame_length :]
            finished.append(self._finish_frame(frame, False))
        if last:
            finished.append(self._finish_frame(self._pending, True))
            self._pending = self._pending[:0]
        return np.concatenate(finished) if finished else self._pending[:0]

    def _finish_frame(self, frame: Sound, last: bool) -> Sound:
        if self._loudness_lufs is not None and self._gain is None and len(frame):
            self._loud_windows += int((window_powers(frame, self._rate) > amplitude_ratio(FLOOR_DB) ** 2).sum())
        sound = frame if self._trimmer is None else self._trimmer.trim_chunk(frame, last)
        if self._loudness_lufs is not None:
            sound = self._apply_gain(sound, self._loudness_lufs, last)
        return sound if self._peak is None else self._limit_frame(sound, self._peak, last)

    def _apply_gain(self, sound: Sound, loudness_lufs: float, last: bool) -> Sound:
        if self._gain is None:
            self._unmeasured = sound = np.concatenate([self._unmeasured, sound])
            if not last and self._loud_windows * window_samples(self._rate) < MEASURED_S * self._rate:
                return sound[:0]
            missing = loudness_lufs - integrated_loudness(sound, self._rate) if len(sound) else 0.0
            self._gain = np.float32(amplitude_ratio(min(missing, MAX_GAIN_DB)) if np.isfinite(missing) else 1)
            self._unmeasured = sound[:0]
        return sound * self._gain

    def _limit_frame(self, sound: Sound, peak: float, last: bool) -> Sound:
        self._unlimited = np.concatenate([self._unlimited, sound])
        margin = limiter_reach(self._rate)
        end = len(self._unlimited) - (0 if last else margin)
        if end <= self._already_out:
            return sound[:0]
        limited = limit_peaks(self._unlimited, self._rate, peak)[self._already_out : end]
        past = min(end, margin)
        self._unlimited, self._already_out = self._unlimited[end - past :], past
        return limited
