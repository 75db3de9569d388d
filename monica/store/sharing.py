"""What a node shares with others. Here: nothing. `SharedStore` is the node that shares."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Change(StrEnum):
    """What is done to a kept phrase at one node, and holds at all of them."""

    REMOVE = "remove"
    REPLACE = "replace"
    """Another take was made. Its digest follows."""
    PIN = "pin"
    UNPIN = "unpin"


class Sharing:
    """A node that shares nothing. Every method may be called from any thread, and none raises for a bad store."""

    @property
    def state(self) -> str | None:
        """`ok`, or why the shared store is not used just now; None if there is none."""
        return None

    def bring(self, keys: Iterable[str]) -> None:
        """Keep here what other nodes have made, of sounds that are not kept here."""

    def claim(self, keys: Iterable[str], *, live: bool) -> frozenset[str]:
        """Say that this node makes those of these keys that are not kept. Returns those that another node is making.

        live: whether someone waits to hear them. Who does will not wait for another node's background take.
        """
        return frozenset()

    def release(self, key: str) -> None:
        """Take back a claim."""

    def keep(self, key: str, sound: bytes, metadata: str, *, replaces: bool = False) -> None:
        """Share a sound that is kept here. replaces: whether what other nodes keep is out of date."""

    def publish(self, change: Change, key: str) -> None:
        """Tell other nodes of a change."""

    def start(self) -> None:
        """Begin to learn of changes."""

    def flush(self, timeout: float) -> None:
        """Wait until what was shared is sent."""

    def close(self) -> None:
        """End the threads."""
