"""What a GPU is and does at the moment, as its driver tells: clocks, power, temperature, what slows it down."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

import torch

from monica.engine.torch.device import describe_device

FIELDS = {
    "driver_version": "driver",
    "pstate": "performance state",
    "clocks.sm": "clock, MHz",
    "clocks.max.sm": "highest clock, MHz",
    "clocks.mem": "memory clock, MHz",
    "power.draw": "power, W",
    "power.limit": "power limit, W",
    "temperature.gpu": "temperature, °C",
    "clocks_event_reasons.active": "what limits the clock",
}
"""What nvidia-smi is asked for, and what the report calls it. Neither serial number nor UUID."""
ASK_S = 10.0


def software() -> dict[str, Any]:
    """Return the versions of PyTorch and of what it is built with."""
    return {
        "PyTorch": torch.__version__,
        "CUDA of this PyTorch": torch.version.cuda or "none",
        "cuDNN": torch.backends.cudnn.version() or "none",  # type: ignore[no-untyped-call]
    }


def gpu_state(device: str) -> dict[str, Any]:
    """Return the state of the first GPU; empty without one, or if nvidia-smi is missing or does not answer."""
    program = shutil.which("nvidia-smi") if device == "cuda" else None
    if program is None:
        return {}
    try:
        done = subprocess.run(  # noqa: S603
            [program, "-i", "0", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=ASK_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return {}
    values = [value.strip() for value in done.stdout.partition("\n")[0].split(",")]
    told = dict(zip(FIELDS.values(), values, strict=False))
    # A GPU that shares its memory with the CPU does not tell all of it.
    return {name: value for name, value in told.items() if value and "N/A" not in value and "Not" not in value}


def memory_speed(device: str, mib: int) -> float:
    """Return how fast the device's memory is read and written, in bytes a second: the best of five copies."""
    size = mib * 2**20
    source, target = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
    best = 0.0
    for _ in range(6):
        seconds = elapsed(device, lambda: target.copy_(source))
        best = max(best, 2 * size / seconds)
    return best


def elapsed(device: str, work: Callable[[], object]) -> float:
    """Call `work` and return the seconds until the device has done it."""
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def describe(device: str) -> dict[str, Any]:
    """Return device, software and state."""
    return {"device": describe_device(device)} | software() | gpu_state(device)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()
