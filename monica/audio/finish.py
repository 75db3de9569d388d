"""What happens to a take after the engine: silence cut off its ends, its loudness set, its peaks held.

A take that is heard while it is made is finished as it comes, with one gain, found in its beginning.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from monica.audio.level import BLOCK_S, Sound, limit, loudness, ratio, reach, true_peaks
from monica.audio.silence import FLOOR_DB, Trimmer, powers, trim_silence, window
from monica.config import Settings

VERSION = 2  # of the algorithms, join and all; raised whenever the same settings sound different
MAX_GAIN_DB = 20.0  # at most; what would need more is no speech, and noise is not to be made loud
MEASURED_S = BLOCK_S  # of sound that is not silence: then a stream's gain is found
PIECE_WINDOWS = 4
"""A stream is worked off in pieces of so many windows, however it comes: so it always sounds the same."""


@dataclass(frozen=True, slots=True)
class Finisher:
    """Which of it happens, and how.

    loudness_lufs: the integrated loudness of every take, by ITU-R BS.1770; None leaves it as it is.
    peak_dbtp: the true peak that no take exceeds; None leaves them. trim: whether silence is cut off the ends.
    """

    loudness_lufs: float | None = None
    peak_dbtp: float | None = None
    trim: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Finisher:
        """Return what the settings ask for."""
        return cls(_decibels(settings.loudness), _decibels(settings.peak), settings.trim == "on")

    @property
    def version(self) -> str:
        """All that changes what is made of samples; part of the cache key."""
        return repr((VERSION, *astuple(self)))

    def warm_up(self) -> None:
        """Import what is slow to import, so that no take waits for it."""
        if self.loudness_lufs is not None:
            loudness(np.ones(1, np.float32), 24_000)

    def finish(self, samples: Sound, rate: int) -> Sound:
        """Finish a take. samples: (N,) mono in [-1, 1]. Returns (M,), M <= N; the same array where all is off.

        What is empty or holds samples that are no numbers comes back as it is. What is silent, or would need more
        than MAX_GAIN_DB, does not get as loud as wanted.
        """
        if len(samples) == 0 or not np.isfinite(samples).all():
            return samples
        if self.trim:
            samples = trim_silence(samples, rate)
        finished, gain, peaks = samples, 0.0, np.empty(0)
        if self.peak_dbtp is not None:
            peaks = true_peaks(samples)
            finished = limit(samples, rate, self.peak_dbtp, peaks)
        if self.loudness_lufs is None:
            return finished
        # Peaks are limited rather than the gain: speech peaks 15 to 20 dB above its loudness, one sentence more than
        # another, and where that decided, they would differ. What the limiter takes, the second round gives back.
        for _ in range(2):
            missing = self.loudness_lufs - loudness(finished, rate)
            if not 0.05 < abs(missing) < np.inf:
                break
            gain = min(gain + missing, MAX_GAIN_DB)
            finished = samples * np.float32(ratio(gain))
            if self.peak_dbtp is not None:
                finished = limit(finished, rate, self.peak_dbtp, peaks * ratio(gain))
        return finished

    def stream(self, rate: int) -> StreamFinisher:
        """Finish a take that comes in chunks."""
        return StreamFinisher(self, rate)


OFF = Finisher()


class StreamFinisher:
    """A take that is finished as it comes: the same samples, however it is cut into chunks.

    Its beginning is held back until there are MEASURED_S of sound in it, which its gain is found from; silence is held
    back until there is sound after it. Numbers that are not finite pass, and may spoil what comes with them.
    """

    def __init__(self, finisher: Finisher, rate: int) -> None:
        self._rate = rate
        self._wanted, self._peak = finisher.loudness_lufs, finisher.peak_dbtp
        self._trimmer = Trimmer(rate) if finisher.trim else None
        self._piece = PIECE_WINDOWS * window(rate)
        self._rest = self._unmeasured = self._unlimited = np.empty(0, np.float32)
        self._gain: np.float32 | None = None
        self.taken = 0
        """Samples that have been pushed."""
        self._loud_windows = 0
        self._limited = 0  # of what is not limited yet, this much is out already: the limiter looks back at it

    def push(self, samples: Sound, last: bool) -> Sound:
        """Take (N,) samples more, N >= 0. Returns (M,) that are finished; with the `last` ones, all that are left."""
        self.taken += len(samples)
        self._rest = np.concatenate([self._rest, samples])
        finished = []
        while len(self._rest) >= self._piece:
            piece, self._rest = self._rest[: self._piece], self._rest[self._piece :]
            finished.append(self._work(piece, False))
        if last:
            finished.append(self._work(self._rest, True))
            self._rest = self._rest[:0]
        return np.concatenate(finished) if finished else self._rest[:0]

    def _work(self, piece: Sound, last: bool) -> Sound:
        if self._wanted is not None and self._gain is None and len(piece):
            self._loud_windows += int((powers(piece, self._rate) > ratio(FLOOR_DB) ** 2).sum())
        sound = piece if self._trimmer is None else self._trimmer.push(piece, last)
        if self._wanted is not None:
            sound = self._level(sound, self._wanted, last)
        return sound if self._peak is None else self._limit(sound, self._peak, last)

    def _level(self, sound: Sound, wanted: float, last: bool) -> Sound:
        if self._gain is None:
            self._unmeasured = sound = np.concatenate([self._unmeasured, sound])
            if not last and self._loud_windows * window(self._rate) < MEASURED_S * self._rate:
                return sound[:0]
            missing = wanted - loudness(sound, self._rate) if len(sound) else 0.0
            self._gain = np.float32(ratio(min(missing, MAX_GAIN_DB)) if np.isfinite(missing) else 1)
            self._unmeasured = sound[:0]
        return sound * self._gain

    def _limit(self, sound: Sound, peak: float, last: bool) -> Sound:
        self._unlimited = np.concatenate([self._unlimited, sound])
        margin = reach(self._rate)
        end = len(self._unlimited) - (0 if last else margin)
        if end <= self._limited:
            return sound[:0]
        limited = limit(self._unlimited, self._rate, peak)[self._limited : end]
        past = min(end, margin)
        self._unlimited, self._limited = self._unlimited[end - past :], past
        return limited


def _decibels(setting: str) -> float | None:
    return None if setting == "off" else float(setting)
