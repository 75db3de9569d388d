"""What nodes share through Valkey or Redis: the takes of all, who is making which, and what is done to kept ones.

Nothing here is called under a lock of this process, and nothing that a request waits for takes longer than a moment: a
sound is read in 30 ms or it is made here. Writing and learning of changes are the work of two threads.
"""

from __future__ import annotations

import logging
import queue
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from redis.exceptions import LockError
from redis.lock import Lock

from monica import metrics
from monica.store.cache import CacheError, Store
from monica.store.envelope import MAX_BYTES, pack, unpack
from monica.store.redis_link import RedisLink, take_name
from monica.store.sharing import Change, Sharing

CLAIM_S = 5.0
"""How long a claim outlives a node that was killed. Its holder renews it five times as often."""
MAX_CHANGES = 10_000
"""How many changes the store remembers for nodes that are away."""
LISTEN_S = 0.5
"""How long the store is listened to at a time."""
MAX_JOBS = 64
"""How many sounds may wait to be sent. Beyond it they are not shared: a slow store must not fill the memory."""

_KEY = re.compile(r"[0-9a-f]{64}")
_LIVE, _BACKGROUND = b"live", b"background"
_OF_PINS = (Change.PIN, Change.UNPIN)

logger = logging.getLogger(__name__)


class SharedStore(Sharing):
    """A node that shares its takes. prefix: what the names of everything in the store begin with."""

    def __init__(self, link: RedisLink, prefix: str, store: Store) -> None:
        self._link, self._prefix, self._store = link, prefix, store
        self._node = secrets.token_hex(8)
        self._claims: dict[str, Lock] = {}
        self._untold: dict[tuple[str, bool], Change] = {}
        """Changes that other nodes do not know of yet, by key and whether it is a pin that is changed."""
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(MAX_JOBS)
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._work, "sharing"), (self._follow, "changes"))
        ]

    @property
    def state(self) -> str | None:
        return self._link.state

    def bring(self, keys: Iterable[str]) -> None:
        # What was removed here a moment ago may still be there.
        missing = [key for key in keys if (key, False) not in self._untold and not self._is_kept(key)]
        if not missing:
            return

        def read() -> list[Any]:
            pipeline = self._link.quick.pipeline(transaction=False)
            for key in missing:
                pipeline.getrange(self._take(key), 0, MAX_BYTES)
            return list(pipeline.execute(raise_on_error=False))

        values: list[Any] = self._link.attempt("read", read, [])
        for key, value in zip(missing, values, strict=False):
            metrics.shared_store_operations.labels("read", self._keep_here(key, value)).inc()

    def _keep_here(self, key: str, value: Any) -> str:
        """Keep what was read. Returns the result, for the metrics."""
        if value == b"":
            return "miss"
        try:
            self._store.put(key, *unpack(value if isinstance(value, bytes) else b"", key))
        except ValueError as error:
            logger.warning("shared store: %.12s cannot be used (%s); it is made again", key, error)
            return "corrupt"
        return "hit"

    def claim(self, keys: Iterable[str], *, live: bool) -> frozenset[str]:
        missing = [key for key in keys if key not in self._claims and not self._is_kept(key)]
        return frozenset(key for key in missing if not self._claim(key, live))

    def _claim(self, key: str, live: bool) -> bool:
        """Claim a key. Returns False if another node makes it, and it should be waited for."""
        name = f"{self._prefix}:making:{key}"
        lock = self._link.quick.lock(name, timeout=CLAIM_S, thread_local=False)
        token = (_LIVE if live else _BACKGROUND) + b":" + self._node.encode()
        mine = self._link.attempt("claim", lambda: lock.acquire(blocking=False, token=token), None)
        if mine is None:
            return True  # no store: every node for itself
        metrics.shared_store_operations.labels("claim", "ok" if mine else "taken").inc()
        if mine:
            self._claims[key] = lock
            return True
        holder = self._link.attempt("claim", lambda: self._link.quick.get(name), None)
        return live and isinstance(holder, bytes) and holder.startswith(_BACKGROUND)

    def release(self, key: str) -> None:
        lock = self._claims.pop(key, None)
        if lock is not None:
            self._add(lambda: self._link.attempt("claim", lambda: _owned(lock.release), None))

    def keep(self, key: str, sound: bytes, metadata: str, *, replaces: bool = False) -> None:
        if replaces:
            self.publish(Change.REPLACE, key)
        else:
            self._add(lambda: self._write(key, sound, metadata))

    def publish(self, change: Change, key: str) -> None:
        self._untold[key, change in _OF_PINS] = change
        if len(self._untold) > MAX_CHANGES:
            self._untold.pop(next(iter(self._untold)), None)
        self._add(lambda: self._tell(change, key))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def flush(self, timeout: float) -> None:
        sent = threading.Event()
        if self._add(sent.set):
            sent.wait(timeout)

    def close(self) -> None:
        self._closed.set()
        with suppress(queue.Full):
            self._jobs.put_nowait(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(2)
        self._link.close()

    def _is_kept(self, key: str) -> bool:
        return bool(self._store.metadata_of(key))

    def _take(self, key: str) -> str:
        return take_name(self._prefix, key)

    def _write(self, key: str, sound: bytes, metadata: str) -> bool:
        value = pack(sound, metadata)
        kept = self._link.attempt("write", lambda: bool(self._link.patient.set(self._take(key), value)), False)
        if kept:
            self._link.note_written()
            metrics.shared_store_operations.labels("write", "ok").inc()
        return kept

    def _tell(self, change: Change, key: str) -> None:
        """Make a change in the store, then tell the other nodes. What fails is tried again."""
        digest = ""
        if change is Change.REPLACE:
            with suppress(CacheError):
                for phrase in self._store.phrases([key]):
                    sound = self._store.peek(key)
                    digest = phrase.sha256 if sound and self._write(key, sound, phrase.metadata_json) else ""
            done = bool(digest)
        elif change is Change.REMOVE:
            done = self._link.attempt("write", lambda: self._link.patient.delete(self._take(key)) >= 0, False)
        else:
            done = True
        entry: dict[Any, Any] = {"node": self._node, "change": str(change), "key": key, "sha256": digest}
        stream = f"{self._prefix}:changes"
        if done and self._link.attempt(
            "change", lambda: self._link.patient.xadd(stream, entry, maxlen=MAX_CHANGES), None
        ):
            self._untold.pop((key, change in _OF_PINS), None)

    def _add(self, job: Callable[[], object]) -> bool:
        try:
            self._jobs.put_nowait(lambda: _discard(job()))
        except queue.Full:
            metrics.shared_store_operations.labels("write", "dropped").inc()
            return False
        return True

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                logger.exception(
                    "shared store: unexpected error"
                )  # the guard of the thread: the next job may do better

    def _follow(self) -> None:
        """Renew the claims, and learn what other nodes have changed, until the end."""
        last, renewed, pause_s = "0", 0.0, 0.0
        while not self._closed.wait(pause_s):
            try:
                if not self._link.probe():
                    last, pause_s = "0", 0.1  # a store that comes back may have another history
                    continue
                if time.monotonic() - renewed >= CLAIM_S / 5:
                    renewed = time.monotonic()
                    self._renew()
                    for (key, _), change in list(self._untold.items()):
                        self._add(partial(self._tell, change, key))
                read = self._read_changes(last)
                pause_s = 0.0 if read is not None else 1.0
                if read:
                    last = read[-1][0]
                    self._apply([fields for _, fields in read])
            except Exception:
                logger.exception("shared store: unexpected error")
                pause_s = 1.0

    def _renew(self) -> None:
        for key, lock in list(self._claims.items()):
            if not self._link.attempt("claim", partial(_owned, lock.reacquire), True):
                self._claims.pop(key, None)  # it ran out while the store was away

    def _read_changes(self, last: str) -> list[tuple[str, dict[bytes, bytes]]] | None:
        """Wait for changes after that entry, a moment at most. Returns None if the store does not tell."""
        stream, block = f"{self._prefix}:changes", round(LISTEN_S * 1000)
        read: Any = self._link.attempt(
            "change", lambda: self._link.patient.xread({stream: last}, MAX_CHANGES, block) or [], None
        )
        if read is None:
            return None
        return [(entry.decode(), fields) for _, entries in read for entry, fields in entries]

    def _apply(self, entries: list[dict[bytes, bytes]]) -> None:
        """Do here what other nodes did. Of several changes of one kind to a phrase, the last holds."""
        sounds: dict[str, str | None] = {}
        pins: dict[str, bool] = {}
        for fields in entries:
            texts = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
            key, change = texts.get("key", ""), texts.get("change")
            if texts.get("node") == self._node or not _KEY.fullmatch(key):
                continue
            if change in (Change.REMOVE, Change.REPLACE):
                sounds[key] = texts.get("sha256") if change == Change.REPLACE else None
            elif change in _OF_PINS:
                pins[key] = change == Change.PIN
        try:
            for phrase in self._store.phrases(sounds):
                if phrase.sha256 != sounds[phrase.key]:
                    self._store.remove(phrase.key)
            for pinned in (True, False):
                self._store.pin((key for key, wanted in pins.items() if wanted is pinned), pinned)
        except CacheError as error:
            logger.warning("shared store: what other nodes changed cannot be done here (%s)", error)


def _owned(action: Callable[[], object]) -> bool:
    """Do something with a lock. Returns False if it is not held any more."""
    try:
        action()
    except LockError:
        return False
    return True


def _discard(_: object) -> None:
    pass
