"""The vocoder's residual blocks in few kernels, with upstream's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Resblocks:
    """The sum of upstream's ResBlocks of one input, times a scale: three residual steps, two snakes in each.

    A snake is x + sin(a x)^2 / a, with one a per channel. Its multiplications are folded into what surrounds it, which
    leaves z + sin(z)^2: two kernels instead of five. The convolution after a snake takes 1 / a. Before the second snake
    of a step, a convolution takes a. Before the first is the sum of the step before, so the residual is kept times the
    a of the snake that comes next.

    Several blocks run side by side: a `_foreach` operation is one kernel for all of them. Their convolutions differ in
    size, and one padded to the largest would compute half as much again, which takes longer than its launches save.
    """

    def __init__(self, blocks: Sequence[Any], scale: float = 1.0) -> None:
        self._first = torch.stack([frequency(block.activations1[0])[:, None] for block in blocks])[:, None]
        self._steps: list[list[ResidualStep]] = []
        for step in range(len(blocks[0].convs1)):
            self._steps.append([ResidualStep(block, step, scale) for block in blocks])

    def __call__(self, x: Tensor) -> Tensor:
        """x: (rows, C, T), not modified. Returns (rows, C, T)."""
        blocks = x * self._first  # (blocks, rows, C, T)
        residuals = list(blocks.unbind())
        for steps in self._steps:
            inner = [step.conv1(each) for step, each in zip(steps, snake(residuals), strict=True)]
            outer = [step.conv2(each) for step, each in zip(steps, snake(inner), strict=True)]
            for step, residual, each in zip(steps, residuals, outer, strict=True):
                torch.addcmul(each, residual, step.ratio, out=residual)
        return residuals[0] if len(residuals) == 1 else blocks.sum(dim=0)


class ResidualStep:
    """The convolutions of one of a ResBlock's steps, with the snakes' multiplications folded into them for good.

    scale: of the last step's result.
    """

    def __init__(self, block: Any, step: int, scale: float) -> None:
        first, second = frequency(block.activations1[step]), frequency(block.activations2[step])
        last = step == len(block.convs1) - 1
        following = torch.full_like(first, scale) if last else frequency(block.activations1[step + 1])
        self.conv1 = fold(block.convs1[step], first, second)
        self.conv2 = fold(block.convs2[step], second, following)
        self.ratio = (following / first)[:, None]  # (C, 1), of the residual to come to the residual so far


def frequency(snake: Any) -> Tensor:
    """Return a snake's frequencies, (C,).

    At 0 a snake does nothing. Instead, it gets one at which it does nothing that float32 could hold. Upstream divides
    by a + 1e-9, which is a in float32.
    """
    alpha: Tensor = snake.alpha
    return torch.where(alpha == 0, torch.full_like(alpha, snake.no_div_by_zero), alpha)


def fold(convolution: nn.Conv1d, before: Tensor, after: Tensor) -> nn.Conv1d:
    """Let a convolution take `before` times its input, and return `after` times its result. before, after: (C,)."""
    convolution.weight.data = convolution.weight.data * (after[:, None, None] / before[:, None])
    if convolution.bias is not None:
        convolution.bias.data = convolution.bias.data * after
    return convolution


def snake(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    """Return z + sin(z)^2 of each."""
    waves = torch._foreach_sin(tensors)
    return tuple(torch._foreach_addcmul(tensors, waves, waves))
