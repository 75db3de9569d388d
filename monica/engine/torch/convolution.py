"""A convolution over time as one matrix product."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from monica.engine.torch.linear import Linear


class Convolution:
    """An nn.Conv1d whose result is as long as its input. cuDNN would make a new plan for each length of a take.

    ahead: how many of its taps see later frames; the others see earlier ones and the frame itself.
    """

    def __init__(self, convolution: nn.Conv1d, *, ahead: int = 0) -> None:
        weight = convolution.weight  # (out, in, taps)
        self._taps = weight.size(2)
        self._padding = (0, 0, self._taps - 1 - ahead, ahead)
        self._product = Linear(weight.transpose(1, 2).flatten(1), convolution.bias, rows="many")

    def __call__(self, x: Tensor) -> Tensor:
        """x: (1, T, in). Returns (1, T, out)."""
        windows = F.pad(x, self._padding).unfold(1, self._taps, 1)  # (1, T, in, taps)
        return self._product(windows.transpose(2, 3).flatten(2))
