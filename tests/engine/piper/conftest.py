"""Piper's tests need the extra `piper`; in CI it must be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from monica.engine.piper.spec import installed
from tests.support import system

from .toy_voice import write_voice


def pytest_runtest_setup() -> None:
    if not installed() and not system.REQUIRED:
        pytest.skip("the extra `piper` is not installed")


@pytest.fixture(scope="session")
def toy_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a voice."""
    folder = tmp_path_factory.mktemp("toy")
    write_voice(folder)
    return folder
