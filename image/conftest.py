from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.container import HARDENED, STORE, podman
from tests.support.server import ROOT

WRITE_CHECKPOINT = """
from pathlib import Path
from benchmarks.synthetic_checkpoint import write_checkpoint
write_checkpoint(Path("/checkpoint"), t3_layers=2, prompt_s=0.04, tokens=25)
"""
TARGETS = os.environ.get("IMAGE_TARGETS", "slim monica").split()


@pytest.fixture(scope="session", params=["slim", "monica"])
def target(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name not in TARGETS:
        pytest.skip(f"IMAGE_TARGETS leaves {name} out")
    return name


@pytest.fixture(scope="session")
def full() -> str:
    """The image with torch."""
    if "monica" not in TARGETS:
        pytest.skip("IMAGE_TARGETS leaves monica out")
    return "localhost/monica:monica"


@pytest.fixture(scope="session")
def image(target: str) -> str:
    return f"localhost/monica:{target}"


@pytest.fixture(scope="session")
def files(image: str) -> Iterator[Path]:
    """The image's root file system."""
    yield Path(podman("image", "mount", image).stdout.strip())
    podman("image", "unmount", image)


@pytest.fixture(scope="session")
def checkpoint(full: str) -> Path:
    """A small synthetic checkpoint, written by the image itself."""
    folder = STORE / "checkpoint"
    if not (folder / "conds.pt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, 1000, 1000)
        mounts = (f"--volume={ROOT / 'benchmarks'}:/app/benchmarks:ro", f"--volume={folder}:/checkpoint")
        podman("run", "--rm", *HARDENED, *mounts, full, "python", "-c", WRITE_CHECKPOINT, timeout=600)
    return folder


@pytest.fixture
def settings(target: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings with which the image can speak on this machine."""
    if target == "slim":
        return {}
    request.getfixturevalue("checkpoint")
    return {
        "MONICA_ENGINE": "chatterbox",
        "MONICA_DEVICE": "cpu",
        "MONICA_MODEL_DIR": "/checkpoint",
        "MONICA_DEADLINE_S": "120",
        "OMP_NUM_THREADS": "1",  # two threads that compete for one core are much slower
        "REFERENCE_AUDIO": "",
    }


@pytest.fixture
def volumes(target: str) -> tuple[str, ...]:
    return () if target == "slim" else (f"{STORE / 'checkpoint'}:/checkpoint:ro",)
