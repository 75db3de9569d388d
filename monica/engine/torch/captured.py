"""A function of tensors of one size as a CUDA graph: copy in, one launch, copy out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from monica.engine.torch.graphs import Graphs


class CapturedFunction:
    """Runs a function on tensors that stay in place.

    function: takes tensors like `inputs`, of the same sizes at each call, and returns one.
    inputs: of the integers among them, the self-test takes the contents.
    """

    def __init__(self, graphs: Graphs, name: str, function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> None:
        self.name = name
        self.function = function
        self.inputs = list(inputs)
        self.example = [tensor.clone() for tensor in inputs]
        self._result = torch.zeros_like(function(*self.inputs))
        self._replay = graphs.capture(name, self._run)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return the function's result, which the next call leaves alone."""
        for place, tensor in zip(self.inputs, inputs, strict=True):
            place.copy_(tensor)
        return self.run()

    def run(self) -> Tensor:
        """Return the result for what `inputs` hold, which the next call leaves alone."""
        self._replay()
        return self._result.clone()

    def _run(self) -> None:
        self._result.copy_(self.function(*self.inputs))


def upload(numbers: Sequence[int], place: Tensor) -> None:
    """Copy integers from the host into a tensor of as many on the device, without waiting for the device."""
    on_host = torch.empty(len(numbers), dtype=place.dtype, pin_memory=place.is_cuda)
    on_host.copy_(torch.tensor(numbers, dtype=place.dtype))
    place.copy_(on_host, non_blocking=True)
