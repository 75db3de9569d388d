"""The words of a text as captions, and their times between the pauses of a sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monica.audio.level import Sound
from monica.listening.captions import split_captions, time_captions

RATE = 16_000


def sound(*parts_s: float) -> Sound:
    """Return a tone, a silence, a tone, ... of these lengths in seconds."""
    parts = [
        (0.1 * (n % 2 == 0) * np.sin(np.arange(round(seconds * RATE)) / 5)).astype(np.float32)
        for n, seconds in enumerate(parts_s)
    ]
    return np.concatenate(parts)


def times(bounds_s: list[float], samples: Sound) -> list[tuple[float, float]]:
    words = [str(number) for number in range(len(bounds_s) - 1)]
    timed = time_captions(words, bounds_s, samples, RATE)
    assert [each.text for each in timed] == words
    return [(each.start_s, each.end_s) for each in timed]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Tapis de Rusmir !", ["Tapis", "de", "Rusmir !"]),
        ("« Bonsoir » – la table sept : vingt-trois.", ["« Bonsoir » –", "la", "table", "sept :", "vingt-trois."]),
        ("l'annonce  d'Aline", ["l'annonce", "d'Aline"]),
        ("...", []),
        ("", []),
    ],
)
def test_a_caption_is_a_word_with_its_punctuation(text: str, words: list[str]) -> None:
    assert split_captions(text) == words


def test_a_pause_ends_one_word_and_begins_the_next() -> None:
    samples = sound(1.0, 0.5, 1.0)
    for bound in (1.0, 1.2, 1.5, 0.85, 1.65):  # where the recogniser may see it
        assert times([0.0, bound, 2.5], samples) == [(0.0, 1.0), (1.5, 2.5)]


def test_what_is_no_pause_between_words_moves_nothing() -> None:
    assert times([0.0, 1.0, 2.0], sound(0.9, 0.1, 1.0)) == [(0.0, 1.0), (1.0, 2.0)]  # as before a t
    assert times([0.0, 0.4, 2.5], sound(1.0, 0.5, 1.0)) == [(0.0, 0.4), (0.4, 2.5)]  # inside the second word
    assert times([0.0, 2.5], sound(1.0, 0.5, 1.0)) == [(0.0, 2.5)]


def test_of_two_pauses_at_a_bound_the_nearer_one_counts() -> None:
    assert times([0.0, 0.65, 2.0], sound(0.5, 0.2, 0.1, 0.4, 0.8)) == [(0.0, 0.5), (0.7, 2.0)]


def test_silence_around_the_speech_belongs_to_no_word() -> None:
    assert times([0.0, 0.6, 1.2], sound(0.0, 0.3, 0.7, 0.2)) == [(0.3, 0.6), (0.6, 1.0)]


def test_without_bounds_or_sound_there_are_no_times() -> None:
    assert time_captions(["un"], [], sound(1.0), RATE) == []
    assert time_captions(["un"], [0.0, 1.0], np.zeros(RATE, np.float32), RATE) == []


@given(
    st.lists(st.floats(0, 4), min_size=2, max_size=12).map(sorted),
    st.lists(st.sampled_from([0.02, 0.16, 0.3, 0.9]), min_size=1, max_size=8),
)
def test_times_never_go_back_nor_leave_the_sound(bounds_s: list[float], parts_s: list[float]) -> None:
    samples = sound(*parts_s)
    at = [time for word in times(bounds_s, samples) for time in word]
    assert at == sorted(at)
    assert 0 <= at[0] <= at[-1] <= len(samples) / RATE
