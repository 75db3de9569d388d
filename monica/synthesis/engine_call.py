"""A call that the engine thread makes between two steps, on behalf of another thread."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class EngineCall(Generic[T]):
    """A function to call and its future result. If the future is cancelled in time, the function is not called."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.result: Future[T] = Future()
        self._function = function
        self._context = contextvars.copy_context()

    def run(self) -> Exception | None:
        """Call the function. An exception is delivered to the waiting caller and returned, not raised."""
        if not self.result.set_running_or_notify_cancel():
            return None
        try:
            result = self._context.run(self._function)
        except Exception as error:
            self.result.set_exception(error)
            return error
        self.result.set_result(result)
        return None

    def reject(self, error: Exception) -> None:
        """Fail with `error`, without calling the function."""
        if self.result.set_running_or_notify_cancel():
            self.result.set_exception(error)
