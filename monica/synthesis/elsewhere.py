"""Takes that another node is making: they are waited for, and made here if it does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from contextlib import suppress

from monica.errors import DeadlineExceeded, MonicaError
from monica.store.cache import Store
from monica.store.sharing import Sharing
from monica.synthesis.take import DEADLINE_PASSED, Lane, Take

POLL_S = 0.025
"""Time between two looks at what the other node has made."""


class Elsewhere:
    """The takes of this node that another one is making. May be called from any thread.

    submit: makes a take here. Raises MonicaError if it is refused.
    """

    def __init__(self, sharing: Sharing, store: Store, submit: Callable[[Take], None]) -> None:
        self._sharing, self._store, self._submit = sharing, store, submit
        self._takes: list[Take] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def add(self, takes: list[Take]) -> None:
        """Wait for takes."""
        if not takes:
            return
        with self._changed:
            self._takes += takes
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="elsewhere", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._takes or self._closing)
                if self._closing:
                    return
                takes = list(self._takes)
            ended = [take for take in takes if self._look(take)]
            with self._changed:
                self._takes = [take for take in self._takes if take not in ended]
                self._changed.wait_for(lambda: self._closing, POLL_S)

    def _look(self, take: Take) -> bool:
        """See what has become of a take. Returns whether it need not be waited for any more."""
        if take.abandoned or take.deadline <= time.monotonic():
            _fail(take, DeadlineExceeded(DEADLINE_PASSED))
            return True
        # In this order: what another node has claimed until a moment ago is shared by now.
        claimed = take.key in self._sharing.claim([take.key], live=take.lane is Lane.LIVE)
        self._sharing.bring([take.key])
        sound = self._store.get(take.key, in_metrics=False)
        if sound is not None:
            self._sharing.release(take.key)
            with suppress(InvalidStateError):
                take.sound.set_result(sound)
            return True
        if claimed:
            return False
        try:
            self._submit(take)
        except MonicaError as error:
            _fail(take, error)
        return True


def _fail(take: Take, error: MonicaError) -> None:
    with suppress(InvalidStateError):
        take.sound.set_exception(error)
