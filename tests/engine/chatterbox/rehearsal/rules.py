"""Rules that every operation of the rehearsal obeys: those of attention's kernels, and float32 that is float32."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
ALIGNMENT = 16
"""Bytes. CUDA's fused attention reads so many at once; anything else makes it copy, or fall back to slow kernels."""
MASK_MULTIPLE = 8
"""Elements. A mask whose rows are not a multiple of them is copied to one whose rows are, at each call."""


def check_attention(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Assert what the fused kernels need of query, key, value and mask."""
    if func is not aten.scaled_dot_product_attention.default:
        return
    query, key, value, *rest = args
    for tensor in (query, key, value):
        assert tensor.stride(-1) == 1
        places = (*tensor.stride()[:-1], tensor.storage_offset())
        assert all(place * tensor.itemsize % ALIGNMENT == 0 for place in places), (tensor.shape, tensor.stride())
    mask: Tensor | None = rest[0] if rest else kwargs.get("attn_mask")
    if mask is not None:
        assert mask.dtype == query.dtype
        assert mask.size(-1) % MASK_MULTIPLE == 0
        assert mask.stride(-1) == 1


def check_precision(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Assert that no product of float32 is computed in TF32, and that attention has one path on all GPUs."""
    if func is aten.convolution.default:
        assert not torch.backends.cudnn.allow_tf32
    elif func in (aten.mm.default, aten.addmm.default, aten.bmm.default):
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    elif func is aten.scaled_dot_product_attention.default:
        assert not torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
