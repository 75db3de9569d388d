"""The device the model runs on: choosing, checking and describing it. Nothing here runs before the loader calls it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch

from monica.engine.accelerator import accelerator
from monica.errors import ConfigError

GIB = 2**30


def choose_device(setting: str) -> str:
    """Resolve `auto`, `cuda`, `mps` or `cpu` to one of the last three.

    Raises ConfigError if the device does not exist, or exists and cannot be used. In the latter case `auto` does not
    fall back to another one.
    """
    if setting == "auto":
        setting = "cuda" if accelerator() == "cuda" else "mps" if _has_mps() else "cpu"
    if setting == "cuda" and (problem := cuda_problem()) is not None:
        raise ConfigError(f"CUDA cannot be used: {problem}")
    if setting == "mps" and not _has_mps():
        raise ConfigError("MONICA_DEVICE='mps': this machine or this PyTorch has no Metal device.")
    return setting


def choose_precision(setting: str, device: str) -> str:
    """Resolve `auto`, `fp32`, `bf16` or `int8` to one of the last three. Raises ConfigError if it is unsupported."""
    has_bf16 = device != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    if setting == "auto":
        setting = "bf16" if device == "cuda" and has_bf16 else "fp32"
    if setting == "int8" and device != "cpu":
        raise ConfigError(f"MONICA_PRECISION='int8' is for the CPU, and the device is {device}: use bf16 or fp32.")
    if setting == "bf16" and not has_bf16:
        raise ConfigError(f"MONICA_PRECISION='bf16': {torch.cuda.get_device_name()} does not support it; use fp32.")
    return setting


def free_memory(device: str) -> int:
    """Return the bytes that are free on a GPU; on `mps` or `cpu`, the memory there is."""
    if device == "cuda":
        free = torch.cuda.mem_get_info()[0]
        # If GPU and CPU share their memory, as on a DGX Spark, CUDA counts the page cache as used.
        return max(free, _available()) if torch.cuda.get_device_properties().is_integrated else free
    return torch.mps.recommended_max_memory() if device == "mps" else _memory()


def cuda_problem() -> str | None:
    """Return why CUDA cannot be used, in one line for the operator, or None if it can."""
    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA; install one built with it (`make install EXTRA=chatterbox`)."
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except RuntimeError as error:  # torch knows the reason; its advice is a link to a web page
        reason = str(error).partition(" Please ")[0].rstrip(".")
        return f"{reason}. This PyTorch needs a driver for CUDA {torch.version.cuda}; see `nvidia-smi`."
    major, minor = torch.cuda.get_device_capability()
    built_for = torch.cuda.get_arch_list()
    if not any(_runs_on(arch, major, minor) for arch in built_for):
        return (
            f"this PyTorch has no kernels for {torch.cuda.get_device_name()}, "
            f"compute capability {major}.{minor}; it has {', '.join(built_for)}."
        )
    return None


def describe_device(device: str) -> str:
    """Describe the device and its memory in one line, for the log."""
    if device == "cuda":
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        return (
            f"cuda, {properties.name}, {properties.total_memory / GIB:.1f} GiB "
            f"(compute capability {properties.major}.{properties.minor})"
        )
    if device == "mps":
        return f"mps, {platform.machine()}, {torch.mps.recommended_max_memory() / GIB:.1f} GiB"
    return f"cpu, {_cpu_name()}, {_memory() / GIB:.1f} GiB ({torch.get_num_threads()} threads)"


def device_name(device: str) -> str:
    """Return the name of the GPU or CPU, as its maker calls it."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return platform.machine() if device == "mps" else _cpu_name()


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def _runs_on(arch: str, major: int, minor: int) -> bool:
    """Whether code built for `arch` runs on a device.

    Source: CUDA C++ Programming Guide, binary and PTX compatibility.
    """
    match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", arch)
    if match is None:
        return False
    kind, built, suffix = match[1], (int(match[2]), int(match[3])), match[4]
    if suffix == "a":  # for that one device only
        return built == (major, minor)
    if kind == "compute" and not suffix:  # PTX: compiled at load time for anything newer
        return built <= (major, minor)
    return built[0] == major and built[1] <= minor


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _available() -> int:
    meminfo = Path("/proc/meminfo")
    match = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE) if meminfo.is_file() else None
    return 1024 * int(match[1]) if match else 0


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # Windows has no sysconf
        return 0
