"""A CUDA graph for the CPU: it records the kernels of one run and runs the same ones on the same memory again.

What a real graph would bake in is baked in here too: Python's numbers and branches, shapes, addresses. Waiting for the
device, which a real capture would refuse, is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from monica.engine.torch.graphs import Graphs, Replay

HOST_SYNCS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "item")


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in HOST_SYNCS:
            raise RuntimeError(f"{name} waits for the device")
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out

    @torch.inference_mode()
    def replay(self) -> None:
        for func, args, kwargs, out in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                # A view, or a tensor written in place, is still the same memory.
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class FakeGraphs:
    """Graphs whose replay is the captured function itself. The tensors stay in place; nothing else is special."""

    available = True

    def __init__(self) -> None:
        self.names: list[str] = []

    def capture(self, name: str, function: Replay) -> Replay:
        self.names.append(name)
        function()
        return function


class TapeGraphs(Graphs):
    """Captures on the CPU, with a tape."""

    def __init__(self) -> None:
        super().__init__(torch.device("cuda"), 2**30)
        self.names: list[str] = []
        self.replayed: list[str] = []
        self.tapes: list[Tape] = []

    @property
    def replays(self) -> int:
        return len(self.replayed)

    def _capture(self, function: Callable[[], None]) -> Replay:
        function()  # as a real capture's warm-up does
        tape = Tape()
        with tape:
            function()
        self.tapes.append(tape)

        name = self.names[-1]

        def replay() -> None:
            self.replayed.append(name)
            tape.replay()

        return replay

    def capture(self, name: str, function: Replay) -> Replay:
        self.names.append(name)
        return super().capture(name, function)
