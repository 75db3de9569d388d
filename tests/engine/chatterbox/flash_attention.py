"""What PyTorch's flash attention does on CUDA for rows of which only the first frames are keys, written for the CPU.

Source: `BlockInfo` in PyTorch's flash_attn/src/block_info.h. Row b begins at `cum_seq_q[b]` and `cum_seq_k[b]`, and
`seqused_k[b]` of its keys are used.
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
    cum_seq_q: Tensor,
    cum_seq_k: Tensor,
    max_q: int,
    max_k: int,
    dropout_p: float,
    is_causal: bool,
    return_debug_mask: bool,
    *,
    seqused_k: Tensor,
    scale: float | None = None,
    window_size_left: int | None = None,
    window_size_right: int | None = None,
    alibi_slopes: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """query, key, value: (R * T, H, 64). The checks of the CUDA operator are made here too, but that of the type."""
    assert query.shape == key.shape == value.shape
    assert all(each.stride(-1) == 1 for each in (query, key, value))
    assert all(each.dtype == torch.int32 and each.is_contiguous() for each in (cum_seq_q, cum_seq_k, seqused_k))
    assert cum_seq_q.shape == cum_seq_k.shape == (len(seqused_k) + 1,)
    assert max_q == max_k
    assert (dropout_p, is_causal, return_debug_mask) == (0, False, False)
    assert (scale, window_size_left, window_size_right, alibi_slopes) == (None,) * 4
    mixed = torch.empty(query.shape, dtype=query.dtype)
    # As lists of numbers: the kernel reads them on the device, when it runs. A tape calls this again.
    starts, firsts, used = (each.numpy().tolist() for each in (cum_seq_q, cum_seq_k, seqused_k))
    exact = torch.promote_types(query.dtype, torch.float32)
    for row, count in enumerate(used):
        assert starts[row + 1] - starts[row] == max_q
        q = query[starts[row] : starts[row + 1]].transpose(0, 1)  # (H, T, 64)
        k, v = (each[firsts[row] : firsts[row] + count].transpose(0, 1) for each in (key, value))
        weights = torch.softmax(q.to(exact) @ k.to(exact).mT / 8, dim=-1)
        mixed[starts[row] : starts[row + 1]] = (weights @ v.to(exact)).transpose(0, 1).to(v.dtype)
    nothing = torch.empty(0)
    return mixed, nothing, nothing, nothing, nothing


@contextmanager
def installed(used_read: Callable[[Tensor], Tensor] = lambda used: used) -> Iterator[None]:
    """Give PyTorch's operator this implementation on the CPU, where it has none. used_read: a mistake in it."""

    def kernel(*args: Any, seqused_k: Tensor, **other: Any) -> tuple[Tensor, ...]:
        return attend(*args, seqused_k=used_read(seqused_k), **other)

    library = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    try:
        library.impl("_flash_attention_forward", kernel, "CPU")  # type: ignore[no-untyped-call]
        yield
    finally:
        library._destroy()  # type: ignore[no-untyped-call]
