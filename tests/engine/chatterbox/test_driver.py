"""An unusable driver: a fake libcuda.so.1, which the real PyTorch loads and refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from tests.support.command import monica
from tests.support.system import program

DRIVER = """
int cuInit(unsigned flags) { return %(started)d; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDriverGetVersion(int *version) { *version = 12040; return 0; }
"""

pytestmark = pytest.mark.skipif(torch.version.cuda is None, reason="this PyTorch is built without CUDA")


def install(folder: Path, started: int) -> dict[str, str]:
    """Build a driver for CUDA 12.4. started: the result of its cuInit. Returns the environment to use it."""
    source = folder / "driver.c"
    source.write_text(DRIVER % {"started": started})
    command = [program("cc"), "-shared", "-fPIC", "-o", str(folder / "libcuda.so.1"), str(source)]
    subprocess.run(command, check=True)
    return {"LD_LIBRARY_PATH": str(folder)}


@pytest.mark.parametrize(("engine", "device"), [("auto", "auto"), ("chatterbox", "auto"), ("chatterbox", "cuda")])
def test_an_old_driver_is_reported_and_espeak_does_not_stand_in(tmp_path: Path, engine: str, device: str) -> None:
    settings = {"MONICA_ENGINE": engine, "MONICA_DEVICE": device, "REFERENCE_AUDIO": ""}
    done = monica("doctor", **settings, **install(tmp_path, started=0))
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.decode().splitlines() if " device:" in line]
    assert "The NVIDIA driver on your system is too old (found version 12040). This PyTorch needs a driver for" in line


def test_a_driver_that_does_not_start_is_reported(tmp_path: Path) -> None:
    done = monica("doctor", REFERENCE_AUDIO="", **install(tmp_path, started=803))
    assert "an NVIDIA driver is here and does not start (cuInit: error 803)" in done.stderr.decode()
    assert b"espeak" in done.stdout
    assert done.returncode == 0


def test_a_driver_without_a_gpu_is_not_reported(tmp_path: Path) -> None:
    done = monica("doctor", REFERENCE_AUDIO="", **install(tmp_path, started=100))
    assert "NVIDIA" not in done.stderr.decode()
    assert done.returncode == 0
