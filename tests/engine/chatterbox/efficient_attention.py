"""What PyTorch's memory-efficient attention does on CUDA for sequences of different lengths, written for the CPU.

Source: `advance_to_block` in PyTorch's mem_eff_attention/kernel_forward.h. A sequence's keys begin at
`cu_seqlens_k[b]` steps of the key's second stride, and there are `seqlen_k[b]` of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: None,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float,
    custom_mask_type: int,
    compute_log_sumexp: bool = False,
    *,
    scale: float | None = None,
    seqlen_k: Tensor,
    window_size: int | None = None,
) -> tuple[Any, ...]:
    """query: (1, Q, H, 64). key, value: (1, K, H, 64). Every check of the CUDA operator is made here too."""
    assert query.size(0) == key.size(0) == value.size(0) == 1
    assert key.shape == value.shape
    assert all(each.stride(-1) == 1 for each in (query, key, value))
    assert all(each.dtype == torch.int32 and each.is_contiguous() for each in (cu_seqlens_q, cu_seqlens_k, seqlen_k))
    assert cu_seqlens_q.shape == cu_seqlens_k.shape == (len(seqlen_k) + 1,)
    assert (bias, dropout_p, custom_mask_type, compute_log_sumexp, scale, window_size) == (
        None,
        0,
        0,
        False,
        None,
        None,
    )
    mixed = torch.empty(query.shape, dtype=query.dtype)
    # As lists of numbers: the kernel reads them on the device, when it runs. A tape calls this again.
    starts, firsts, lengths = (each.numpy().tolist() for each in (cu_seqlens_q, cu_seqlens_k, seqlen_k))
    for index, length in enumerate(lengths):
        assert starts[index + 1] - starts[index] == 1 == max_seqlen_q
        q = query[0, starts[index], :, None]  # (H, 1, 64)
        k, v = (each[0, firsts[index] : firsts[index] + length].transpose(0, 1) for each in (key, value))
        assert k.size(1) == length
        exact = torch.promote_types(q.dtype, torch.float32)
        weights = torch.softmax(q.to(exact) @ k.to(exact).mT / 8, dim=-1)
        mixed[0, starts[index]] = (weights @ v.to(exact))[:, 0].to(v.dtype)
    nothing = torch.empty(0)
    return mixed, nothing, nothing, nothing, max_seqlen_q, max_seqlen_k


@contextmanager
def installed(lengths_read: Callable[[Tensor], Tensor] = lambda lengths: lengths) -> Iterator[None]:
    """Give PyTorch's operator this implementation on the CPU, where it has none. lengths_read: a mistake in it."""

    def kernel(*args: Any, seqlen_k: Tensor, **other: Any) -> tuple[Any, ...]:
        return attend(*args, seqlen_k=lengths_read(seqlen_k), **other)

    library = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    try:
        library.impl("_efficient_attention_forward", kernel, "CPU")  # type: ignore[no-untyped-call]
        yield
    finally:
        library._destroy()  # type: ignore[no-untyped-call]
