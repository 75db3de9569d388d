"""Attention of a take's frames to each other, in a captured step that has room for more frames than the take.

There are two ways to keep the padding out of it:

- A mask, added to the scores: for any device. With a mask, PyTorch takes its memory-efficient kernel.
- `attend_first_frames`: flash attention, which reads from the device how many frames there are. It is for bf16 on CUDA
  only, and its operator is private to PyTorch. On an H100 it takes a third of the time.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 3e-2
"""How far the two ways may differ in `first_frames_are_respected`, whose outputs are of the order of 1."""

logger = logging.getLogger(__name__)


class FirstFrames(NamedTuple):
    """How many frames of each of R rows there are to attend to. Both int32, on the device."""

    starts: Tensor
    """(R + 1,): where each row begins, the rows one after the other."""
    used: Tensor
    """(R,): frames from there on that are keys."""

    @classmethod
    def allocate(cls, rows: int, frames: int, device: torch.device) -> FirstFrames:
        """Make those of rows of `frames` frames each, all of which are used."""
        starts = torch.arange(rows + 1, dtype=torch.int32, device=device) * frames
        return cls(starts, torch.full((rows,), frames, dtype=torch.int32, device=device))


def attend_first_frames(qkv: Tensor, first: FirstFrames) -> Tensor:
    """Attend to the first frames of each row. qkv: (R, T, 3, H, 64). Returns (R, T, H * 64)."""
    rows, frames = qkv.shape[:2]
    q, k, v = qkv.flatten(0, 1).unbind(1)  # (R * T, H, 64) each
    mixed, *_ = torch.ops.aten._flash_attention_forward(
        q, k, v, first.starts, first.starts, frames, frames, 0.0, False, False, seqused_k=first.used
    )
    return mixed.view(rows, frames, -1)  # type: ignore[no-any-return]


@torch.inference_mode()
def first_frames_are_respected(device: torch.device, dtype: torch.dtype) -> bool:
    """Find out whether `attend_first_frames` works in this PyTorch on this device, compared with plain attention.

    What it must not attend to is large. An operator that is missing, refuses, or computes something else is logged.
    """
    rows, frames, used, heads, width = 2, 150, 101, 2, 64
    generator = torch.Generator(device).manual_seed(0)
    qkv = torch.randn(rows, frames, 3, heads, width, generator=generator, device=device).to(dtype)
    q, k, v = qkv.float().permute(2, 0, 3, 1, 4)  # (R, H, T, 64) each
    k, v = k[:, :, :used], v[:, :, :used]
    expected = (F.softmax(q @ k.mT / width**0.5, dim=-1) @ v).transpose(1, 2).flatten(2)
    qkv[:, used:, 1:].mul_(100)
    first = FirstFrames.allocate(rows, frames, device)
    first.used.fill_(used)
    try:
        found = attend_first_frames(qkv, first)
    except (torch.AcceleratorError, torch.OutOfMemoryError):
        raise  # the device itself has failed
    except (AttributeError, RuntimeError) as error:  # RuntimeError includes NotImplementedError
        logger.warning("flash attention by length is not available, S3Gen masks what follows a take: %s", error)
        return False
    if not bool(((found.float() - expected)[:, :used].abs() <= TOLERANCE).all()):
        logger.warning("flash attention by length computes wrong numbers, S3Gen masks what follows a take")
        return False
    return True
