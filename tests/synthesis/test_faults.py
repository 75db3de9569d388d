from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from monica.audio.activity import Activity
from monica.synthesis.duration import PRIOR, DurationModel, parse_script
from monica.synthesis.faults import Fault, describe_faults, find_faults
from tests.support.sounds import Sound, noise, silence, sine, speech

TEXT = "Pablo vient de se faire éliminer par Rusmir !"
ESPEAK = DurationModel((0.157, 0.08, 0.41, 0.58), 0.22)
"""What a model becomes that is fitted to espeak-ng's takes."""


def faults(
    samples: Sound, rate: int, text: str = TEXT, *, complete: bool = True, tokens: tuple[int, ...] = ()
) -> set[Fault]:
    return set(find_faults(samples, rate, text, ESPEAK.expect(text), complete=complete, tokens=tokens))


def spoken() -> tuple[Sound, int]:
    """Return the announcement without the silence around it."""
    samples, rate = speech(TEXT)
    activity = Activity.of(samples, rate)
    width = round(activity.window_s * rate)
    return samples[activity.loud[0] * width : (activity.loud[-1] + 1) * width], rate


@pytest.mark.parametrize(
    "text",
    [
        "Oui.",
        "A.",
        "Non !",
        "Tapis !",
        TEXT,
        "Attention. La pause commence. Bonne soirée à tous.",
        "Brrr, tchin-tchin.",
    ],
)
def test_good_take_has_no_fault(text: str) -> None:
    samples, rate = speech(text)
    assert faults(samples, rate, text) == set()
    assert find_faults(samples, rate, text, PRIOR.expect(text)) == ()


def test_worst_of_several_faults_is_all_there_is_to_find() -> None:
    broken = sine(300, 0.1, 8000)
    broken[5] = np.inf
    assert faults(broken, 8000, complete=False) == {Fault.NOT_FINITE}
    assert faults(sine(300, 0.1, 8000, 5e-4), 8000, complete=False) == {Fault.SILENCE}
    assert faults(np.empty(0, np.float32), 8000) == {Fault.SILENCE}
    assert faults(sine(300, 0.1, 8000), 8000, complete=False) == {Fault.NO_END}
    assert [fault for fault in Fault if fault.grave] == [Fault.NOT_FINITE, Fault.SILENCE, Fault.NO_END]


def test_length_must_fit_the_text() -> None:
    samples, rate = spoken()
    half = len(samples) // 2
    assert faults(samples[:half], rate) == {Fault.TOO_SHORT}
    assert faults(np.concatenate([samples, samples[half:]]), rate) == {Fault.TOO_LONG}


def test_noise_after_the_speech_is_a_tail_and_a_last_hiss_is_none() -> None:
    samples, rate = spoken()
    assert Fault.TAIL in faults(np.concatenate([samples, noise(0.7, rate, 0.02)]), rate)
    assert Fault.TAIL not in faults(np.concatenate([samples, noise(0.3, rate, 0.02)]), rate)
    assert Fault.TAIL not in faults(np.concatenate([samples, silence(2, rate)]), rate)


def with_silence(samples: Sound, rate: int, seconds: float, share: float) -> Sound:
    at = round(share * len(samples))
    return np.insert(samples, at, silence(seconds, rate))


def test_silence_inside_is_a_gap_unless_it_is_the_pause_of_a_mark() -> None:
    samples, rate = spoken()
    assert Fault.GAP in faults(with_silence(samples, rate, 1.0, 0.5), rate)
    assert Fault.GAP not in faults(with_silence(samples, rate, 0.6, 0.5), rate)
    marked = "Pablo vient de se faire, éliminer par Rusmir !"
    assert Fault.GAP not in faults(with_silence(samples, rate, 1.0, 0.5), rate, marked)
    assert Fault.GAP in faults(with_silence(samples, rate, 1.0, 0.9), rate, marked)
    assert Fault.GAP in faults(with_silence(samples, rate, 1.7, 0.5), rate, marked)


def test_clipping_and_level() -> None:
    samples, rate = spoken()
    assert faults(np.clip(samples * 10, -1, 1), rate) >= {Fault.CLIPPING}
    assert faults(samples * 0.01, rate) == {Fault.LEVEL}
    faded = samples.copy()
    faded[len(faded) // 2 :] *= 0.03
    assert Fault.LEVEL in faults(faded, rate)
    assert faults(samples * np.float32(0.99 / np.abs(samples).max()), rate) == set()


@pytest.mark.parametrize(
    ("tokens", "runs"),
    [([5] * 20, True), ([5] * 19, False), ([1, 2, 3] * 7, True), ([1, 2, 3] * 6, False), ([*range(12)] * 3, True)],
)
def test_runs_of_tokens(tokens: list[int], runs: bool) -> None:
    samples, rate = spoken()
    before, after = [*range(100, 140)], [*range(200, 220)]
    assert faults(samples, rate, tokens=(*before, *tokens, *after)) == ({Fault.TOKEN_RUN} if runs else set())


def test_faults_are_described() -> None:
    assert describe_faults([Fault.TOO_LONG, Fault.TAIL]) == "is too long for its text and ends in noise"
    assert all(fault.description for fault in Fault)


@settings(max_examples=50, deadline=None)
@given(
    rate=st.sampled_from([1, 100, 8000, 24000]),
    parts=st.lists(
        st.tuples(st.floats(0, 0.2), st.floats(-2, 2, width=32) | st.sampled_from([np.nan, np.inf, 1e30, 1e-30])),
        max_size=6,
    ),
    text=st.text(max_size=40),
    tokens=st.lists(st.integers(0, 3), max_size=60),
)
def test_any_sound_of_any_text_is_examined(
    rate: int, parts: list[tuple[float, float]], text: str, tokens: list[int]
) -> None:
    sounds = [np.full(round(seconds * rate), level, np.float32) for seconds, level in parts]
    samples = np.concatenate([*sounds, np.empty(0, np.float32)])
    found = find_faults(samples, rate, text, PRIOR.expect(text), tokens=tokens)
    assert list(found) == [fault for fault in Fault if fault in found]
    assert all(0 <= mark <= 1 for mark in parse_script(text).marks)
