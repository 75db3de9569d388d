"""CUDA graphs: a function of static tensors, captured once and replayed with one launch. Off CUDA it is just called."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from monica.engine.torch.device import free_memory
from monica.engine.torch.memory import is_out_of_memory
from monica.errors import ConfigError, ModelUnavailable

logger = logging.getLogger(__name__)

Replay = Callable[[], None]

WARM_UP_RUNS = 2
"""Runs before a capture, so that what libraries allocate or tune at their first calls is not captured."""


class Graphs:
    """Captures for one device, in one memory pool.

    A captured function reads and writes tensors that stay in place, never waits for the device, and never branches on
    the contents of a tensor.
    budget: bytes that graphs may take. A function that no longer fits is called eagerly, and the log says so.
    """

    def __init__(self, device: torch.device, budget: int) -> None:
        self.device = device
        self.budget = budget
        self.captured = 0
        self._pool: Any = None
        self._stream: Any = None  # one for all captures; otherwise they could not share memory
        self._refused = device.type != "cuda"

    @property
    def available(self) -> bool:
        """Whether a capture would be tried."""
        return not self._refused

    def capture(self, name: str, function: Replay) -> Replay:
        """Return the fastest way to run `function`. This runs it a few times: the caller must restore its state.

        Returns `function` itself off CUDA, and if the budget is used up. A capture that fails ends the start, rather
        than being replaced by launches one by one: afterwards the allocator may believe for the life of the process
        that a capture is under way, and then never frees its unused blocks when memory runs out.
        Raises ModelUnavailable if memory ran out, ConfigError if the function cannot be captured here, and the error
        itself if the device is lost (torch.AcceleratorError).
        """
        if self._refused:
            return function
        try:
            replay = self._capture(function)
        except (RuntimeError, MemoryError) as error:
            self._refused = True
            raise _explain(name, _first_cause(error)) from error
        self.captured += 1
        if self.budget < 0:
            self._refused = True
            logger.warning("CUDA graphs: their memory budget is used up after %s", name)
        return replay

    def _capture(self, function: Replay) -> Replay:
        current = torch.cuda.current_stream(self.device)
        try:
            return self._capture_on_stream(function, current)
        finally:
            # If ending a capture raises, torch.cuda.graph leaves the capture's stream the current one.
            torch.cuda.set_stream(current)

    def _capture_on_stream(self, function: Replay, current: Any) -> Replay:
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP_RUNS):
                function()
        current.wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # The capture begins by freeing unused blocks. They are freed here already, so that the second reading does not
        # seem smaller than the first.
        torch.cuda.synchronize(self.device)
        torch.cuda.empty_cache()
        before = self._taken()
        # thread_local: work of another thread in the meantime must not invalidate the capture.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            function()
        self.budget -= max(0, *(later - earlier for earlier, later in zip(before, self._taken(), strict=True)))
        return graph.replay

    def _taken(self) -> tuple[int, int]:
        """Return bytes in use, up to a constant: by PyTorch's allocator, and by everything on the device.

        The graphs' nodes belong to the driver, so the allocator does not know them.
        """
        return torch.cuda.memory_reserved(self.device), -free_memory("cuda")


def _first_cause(error: BaseException) -> BaseException:
    """Return the error that the others followed. Ending a capture that has failed raises one of its own."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def _explain(name: str, cause: BaseException) -> BaseException:
    reason = str(cause).partition("\n")[0].rstrip(".")
    if is_out_of_memory(cause):
        return ModelUnavailable(f"There is not enough memory for the CUDA graph of {name}: {reason}.")
    if isinstance(cause, torch.AcceleratorError) and "captur" not in reason:  # those of captures are not sticky
        return cause
    return ConfigError(
        f"The CUDA graph of {name} cannot be captured: {reason}. "
        "Try another PyTorch or driver, MONICA_PRECISION=fp32, or MONICA_DEVICE=cpu."
    )
