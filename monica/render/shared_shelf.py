"""The shared store as the shelf of a render: a phrase is there for all nodes as soon as it is made.

The keys in the store are the checkpoint of the render. A take is written in one command, so each is there whole or not
at all. A store may let go of takes again, for lack of room: then a render ends, since it would push out what it made.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from monica.errors import ConfigError
from monica.store.bundled_phrase import BundledPhrase
from monica.store.envelope import pack
from monica.store.redis_link import ERRORS, REFUSALS, RedisLink, describe, take_name

LOCK_S = 10.0
"""How long a driver that was killed keeps others out. The one that holds the lock renews it five times as often."""
PATIENCE_S = 30.0
"""How long a store may be away before the render ends."""
AGAIN_S = 0.5
PROBED = 256
"""How many of the first takes are looked for again now and then: a store that lets go of takes begins with them."""
MAY_BE_GONE = 0.25
"""How many of those may be gone: a store draws among the oldest, and people remove phrases."""

T = TypeVar("T")


class SharedShelf:
    """The takes in a store. prefix: as for SharedStore. Methods raise OSError if the store cannot be used any more."""

    trouble = "the shared store cannot be used, but what is in it is whole"

    def __init__(self, link: RedisLink, prefix: str) -> None:
        """Raises ConfigError if the store cannot be used, or if another process renders into it."""
        self.set_aside: list[str] = []
        self._link, self._prefix = link, prefix
        self._there: dict[bytes, None] = {}
        """The keys that were seen or put there, in this order. As bytes they take half the memory."""
        self._lock = link.patient.lock(f"{prefix}:rendering", timeout=LOCK_S, thread_local=False)
        self._broken: str | None = None
        """Why it cannot be used any more: what is under way must not wait for it again."""
        self._closed = threading.Event()
        try:
            locked = self._lock.acquire(blocking_timeout=LOCK_S + 2)
            self._evicted = self._count_evicted()
        except ERRORS as error:
            raise ConfigError(f"MONICA_SHARED_STORE: {describe(error)}.") from error
        if not locked:
            raise ConfigError(f"Another render writes to the shared store, with the prefix {prefix}.")
        self._renewing = threading.Thread(target=self._renew, name="lock", daemon=True)
        self._renewing.start()

    def those_of(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys whose takes are there. Looks whether the first ones still are, too."""
        asked = list(dict.fromkeys(keys))
        found = {key for key, there in zip(asked, self._look(asked), strict=True) if there}
        first = list(islice(self._there, PROBED))
        gone = self._look([key.hex() for key in first]).count(False)
        if gone > MAY_BE_GONE * PROBED and self._count_evicted() > self._evicted:
            self._broken = "it lets go of takes of this render again, for lack of room. Give it more memory"
            raise OSError(self._broken)
        self._there |= dict.fromkeys(map(bytes.fromhex, found))
        return found

    def add(self, phrase: BundledPhrase, sound: bytes) -> None:
        """Put a phrase there. If a node has made it meanwhile, that take stays."""
        value = pack(sound, phrase.metadata.to_json())
        self._ask(lambda: self._link.patient.set(take_name(self._prefix, phrase.key), value, nx=True))
        self._there[bytes.fromhex(phrase.key)] = None

    def finish(self) -> None:
        """Every take is there already."""

    def gone(self) -> int:
        """Return how many takes that were there are not there any more."""
        keys = (key.hex() for key in self._there)
        return sum(not there for some in iter(lambda: list(islice(keys, PROBED)), []) for there in self._look(some))

    def close(self) -> None:
        """Let others write."""
        self._closed.set()
        self._renewing.join()
        with suppress(*ERRORS):  # it runs out by itself
            self._lock.release()
        self._link.close()

    def _look(self, keys: Iterable[str]) -> list[bool]:
        def look() -> list[Any]:
            pipeline = self._link.patient.pipeline(transaction=False)
            for key in keys:
                pipeline.exists(take_name(self._prefix, key))
            return list(pipeline.execute())

        return [bool(there) for there in self._ask(look)]

    def _count_evicted(self) -> int:
        """Return how many takes the store let go since it started; 0 if it does not say."""
        try:
            stats: Any = self._link.patient.info("stats")
        except REFUSALS:
            return 0
        return int(stats.get("evicted_keys", 0))

    def _ask(self, call: Callable[[], T]) -> T:
        """Return what a call gives. Tries again while the store is away. Raises OSError."""
        until = time.monotonic() + PATIENCE_S
        while True:
            if self._broken is not None:
                raise OSError(self._broken)
            try:
                return call()
            except ERRORS as error:
                if isinstance(error, REFUSALS) or time.monotonic() > until:
                    self._broken = describe(error)
                    raise OSError(self._broken) from error
            time.sleep(AGAIN_S)

    def _renew(self) -> None:
        while not self._closed.wait(LOCK_S / 5):
            try:
                self._lock.reacquire()
            except ERRORS:
                self._lock_again()

    def _lock_again(self) -> None:
        """Take the lock again, which ran out while the store was away, unless another render has it now."""
        with suppress(*ERRORS):  # the store is still away
            if not self._lock.acquire(blocking=False):
                self._broken = "another render writes to it now"
