"""Takes that are finished chunk by chunk."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from monica.audio.finish import MAX_GAIN_DB, MEASURED_S, Finisher
from monica.audio.level import amplitude_ratio, integrated_loudness
from monica.audio.peaks import limit_peaks, limiter_reach, true_peaks
from monica.audio.silence import AFTER_S, BEFORE_S, trim_silence
from tests.support.sounds import Sound, noise, silence, sine, speech

RATE = 24_000
USUAL = Finisher(-16.0, -1.0, trim=True)
OFF = Finisher()
EACH = (
    Finisher(loudness_lufs=-16.0),
    Finisher(peak_dbtp=-12.0),
    Finisher(trim=True),
    Finisher(-10.0, -6.0, trim=False),
    USUAL,
    OFF,
)
TEXTS = ("Pablo vient de se faire éliminer par Rusmir !", "Tapis !", "La finale commence dans cinq minutes.")


def streamed(finisher: Finisher, samples: Sound, sizes: list[int] | None = None, rate: int = RATE) -> list[Sound]:
    """Finish a sound in chunks of these sizes, over and over. Return the finished chunks, one for each chunk."""
    stream, out = finisher.start_stream(rate), []
    sizes = sizes or [len(samples) + 1]
    at = turn = 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        out.append(stream.finish_chunk(samples[at : at + size], False))
        at, turn = at + size, turn + 1
    out.append(stream.finish_chunk(samples[:0], True))
    return out


def whole(finisher: Finisher, samples: Sound, sizes: list[int] | None = None, rate: int = RATE) -> Sound:
    return np.concatenate(streamed(finisher, samples, sizes, rate))


def talk(rate: int = RATE) -> Sound:
    """Silence, a quiet word, a loud one, a pause longer than any margin, a click, silence."""
    click = noise(0.02, rate)
    click[10] = 1.0
    said = [noise(0.5, rate, 0.03), silence(0.7, rate), sine(300, 0.6, rate, 0.5), silence(0.3, rate), click]
    return np.concatenate([silence(0.63, rate), *said, silence(0.9, rate)])


@pytest.mark.parametrize("finisher", EACH, ids=str)
@given(sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=8))
@settings(deadline=None, max_examples=25)
def test_result_does_not_depend_on_the_chunks(finisher: Finisher, sizes: list[int]) -> None:
    samples = talk()
    np.testing.assert_array_equal(whole(finisher, samples, sizes), whole(finisher, samples))


@pytest.mark.parametrize("finisher", EACH, ids=str)
@pytest.mark.parametrize("length", [0, 1, 119, 480, 481, 5000])
def test_last_samples_may_come_with_the_last_chunk_or_before_it(finisher: Finisher, length: int) -> None:
    samples = talk()[14_900 : 14_900 + length]
    once = finisher.start_stream(RATE).finish_chunk(samples, True)
    assert once.dtype == np.float32
    np.testing.assert_array_equal(once, whole(finisher, samples))
    np.testing.assert_array_equal(once, whole(finisher, samples, [1]))


def test_silence_is_cut_as_from_a_whole_take() -> None:
    samples = talk()
    np.testing.assert_array_equal(whole(Finisher(trim=True), samples), trim_silence(samples, RATE))
    np.testing.assert_array_equal(whole(Finisher(trim=True), noise(1, RATE)), noise(1, RATE))


def test_peaks_are_limited_as_in_a_whole_take() -> None:
    samples = talk()
    limited = whole(Finisher(peak_dbtp=-9.0), samples)
    np.testing.assert_allclose(limited, limit_peaks(samples, RATE, -9.0), atol=1e-7)
    assert true_peaks(limited).max() <= amplitude_ratio(-9.0) * 1.01
    assert np.abs(samples).max() > 2 * np.abs(limited).max()


def test_one_gain_is_used_and_measured_at_the_beginning() -> None:
    samples = np.concatenate([sine(997, 1, RATE, 0.05), sine(997, 1, RATE, 0.2), sine(997, 1, RATE, 0.01)])
    finished = whole(Finisher(loudness_lufs=-16.0), samples)
    gain = finished[samples != 0] / samples[samples != 0]
    np.testing.assert_allclose(gain, gain[0], rtol=1e-5)
    assert integrated_loudness(finished[:RATE], RATE) == pytest.approx(-16, abs=0.2)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("level", [0.3, 1.0])
def test_speech_comes_close_to_the_target_loudness(text: str, level: float) -> None:
    """The beginning of a sentence is not as loud as the whole of it."""
    samples, rate = speech(text)
    finished = whole(USUAL, samples * np.float32(level), [3000], rate)
    assert integrated_loudness(finished, rate) == pytest.approx(-16, abs=2.5)
    assert true_peaks(finished).max() <= amplitude_ratio(-1) * 1.01


def test_sound_comes_out_as_soon_as_possible() -> None:
    samples = np.concatenate([silence(1, RATE), noise(3, RATE)])
    chunk = RATE // 50
    lag = len(samples) - np.cumsum([len(out) for out in streamed(USUAL, samples, [chunk])])
    fed = chunk * np.arange(1, len(lag) + 1)
    begun = next(n for n, left in enumerate(lag) if left < len(samples))
    assert fed[begun] <= (1 + MEASURED_S + 0.06) * RATE
    out = len(samples) - lag[begun:-1]
    cut = (1 - BEFORE_S) * RATE
    assert (fed[begun:-1] - cut - out <= limiter_reach(RATE) + 2 * chunk).all()


def test_silence_is_held_back_until_there_is_sound_after_it() -> None:
    stream = Finisher(trim=True).start_stream(RATE)
    assert len(stream.finish_chunk(silence(1, RATE), False)) == 0
    said = stream.finish_chunk(noise(1, RATE), False)
    assert len(said) == (BEFORE_S + 1) * RATE
    rest = stream.finish_chunk(silence(2, RATE), False)
    assert len(rest) / RATE == pytest.approx(AFTER_S, abs=0.02)
    assert len(stream.finish_chunk(noise(1, RATE), False)) / RATE == pytest.approx(3 - AFTER_S, abs=0.02)
    assert len(stream.finish_chunk(silence(1, RATE), True)) / RATE == pytest.approx(AFTER_S, abs=0.02)


@pytest.mark.parametrize("finisher", EACH, ids=str)
def test_take_that_is_silent_throughout_is_not_cut(finisher: Finisher) -> None:
    for nothing in (silence(1, RATE), noise(1, RATE, 1e-6)):
        finished = whole(finisher, nothing, [777])
        assert len(finished) == len(nothing)
        assert np.abs(finished).max() <= np.abs(nothing).max() * amplitude_ratio(MAX_GAIN_DB) * 1.001


def test_all_off_changes_nothing() -> None:
    samples, rate = speech()
    np.testing.assert_array_equal(whole(OFF, samples * np.float32(4), [1000], rate), samples * np.float32(4))


@given(
    levels=st.lists(st.floats(0, 1.5, width=32), min_size=1, max_size=60),
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5),
)
@settings(deadline=None, max_examples=50)
def test_any_sound_comes_out_finite_limited_and_no_longer(levels: list[float], sizes: list[int]) -> None:
    samples = np.repeat(np.array(levels, np.float32), 300) * sine(1234, 300 * len(levels) / RATE, RATE, level=1)
    finished = whole(USUAL, samples, sizes)
    assert len(finished) <= len(samples)
    assert np.isfinite(finished).all()
    assert true_peaks(np.append(finished, np.float32(0))).max() <= amplitude_ratio(-1) * 1.02
