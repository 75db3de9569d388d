"""Which seconds of a recording a voice is cloned from, chosen by signal.

A model hears only some seconds of a recording as the prompt that it continues: Chatterbox's S3Gen ten, its T3 the
first six of those. They decide how the voice sounds, with its room and its noises. The first seconds of an interview
are often the worst: silence, applause, a jingle.

The signal is looked at in frames of 10 ms. A frame is voiced if it is louder than the noise floor and periodic at the
pitch of a voice. A block of half a second is speech if part of it is voiced, if its level rises and falls as syllables
do, and if its pitch moves: noise is not periodic, and music holds its notes and its level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
Values = NDArray[np.float64]

PROMPT_S = 10.0
"""The seconds that a model hears at most."""
MIN_PROMPT_S = 6.0
"""The shortest prompt that is chosen if the recording has ten seconds: T3 hears six."""
FRAME_S, SPAN_S, BLOCK_S = 0.01, 0.04, 0.5
"""The distance of two frames, the signal that each looks at, and a block."""
RATE_HZ = 8_000
"""About the rate at which the signal is looked at. Pitch and syllables need no more."""
PITCH_HZ = (70.0, 400.0)
PAUSE_S, LONG_SILENCE_S, MARGIN_S = 0.18, 1.5, 0.06
"""A pause between phrases, a silence that spoils a prompt, and what is left of a pause before and after the prompt."""
BETTER_BY = 0.15
"""How much better than the first seconds others must be to be preferred. The operator has cut the recording to begin
where it does, and scores are estimates."""
SEARCHED_S = 600.0
"""Nothing later is looked at: it would take seconds, and ten minutes hold ten good ones or none."""
SEARCH_STEP = 50
"""Beside the starts of phrases, a prompt is tried every so many frames."""
TOKEN_S = 0.04
"""A prompt that ends at a pause is whole tokens long: what is left of one would be dropped with half a frame."""
CHUNK = 2_000
"""Frames analyzed at once, so that a long recording needs a few megabytes."""


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a recording, and why it was chosen."""

    start_s: float
    end_s: float
    chosen: str = "first"
    """`first`: no other part is much better. `signal`: by what it sounds like. `setting`: asked for."""
    speech: float = 1.0
    """The share of it that is speech, 0 to 1."""
    above_noise_db: float = 0.0
    """How far its speech is above its noise, in decibels."""

    def describe(self) -> str:
        """Describe it in a line for the operator."""
        why = {
            "first": "no other part is much better",
            "signal": "the best part",
            "setting": "as MONICA_REFERENCE_START_S asks",
        }[self.chosen]
        return (
            f"{self.start_s:.1f} s to {self.end_s:.1f} s ({why}: "
            f"{self.speech:.0%} speech, {self.above_noise_db:.0f} dB above the noise)"
        )


def choose_window(samples: Sound, rate: int, start_s: float | None = None) -> Window:
    """Choose the seconds of a recording that a model hears as its prompt, PROMPT_S at most.

    samples: (N,) mono in [-1, 1], finite. start_s: where the prompt begins, instead of where it sounds best.
    """
    seconds = len(samples) / rate
    last_s = SEARCHED_S if start_s is None else start_s + SEARCHED_S
    analysis = _Analysis(samples[: int(last_s * rate)], rate)
    if start_s is not None:
        return analysis.rate_window(start_s, min(start_s + PROMPT_S, seconds), "setting")[1]
    first_score, first = analysis.rate_window(0.0, min(PROMPT_S, seconds), "first")
    if seconds <= MIN_PROMPT_S:
        return first
    score, best = max(
        (analysis.rate_window(start, end, "signal") for start, end in analysis.candidates()),
        key=lambda rated: rated[0],
        default=(first_score, first),
    )
    return best if score > first_score + BETTER_BY else first


class _Analysis:
    """What there is to know about each frame of a recording."""

    def __init__(self, samples: Sound, rate: int) -> None:
        factor = max(1, rate // RATE_HZ)
        # The mean of `factor` samples, as a low-pass filter. What it lets through of higher frequencies is faint in
        # speech, and a proper filter over an hour of recording would take seconds.
        whole = samples[: len(samples) // factor * factor].reshape(-1, factor)
        low = whole.mean(axis=1).astype(np.float64)
        self._rate = rate / factor
        self._hop = round(FRAME_S * self._rate)
        self._span = round(SPAN_S * self._rate)
        low = np.concatenate([low, np.zeros(self._span)])
        self.count = max(1, (len(low) - self._span) // self._hop)
        self._seconds = len(samples) / rate
        self.level, harmonicity, pitch = self._look(low)
        self.floor = float(np.percentile(self.level, 10))
        loudest = float(np.percentile(self.level, 95))
        # Half-way in decibels, if the recording has pauses; a bit below the loudest, if it never rests.
        self.threshold = max(loudest - 30.0, min((self.floor + loudest) / 2, loudest - 12.0))
        self.loudest = loudest
        self.active = self.level > self.threshold
        self.peak = _peaks(self.level, round(BLOCK_S / FRAME_S))
        self.voiced = self.active & (harmonicity > 0.5)
        self.clipped = _clipped_frames(samples, rate, self.count)
        self.speech = self._speech_blocks(pitch)

    def _look(self, low: Values) -> tuple[Values, Values, Values]:
        """Return level in dB, harmonicity 0 to 1 and pitch in hertz of each frame: (F,) each."""
        level, harmonicity, pitch = (np.empty(self.count) for _ in range(3))
        size = 1 << (2 * self._span - 1).bit_length()
        shortest, longest = int(self._rate / PITCH_HZ[1]), int(self._rate / PITCH_HZ[0])
        window = np.hanning(self._span)
        # An autocorrelation falls with the lag because less of the signal overlaps: divide by that of the window.
        overlap = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)[: longest + 2]
        overlap /= overlap[0]
        for first in range(0, self.count, CHUNK):
            frames = np.arange(first, min(first + CHUNK, self.count))
            taken = low[frames[:, None] * self._hop + np.arange(self._span)]
            power = (taken**2).mean(axis=1)
            level[frames] = 10 * np.log10(power + 1e-12)
            shaped = (taken - taken.mean(axis=1, keepdims=True)) * window
            correlation = np.fft.irfft(np.abs(np.fft.rfft(shaped, size)) ** 2)[:, : longest + 2] / overlap
            inside = correlation[:, shortest : longest + 1]
            peak = inside.argmax(axis=1)
            rows = np.arange(len(frames))
            harmonicity[frames] = inside[rows, peak] / np.maximum(correlation[:, 0], 1e-9)
            at = peak + shortest
            before, here, after = (correlation[rows, at + n] for n in (-1, 0, 1))
            bend = before - 2 * here + after
            shift = np.where(np.abs(bend) > 1e-12, 0.5 * (before - after) / np.where(bend == 0, 1, bend), 0.0)
            pitch[frames] = self._rate / (at + np.clip(shift, -0.5, 0.5))
        return level, harmonicity, pitch

    def _speech_blocks(self, pitch: Values) -> NDArray[np.bool_]:
        """Return for each frame whether the block around it is speech: (F,)."""
        width = round(BLOCK_S / FRAME_S)
        voiced = _around(self.voiced, width)
        # Syllables: how the level of 30 ms swings about that of half a second. What is below the floor swings for
        # nothing.
        level = _around(np.maximum(self.level, self.threshold - 10), 3)
        swing = np.sqrt(np.maximum(_around(level**2, width) - _around(level, width) ** 2, 0))
        # Notes: a pitch that stays within half a percent for a tenth of a second.
        steady = np.abs(np.diff(pitch, prepend=pitch[0])) < 0.001 * pitch
        held = _around(steady & self.voiced, round(0.1 / FRAME_S)) > 0.8
        notes = _around(held, width)
        return np.asarray((voiced > 0.2) & (swing > 2.5) & (notes < 0.4))

    def candidates(self) -> list[tuple[float, float]]:
        """Return windows worth a look, in seconds: from the start of a phrase to the end of one, or PROMPT_S long."""
        pause = round(PAUSE_S / FRAME_S)
        edges = np.flatnonzero(np.diff(self.active.astype(int), prepend=0, append=0))
        begins, ends = edges[::2], edges[1::2]
        gaps = begins[1:] - ends[:-1] >= pause
        starts = begins[np.concatenate([[True], gaps])] if len(begins) else begins
        stops = ends[np.concatenate([gaps, [True]])] if len(ends) else ends
        found = []
        for frame in sorted({*starts.tolist(), *range(0, self.count, SEARCH_STEP)}):
            start = max(0.0, frame * FRAME_S - MARGIN_S)
            inside = stops[(stops * FRAME_S > start + MIN_PROMPT_S) & (stops * FRAME_S + MARGIN_S <= start + PROMPT_S)]
            if len(inside):
                end = min(float(inside[-1]) * FRAME_S + MARGIN_S, self._seconds)
                found.append((start, start + TOKEN_S * int((end - start) / TOKEN_S)))
            if start + PROMPT_S <= self._seconds:
                found.append((start, start + PROMPT_S))
        return found

    def rate_window(self, start_s: float, end_s: float, chosen: str) -> tuple[float, Window]:
        """Return how good a prompt a window is, where 1 is very good, and the window.

        To two decimals: of windows that are as good, the first is taken, whatever the rounding errors of a machine. A
        voice's digest depends on its prompt, and two nodes should agree on it.
        """
        first, last = int(start_s / FRAME_S), max(int(end_s / FRAME_S), int(start_s / FRAME_S) + 1)
        inside = slice(first, min(last, self.count))
        active, speech = self.active[inside], self.speech[inside]
        if not len(active):
            return -1.0, Window(start_s, end_s, chosen, 0.0, 0.0)
        spoken = float((active & speech).sum() / max(1, active.sum()) * min(1.0, active.mean() / 0.6))
        quiet = float(np.percentile(self.level[inside], 5))
        loud = float(np.percentile(self.level[inside][active], 80)) if active.any() else quiet
        above_noise = loud - quiet
        score = spoken
        score += 0.3 * min(1.0, max(0.0, (above_noise - 10) / 30))
        score -= 0.5 * min(1.0, max(0.0, (self.loudest - loud - 6) / 12))  # far from the microphone, all of it or some
        score -= 0.5 * float((self.peak[inside] < loud - 15).mean())
        score -= min(1.0, 10 * float(self.clipped[inside].mean()))
        score -= 0.5 * min(1.0, max(0.0, _longest(~active) * FRAME_S - LONG_SILENCE_S))
        waits = (active.argmax() + active[::-1].argmax()) * FRAME_S if active.any() else end_s - start_s
        score -= 0.3 * min(1.0, max(0.0, waits - 2 * PAUSE_S))
        score += 0.05 * (self._rests(start_s) + self._rests(end_s))
        score += 0.1 * min(1.0, (end_s - start_s) / PROMPT_S)
        return round(score, 2), Window(start_s, end_s, chosen, spoken, above_noise)

    def _rests(self, at_s: float) -> bool:
        """Whether no one speaks at that time, or the recording has not begun or has ended."""
        frame = int(at_s / FRAME_S)
        return not self.active[max(0, frame - 3) : frame + 3].any()


def _around(values: NDArray[np.bool_] | Values, width: int) -> Values:
    """Return the mean of `width` values around each: (F,) -> (F,)."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    at = np.arange(len(values))
    low, high = np.maximum(at - width // 2, 0), np.minimum(at + (width + 1) // 2, len(values))
    return np.asarray((total[high] - total[low]) / np.maximum(high - low, 1))


def _peaks(values: Values, width: int) -> Values:
    """Return the largest value of the block of `width` that each is in: (F,) -> (F,)."""
    starts = np.arange(0, len(values), width)
    return np.repeat(np.maximum.reduceat(values, starts), width)[: len(values)]


def _longest(values: NDArray[np.bool_]) -> int:
    """Return the length of the longest run of true values."""
    edges = np.flatnonzero(np.diff(values.astype(int), prepend=0, append=0))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _clipped_frames(samples: Sound, rate: int, count: int) -> NDArray[np.bool_]:
    """Return for each frame whether its tops are cut off: (F,).

    Four samples in a row within a thousandth of the loudest of the half second around them are a flat top. A recording
    may have been made quieter after it was clipped, so full scale says nothing.
    """
    block = max(1, round(BLOCK_S * rate))
    clipped = np.zeros(count, bool)
    for start in range(0, len(samples), block):
        part = np.abs(samples[start : start + block])
        top = float(part.max(initial=0.0))
        if top < 0.05:  # too faint to have been clipped; also digital silence, which is flat
            continue
        high = (part > 0.999 * top).astype(np.int8)
        flat = np.flatnonzero(np.convolve(high, np.ones(4, np.int8), "valid") == 4)
        if len(flat) > 8:  # a loud low note has one or two by itself
            frames = ((start + flat) / rate / FRAME_S).astype(int)
            clipped[np.unique(frames[frames < count])] = True
    return clipped
