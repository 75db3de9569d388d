"""Records every operation on fake CUDA tensors, and answers in the device's place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.attention import SDPBackend
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from benchmarks.rehearsal.operation import Operation, describe_operation, tensors_in

aten = torch.ops.aten
PLACES = ("monica/", "chatterbox/", "perth/", "s3tokenizer/")
"""Whose lines `Operation.where` names."""

Check = Callable[[Any, tuple[Any, ...], dict[str, Any]], None]


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode above a FakeTensorMode. It sees the operations that reach the device, those of composite ones included.

    A number that the host reads from a fake tensor is True, 0 or 1.0: whatever is finite is finite, a token is 0, and
    numbers agree.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] | None = None
        """What is recorded at present; None if nothing is."""
        self.graph: str | None = None
        """The name of the graph that is being captured."""
        self.checks: list[Check] = []
        """Called with each operation before it runs, attention included; they raise if it breaks a rule."""
        self.answers: dict[torch.dtype, bool | int | float] = {torch.bool: True}
        self._pinned: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        for check in self.checks:
            check(func, args, kwargs)
        if func is aten.scaled_dot_product_attention.default:
            return self._attention(*args, **kwargs)
        if func is aten.istft.default:
            with self._answering(False), self:  # it asks whether its windows leave a gap
                return func.decompose(*args, **kwargs)
        if func is torch.ops.prim.device.default:
            return func(*args)
        if not _has_cuda_kernel(func):
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = self._run(func, args, kwargs)
        self._record(func, args, kwargs, out)
        return out

    def note(self, operation: Operation) -> None:
        """Record something that is no operation: a wait for an event, a replay."""
        if self.operations is not None:
            self.operations.append(operation)

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = func.overloadpacket.__name__
        if name == "_local_scalar_dense":
            if not isinstance(args[0], FakeTensor) and args[0].device.type == "cpu":
                with _disable_current_modes():
                    return func(*args)
            return self._answer(args[0].dtype)
        if name in ("equal", "is_nonzero"):
            return self._answer(torch.bool)
        if kwargs.get("generator") is not None:
            kwargs["generator"] = None  # the real one is a CPU generator in a CUDA generator's place
        pinned = kwargs.pop("pin_memory", False)
        out = func(*args, **kwargs)
        if pinned:
            self._pinned.add(id(out))
        return out

    def _record(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        if self.operations is None:
            return
        pinned = any(id(tensor) in self._pinned for tensor in tensors_in(args))
        self.operations.append(
            describe_operation(func, args, kwargs, out, pinned=pinned, graph=self.graph, where=caller())
        )

    def _answer(self, dtype: torch.dtype) -> bool | int | float:
        return self.answers.get(dtype, 1.0 if dtype.is_floating_point else 0)

    @contextmanager
    def _answering(self, answer: bool) -> Iterator[None]:
        before, self.answers = self.answers, self.answers | {torch.bool: answer}
        try:
            yield
        finally:
            self.answers = before

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Run the kernel that CUDA would choose on a GPU of the last years, with cuDNN's attention turned off."""
        with self:
            if choose_backend(query, attn_mask) is SDPBackend.FLASH_ATTENTION:
                out = aten._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, scale=scale)
            else:
                bias = attn_mask
                if bias is not None:
                    bias = bias.expand(*query.shape[:-1], key.size(-2))
                out = aten._scaled_dot_product_efficient_attention(
                    query, key, value, bias, False, dropout_p, is_causal, scale=scale
                )
        result: Tensor = out[0]
        return result


def choose_backend(query: Tensor, mask: Tensor | None) -> SDPBackend:
    """Return the backend that CUDA's dispatcher prefers for an attention without gradients.

    Source: torch 2.11, aten/src/ATen/native/transformers/cuda/sdp_utils.cpp: flash attention takes no mask and no
    float32; the memory-efficient one takes both.
    """
    if mask is None and query.dtype in (torch.bfloat16, torch.float16):
        return SDPBackend.FLASH_ATTENTION
    return SDPBackend.EFFICIENT_ATTENTION


@cache
def _has_cuda_kernel(func: Any) -> bool:
    """Return whether CUDA runs an operation as it is, even if it is a composite one elsewhere: rms_norm is."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CUDA")


def caller() -> str:
    """Return the innermost line of PLACES that is running, as `file.py:line function`."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        for place in PLACES:
            start = path.rfind(f"/{place}")
            if start >= 0:
                return f"{path[start + 1 :]}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return ""
