"""The wheel of PyTorch that the lock installs has the kernels that a DGX Spark needs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from .attention_kernels import KERNELS, MIN_REGISTERS, disassembler, registers


def test_attention_kernels_are_real_on_compute_capability_12() -> None:
    library = Path(torch.__file__).parent / "lib" / "libtorch_cuda.so"
    program = disassembler()
    if program is None or not library.is_file():
        pytest.skip("this PyTorch has no CUDA, or triton is not installed")
    found = registers(library, program)
    assert {name for name, count in found.items() if count >= MIN_REGISTERS} == set(KERNELS)
