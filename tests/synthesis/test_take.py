from __future__ import annotations

import time

import pytest

from monica.errors import DeadlineExceeded
from monica.synthesis.take import Lane, Take, Waiter, block
from tests.support.takes import new_take, recipe_of


def a_take(*waiters: Waiter) -> Take:
    return new_take("text", *waiters)


def test_deadline_of_a_take_is_the_latest_of_its_waiters() -> None:
    short, long = Waiter(10.0), Waiter(20.0)
    take = a_take(short)
    assert take.deadline == 10.0
    assert take.join(long)
    assert take.deadline == 20.0
    take.leave(long)
    assert take.deadline == 10.0


def test_background_take_is_live_while_a_live_waiter_stays() -> None:
    take = a_take(Waiter(10.0, Lane.BACKGROUND))
    live = Waiter(10.0)
    lanes = [take.lane]
    assert take.join(live)
    lanes.append(take.lane)
    take.leave(live)
    lanes.append(take.lane)
    assert lanes == [Lane.BACKGROUND, Lane.LIVE, Lane.BACKGROUND]


def test_take_may_be_kept_if_one_waiter_allows_it() -> None:
    take = a_take(Waiter(10.0, keep=False))
    assert not take.keep
    assert take.join(Waiter(10.0, keep=True))
    assert take.keep


def test_take_abandoned_in_its_last_step_may_still_be_kept() -> None:
    for keep in (True, False):
        waiter = Waiter(10.0, keep=keep)
        take = a_take(waiter)
        take.leave(waiter)
        assert take.keep == keep


def test_take_is_abandoned_when_the_last_waiter_leaves_and_cannot_be_joined_any_more() -> None:
    first, second = Waiter(10.0), Waiter(10.0)
    take = a_take(first)
    assert take.join(second)
    take.leave(first)
    take.leave(first)
    assert not take.abandoned
    take.leave(second)
    assert take.abandoned
    assert take.deadline < 0
    assert not take.join(Waiter(10.0))


def test_waiting_ends_at_the_deadline_of_the_waiter() -> None:
    take = a_take(Waiter(time.monotonic() + 60))
    with pytest.raises(DeadlineExceeded):
        take.wait(time.monotonic() + 0.01, block)
    assert Take.kept(recipe_of("text"), b"sound").wait(0, block) == b"sound"
