"""The machine that a figure was measured on, and the code."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path


def describe_cpu() -> str:
    """Name the processor and how many cores this process may use."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name or platform.processor() or platform.machine()}, {cores} cores"


def describe_commit() -> str:
    """Name the commit, with `-dirty` if files were changed since."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def read_speed(device: str) -> float:
    """Return the bytes per second that PyTorch can read from memory: no step of T3 can be faster.

    It is the better of a sum and a matrix-vector product over 1 GiB, each the best of ten.
    """
    import torch

    block = torch.ones(2**16, 2**12, device=device)
    vector = torch.ones(2**12, device=device)
    seconds = []
    for _ in range(10):
        for vectors in (None, vector):
            began = time.perf_counter()
            float(block.sum() if vectors is None else torch.mv(block, vectors).sum())
            seconds.append(time.perf_counter() - began)
    return block.nbytes / min(seconds)
