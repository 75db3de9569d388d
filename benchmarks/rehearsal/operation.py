"""One recorded operation: its operands, the bytes it moves, and whether the host waits for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

aten = torch.ops.aten

NO_KERNEL = {
    aten.empty.memory_format,
    aten.empty_strided.default,
    aten.empty_like.default,
    aten.new_empty.default,
    aten.new_empty_strided.default,
    aten._unsafe_view.default,
    aten._reshape_alias.default,
    aten.detach.default,
    aten.lift_fresh.default,
    aten.set_.source_Storage_storage_offset,
    aten.resize_.default,
}
"""Operations that launch no kernel. So do all views; `Operation.launches` knows them by their schema."""
GATHERS = {"index", "index_select", "embedding", "gather", "take"}
"""Operations that read only those elements of their first operand that they return."""
SCATTERS = {"index_put_", "_index_put_impl_", "scatter_", "index_copy_", "index_fill_"}
"""Operations that write only as many elements of their first operand as their other operands have."""
OVERWRITES = {"copy_", "fill_", "zero_", "exponential_", "normal_", "uniform_", "random_"}
"""Operations that write their first operand and do not read it."""
READS = {"_local_scalar_dense", "equal", "is_nonzero"}
"""Operations whose result is a number on the host."""
DATA_DEPENDENT = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "nonzero_static"}
"""Operations whose result has a size that the host has to ask for."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor as an operation sees it."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    """Of its first element in its storage, in elements."""
    dtype: torch.dtype
    device: str
    """`cpu` or `cuda`."""

    @classmethod
    def describe(cls, tensor: Tensor) -> Operand:
        return cls(tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()), tensor.dtype, tensor.device.type)

    @property
    def bytes(self) -> int:
        """The distinct bytes it covers: an axis with stride 0 is read once."""
        elements = math.prod(size for size, stride in zip(self.shape, self.stride, strict=True) if stride or size == 0)
        return elements * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that reached the device's dispatcher, or what the host did instead."""

    name: str
    """As in ATen, without namespace and overload: `addmm`, `copy_`. `event` is a wait for a torch.cuda.Event."""
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    """Its results, and the operands it writes."""
    launches: bool
    """Whether it launches a kernel or a copy on the device. Some operations launch several: sort, cumsum."""
    wait: str | None
    """How the host waits for the device: `read` (device to host), `upload` (pageable memory to device), `event` or
    `data-dependent`. None if it does not."""
    file_backed: bool = False
    """Whether it copies memory that is mapped from a file to the device."""
    graph: str | None = None
    """The name of the captured graph that it is part of."""
    where: str = ""
    """The innermost line of Monica's or upstream's code that called it, as `file.py:line function`."""

    @property
    def devices(self) -> frozenset[str]:
        """Where its operands are."""
        return frozenset(operand.device for operand in (*self.inputs, *self.outputs))

    @property
    def mixed(self) -> bool:
        """Whether operands on both devices meet in something other than a copy or a number that `fill_` reads."""
        return (
            len(self.devices) > 1
            and self.wait is None
            and self.name not in ("copy_", "_to_copy")
            and not (self.name == "fill_" and self.inputs[-1].shape == ())
        )

    @property
    def copies_between_devices(self) -> bool:
        return len(self.devices) > 1 and self.name in ("copy_", "_to_copy")

    @property
    def bytes(self) -> int:
        """What it reads and writes at least."""
        sizes = [operand.bytes for operand in self.inputs]
        written = sum(operand.bytes for operand in self.outputs)
        if self.name in GATHERS:
            return sum(sizes[1:]) + 2 * written
        if self.name in SCATTERS:
            return sum(sizes[1:]) + (sizes[-1] if len(sizes) > 1 else 0)
        if self.name in OVERWRITES:
            return sum(sizes[1:]) + written
        return sum(sizes) + written


def describe_operation(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any, *, pinned: bool, graph: str | None, where: str
) -> Operation:
    """Describe one call. pinned: whether the copy's host side is page-locked."""
    name = func.overloadpacket.__name__
    inputs = list(tensors_in((*args, *kwargs.values())))
    written = list(_written(func, args, kwargs))
    results = written or list(tensors_in(out))
    operands = tuple(map(Operand.describe, inputs))
    outputs = tuple(map(Operand.describe, results))
    on_device = any(operand.device == "cuda" for operand in (*operands, *outputs))
    return Operation(
        name=name,
        inputs=operands,
        outputs=outputs,
        launches=on_device and func not in NO_KERNEL and not _is_view(func),
        wait=_wait(name, operands, outputs, pinned=pinned and _non_blocking(name, args, kwargs)),
        file_backed=name in ("copy_", "_to_copy") and _uploads(inputs, results) and any(map(is_file_backed, inputs)),
        graph=graph,
        where=where,
    )


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """Yield the tensors in a nest of tuples and lists, as the arguments of operations are."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple | list):
        for part in tree:
            yield from tensors_in(part)


def is_file_backed(tensor: Tensor) -> bool:
    """Return whether a tensor's memory is mapped from a file, so that the kernel may have to read the disk for it."""
    if isinstance(tensor, FakeTensor) or tensor.device.type != "cpu" or tensor.numel() == 0:
        return False
    address = tensor.data_ptr()
    with open("/proc/self/maps") as maps:  # noqa: PTH123
        for line in maps:
            span, _, _, _, inode, *_ = line.split()
            start, stop = (int(end, 16) for end in span.split("-"))
            if start <= address < stop:
                return inode != "0"
    return False


def _wait(name: str, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...], *, pinned: bool) -> str | None:
    sources, targets = {each.device for each in inputs}, {each.device for each in outputs}
    if name in READS:
        return "read" if "cuda" in sources else None
    if name in DATA_DEPENDENT:
        return "data-dependent" if "cuda" in sources else None
    if name == "_to_copy" and sources != targets:
        return "upload" if targets == {"cuda"} else "read"
    if name == "copy_" and {inputs[-1].device} != targets and not pinned:
        return "upload" if targets == {"cuda"} else "read"
    return None


def _uploads(inputs: list[Tensor], results: list[Tensor]) -> bool:
    return bool(inputs and results) and inputs[-1].device.type == "cpu" and results[0].device.type == "cuda"


def _non_blocking(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return bool(kwargs.get("non_blocking", len(args) > 2 and name == "copy_" and args[2]))


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    for index, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield from tensors_in(args[index] if index < len(args) else kwargs.get(argument.name))


def _is_view(func: Any) -> bool:
    """Return whether the result shares the memory of an operand that is not written."""
    return any(result.alias_info is not None and not result.alias_info.is_write for result in func._schema.returns)
