"""Faster and slower speech: its length, its pitch, and its end."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from monica.audio.stretch import TAIL_S, Stretcher, stretch
from tests.support.sounds import Sound, likeness, noise, silence, sine, speech

RATES = (22_050, 24_000)
SPEEDS = (0.25, 0.4, 0.5, 0.8, 0.95, 1.1, 1.5, 2.0, 2.7, 4.0)


def pitch(samples: Sound, rate: int) -> float:
    """Return the median fundamental, in hertz, of the loud parts of a voice, by autocorrelation from 70 to 250 Hz."""
    frames = samples[: len(samples) // 1024 * 1024].reshape(-1, 1024).astype(float)
    loudest = frames[np.argsort((frames**2).sum(axis=1))[len(frames) // 2 :]]
    shortest, longest = rate // 250, rate // 70
    again = [correlate(frame, frame, method="fft")[1023:][shortest:longest].argmax() for frame in loudest]
    return float(rate / (shortest + np.median(again)))


def dominant(samples: Sound, rate: int) -> float:
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * rate / len(samples))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.3, 2.0])
def test_stretched_sound_has_the_computed_length(rate: int, speed: float, seconds: float) -> None:
    samples = sine(220, seconds, rate)
    assert len(stretch(samples, rate, speed)) == round(len(samples) / speed + TAIL_S * rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("speed", SPEEDS)
def test_end_is_kept_and_nothing_comes_after_it(rate: int, speed: float) -> None:
    """A sound that ends in a burst still ends in it, close to the computed time."""
    samples = np.concatenate([sine(150, 1, rate, 0.05), noise(0.1, rate)])
    stretched = stretch(samples, rate, speed)
    loud = np.flatnonzero(np.convolve(stretched**2, np.ones(50) / 50, "same") > 0.05**2)
    assert (loud[-1] - loud[0]) / rate == pytest.approx(0.1 / speed, abs=0.03)
    assert -0.06 <= (loud[-1] - len(samples) / speed) / rate <= TAIL_S


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("speed", SPEEDS)
def test_sine_keeps_its_frequency(rate: int, speed: float) -> None:
    stretched = stretch(sine(440, 3, rate), rate, speed)
    assert dominant(stretched, rate) == pytest.approx(440, rel=0.01)
    assert np.abs(stretched).max() == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_voice_keeps_its_pitch(speed: float) -> None:
    samples, rate = speech("La finale commence dans cinq minutes, merci de regagner vos places.")
    assert pitch(stretch(samples, rate, speed), rate) == pytest.approx(pitch(samples, rate), rel=0.05)


def test_speed_one_changes_nothing() -> None:
    samples, rate = speech()
    assert stretch(samples, rate, 1.0) is samples
    stretcher = Stretcher(rate, 1.0)
    parts = [stretcher.stretch_chunk(samples[:5000]), stretcher.stretch_chunk(samples[5000:]), stretcher.stretch_end()]
    np.testing.assert_array_equal(np.concatenate(parts), samples)


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_stretching_there_and_back_gives_the_same_envelope(speed: float) -> None:
    samples, rate = speech()
    loud = np.abs(np.concatenate([samples, silence(0.1, rate)]))
    back = np.abs(stretch(stretch(samples, rate, speed), rate, 1 / speed))
    window = np.ones(rate // 50) / (rate // 50)
    envelopes = [np.convolve(each, window, "same").astype(np.float32) for each in (back, loud)]
    assert likeness(*envelopes) > 0.95


@given(
    chunks=st.lists(st.integers(0, 6000), min_size=1, max_size=10).filter(any),
    speed=st.sampled_from(SPEEDS),
)
@settings(deadline=None, max_examples=40)
def test_chunks_give_the_same_length_and_a_similar_sound(chunks: list[int], speed: float) -> None:
    samples, rate = speech()
    stretcher = Stretcher(rate, speed)
    parts, at = [], 0
    for size in itertools.cycle(chunks):
        parts.append(stretcher.stretch_chunk(samples[at : at + size]))
        at += size
        if at >= len(samples):
            break
    streamed = np.concatenate([*parts, stretcher.stretch_end()])
    whole = stretch(samples, rate, speed)
    assert len(streamed) == len(whole)
    assert likeness(streamed, whole) > 0.9


def test_stretcher_does_not_wait_for_the_end() -> None:
    stretcher = Stretcher(24_000, 1.5)
    early = sum(len(stretcher.stretch_chunk(noise(0.2, 24_000))) for _ in range(10))
    assert early > 0.8 * 2 * 24_000 / 1.5


@pytest.mark.parametrize("speed", [0.0, 0.2499, 4.01, -1.0, float("nan"), float("inf")])
def test_speeds_out_of_range_are_refused(speed: float) -> None:
    with pytest.raises(ValueError, match=r"between 0\.25 and 4"):
        stretch(silence(1, 24_000), 24_000, speed)


@pytest.mark.parametrize("speed", [0.25, 1.0, 4.0])
def test_empty_sound_stays_empty(speed: float) -> None:
    assert len(stretch(np.empty(0, np.float32), 24_000, speed)) == 0
