"""CUDA graphs: a function of static tensors, captured once and replayed with one launch. Off CUDA it is just called."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

logger = logging.getLogger(__name__)

Replay = Callable[[], None]

WARM_UP_RUNS = 2
"""Runs before a capture, so that what libraries allocate or tune at their first calls is not captured."""


class Graphs:
    """Captures for one device, in one memory pool.

    A captured function reads and writes tensors that stay in place, never waits for the device, and never branches on
    the contents of a tensor.
    budget: bytes the pool may use. A function that no longer fits is called eagerly, and the log says so.
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
        """Return the fastest way to run `function`. This runs it a few times: the caller must restore its state."""
        if self._refused:
            return function
        try:
            before = self._reserved()
            replay = self._capture(function)
            self.budget -= max(0, self._reserved() - before)
        except RuntimeError as error:
            self._refused = True
            logger.warning("CUDA graph of %s cannot be captured, kernels are launched one by one: %s", name, error)
            return function
        self.captured += 1
        if self.budget < 0:
            self._refused = True
            logger.warning("CUDA graphs: their memory budget is used up after %s", name)
        return replay

    def _capture(self, function: Replay) -> Replay:
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP_RUNS):
                function()
        torch.cuda.current_stream(self.device).wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # thread_local: work of another thread in the meantime must not invalidate the capture.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            function()
        return graph.replay

    def _reserved(self) -> int:
        return torch.cuda.memory_reserved(self.device)
