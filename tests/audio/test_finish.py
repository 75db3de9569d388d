"""Whole takes: their loudness, their peaks, and the silence at their ends."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pyloudnorm import Meter
from scipy.signal import resample

from monica.audio.finish import MAX_GAIN_DB, Finisher
from monica.audio.level import integrated_loudness
from monica.audio.peaks import Limiter, limit_peaks, true_peaks
from monica.audio.silence import AFTER_S, BEFORE_S, trim_silence
from tests.support.sounds import Sound, noise, silence, sine, speech

RATES = (22_050, 24_000)
OFF = Finisher()
USUAL = Finisher(-16.0, -1.0, trim=True)
TEXTS = ("Pablo vient de se faire éliminer par Rusmir !", "Tapis !", "Oui.", "La finale commence dans cinq minutes.")


def decibels(ratio: float) -> float:
    return float(20 * np.log10(ratio))


def true_peak(samples: NDArray[np.floating]) -> float:
    """Measure the true peak independently of the code: through the spectrum, and more finely."""
    return decibels(np.abs(resample(np.pad(samples, 2000).astype(float), 16 * (len(samples) + 4000))).max())


def position(part: Sound, whole: Sound) -> int:
    """Return where a part begins in a whole. It is found by its middle, which occurs there once, bit for bit."""
    middle = len(part) // 2
    windows = sliding_window_view(whole, 500)
    (found,) = np.flatnonzero((windows == part[middle : middle + 500]).all(axis=1))
    return int(found) - middle


@pytest.mark.parametrize("rate", [22_050, 24_000, 48_000])
def test_loudness_is_measured_as_bs_1770_defines_it(rate: int) -> None:
    """A full-scale sine of 997 Hz in one channel is -3.01 LKFS by definition."""
    assert integrated_loudness(sine(997, 3, rate, level=1), rate) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("seed", range(100))
def test_loudness_agrees_with_pyloudnorm(seed: int) -> None:
    """Noise, rumble and speech, with pauses, too loud or hardly heard, at any rate and from 10 ms on."""
    random = np.random.default_rng(seed)
    rate = int(random.choice([8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]))
    length = int(random.uniform(0.01, 4) * rate)
    envelope = np.interp(np.arange(length), np.linspace(0, length, 12), random.uniform(0, 1, 12) ** 3)
    samples = random.standard_normal(length) * envelope
    if seed % 3 == 1:
        samples = np.cumsum(samples) / max(1, np.abs(np.cumsum(samples)).max())
    elif seed % 3 == 2:
        samples = np.resize(speech(TEXTS[seed % len(TEXTS)])[0], length) * envelope
    sound: Sound = (samples * 10 ** random.uniform(-3.5, 0.3)).astype(np.float32)
    repeated = np.resize(sound, max(length, round(0.4 * rate) + 1))
    reference = Meter(rate, "DeMan").integrated_loudness(repeated)
    # 0.1 LU could not be heard. A ten-thousandth keeps a finished take as it was, and so what is kept a hit.
    assert integrated_loudness(sound, rate) == pytest.approx(reference, abs=1e-4)


@pytest.mark.parametrize("level", [0.02, 0.3, 1.0, 4.0])
def test_limiter_misses_no_peak_though_it_looks_only_near_loud_samples(level: float) -> None:
    random = np.random.default_rng(round(100 * level))
    for samples in (noise(0.5, 24_000, level), sine(11_000, 0.5, 24_000, level), speech()[0] * np.float32(level)):
        for ratio in random.uniform(0.05, 1, 5):
            expected = true_peaks(samples)
            found = true_peaks(samples, ratio)
            np.testing.assert_allclose(found[expected > ratio], expected[expected > ratio], rtol=1e-12)
            assert (found[expected <= ratio] <= ratio).all()


def test_limiter_that_measured_once_limits_at_any_gain_as_if_it_had_measured_again() -> None:
    samples, rate = speech()
    limiter = Limiter(samples, rate, -6.0)
    for gain in (0.0, 6.0, 6.9, 12.0, -20.0, 0.0):
        turned = samples * np.float32(10 ** (gain / 20))
        np.testing.assert_allclose(limiter.apply(gain), limit_peaks(turned, rate, -6.0), rtol=1e-5, atol=1e-7)
    assert true_peak(limiter.apply(12.0)) <= -6 + 0.05


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.3, 0.4, 0.41, 0.5])
def test_short_clip_is_as_loud_as_a_long_one(seconds: float) -> None:
    assert integrated_loudness(sine(1000, seconds, 24_000), 24_000) == pytest.approx(
        integrated_loudness(sine(1000, 3, 24_000), 24_000), abs=0.5
    )


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("target", [-23.0, -18.0, -16.0])
def test_speech_reaches_the_target_loudness_whatever_its_peaks(text: str, target: float) -> None:
    samples, rate = speech(text)
    finished = Finisher(target, -1.0, trim=True).finish_take(samples * np.float32(0.3), rate)
    assert integrated_loudness(finished, rate) == pytest.approx(target, abs=0.3)
    assert true_peak(finished) <= -1 + 0.05


@pytest.mark.parametrize("rate", RATES)
def test_sine_reaches_the_target_loudness(rate: int) -> None:
    finished = USUAL.finish_take(sine(997, 2, rate), rate)
    assert np.abs(finished).max() == pytest.approx(10 ** ((-16 + 3.01) / 20), rel=0.01)


@pytest.mark.parametrize("level", [1e-3, 1e-4, 1e-5])
def test_faint_sound_is_not_made_loud(level: float) -> None:
    hiss = noise(2, 24_000, level)
    finished = USUAL.finish_take(hiss, 24_000)
    assert np.abs(finished).max() <= 10 ** (MAX_GAIN_DB / 20) * np.abs(hiss).max() * 1.001


@pytest.mark.parametrize("rate", RATES)
def test_peaks_between_samples_are_limited(rate: int) -> None:
    # Every sample is at 0.707 of the sine's peak.
    sharp = np.sin(2 * np.pi * np.arange(rate) / 4 + np.pi / 4).astype(np.float32)
    assert decibels(np.abs(sharp).max()) == pytest.approx(-3.01, abs=0.01)
    finished = Finisher(None, -1.0, trim=False).finish_take(sharp, rate)
    assert true_peak(finished[100:-100] * np.hanning(len(sharp) - 200)) == pytest.approx(-1, abs=0.05)
    assert true_peak(finished) <= -1 + 0.05
    # Judged by the samples alone there would have been nothing to limit.
    assert np.abs(finished).max() < 0.95 * np.abs(sharp).max()


def test_limiting_a_click_leaves_the_rest_alone() -> None:
    samples = sine(200, 1, 24_000, level=0.2)
    samples[12_000] = 1.0
    limited = limit_peaks(samples, 24_000, -6.0)
    assert true_peak(limited) <= -6 + 0.05
    far = np.abs(np.arange(24_000) - 12_000) > 0.011 * 24_000
    np.testing.assert_array_equal(limited[far], samples[far])
    gain = limited[11_000:13_000] / np.where(samples[11_000:13_000] == 0, 1, samples[11_000:13_000])
    assert np.abs(np.diff(gain[gain > 0])).max() < 0.02, "the gain jumps"


@given(
    levels=st.lists(st.floats(0, 1, width=32), min_size=2, max_size=40),
    peak=st.floats(-12, 0),
    rate=st.sampled_from(RATES),
)
@settings(deadline=None, max_examples=50)
def test_no_peak_exceeds_the_limit(levels: list[float], peak: float, rate: int) -> None:
    samples = np.repeat(np.array(levels, np.float32), 50) * sine(rate / 8.3, 50 * len(levels) / rate, rate, level=1)
    assert decibels(true_peaks(limit_peaks(samples, rate, peak)).max() + 1e-9) <= peak + 0.1


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("offset", [0.0, 0.05])
@pytest.mark.parametrize("hiss", [0.0, 1e-3])
def test_silence_is_cut_down_to_the_margins(rate: int, offset: float, hiss: float) -> None:
    said = noise(1, rate)
    parts = [silence(0.7, rate), said, silence(0.9, rate)]
    samples = np.concatenate(parts) + noise(2.6, rate, hiss)[: sum(map(len, parts))] + np.float32(offset)
    cut = trim_silence(samples, rate)
    assert len(cut) / rate == pytest.approx(BEFORE_S + 1 + AFTER_S, abs=0.01)
    start = position(cut, samples)
    assert start / rate == pytest.approx(0.7 - BEFORE_S, abs=0.01)
    faded = rate // 90
    np.testing.assert_array_equal(cut[faded:-faded], samples[start : start + len(cut)][faded:-faded])


def test_cut_ends_are_faded_and_uncut_ends_are_not() -> None:
    rate = 24_000
    samples = noise(3, rate, 1e-3)
    samples[rate : 2 * rate] = noise(1, rate)
    cut = trim_silence(samples, rate)
    assert cut[0] == cut[-1] == 0
    assert np.abs(cut[:24]).max() < 2e-4
    assert np.abs(cut[-24:]).max() < 2e-4
    np.testing.assert_array_equal(trim_silence(noise(1, rate), rate), noise(1, rate))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("level", [1.0, 0.03])
def test_no_speech_is_cut(text: str, level: float) -> None:
    samples, rate = speech(text)
    samples = samples * np.float32(level)
    padded = np.concatenate([silence(0.5, rate), samples, silence(0.5, rate)])
    cut = trim_silence(padded, rate)
    start = position(cut, padded)
    missing = np.concatenate([padded[:start], padded[start + len(cut) :]])
    assert len(missing) > 0.5 * rate
    assert np.abs(missing).max() < 1e-3 * level


def test_quiet_beginning_counts_as_speech() -> None:
    """The beginning is 20 dB below a voice that is itself faint: under the floor, but still part of the speech."""
    rate = 24_000
    said = np.concatenate([noise(0.3, rate, 1e-3), noise(1, rate, 1e-2)])
    cut = trim_silence(np.concatenate([silence(1, rate), said, silence(1, rate)]), rate)
    assert len(cut) / rate == pytest.approx(BEFORE_S + 1.3 + AFTER_S, abs=0.01)


def test_without_speech_nothing_is_cut() -> None:
    hiss = noise(1, 24_000, 1e-3)
    assert trim_silence(hiss, 24_000) is hiss


@pytest.mark.parametrize(
    "samples",
    [
        np.empty(0, np.float32),
        np.array([0.1, np.nan, 0.2], np.float32),
        np.array([0.1, np.inf], np.float32),
    ],
)
def test_empty_or_non_finite_samples_are_returned_unchanged(samples: Sound) -> None:
    assert USUAL.finish_take(samples, 24_000) is samples


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("length", [1, 2, 100, 1200, 7200])
@pytest.mark.parametrize("level", [0.0, 1e-6, 0.3, 1.5])
def test_short_clips_stay_finite_and_within_their_limits(rate: int, length: int, level: float) -> None:
    for clip in (sine(440, 1, rate, level)[:length], np.full(length, level, np.float32)):
        finished = USUAL.finish_take(clip, rate)
        assert (finished.dtype, finished.shape) == (np.dtype(np.float32), clip.shape)
        assert np.isfinite(finished).all()
        assert np.abs(finished).max() <= 10 ** (-1 / 20) * 1.001
        assert np.abs(finished).max() <= np.abs(clip).max() * 10 ** (MAX_GAIN_DB / 20) * 1.001


def test_silence_stays_silent() -> None:
    nothing = silence(2, 24_000)
    np.testing.assert_array_equal(USUAL.finish_take(nothing, 24_000), nothing)


def test_all_off_changes_nothing() -> None:
    samples, rate = speech()
    assert OFF.finish_take(samples, rate) is samples
    loud = samples * np.float32(4)
    assert OFF.finish_take(loud, rate) is loud


def test_input_samples_are_not_written_to() -> None:
    samples, rate = speech()
    padded = np.concatenate([silence(1, rate), samples, silence(1, rate)])
    padded.setflags(write=False)
    before = padded.copy()
    USUAL.finish_take(padded, rate)
    np.testing.assert_array_equal(padded, before)


def test_every_setting_changes_the_version_and_the_sound() -> None:
    samples, rate = speech()
    padded = np.concatenate([silence(1, rate), samples, silence(1, rate)])
    variants = [
        USUAL,
        *(dataclasses.replace(USUAL, **{name: value}) for name, value in dataclasses.asdict(OFF).items()),
        dataclasses.replace(USUAL, loudness_lufs=-18.0),
        dataclasses.replace(USUAL, peak_dbtp=-2.0),
        OFF,
    ]
    for one, other in itertools.combinations(variants, 2):
        assert one.version != other.version
        assert not np.array_equal(one.finish_take(padded, rate), other.finish_take(padded, rate))
    assert USUAL.version == Finisher(-16.0, -1.0, trim=True).version
