"""Attention by length: what the kernel is told about our cache, and the check at start-up that it does as told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from monica.engine.chatterbox.attention import (
    LENGTHS,
    RowLengths,
    attend_lengths,
    attend_window,
    lengths_are_respected,
    row_starts,
)

from .efficient_attention import installed

HEADS, POSITIONS = 3, 70
CPU = torch.device("cpu")


@pytest.fixture
def kernel() -> Iterator[None]:
    with installed():
        yield


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ways_read_the_same_part_of_the_cache(kernel: None, dtype: torch.dtype) -> None:
    """In a layer that is not the first, of a cache with more rows than take part."""
    caches = torch.randn(2, len(LENGTHS) + 2, 2 * HEADS, POSITIONS, 64, dtype=dtype)
    q = torch.randn(len(LENGTHS), HEADS, 64, dtype=dtype)
    lengths = torch.tensor(LENGTHS, dtype=torch.int32).clamp(max=POSITIONS)
    query_starts, key_starts = (starts[: len(LENGTHS) + 1] for starts in row_starts(caches))
    found = attend_lengths(q, caches[1], RowLengths(query_starts, key_starts, lengths))
    mask = torch.zeros(len(LENGTHS), POSITIONS, dtype=dtype)
    mask[torch.arange(POSITIONS) >= lengths[:, None]] = -torch.inf
    expected = attend_window(q, caches[1], mask[:, None, None])
    torch.testing.assert_close(found, expected)


def test_a_kernel_that_respects_lengths_is_used(kernel: None, caplog: pytest.LogCaptureFixture) -> None:
    assert lengths_are_respected(CPU, torch.float32)
    assert lengths_are_respected(CPU, torch.bfloat16)
    assert caplog.text == ""


def test_without_such_a_kernel_windows_are_used(caplog: pytest.LogCaptureFixture) -> None:
    """PyTorch has none for the CPU: the operator refuses."""
    assert not lengths_are_respected(CPU, torch.float32)
    assert "not available" in caplog.text


def read_everything(lengths: Tensor) -> Tensor:
    return torch.full_like(lengths, 256)


def read_one_less(lengths: Tensor) -> Tensor:
    return lengths.sub(1).clamp(min=1)


def read_the_neighbours(lengths: Tensor) -> Tensor:
    return lengths.roll(1).minimum(lengths)


@pytest.mark.parametrize("wrong", [read_everything, read_one_less, read_the_neighbours])
def test_a_kernel_that_reads_other_lengths_is_not_used(
    wrong: Callable[[Tensor], Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    with installed(lengths_read=wrong):
        assert not lengths_are_respected(CPU, torch.float32)
    assert "wrong" in caplog.text


@pytest.mark.parametrize("error", [torch.AcceleratorError, torch.OutOfMemoryError])
def test_if_the_device_fails_there_is_no_other_way(error: Any) -> None:
    def fail(lengths: Tensor) -> Tensor:
        raise error("an illegal memory access was encountered")

    with installed(lengths_read=fail), pytest.raises(error):
        lengths_are_respected(CPU, torch.float32)
