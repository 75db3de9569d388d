"""What PyTorch's CUDA libraries are told, for the whole process."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from benchmarks.rehearsal import Rehearsal
from monica.engine.torch import CUDNN_PLANS, device
from monica.engine.torch.backends import FFT_PLANS, MACHINE_RESERVE, configure_cuda
from monica.engine.torch.device import GIB
from tests.support.server import ROOT


def test_precision_and_kernels() -> None:
    with Rehearsal():
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
        configure_cuda()
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
        assert not torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
        assert torch.backends.cuda.cufft_plan_cache.max_size == FFT_PLANS


def test_a_card_with_memory_of_its_own_needs_no_limit() -> None:
    with Rehearsal() as rehearsal:
        configure_cuda()
        assert rehearsal.device.memory_fraction == 1.0


def test_a_gpu_that_shares_the_machines_memory_leaves_some_to_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with Rehearsal() as rehearsal:
        rehearsal.device.properties.is_integrated = True
        monkeypatch.setattr(device, "_available", lambda: 100 * GIB)
        configure_cuda()
        assert rehearsal.device.memory_fraction == (100 * GIB - MACHINE_RESERVE) / (128 * GIB)
        monkeypatch.setattr(device, "_available", lambda: 0)
        rehearsal.device.free = 2 * GIB  # too little for the model, which will say so itself
        configure_cuda()
        assert rehearsal.device.memory_fraction == GIB / (128 * GIB)


LIMIT = "TORCH_CUDNN_V8_API_LRU_CACHE_LIMIT"


@pytest.mark.parametrize(("environment", "expected"), [({}, str(CUDNN_PLANS)), ({LIMIT: "7"}, "7")])
def test_cudnn_is_told_before_torch_is_imported(environment: dict[str, str], expected: str) -> None:
    """It reads the variable once, whenever its first plan is made; an operator's value stays."""
    script = f"import os, sys, monica.engine.chatterbox.engine; print('torch' in sys.modules, os.environ[{LIMIT!r}])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["False", expected], done.stderr
