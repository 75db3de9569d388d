"""The windows that the sound of captured hops is made in."""

from __future__ import annotations

import pytest

from monica.engine.chatterbox.captured_sounds import SIZES, next_window
from monica.engine.chatterbox.hift import PITCH_REACH, VOCODER_REACH
from monica.engine.chatterbox.streaming import FIRST_HOP, LOOK_AHEAD, MAX_HOP
from monica.engine.chatterbox.watermark import WATERMARK_REACH

LAG = PITCH_REACH + VOCODER_REACH + WATERMARK_REACH
FIRST = 2 * (FIRST_HOP - LOOK_AHEAD)


def windows(marked: int, length: int) -> list[tuple[int, int]]:
    """Return the windows of a hop."""
    made: list[tuple[int, int]] = []
    while not made or made[-1][1] < length:
        made.append(next_window(marked, length))
        marked = max(marked, made[-1][1] - LAG)
    return made


@pytest.mark.parametrize("length", [FIRST, 86, 122, 186, 250, 450, 1999])
def test_windows_reach_the_end_with_what_the_watermark_needs(length: int) -> None:
    for marked in {0, FIRST - LAG, *range(max(0, length - LAG - 2 * MAX_HOP), length - LAG)}:
        done = marked
        for start, stop in windows(marked, length):
            assert stop - start in SIZES
            assert 0 <= start <= max(0, done - WATERMARK_REACH)
            assert stop <= length
            assert stop - LAG >= done
            done = stop - LAG
        assert stop == length


def test_a_hop_that_comes_in_time_is_one_window() -> None:
    length, done = FIRST, 0
    for tokens in (FIRST_HOP, 2 * FIRST_HOP, MAX_HOP, MAX_HOP):
        assert len(windows(done, length)) == 1
        done, length = length - LAG, length + 2 * tokens
