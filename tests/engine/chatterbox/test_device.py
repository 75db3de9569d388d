"""The device: detection, and one clear line if the requested one cannot be used."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from monica.engine.torch import device
from monica.engine.torch.device import choose_device, choose_precision, cuda_problem, describe_device, free_memory
from monica.errors import ConfigError


@pytest.fixture
def gb10(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A DGX Spark, as PyTorch would describe it."""
    properties = SimpleNamespace(name="NVIDIA GB10", total_memory=int(119.7 * 2**30), major=12, minor=1)
    monkeypatch.setattr(device, "accelerator", lambda: "cuda")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (12, 1))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: properties.name)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_90", "sm_120"])
    return monkeypatch


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    def refuse() -> None:
        raise RuntimeError("No CUDA GPUs are available")

    monkeypatch.setattr(device, "accelerator", lambda: None)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "init", refuse)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return monkeypatch


def test_auto_prefers_cuda_then_mps_then_cpu(bare: pytest.MonkeyPatch) -> None:
    assert choose_device("auto") == "cpu"
    bare.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == "mps"


def test_auto_chooses_cuda(gb10: pytest.MonkeyPatch) -> None:
    assert choose_device("auto") == "cuda"
    assert describe_device("cuda") == "cuda, NVIDIA GB10, 119.7 GiB (compute capability 12.1)"


@pytest.mark.parametrize("asked", ["cuda", "mps"])
def test_a_missing_device_is_reported(bare: pytest.MonkeyPatch, asked: str) -> None:
    with pytest.raises(ConfigError, match=r"CUDA cannot be used: No CUDA GPUs are available\.|mps"):
        choose_device(asked)


def test_a_pytorch_without_cuda_is_reported(bare: pytest.MonkeyPatch) -> None:
    bare.setattr(torch.version, "cuda", None)
    assert "built without" in (cuda_problem() or "")


def test_a_pytorch_without_kernels_for_the_gpu_is_reported(gb10: pytest.MonkeyPatch) -> None:
    gb10.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_90a", "sm_121a_"])
    for asked in ("cuda", "auto"):
        with pytest.raises(ConfigError, match=r"NVIDIA GB10, compute capability 12\.1; it has sm_80, sm_90a"):
            choose_device(asked)


@pytest.mark.parametrize(
    ("arch", "runs"),
    [
        ("sm_120", True),  # the same major version, an older minor one
        ("sm_121", True),
        ("sm_121a", True),
        ("sm_120a", False),  # for that one device only
        ("sm_120f", True),  # for its family
        ("sm_100f", False),
        ("sm_90", False),
        ("compute_90", True),  # PTX, compiled at load time
        ("compute_130", False),
        ("nonsense", False),
    ],
)
def test_which_architectures_run_on_a_gb10(gb10: pytest.MonkeyPatch, arch: str, runs: bool) -> None:
    gb10.setattr(torch.cuda, "get_arch_list", lambda: [arch])
    assert (cuda_problem() is None) == runs


def test_the_cpu_is_described() -> None:
    assert describe_device("cpu").startswith("cpu, ")
    assert device._memory() > 2**30


@pytest.mark.parametrize("has_bf16", [True, False])
def test_auto_chooses_bf16_if_the_gpu_supports_it(gb10: pytest.MonkeyPatch, has_bf16: bool) -> None:
    gb10.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert choose_precision("auto", "cuda") == ("bf16" if has_bf16 else "fp32")
    assert choose_precision("fp32", "cuda") == "fp32"
    if not has_bf16:
        with pytest.raises(ConfigError, match="MONICA_PRECISION='bf16': NVIDIA GB10 does not support it"):
            choose_precision("bf16", "cuda")


def test_auto_chooses_fp32_off_cuda() -> None:
    assert {choose_precision("auto", device) for device in ("cpu", "mps")} == {"fp32"}
    assert [choose_precision(precision, "cpu") for precision in ("fp32", "bf16", "int8")] == ["fp32", "bf16", "int8"]


@pytest.mark.parametrize("other", ["cuda", "mps"])
def test_int8_is_only_for_the_cpu(gb10: pytest.MonkeyPatch, other: str) -> None:
    gb10.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    with pytest.raises(ConfigError, match=f"the device is {other}"):
        choose_precision("int8", other)


def test_free_memory_is_in_bytes(gb10: pytest.MonkeyPatch) -> None:
    gb10.setattr(torch.cuda, "mem_get_info", lambda: (100 * 2**30, 120 * 2**30))
    gb10.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(is_integrated=False))
    assert free_memory("cuda") == 100 * 2**30
    gb10.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(is_integrated=True))
    gb10.setattr(torch.cuda, "mem_get_info", lambda: (0, 120 * 2**30))  # all of it is page cache
    assert free_memory("cuda") > 2**28
    assert free_memory("cpu") > 2**28
