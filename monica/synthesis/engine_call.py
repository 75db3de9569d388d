"""A piece of work for the engine thread that is no take."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class EngineCall(Generic[T]):
    """Something to do, and what came of it. Cancelled before it is begun, it is not done."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.done: Future[T] = Future()
        self._work = work
        self._context = contextvars.copy_context()

    def do(self) -> None:
        """Do it. What it raises goes to who waits for it, and no further."""
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            result = self._context.run(self._work)
        except Exception as error:
            self.done.set_exception(error)
        else:
            self.done.set_result(result)

    def refuse(self, error: Exception) -> None:
        """Leave it undone."""
        if self.done.set_running_or_notify_cancel():
            self.done.set_exception(error)
