"""Tells an error that leaves the device unusable in this process from one that ends a single piece of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from monica.errors import DeviceLost


@contextmanager
def report_lost_device() -> Iterator[None]:
    """Raise DeviceLost in place of an error after which every call to the device in this process fails.

    Such errors (an illegal address, a failed assertion, a failed launch) are "sticky" in CUDA: the context is corrupt
    until the process ends. PyTorch raises them as AcceleratorError. Running out of memory is not one of them, neither
    as PyTorch's OutOfMemoryError nor as an AcceleratorError of a call that allocates outside PyTorch's allocator, such
    as the instantiation of a graph.
    """
    try:
        yield
    except RuntimeError as error:
        import torch  # here: this module is imported before torch has to be

        if not isinstance(error, torch.AcceleratorError) or "out of memory" in str(error):
            raise
        # The first line is the error; the others advise a developer on how to debug it.
        reason = str(error).partition("\n")[0].strip().rstrip(".")
        raise DeviceLost(f"The device failed, and is lost to this process: {reason}.", retry_after=15) from error
