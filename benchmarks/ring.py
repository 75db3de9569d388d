"""Where nginx sends a request by `hash KEY consistent`, by its own rule: the homes are those of a real cluster."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from zlib import crc32

POINTS = 160
"""How many points a node of weight 1 has on the ring."""


class Ring:
    """The points of the nodes, in order of their hash."""

    def __init__(self, nodes: Sequence[str]) -> None:
        """nodes: as they stand in the upstream, "10.0.0.1:8080"."""
        points: dict[int, int] = {}
        for number, node in enumerate(nodes):
            host, _, port = node.rpartition(":")
            hashed = 0
            base = crc32(f"{host}\0{port}".encode())
            for _ in range(POINTS):
                hashed = crc32(hashed.to_bytes(4, "little"), base)
                points.setdefault(hashed, number)
        self._hashes = sorted(points)
        self._nodes = [points[hashed] for hashed in self._hashes]

    def home(self, key: bytes, away: Collection[int] = ()) -> int:
        """Return the number of the node that a key belongs to. away: nodes that do not answer: the next takes over.

        Raises ValueError if all are away.
        """
        point = bisect_left(self._hashes, crc32(key))
        for step in range(len(self._hashes)):
            node = self._nodes[(point + step) % len(self._nodes)]
            if node not in away:
                return node
        raise ValueError("every node is away")
