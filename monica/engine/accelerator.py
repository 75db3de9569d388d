"""Finds out which accelerator this machine has without importing torch, which may not be installed on a laptop."""

from __future__ import annotations

import ctypes
import logging
import platform
import sys

NO_DEVICE, STUB = 100, 34
"""Results of cuInit if a driver is installed but there is no GPU. Source: CUDA Driver API, CUresult."""

logger = logging.getLogger(__name__)


def accelerator() -> str | None:
    """Return `cuda`, `mps` or None. Initialises CUDA: never call it before a fork."""
    if sys.platform == "darwin":
        return "mps" if platform.machine() == "arm64" else None
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        started = driver.cuInit(0)
    except (OSError, AttributeError):
        return None
    if started in (NO_DEVICE, STUB):
        return None
    if started != 0:
        logger.warning("an NVIDIA driver is here and does not start (cuInit: error %d); see nvidia-smi", started)
        return None
    count = ctypes.c_int(0)
    return "cuda" if driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0 else None
