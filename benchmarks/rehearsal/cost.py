"""What recorded operations cost: kernels, launches, bytes and arithmetic are counted, the time on a GPU is modelled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.rehearsal.operation import Operation

BY_LENGTH = "_efficient_attention_forward"
"""Attention that reads the length of each row from the device. What it reads cannot be seen in its operands."""
HEAD = 64
"""Numbers in the vector of a head."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as the model sees it. All of these are assumptions, and none was measured."""

    name: str
    bytes_s: float
    """What its memory delivers in practice."""
    product_share: float
    """The share of that which a thin matrix product reaches."""
    kernel_s: float
    """The least time of a kernel inside a graph, with the gap before it."""
    launch_s: float
    """The time the host needs to launch a kernel or a graph."""
    flops: dict[torch.dtype, float]
    """Arithmetic of products a second, by type: 60 % of the datasheet. float32 is not TF32, so without tensor cores."""


GPUS = (
    Gpu("GB10", 232e9, 0.88, 2.2e-6, 7e-6, {torch.bfloat16: 75e12, torch.float32: 18e12}),
    Gpu("H200", 4.2e12, 0.80, 1.7e-6, 7e-6, {torch.bfloat16: 590e12, torch.float32: 40e12}),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of some work of the engine."""

    kernels: int
    """Operations that launch a kernel. Some launch several: sort, cumsum, convolutions, FFTs."""
    launches: int
    """What the host launches: kernels by themselves, and graphs as a whole."""
    bytes: int
    """What the operations read and write, whether it comes from the memory or from a cache of the GPU."""
    seconds: dict[str, float]
    """The modelled time, by GPU."""

    def scaled(self, other: Cost, times: int) -> Cost:
        """Return this cost plus `times` that by which it exceeds another's: the cost with so many more layers."""
        return Cost(
            self.kernels + times * (self.kernels - other.kernels),
            self.launches + times * (self.launches - other.launches),
            self.bytes + times * (self.bytes - other.bytes),
            {name: each + times * (each - other.seconds[name]) for name, each in self.seconds.items()},
        )


def count(operations: Sequence[Operation], graphs: int, cached: int = 0) -> Cost:
    """Add up operations. graphs: how many graphs were replayed among them. cached: positions that a row-wise attention
    reads, all rows together.
    """
    launched = [operation for operation in operations if operation.launches]
    return Cost(
        kernels=len(launched),
        launches=graphs + sum(operation.graph is None for operation in launched),
        bytes=sum(moved(operation, cached) for operation in launched),
        seconds={gpu.name: _seconds(launched, graphs, cached, gpu) for gpu in GPUS},
    )


def moved(operation: Operation, cached: int) -> int:
    """Return the bytes that an operation reads and writes."""
    if operation.name != BY_LENGTH or len(operation.inputs) < 6:
        return operation.bytes
    query, *_ = operation.inputs
    heads = query.shape[-2]
    return 2 * query.bytes + 2 * cached * heads * HEAD * query.dtype.itemsize


def arithmetic(operation: Operation, cached: int) -> float:
    """Return the floating-point operations of a product, a convolution or an attention; 0 for anything else."""
    shapes = [operand.shape for operand in operation.inputs]
    match operation.name:
        case "mm" | "bmm":
            return 2.0 * math.prod(shapes[0]) * shapes[1][-1]
        case "addmm" | "addmm_" | "baddbmm":
            return 2.0 * math.prod(shapes[1]) * shapes[2][-1]
        case "convolution" | "cudnn_convolution":
            return 2.0 * math.prod(operation.outputs[0].shape) * math.prod(shapes[1][1:])
        case "_scaled_dot_product_flash_attention" | "_scaled_dot_product_efficient_attention":
            return 4.0 * math.prod(shapes[0]) * shapes[1][-2]
        case "_flash_attention_forward" if len(shapes[0]) == 3:  # rows one after the other, and where each begins
            return 4.0 * math.prod(shapes[0]) * shapes[1][0] / (shapes[3][0] - 1)
        case name if name == BY_LENGTH and len(shapes) >= 6:
            return 4.0 * cached * shapes[0][-2] * HEAD
    return 0.0


def _seconds(launched: list[Operation], graphs: int, cached: int, gpu: Gpu) -> float:
    """Return the time of the graphs, then of the rest, which may wait for the host that launches all of it."""

    def kernels(part: list[Operation]) -> float:
        return sum(_kernel_seconds(operation, cached, gpu) for operation in part)

    eager = [operation for operation in launched if operation.graph is None]
    in_graphs = [operation for operation in launched if operation.graph is not None]
    return kernels(in_graphs) + max(kernels(eager), (len(eager) + graphs) * gpu.launch_s)


def _kernel_seconds(operation: Operation, cached: int, gpu: Gpu) -> float:
    flops = arithmetic(operation, cached)
    product = operation.name in ("mm", "addmm", "addmm_", "bmm", "baddbmm")
    speed = gpu.bytes_s * (gpu.product_share if product else 1)
    peak = gpu.flops.get(operation.inputs[0].dtype, gpu.flops[torch.float32]) if operation.inputs else math.inf
    return max(gpu.kernel_s, moved(operation, cached) / speed, flops / peak)
