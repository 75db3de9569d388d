"""Attention of a take's frames by length: the same as with a mask, and only if a check at start-up shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.chatterbox.frame_attention import FirstFrames, attend_first_frames, first_frames_are_respected

from .flash_attention import installed

CPU = torch.device("cpu")


@pytest.mark.parametrize("used", [1, 40, 64])
def test_it_attends_to_what_a_mask_leaves_open(used: int) -> None:
    qkv = torch.randn(2, 64, 3, 4, 64, dtype=torch.float64)
    first = FirstFrames.allocate(2, 64, CPU)
    first.used.fill_(used)
    mask = torch.zeros(1, 1, 1, 64, dtype=torch.float64)
    mask[..., used:] = -torch.inf
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
    with installed():
        torch.testing.assert_close(attend_first_frames(qkv, first), expected)


def test_a_kernel_that_respects_it_is_used(caplog: pytest.LogCaptureFixture) -> None:
    with installed():
        assert first_frames_are_respected(CPU, torch.bfloat16)
    assert caplog.text == ""


def test_without_such_a_kernel_there_is_a_mask(caplog: pytest.LogCaptureFixture) -> None:
    """PyTorch has none for the CPU: the operator refuses."""
    assert not first_frames_are_respected(CPU, torch.bfloat16)
    assert "not available" in caplog.text


def read_everything(used: Tensor) -> Tensor:
    return torch.full_like(used, 150)


def read_one_more(used: Tensor) -> Tensor:
    return used + 1


def read_one_less(used: Tensor) -> Tensor:
    return used - 1


@pytest.mark.parametrize("wrong", [read_everything, read_one_more, read_one_less])
def test_a_kernel_that_reads_something_else_is_not_used(
    wrong: Callable[[Tensor], Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    with installed(used_read=wrong):
        assert not first_frames_are_respected(CPU, torch.bfloat16)
    assert "wrong" in caplog.text


@pytest.mark.parametrize("error", [torch.AcceleratorError, torch.OutOfMemoryError])
def test_if_the_device_fails_there_is_no_other_way(error: Any) -> None:
    def fail(used: Tensor) -> Tensor:
        raise error("an illegal memory access was encountered")

    with installed(used_read=fail), pytest.raises(error):
        first_frames_are_respected(CPU, torch.bfloat16)
