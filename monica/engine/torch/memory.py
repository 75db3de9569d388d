"""Knows an error that means that memory ran out, in whichever library it did."""

from __future__ import annotations

from types import TracebackType

import torch

ALLOCATION_FAILURES = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUFFT_ALLOC_FAILED", "out of memory")
"""Parts of the messages of errors that are no OutOfMemoryError: libraries allocate behind PyTorch's back. The last one
is the driver's, when it allocates a graph or loads a kernel."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on the device or the host. The device itself is still usable."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(failure in str(error) for failure in ALLOCATION_FAILURES)


class OneOutOfMemoryError:
    """A context in which any error that `is_out_of_memory` is raised as torch.OutOfMemoryError."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None and not isinstance(error, torch.OutOfMemoryError) and is_out_of_memory(error):
            raise torch.OutOfMemoryError(str(error)) from error
