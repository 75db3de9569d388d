"""Which errors mean that memory ran out."""

from __future__ import annotations

import pytest
import torch

from monica.engine.torch.memory import OneOutOfMemoryError, is_out_of_memory

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    torch.AcceleratorError("CUDA error: out of memory"),
]
OTHERS = [
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"),
    ValueError("out of memory"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_errors_that_mean_that_memory_ran_out(error: Exception) -> None:
    assert is_out_of_memory(error)
    with pytest.raises(torch.OutOfMemoryError) as caught, OneOutOfMemoryError():
        raise error
    assert str(caught.value) == str(error)


@pytest.mark.parametrize("error", OTHERS)
def test_errors_that_mean_something_else(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)) as caught, OneOutOfMemoryError():
        raise error
    assert caught.value is error


def test_the_end_of_a_generator_passes() -> None:
    with pytest.raises(StopIteration), OneOutOfMemoryError():
        next(iter(()))
