"""A matrix applied to rows, stored in the layout that is fastest in the chosen precision."""

from __future__ import annotations

import time
from functools import cache

import torch
from torch import Tensor

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.float32}
"""The type of activations in each precision. With int8, weights and, inside a product, activations have 8 bits."""


class Linear:
    """y = x W^T + b.

    weight: (out, in) float32, on its device. bias: (out,). precision: a key of PRECISIONS.
    rows: how many rows x will have, "few" or "many". In int8 the fastest kernel depends on it.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None = None, *, precision: str = "fp32", rows: str = "few"
    ) -> None:
        self.out_features = weight.size(0)
        dtype = PRECISIONS[precision] if weight.dtype == torch.float32 else weight.dtype
        self._bias = None if bias is None else bias.to(dtype)
        self._packed = pack_int8(weight, self._bias, rows) if precision == "int8" else None
        if self._packed is None:
            self._matrix = _lay_out(weight.to(dtype))  # (in, out)

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """x: (..., in). residual: (..., out), added to the product; it is overwritten. Returns (..., out)."""
        rows = x.reshape(-1, x.size(-1))
        added = None if residual is None else residual.reshape(-1, self.out_features)
        if self._packed is not None:
            y: Tensor = torch.ops.quantized.linear_dynamic(rows, self._packed, saturates())
            y = y if added is None else y.add_(added)
        elif added is not None:  # product and sum are one kernel
            y = (added if self._bias is None else added.add_(self._bias)).addmm_(rows, self._matrix)
        elif self._bias is not None:
            y = torch.addmm(self._bias, rows, self._matrix)
        else:
            y = rows @ self._matrix
        return y.view(*x.shape[:-1], self.out_features)


def _lay_out(weight: Tensor) -> Tensor:
    """Return W^T, in the memory layout that this device reads fastest."""
    if weight.device.type == "cpu" and weight.dtype == torch.float32 and transposed_is_faster():
        return weight.t().contiguous()
    return weight.contiguous().t()


def pack_int8(weight: Tensor, bias: Tensor | None, rows: str = "few") -> object:
    """Round each row of a matrix to 8 bits, symmetrically, and pack it for the CPU's integer kernels."""
    torch.backends.quantized.engine = quantized_engine(rows)
    scales = weight.abs().amax(dim=1).clamp_(min=torch.finfo(torch.float32).tiny) / 127
    zeros = torch.zeros(weight.size(0), dtype=torch.long)
    rounded = torch.quantize_per_channel(weight, scales, zeros, axis=0, dtype=torch.qint8)
    packed: object = torch.ops.quantized.linear_prepack(rounded, bias)
    return packed


@cache
def quantized_engine(rows: str = "few") -> str:
    """Return the name of this PyTorch's fastest integer kernels on this CPU: those for x86, for Arm, or for AMX."""
    available = torch.backends.quantized.supported_engines
    if rows == "many" and "onednn" in available and torch.cpu.get_capabilities().get("amx_int8"):
        return "onednn"
    return next(engine for engine in ("x86", "fbgemm", "qnnpack", "onednn") if engine in available)


@cache
def saturates() -> bool:
    """Whether this CPU's integer kernels add two products in 16 bits, so that activations must be limited to 7 bits."""
    cpu = torch.cpu.get_capabilities()
    return cpu.get("architecture") == "x86_64" and not cpu.get("avx512_vnni")


@cache
def transposed_is_faster() -> bool:
    """Measure whether a thin product, which reads the whole matrix for two rows, is faster with it transposed.

    Which layout wins, by up to 2.5 times, depends on the maker of the CPU. If it is close, the ordinary one is kept.
    """
    weight, rows = torch.randn(4096, 1024), torch.randn(2, 1024)
    transposed = weight.t().contiguous()

    def seconds(matrix: Tensor) -> float:
        began = time.perf_counter()
        rows @ matrix
        return time.perf_counter() - began

    ordinary_s, transposed_s = (min(seconds(m) for _ in range(9)) for m in (weight.t(), transposed))
    return transposed_s * 1.5 < ordinary_s
