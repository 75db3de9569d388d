"""The simulated fleet: small cases whose outcome can be told by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.fleet import TAKE, Fleet, Routing, World, requests
from benchmarks.rates import MEASURED, Rate
from benchmarks.ring import Ring

NODES = [f"10.0.0.{number}:8080" for number in range(1, 6)]
KEYS = [b"%d" % number for number in range(2000)]


def test_popular_phrases_are_asked_for_by_zipfs_law() -> None:
    asked = Counter(requests(World(phrases=3, zipf=1, new=0), 110_000))
    assert [asked[phrase] / 10_000 for phrase in range(3)] == pytest.approx([6, 3, 2], rel=0.02)


def test_requests_are_the_same_each_time() -> None:
    world = World(phrases=100, zipf=0.8, new=0.1)
    assert requests(world, 1000) == requests(world, 1000)
    assert requests(world, 1000) != requests(world, 1000, seed=1)


def test_new_phrases_were_never_asked_for_before_and_replace_others() -> None:
    assert requests(World(phrases=10, zipf=1, new=1), 5) == [10, 11, 12, 13, 14]
    asked = requests(World(phrases=1, zipf=1, new=0.5), 1000)
    assert asked == sorted(asked)
    assert 400 < len(set(asked)) < 600


def test_node_forgets_what_was_not_asked_for_the_longest() -> None:
    fleet = Fleet(1, room=2, routing=Routing.HASH)
    assert fleet.ask([1, 2, 1, 3, 2]).made == [4]
    assert fleet.ask([3, 2]).made == [0]


def test_least_conn_makes_a_phrase_at_each_node_and_hashing_once() -> None:
    assert sorted(Fleet(2, 9, Routing.LEAST_CONN).ask([7] * 4).made) == [1, 1]
    assert sorted(Fleet(2, 9, Routing.HASH).ask([7] * 4).made) == [0, 1]


def test_least_conn_avoids_the_node_that_is_making_a_take() -> None:
    fleet = Fleet(2, 9, Routing.LEAST_CONN, shared=9)
    assert fleet.ask([1, 1, 2]).made == [1, 1], "the other one has only read the store"
    fleet.ask([1] * TAKE)
    assert sorted(fleet.ask([3, 4]).made) == [1, 1], "nodes that are equally free take turns"


def test_shared_store_has_what_another_node_made() -> None:
    fleet = Fleet(2, 9, Routing.LEAST_CONN, shared=9)
    count = fleet.ask([7] * 4)
    assert (sum(count.made), count.read, fleet.copies()) == (1, 1, 2)


def test_shared_store_has_its_own_limit() -> None:
    count = Fleet(1, 1, Routing.HASH, shared=2).ask([1, 2, 3, 1, 3])
    assert (count.made, count.read) == ([4], 1)


@pytest.mark.parametrize(("shared", "made", "read"), [(0, 1, 0), (9, 0, 1)])
def test_lost_node_costs_its_takes_unless_they_are_shared(shared: int, made: int, read: int) -> None:
    fleet = Fleet(2, 9, Routing.HASH, shared)
    home = fleet.ask([7]).made.index(1)
    fleet.lose(home)
    count = fleet.ask([7])
    assert (sum(count.made), count.read, count.made[home]) == (made, read, 0)


def test_counts_are_of_a_thousand_requests() -> None:
    count = Fleet(1, 9, Routing.HASH, shared=9).ask([1, 2, 1, 1])
    assert (count.takes, count.reads, count.busiest) == (500, 0, 1)


def test_new_node_takes_over_its_share_and_nothing_else_moves() -> None:
    four, five = Ring(NODES[:4]), Ring(NODES)
    moved = [key for key in KEYS if four.home(key) != five.home(key)]
    assert {five.home(key) for key in moved} == {4}
    assert 0.15 < len(moved) / len(KEYS) < 0.25


def test_phrases_of_a_lost_node_go_to_the_others() -> None:
    ring = Ring(NODES)
    homes = {key: ring.home(key) for key in KEYS}
    without = {key: ring.home(key, away={2}) for key in KEYS}
    assert {key for key in KEYS if homes[key] != without[key]} == {key for key in KEYS if homes[key] == 2}
    assert set(without.values()) == {0, 1, 3, 4}
    with pytest.raises(ValueError):
        ring.home(b"", away=range(5))


def test_costs_follow_from_the_rate() -> None:
    assert MEASURED.gpu_seconds(1000) == pytest.approx(74, rel=0.01)
    assert Rate("", gpu_s=0.1, dollars=12, source="").cost(1000) == "1 $"
    assert Rate("", gpu_s=0.1, dollars=None, source="").cost(1000) == "–"
