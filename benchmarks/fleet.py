"""A fleet of nodes without time or sound: which node is asked for a phrase, and whether anyone still has it.

A node keeps the phrases it was asked for last. A take is under way for as long as TAKE further requests come, and
whoever asks the same node for it meanwhile waits for it. No queue is ever full.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from benchmarks.ring import Ring

TAKE = 100


class Routing(Enum):
    """How a node is chosen."""

    LEAST_CONN = "least_conn"
    HASH = "hash consistent"


@dataclass(frozen=True)
class World:
    """What is asked for. zipf: the phrase in place k is asked for in proportion to 1 / k**zipf. new: the share of
    requests that are for a phrase never said before, which then takes a place drawn at random."""

    phrases: int
    zipf: float
    new: float


def requests(world: World, number: int, seed: int = 0) -> list[int]:
    """Draw requests. Returns a number for each that stands for its phrase."""
    chance = np.random.default_rng(seed)
    weights = np.arange(1, world.phrases + 1, dtype=np.float64) ** -world.zipf
    reach = np.cumsum(weights)
    places = np.searchsorted(reach, chance.random(number) * reach[-1])
    is_new = chance.random(number) < world.new
    places[is_new] = chance.integers(world.phrases, size=int(is_new.sum()))
    in_place, asked, newest = list(range(world.phrases)), [], world.phrases
    for place, new in zip(places.tolist(), is_new.tolist(), strict=True):
        if new:
            in_place[place], newest = newest, newest + 1
        asked.append(in_place[place])
    return asked


class Kept:
    """The phrases that are kept. The one that was not asked for the longest goes first."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._phrases: OrderedDict[int, None] = OrderedDict()

    def has(self, phrase: int) -> bool:
        """Ask for a phrase."""
        if phrase not in self._phrases:
            return False
        self._phrases.move_to_end(phrase)
        return True

    def keep(self, phrase: int) -> None:
        self._phrases[phrase] = None
        if len(self._phrases) > self._room:
            self._phrases.popitem(last=False)

    def __iter__(self) -> Iterator[int]:
        return iter(self._phrases)


@dataclass
class Count:
    """What became of some requests. made: takes by node. read: phrases that came from the shared store."""

    requests: int
    made: list[int]
    read: int = 0

    @property
    def takes(self) -> float:
        """Takes of a thousand requests."""
        return 1000 * sum(self.made) / self.requests

    @property
    def reads(self) -> float:
        """Phrases from the shared store, of a thousand requests."""
        return 1000 * self.read / self.requests

    @property
    def busiest(self) -> float:
        """The takes of the busiest node, over the average."""
        return max(self.made) * len(self.made) / sum(self.made)


class Fleet:
    """Nodes behind a proxy. room: phrases that each can keep. shared: those that a shared store can; 0: none."""

    def __init__(self, nodes: int, room: int, routing: Routing, shared: int = 0) -> None:
        self._routing = routing
        self._ring = Ring([f"10.0.0.{number + 1}:8080" for number in range(nodes)])
        self._kept = [Kept(room) for _ in range(nodes)]
        self._shared = Kept(shared) if shared else None
        self._away: set[int] = set()
        self._homes: dict[int, int] = {}
        self._under_way = [0] * nodes
        self._ends: deque[tuple[int, int]] = deque()
        self._now = self._last = 0

    def ask(self, phrases: Sequence[int]) -> Count:
        """Ask for one phrase after the other."""
        count = Count(len(phrases), [0] * len(self._kept))
        for phrase in phrases:
            self._now += 1
            while self._ends and self._ends[0][0] <= self._now:
                self._under_way[self._ends.popleft()[1]] -= 1
            node = self._node(phrase)
            if self._kept[node].has(phrase):
                continue
            self._kept[node].keep(phrase)
            if self._shared is not None and self._shared.has(phrase):
                count.read += 1
                continue
            if self._shared is not None:
                self._shared.keep(phrase)
            count.made[node] += 1
            self._under_way[node] += 1
            self._ends.append((self._now + TAKE, node))
        return count

    def lose(self, node: int) -> None:
        """Lose a node, with what it keeps."""
        self._away.add(node)
        self._homes.clear()

    def copies(self) -> float:
        """Return how many nodes keep a phrase, on average."""
        kept = [phrase for node, phrases in enumerate(self._kept) if node not in self._away for phrase in phrases]
        return len(kept) / len(set(kept))

    def _node(self, phrase: int) -> int:
        if self._routing is Routing.HASH:
            if (home := self._homes.get(phrase)) is None:
                home = self._homes[phrase] = self._ring.home(b'{"text":"%d"}' % phrase, self._away)
            return home
        # Of those with the fewest takes under way, the next in turn.
        number, last = len(self._kept), self._last
        there = (node % number for node in range(last + 1, last + 1 + number))
        self._last = min((node for node in there if node not in self._away), key=self._under_way.__getitem__)
        return self._last
