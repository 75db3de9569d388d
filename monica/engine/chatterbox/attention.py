"""Attention of one query per row over that row's part of the cache.

A step has rows of different lengths. There are two ways to leave out what a row has not filled:

- `attend_window`: every row reads the same number of positions, and a mask hides those beyond its own. For any device.
- `attend_lengths`: the kernel reads each row's length from a tensor on the device, so it reads no more than is there,
  and a captured graph serves every length. It exists on CUDA only, and its operator is private to PyTorch.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 3e-2}
"""How far the two ways may differ in `lengths_are_respected`, whose outputs are of the order of 1."""
LENGTHS = (1, 63, 64, 65, 190, 7)
"""What the rows of that test have filled: around the kernel's tiles of 64 keys, and not in order."""

logger = logging.getLogger(__name__)


class RowLengths(NamedTuple):
    """Where each of R rows begins in the flat cache, and how much of it is filled. All int32, on the device."""

    query_starts: Tensor
    """(R + 1,): a query for each row."""
    key_starts: Tensor
    """(R + 1,): in steps of one head's vector."""
    lengths: Tensor
    """(R,): at least 1."""


def attend_window(q: Tensor, cache: Tensor, mask: Tensor) -> Tensor:
    """Attend to the first W positions of the first R rows.

    q: (R, H, 64). cache: (rows, 2 H, P, 64), the heads of the keys before those of the values.
    mask: (R, 1, 1, W), 0 or -inf, added to the scores. Returns (R, H * 64).
    """
    keys, values = cache[: q.size(0), :, : mask.size(-1)].chunk(2, dim=1)
    return F.scaled_dot_product_attention(q[:, :, None], keys, values, attn_mask=mask).flatten(1)


def attend_lengths(q: Tensor, cache: Tensor, rows: RowLengths) -> Tensor:
    """Attend to the filled positions of the first R rows. q: (R, H, 64). cache: as in `attend_window`.

    This is the memory-efficient kernel that scaled_dot_product_attention uses for a mask, in its mode for sequences of
    different lengths. Flash attention can do the same, but not in float32. Returns (R, H * 64).
    """
    rows_cached, doubled, positions, width = cache.shape
    heads = doubled // 2
    # The kernel expects one row's positions after the other's, all heads of a position side by side. Ours are head by
    # head, which the CPU reads faster. Strides hide that: a step from one position to the next is one vector, so row r
    # begins at vector r * 2 H * P. Seen like this the heads overlap, but nothing is written through this view.
    shape = (1, ((rows_cached - 1) * doubled + 1) * positions, heads, width)
    strides = (cache.numel(), width, positions * width, 1)
    keys, values = (
        cache.as_strided(shape, strides, cache.storage_offset() + start) for start in (0, heads * positions * width)
    )
    mixed, *_ = torch.ops.aten._efficient_attention_forward(
        q[None], keys, values, None, rows.query_starts, rows.key_starts, 1, positions, 0.0, 0, seqlen_k=rows.lengths
    )
    return mixed.flatten(0, 1).flatten(1)  # type: ignore[no-any-return]


@torch.inference_mode()
def lengths_are_respected(device: torch.device, dtype: torch.dtype) -> bool:
    """Find out whether `attend_lengths` works in this PyTorch on this device, by comparing it with plain attention.

    What it must not read is NaN. An operator that is missing, refuses, or computes something else is logged.
    """
    heads, positions, width = 2, 256, 64
    generator = torch.Generator(device).manual_seed(0)
    q, cache = (
        torch.randn(len(LENGTHS), *shape, generator=generator, device=device).to(dtype)
        for shape in ((heads, width), (2 * heads, positions, width))
    )
    expected = []
    for row, length in enumerate(LENGTHS):
        keys, values = cache[row, :, :length].float().chunk(2)
        expected.append(F.softmax(q[row, :, None].float() @ keys.mT / width**0.5, dim=-1) @ values)
        cache[row, :, length:] = torch.nan
    lengths = torch.tensor(LENGTHS, dtype=torch.int32).to(device)
    try:
        found = attend_lengths(q, cache, RowLengths(*row_starts(cache), lengths))
    except (torch.AcceleratorError, torch.OutOfMemoryError):
        raise  # the device itself has failed
    except (AttributeError, RuntimeError) as error:  # RuntimeError includes NotImplementedError
        logger.warning("attention by length is not available, T3 reads windows of its cache: %s", error)
        return False
    if not bool(((found.float() - torch.stack(expected).flatten(1)).abs() <= TOLERANCE[dtype]).all()):
        logger.warning("attention by length computes wrong numbers, T3 reads windows of its cache")
        return False
    return True


def row_starts(cache: Tensor) -> tuple[Tensor, Tensor]:
    """Return `query_starts` and `key_starts` of all rows of a cache, (..., rows, 2 H, P, 64)."""
    rows, doubled, positions, _ = cache.shape[-4:]
    starts = torch.arange(rows + 1, dtype=torch.int32, device=cache.device)
    return starts, starts * (doubled * positions)
