from __future__ import annotations

import time

import pytest

from monica.engine import SynthesisParams
from monica.errors import DeadlineExceeded
from monica.takes import Abandoned, Lane, Take


def a_take(seconds: float) -> Take:
    return Take("key", "text", "monica", SynthesisParams(), 0, Lane.LIVE, time.monotonic() + seconds, keep=True)


def test_a_take_ends_past_its_deadline_even_where_somebody_waits() -> None:
    take = a_take(-1)
    with pytest.raises(DeadlineExceeded):
        take.check()


def test_who_joins_brings_a_later_deadline() -> None:
    take = a_take(-1)
    assert take.join(deadline=time.monotonic() + 60, keep=False)
    take.check()
    assert take.keep


def test_a_take_ends_when_the_last_one_leaves() -> None:
    take = a_take(60)
    assert take.join(deadline=0, keep=True)
    take.leave()
    take.check()
    take.leave()
    with pytest.raises(Abandoned):
        take.check()
    assert not take.join(deadline=time.monotonic() + 60, keep=True)


def test_waiting_ends_at_the_waiters_own_deadline() -> None:
    take = a_take(60)
    with pytest.raises(DeadlineExceeded):
        take.wait(time.monotonic() + 0.01)
    assert Take.finished(b"sound").wait(0) == b"sound"
